package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"
)

// stage turns a stream of bytes into another, piece by piece, in bounded memory. It
// never fails: what it does not understand it passes on.
type stage interface {
	// decode appends what src becomes, as far as that is known.
	decode(dst, src []byte) []byte
	// finish appends the rest, at the end of the stream.
	finish(dst []byte) []byte
}

// plainStage changes nothing.
type plainStage struct{}

func (plainStage) decode(dst, src []byte) []byte { return append(dst, src...) }
func (plainStage) finish(dst []byte) []byte      { return dst }

// stage is the decoder of the coding; what has an unknown one is taken as it is.
func (c coding) stage() stage {
	switch c {
	case base64Coding:
		return &b64State{}
	case quotedPrintable:
		return &qpState{}
	}
	return plainStage{}
}

// textStages make UTF-8 text of a part's bytes.
func (p *Part) textStages() []stage {
	stages := []stage{p.encoding().stage()}
	html := p.is("text") && strings.EqualFold(p.Subtype, "html")
	if e := charset(p.param("charset")); e != nil {
		stages = append(stages, &charsetStage{t: e.NewDecoder()})
	} else {
		stages = append(stages, &guessStage{html: html})
	}
	if html {
		stages = append(stages, &htmlStage{})
	}
	return stages
}

// pipe is stages, each with the bytes it last made.
type pipe struct {
	stages []stage
	made   [][]byte
}

func newPipe(stages ...stage) *pipe {
	return &pipe{stages: stages, made: make([][]byte, len(stages))}
}

// decode sends b through the stages.
func (p *pipe) decode(b []byte) []byte {
	for i, s := range p.stages {
		p.made[i] = s.decode(p.made[i][:0], b)
		b = p.made[i]
	}
	return b
}

// finish ends each stage and sends what it gives through those after it.
func (p *pipe) finish() []byte {
	var b []byte
	for i, s := range p.stages {
		p.made[i] = s.finish(s.decode(p.made[i][:0], b))
		b = p.made[i]
	}
	return b
}

// pieceSize is how much is read at a time.
const pieceSize = 16 << 10

// copy sends what r has through the stages to w.
func (p *pipe) copy(w io.Writer, r io.Reader) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(p.decode(buf[:n])); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			_, err := w.Write(p.finish())
			return err
		}
		if err != nil {
			return err
		}
	}
}

// charsetStage decodes a charset.
type charsetStage struct {
	t    transform.Transformer
	rest []byte // of a character that is not complete
}

func (s *charsetStage) decode(dst, src []byte) []byte { return s.transform(dst, src, false) }
func (s *charsetStage) finish(dst []byte) []byte      { return s.transform(dst, nil, true) }

func (s *charsetStage) transform(dst, src []byte, end bool) []byte {
	if len(s.rest) > 0 {
		src = append(s.rest, src...)
	}
	for {
		if cap(dst)-len(dst) < 64 {
			dst = append(dst, make([]byte, max(64, 2*len(src)))...)[:len(dst)]
		}
		n, m, err := s.t.Transform(dst[len(dst):cap(dst)], src, end)
		dst, src = dst[:len(dst)+n], src[m:]
		switch {
		case errors.Is(err, transform.ErrShortDst):
		case err == nil, errors.Is(err, transform.ErrShortSrc) && !end, len(src) == 0:
			s.rest = append([]byte(nil), src...)
			return dst
		default: // a decoder that gives up: the byte is not text
			dst = append(dst, "\uFFFD"...)
			src = src[1:]
		}
	}
}

// guessBytes are how many bytes from the first one outside ASCII on are looked at
// before a charset is chosen.
const guessBytes = 2 << 10

// guessStage decodes text that does not say what it is, or says UTF-8, which need
// not be so: see guess. HTML may name its charset itself.
type guessStage struct {
	html   bool
	head   []byte // the beginning of HTML, then of what is not ASCII
	passed bool   // the beginning was looked at
	next   stage  // what was chosen
}

func (s *guessStage) decode(dst, src []byte) []byte {
	if s.next != nil {
		return s.next.decode(dst, src)
	}
	s.head = append(s.head, src...)
	if s.html && !s.passed && len(s.head) < guessBytes {
		return dst
	}
	return s.choose(dst, false)
}

func (s *guessStage) finish(dst []byte) []byte {
	if s.next == nil {
		dst = s.choose(dst, true)
	}
	if s.next == nil {
		return dst
	}
	return s.next.finish(dst)
}

// choose passes on ASCII, and when enough else is there, chooses.
func (s *guessStage) choose(dst []byte, end bool) []byte {
	if s.html && !s.passed {
		if e := charset(metaCharset(s.head)); e != nil {
			s.next = &charsetStage{t: e.NewDecoder()}
			return s.next.decode(dst, s.head)
		}
	}
	s.passed = true
	ascii := 0
	for ascii < len(s.head) && s.head[ascii] < utf8.RuneSelf {
		ascii++
	}
	dst = append(dst, s.head[:ascii]...)
	s.head = s.head[:copy(s.head, s.head[ascii:])]
	if len(s.head) == 0 || len(s.head) < guessBytes && !end {
		return dst
	}
	s.next = guessed(s.head)
	dst = s.next.decode(dst, s.head)
	s.head = nil
	return dst
}

// guessed is the decoder of what the bytes most likely are; the last character may
// be cut.
func guessed(b []byte) stage {
	cut := b
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				cut = b[:len(b)-i]
			}
			break
		}
	}
	if utf8.Valid(cut) {
		return plainStage{}
	}
	var e encoding.Encoding = charmap.Windows1252
	s := &charsetStage{t: simplifiedchinese.GB18030.NewDecoder()}
	if out := s.decode(nil, b); !bytes.ContainsRune(out, utf8.RuneError) {
		e = simplifiedchinese.GB18030
	}
	return &charsetStage{t: e.NewDecoder()}
}

// metaCharset is the charset that HTML says it has.
func metaCharset(head []byte) string {
	i := bytes.Index(bytes.ToLower(head), []byte("charset="))
	if i < 0 {
		return ""
	}
	v := bytes.TrimLeft(head[i+len("charset="):], `"' `)
	if j := bytes.IndexAny(v, "\"' ;/>\r\n"); j >= 0 {
		v = v[:j]
	}
	return string(v)
}
