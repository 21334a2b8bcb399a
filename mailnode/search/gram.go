package search

import (
	"unicode"
	"unicode/utf8"
)

// kind is what an entry of the index is.
type kind byte

const (
	words     kind = 'w' // a whole word
	ideograms kind = 'c' // an ideograph or kana, or two neighbours
	trigrams  kind = 't' // three bytes of a word longer than maxWord
)

// field is where in a message a text stands.
type field byte

const (
	inBody   field = 'b' // what SEARCH BODY looks at
	inHeader field = 'h'
)

// maxWord is the length in bytes of the longest word that is kept whole.
const maxWord = 32

// class is what a character is to the index.
type class byte

const (
	other class = iota // between words
	letter
	ideogram
)

// ascii has the class of each ASCII character.
var ascii = func() (t [utf8.RuneSelf]class) {
	for c := range t {
		if r := rune(c); unicode.IsLetter(r) || unicode.IsDigit(r) {
			t[c] = letter
		}
	}
	return t
}()

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		return ascii[r]
	case r >= 0x3400 && r <= 0x4dbf, r >= 0x4e00 && r <= 0x9fff, r >= 0x20000 && r <= 0x3ffff:
		return ideogram
	case r >= 0x3041 && r <= 0x30ff || r >= 0x3105 && r <= 0x312f || r >= 0x31a0 && r <= 0x31ff:
		return ideogram
	case r >= 0xf900 && r <= 0xfaff, r == 0x3005, r == 0x3007:
		return ideogram
	case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r):
		return letter
	}
	return other
}

// run is a longest sequence of characters of one class, other than other.
type run struct {
	class class
	text  []byte
	// open tells on which sides the word may go on: the text ends there, not the run.
	openLeft, openRight bool
}

// runs divides a needle.
func runs(needle []byte) (list []run) {
	for i := 0; i < len(needle); {
		r, n := utf8.DecodeRune(needle[i:])
		c := classOf(r)
		last := len(list) - 1
		switch {
		case c == other:
		case last >= 0 && list[last].class == c && list[last].openRight:
			list[last].text = needle[i-len(list[last].text) : i+n]
		default:
			list = append(list, run{class: c, text: needle[i : i+n], openLeft: i == 0, openRight: true})
		}
		i += n
		// A run that does not reach to here has ended.
		for j := range list {
			if c == other || j < len(list)-1 {
				list[j].openRight = false
			}
		}
	}
	return list
}

// scanner finds the entries of folded text that is written to it.
type scanner struct {
	emit func(k kind, gram []byte)

	word []byte // the word so far; of a long one the last bytes
	long bool   // the word is longer than maxWord
	pair []byte // the last ideogram, and the one before
	last int    // length of the last
	rest []byte // of a character that is not complete
}

// Write implements io.Writer. It never fails.
func (s *scanner) Write(b []byte) (int, error) {
	n := len(b)
	if len(s.rest) > 0 {
		b = append(s.rest, b...)
		s.rest = nil
	}
	for len(b) > 0 {
		if c := b[0]; c < utf8.RuneSelf {
			s.pair, s.last = s.pair[:0], 0
			if ascii[c] == letter {
				s.letter(b[:1])
			} else {
				s.endWord()
			}
			b = b[1:]
			continue
		}
		if !utf8.FullRune(b) {
			s.rest = append([]byte(nil), b...)
			break
		}
		r, size := utf8.DecodeRune(b)
		switch classOf(r) {
		case letter:
			s.pair, s.last = s.pair[:0], 0
			s.letter(b[:size])
		case ideogram:
			s.endWord()
			s.ideogram(b[:size])
		default:
			s.pair, s.last = s.pair[:0], 0
			s.endWord()
		}
		b = b[size:]
	}
	return n, nil
}

// letter takes a character of a word.
func (s *scanner) letter(c []byte) {
	before := len(s.word)
	s.word = append(s.word, c...)
	switch {
	case s.long:
		s.trigrams(max(0, before-2))
		s.word = append(s.word[:0], s.word[len(s.word)-2:]...)
	case len(s.word) > maxWord:
		s.long = true
		s.trigrams(0)
		s.word = append(s.word[:0], s.word[len(s.word)-2:]...)
	}
}

func (s *scanner) trigrams(from int) {
	for i := from; i+3 <= len(s.word); i++ {
		s.emit(trigrams, s.word[i:i+3])
	}
}

func (s *scanner) endWord() {
	if len(s.word) > 0 && !s.long {
		s.emit(words, s.word)
	}
	s.word, s.long = s.word[:0], false
}

func (s *scanner) ideogram(c []byte) {
	s.emit(ideograms, c)
	s.pair = append(s.pair[len(s.pair)-s.last:], c...)
	if s.last > 0 {
		s.emit(ideograms, s.pair)
	}
	s.last = len(c)
}

// end ends the text.
func (s *scanner) end() {
	s.endWord()
	s.pair, s.last, s.rest = s.pair[:0], 0, nil
}
