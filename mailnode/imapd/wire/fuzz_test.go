package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// fuzz runs a parser on bytes of all kinds. Whatever it makes of them, the command ends where
// it ends for Discard, and reading bytewise gives the same.
func fuzz(f *testing.F, parse func(r *Reader) error, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" {
			return
		}
		var outcome [2]string
		for i := range outcome {
			r := reader(t, text, i == 1)
			err := parse(r)
			if err == nil {
				err = r.End()
			}
			if err != nil {
				outcome[i] = err.Error()
			}
			if err := r.Discard(); err != nil && !errors.Is(err, ErrFlood) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("discarding: %v", err)
			}
			if r.memory > limits.Memory+largeBuffer {
				t.Fatalf("%d bytes of arguments", r.memory)
			}
		}
		if outcome[0] != outcome[1] {
			t.Errorf("whole: %q, bytewise: %q", outcome[0], outcome[1])
		}
	})
}

func FuzzArguments(f *testing.F) {
	fuzz(f, func(r *Reader) error {
		for {
			if _, err := r.AString(); err != nil {
				return err
			}
			if !r.Take(' ') {
				return nil
			}
		}
	}, "a \"b\" {1}\r\nc ~{1+}\r\n\x00\r\n", "{3")
}

func FuzzFlags(f *testing.F) {
	fuzz(f, func(r *Reader) error { _, err := r.Flags(true); return err }, "(\\Seen a)\r\n", "\\Seen \\Deleted\r\n")
}

func FuzzSet(f *testing.F) {
	fuzz(f, func(r *Reader) error {
		set, err := r.Set()
		if err != nil {
			return err
		}
		last := uint32(0)
		for i, part := range set.Resolve(7) {
			if part.Start > part.Stop || i > 0 && uint64(part.Start) <= uint64(last)+1 {
				return errors.New("not in order: " + set.Resolve(7).String())
			}
			last = part.Stop
		}
		return nil
	}, "1:*,7\r\n", "$\r\n", "4294967295:*\r\n")
}

func FuzzFetch(f *testing.F) {
	fuzz(f, func(r *Reader) error {
		fetch, err := r.Fetch()
		if err != nil {
			return err
		}
		return r.FetchModifiers(fetch)
	}, "(FLAGS BODY.PEEK[1.HEADER.FIELDS (a b)]<0.5>) (CHANGEDSINCE 5)\r\n", "(PREVIEW (LAZY) BINARY[1])\r\n")
}

func FuzzSearch(f *testing.F) {
	fuzz(f, func(r *Reader) error { _, err := r.Search(); return err },
		"RETURN (MIN) CHARSET UTF-8 OR (SEEN 1:*) NOT HEADER a {1}\r\nb\r\n", "MODSEQ \"/flags/a\" all 1\r\n")
}

func FuzzSort(f *testing.F) {
	fuzz(f, func(r *Reader) error { _, _, err := r.Sort(); return err }, "RETURN (COUNT) (REVERSE DATE) UTF-8 ALL\r\n")
}

func FuzzDate(f *testing.F) {
	fuzz(f, func(r *Reader) error {
		if r.Is('"') {
			at, err := r.DateTime()
			if err != nil {
				return err
			}
			second := NewReader(strings.NewReader(string(AppendDateTime(nil, at)) + "\r\n"))
			second.Limits = limits
			again, err := second.DateTime()
			if err != nil || !again.Equal(at) {
				return errors.New("a date changes on the way: " + at.Format(time.RFC3339Nano))
			}
			return nil
		}
		_, err := r.Date()
		return err
	}, "\"17-Jul-1996 02:44:25 -0700\"\r\n", "1-Feb-2024\r\n")
}

func FuzzModifiedUTF7(f *testing.F) {
	f.Add("&U,BTFw-")
	f.Fuzz(func(t *testing.T, s string) {
		if name, ok := DecodeUTF7(s); ok && EncodeUTF7(name) != s {
			t.Errorf("%q is %q is %q", s, name, EncodeUTF7(name))
		}
		if coded := EncodeUTF7(s); strings.ToValidUTF8(s, "") == s {
			if name, ok := DecodeUTF7(coded); !ok || name != s {
				t.Errorf("%q is %q is %q", s, coded, name)
			}
		}
	})
}
