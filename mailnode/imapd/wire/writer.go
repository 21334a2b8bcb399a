package wire

import (
	"io"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// writeBuffer is what a writer holds before it sends; more than that is held for
// no peer, however slowly it reads.
const writeBuffer = 64 << 10

var writeBuffers = sync.Pool{New: func() any { return new([writeBuffer]byte) }}

// Writer writes responses. Its methods do not fail: the first error is kept, what
// follows is dropped, and Flush returns it.
type Writer struct {
	// UTF8 allows UTF-8 in quoted strings (RFC 9051, RFC 6855).
	UTF8 bool

	dst  io.Writer
	mem  *[writeBuffer]byte // from the pool, while there is something in it
	n    int
	err  error
	sent int64 // bytes before those in mem
}

// NewWriter returns a writer to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Reset makes dst what is written to from now on. What was buffered must have been flushed.
func (w *Writer) Reset(dst io.Writer) { w.dst = dst }

// Mark is a place in what was written.
func (w *Writer) Mark() int64 { return w.sent + int64(w.n) }

// Since reports whether something was written behind a mark.
func (w *Writer) Since(mark int64) bool { return w.Mark() != mark }

// Err is the first error.
func (w *Writer) Err() error { return w.err }

// Buffered reports whether there is something to send.
func (w *Writer) Buffered() bool { return w.n > 0 }

// Flush sends what is buffered and gives the buffer back.
func (w *Writer) Flush() error {
	w.send()
	if f, ok := w.dst.(interface{ Flush() error }); ok && w.err == nil {
		w.err = f.Flush()
	}
	if w.mem != nil {
		writeBuffers.Put(w.mem)
		w.mem, w.n = nil, 0
	}
	return w.err
}

func (w *Writer) send() {
	if w.n > 0 && w.err == nil {
		_, w.err = w.dst.Write(w.mem[:w.n])
	}
	w.sent += int64(w.n)
	w.n = 0
}

// room makes room for n bytes, n ≤ writeBuffer.
func (w *Writer) room(n int) []byte {
	if w.mem == nil {
		w.mem = writeBuffers.Get().(*[writeBuffer]byte) // the pool holds nothing else
	}
	if w.n+n > writeBuffer {
		w.send()
	}
	return w.mem[w.n:w.n]
}

// Write implements io.Writer. What does not fit the buffer passes by it.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) > writeBuffer/2 {
		w.send()
		if w.err == nil {
			_, w.err = w.dst.Write(p)
		}
		w.sent += int64(len(p))
	} else {
		w.n += len(append(w.room(len(p)), p...))
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Raw writes s as it is.
func (w *Writer) Raw(s string) *Writer {
	for len(s) > writeBuffer/2 {
		_, _ = w.Write([]byte(s[:writeBuffer/2])) // kept
		s = s[writeBuffer/2:]
	}
	w.n += len(append(w.room(len(s)), s...))
	return w
}

// Byte writes one byte.
func (w *Writer) Byte(c byte) *Writer {
	if w.mem != nil && w.n < writeBuffer {
		w.mem[w.n] = c
		w.n++
		return w
	}
	w.n += len(append(w.room(1), c))
	return w
}

// Num writes a number.
func (w *Writer) Num(n uint64) *Writer {
	w.n += len(strconv.AppendUint(w.room(20), n, 10))
	return w
}

// Space writes a space.
func (w *Writer) Space() *Writer { return w.Byte(' ') }

// CRLF ends a line.
func (w *Writer) CRLF() *Writer { return w.Raw("\r\n") }

// DateTime writes a date with time and zone.
func (w *Writer) DateTime(t time.Time) *Writer {
	w.n += len(AppendDateTime(w.room(32), t))
	return w
}

// Ranges writes a set of numbers.
func (w *Writer) Ranges(rs Ranges) *Writer {
	for len(rs) > 0 {
		n := min(len(rs), 1000)
		w.n += len(rs[:n].Append(w.room(n * 22)))
		if rs = rs[n:]; len(rs) > 0 {
			w.Byte(',')
		}
	}
	return w
}

// String writes a string, quoted or as a literal.
func (w *Writer) String(s string) *Writer { return writeString(w, s) }

// NBytes writes bytes as a string, or NIL for nil.
func (w *Writer) NBytes(b []byte) *Writer {
	if b == nil {
		return w.Raw("NIL")
	}
	return writeString(w, b)
}

func writeString[T string | []byte](w *Writer, s T) *Writer {
	plain, ok := quotable(w, s)
	switch {
	case !ok || len(s) > 4096:
		w.Literal(int64(len(s)))
		for len(s) > 0 {
			part := s[:min(len(s), writeBuffer/2)]
			w.n += len(append(w.room(len(part)), part...))
			s = s[len(part):]
		}
		return w
	case plain:
		quoted := append(append(append(w.room(len(s)+2), '"'), s...), '"')
		w.n += len(quoted)
		return w
	}
	w.Byte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			w.Byte('\\')
		}
		w.Byte(s[i])
	}
	return w.Byte('"')
}

// What a byte means for a quoted string (RFC 9051 §4.3).
const (
	escaped  = 1 << iota // it needs a backslash
	nonASCII             // it is part of UTF-8, or of nothing
	literal              // it can stand in a literal only
)

var quoting = func() (q [256]byte) {
	for c := 0x80; c < len(q); c++ {
		q[c] = nonASCII
	}
	q['"'], q['\\'] = escaped, escaped
	q[0], q['\r'], q['\n'] = literal, literal, literal
	return q
}()

// quotable reports whether a string can be quoted, and whether nothing in it needs a
// backslash.
func quotable[T string | []byte](w *Writer, s T) (plain, ok bool) {
	var has byte
	for i := range len(s) {
		has |= quoting[s[i]]
	}
	if has&literal != 0 {
		return false, false
	}
	return has&escaped == 0, has&nonASCII == 0 || w.UTF8 && utf8.ValidString(string(s))
}

// NString writes a string, or NIL for none.
func (w *Writer) NString(s string, ok bool) *Writer {
	if !ok {
		return w.Raw("NIL")
	}
	return w.String(s)
}

// AString writes an atom where s is one, a string otherwise.
func (w *Writer) AString(s string) *Writer {
	if s == "" || len(s) > 4096 || s == "NIL" || s == "nil" {
		return w.String(s)
	}
	for i := range len(s) {
		if classes[s[i]]&astringChar == 0 || s[i] >= 0x80 {
			return w.String(s)
		}
	}
	return w.Raw(s)
}

// Mailbox writes the name of a mailbox.
func (w *Writer) Mailbox(name string) *Writer {
	if !w.UTF8 {
		name = EncodeUTF7(name)
	}
	return w.AString(name)
}

// Literal announces a literal of n bytes, which must follow.
func (w *Writer) Literal(n int64) *Writer {
	return w.Byte('{').Num(uint64(n)).Raw("}\r\n")
}

// List writes a parenthesised list of words.
func (w *Writer) List(words []string) *Writer {
	w.Byte('(')
	for i, s := range words {
		if i > 0 {
			w.Space()
		}
		w.Raw(s)
	}
	return w.Byte(')')
}
