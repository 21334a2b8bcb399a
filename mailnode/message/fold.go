package message

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold makes texts comparable that a reader takes for the same: letters without
// their case, compatible characters as one (RFC 5051's i;unicode-casemap, with the
// decomposition also before the case mapping), white space as one space, characters
// that are not seen left out. A line that ends between two ideographs or kana goes on
// in the next: that is how such text is wrapped.
func Fold(s string) string {
	var f foldStage
	return string(f.finish(f.decode(make([]byte, 0, len(s)), []byte(s))))
}

// foldStage folds. Invalid UTF-8 passes as it is.
type foldStage struct {
	rest  []byte // of a character that is not complete, or a run of other characters
	space bool   // white space is due
	line  bool   // and had a line end
	wide  bool   // the last character was an ideograph or kana
	run   []byte
}

// maxRun is the longest run of characters that is normalised at once.
const maxRun = 4096

// fold has the folded form of ASCII; 0 for white space.
var fold = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		t[c] = byte(unicode.ToUpper(rune(c)))
	}
	for _, c := range " \t\r\n\v\f" {
		t[c] = 0
	}
	t[0] = 1 // no white space, and in no text
	return t
}()

func (f *foldStage) decode(dst, src []byte) []byte { return f.fold(dst, src, false) }
func (f *foldStage) finish(dst []byte) []byte      { return f.fold(dst, nil, true) }

func (f *foldStage) fold(dst, src []byte, end bool) []byte {
	if len(f.rest) > 0 {
		src = append(f.rest, src...)
		f.rest = nil
	}
	for len(src) > 0 {
		c := src[0]
		if c < utf8.RuneSelf {
			if folded := fold[c]; folded != 0 {
				dst = append(f.gap(dst, false), folded)
			} else {
				f.space, f.line = true, f.line || c == '\n'
			}
			src = src[1:]
			continue
		}
		if !utf8.FullRune(src) && !end {
			f.rest = append([]byte(nil), src...)
			return dst
		}
		if r, n := utf8.DecodeRune(src); ideograph(r) {
			dst = append(f.gap(dst, true), src[:n]...)
			src = src[n:]
			continue
		}
		n, ended := otherRun(src, end)
		if !ended && !end {
			f.rest = append([]byte(nil), src...)
			return dst
		}
		dst = f.others(dst, src[:n])
		src = src[n:]
	}
	return dst
}

// gap writes the space that is due before a character.
func (f *foldStage) gap(dst []byte, wide bool) []byte {
	if f.space && !(f.line && wide && f.wide) {
		dst = append(dst, ' ')
	}
	f.space, f.line, f.wide = false, false, wide
	return dst
}

// ideograph tells the characters that normalisation leaves alone and that are most of
// Chinese text.
func ideograph(r rune) bool { return r >= 0x4e00 && r <= 0x9fff || r >= 0x3400 && r <= 0x4dbf }

// otherRun is the length of the run of characters that are neither ASCII nor
// ideographs, and whether it ends there. At the end of the text a character that is
// not complete is bytes like any other.
func otherRun(src []byte, end bool) (n int, ended bool) {
	for n < len(src) && n < maxRun {
		if src[n] < utf8.RuneSelf {
			return n, true
		}
		if !end && !utf8.FullRune(src[n:]) {
			return n, n > maxRun-utf8.UTFMax
		}
		r, size := utf8.DecodeRune(src[n:])
		if ideograph(r) {
			return n, true
		}
		n += size
	}
	return n, n >= maxRun
}

// others folds a run of other characters.
func (f *foldStage) others(dst, run []byte) []byte {
	f.run = norm.NFKD.Append(f.run[:0], run...)
	for i := 0; i < len(f.run); {
		r, n := utf8.DecodeRune(f.run[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(f.gap(dst, false), f.run[i])
		case unicode.IsSpace(r):
			f.space = true
		case invisible(r):
		default:
			wide := wideRune(r)
			dst = utf8.AppendRune(f.gap(dst, wide), unicode.ToTitle(r))
		}
		i += n
	}
	return dst
}

// wideRune tells whether lines are broken around the character without a space:
// ideographs, kana and their punctuation.
func wideRune(r rune) bool {
	return r >= 0x2e80 && r <= 0x312f || r >= 0xff00 && r <= 0xff60 || r >= 0x20000 && r <= 0x3ffff || ideograph(r)
}

// invisible tells characters that say only how text is laid out.
func invisible(r rune) bool {
	return r == 0xad || r >= 0x200b && r <= 0x200f || r == 0x2060 || r == 0xfeff || r >= 0xfe00 && r <= 0xfe0f
}
