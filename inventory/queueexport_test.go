package inventory

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func exported(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewQueueExportWriter(&b)
	for _, e := range []struct{ id, text string }{{"1", "Subject: a\r\n\r\nx"}, {"2", ""}, {"3", "{\"end\":true}\n"}} {
		var message io.Reader
		if e.text != "" {
			message = strings.NewReader(e.text)
		}
		if err := w.Entry(QueueEntry{ID: e.id}, message, int64(len(e.text))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readExport reads a stream, of every message only so much.
func readExport(stream []byte, much int64) (all []string, err error) {
	r := NewQueueExportReader(bytes.NewReader(stream))
	for {
		e, message, err := r.Next()
		if err != nil {
			return all, err
		}
		text := e.ID + " "
		if message == nil {
			text += "same"
		} else if b, err := io.ReadAll(io.LimitReader(message, much)); err != nil {
			return all, err
		} else {
			text += string(b)
		}
		all = append(all, text)
	}
}

func TestAnExportComesAsItWent(t *testing.T) {
	stream := exported(t)
	whole := "1 Subject: a\r\n\r\nx|2 same|3 {\"end\":true}\n"
	if all, err := readExport(stream, 1000); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Join(all, "|") != whole {
		t.Errorf("got %q, %v", all, err)
	}
	if all, err := readExport(stream, 2); !errors.Is(err, io.EOF) || strings.Join(all, "|") != "1 Su|2 same|3 {\"" {
		t.Errorf("read in part: %q, %v", all, err)
	}
	for n := range stream {
		if _, err := readExport(stream[:n], 1000); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut off after %d octets: %v", n, err)
		}
	}
	for _, bad := range []string{"x\n", "{}\n", `{"entry":{"id":"1"},"bytes":-1}` + "\n", strings.Repeat("x", maxExportHead+1)} {
		if _, err := readExport([]byte(bad), 1000); !Is(err, Invalid) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func FuzzQueueExport(f *testing.F) {
	f.Add([]byte("{\"entry\":{\"id\":\"1\"},\"bytes\":3}\nabc{\"end\":true}\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		all, err := readExport(stream, 1<<20)
		if err == nil || len(all) > len(stream) {
			t.Errorf("%d entries of %d octets: %v", len(all), len(stream), err)
		}
	})
}
