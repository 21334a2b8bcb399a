package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mailfleet/alerts/sms"
	"mailfleet/inventory"
)

func openSpool(t *testing.T, path string) *Spool {
	t.Helper()
	s, err := New(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func send(t *testing.T, s *Spool, m sms.Message) {
	t.Helper()
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// lines reads a spool file; none when there is no file.
func lines(t *testing.T, path string) []Line {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []Line
	for raw := range bytes.Lines(b) {
		var l Line
		if err := json.Unmarshal(raw, &l); err != nil || raw[len(raw)-1] != '\n' {
			t.Fatalf("line %q: %v", raw, err)
		}
		all = append(all, l)
	}
	return all
}

func message(text string) sms.Message {
	encoding, parts := sms.Encode(text)
	return sms.Message{ID: inventory.NewID(), To: "+8613800138000", Text: text, Encoding: encoding, Parts: parts, Attempt: 1}
}

func TestSpoolWritesOneLineAMessage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sms.jsonl")
	s := openSpool(t, path)
	first, second := message("[严重] mail-1 磁盘使用率 97%"), message("two\nlines \"quoted\"")
	send(t, s, first)
	send(t, s, second)
	got := lines(t, path)
	if len(got) != 2 {
		t.Fatalf("got %d lines", len(got))
	}
	for i, m := range []sms.Message{first, second} {
		l := got[i]
		if l.ID != m.ID || l.To != m.To || l.Text != m.Text || l.Encoding != m.Encoding || l.Parts != 1 || l.Time.IsZero() {
			t.Errorf("got %+v, want %+v", l, m)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSpoolKeepsALaterAttemptOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sms.jsonl")
	s := openSpool(t, path)
	written, lost := message("written"), message("the first attempt was lost")
	send(t, s, written)
	written.Attempt, lost.Attempt = 2, 2
	send(t, s, written)
	send(t, s, lost)
	if got := lines(t, path); len(got) != 2 || got[1].ID != lost.ID {
		t.Errorf("got %+v", got)
	}
	if err := s.shift(); err != nil {
		t.Fatal(err)
	}
	send(t, s, written)
	if got := lines(t, path); len(got) != 0 {
		t.Errorf("a message of the file before was written again: %+v", got)
	}
}

func TestSpoolTakesAwayATornLine(t *testing.T) {
	for name, tail := range map[string]string{"short": `{"id":"torn`, "longer than a buffer": strings.Repeat("x", 10_000), "none": ""} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sms.jsonl")
			s := openSpool(t, path)
			first := message("whole")
			send(t, s, first)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(b, tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			again := openSpool(t, path)
			second := message("after the crash")
			send(t, again, second)
			if got := lines(t, path); len(got) != 2 || got[0].ID != first.ID || got[1].ID != second.ID {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestSpoolRotatesBySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sms.jsonl")
	s := openSpool(t, path)
	s.maxSize = 1000
	const n = 60
	for i := range n {
		send(t, s, message(fmt.Sprint("message ", i)))
	}
	next := n - 1
	for file := range Keep + 1 {
		got := lines(t, s.old(file))
		if info, err := os.Stat(s.old(file)); err != nil || info.Size() > s.maxSize || len(got) == 0 {
			t.Fatalf("%s: %v, %d lines", s.old(file), err, len(got))
		}
		for i := len(got) - 1; i >= 0; i-- {
			if want := fmt.Sprint("message ", next); got[i].Text != want {
				t.Fatalf("%s line %d is %q, want %q", s.old(file), i, got[i].Text, want)
			}
			next--
		}
	}
	if _, err := os.Stat(s.old(Keep + 1)); !os.IsNotExist(err) {
		t.Errorf("more than %d old files: %v", Keep, err)
	}
}

func TestSpoolTakesAMessageLargerThanAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sms.jsonl")
	s := openSpool(t, path)
	s.maxSize = 10
	send(t, s, message("first"))
	send(t, s, message("second"))
	if got := lines(t, path); len(got) != 1 || got[0].Text != "second" {
		t.Errorf("got %+v", got)
	}
}

func TestSpoolFollowsAFileMovedAway(t *testing.T) {
	for name, move := range map[string]func(path string) error{
		"renamed": func(path string) error { return os.Rename(path, path+".gone") },
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".gone"), os.WriteFile(path, nil, 0o600))
		},
		"truncated": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sms.jsonl")
			s := openSpool(t, path)
			send(t, s, message("before"))
			if err := move(path); err != nil {
				t.Fatal(err)
			}
			send(t, s, message("after"))
			if got := lines(t, path); len(got) != 1 || got[0].Text != "after" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestSpoolFailureIsTemporaryAndLeavesNoTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sms.jsonl")
	s := openSpool(t, path)
	send(t, s, message("before"))
	readOnly, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	writable := s.file
	s.file = readOnly // every write now fails, as on a full disk
	_, err = s.Send(t.Context(), message("fails"))
	if err == nil || sms.IsPermanent(err) {
		t.Errorf("got %v, want a temporary error", err)
	}
	s.file = writable
	if err := readOnly.Close(); err != nil {
		t.Fatal(err)
	}
	send(t, s, message("after"))
	if got := lines(t, path); len(got) != 2 || got[1].Text != "after" {
		t.Errorf("got %+v", got)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	_, err := New(filepath.Join(t.TempDir(), "none", "sms.jsonl"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none/sms.jsonl") {
		t.Errorf("got %v", err)
	}
}

func TestSpoolIsSafeForConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sms.jsonl")
	s := openSpool(t, path)
	s.maxSize = 2000
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 2 {
				if _, err := s.Send(t.Context(), message(fmt.Sprint(i, " ", j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for n := range Keep + 1 {
		total += len(lines(t, s.old(n)))
	}
	if total != 16 {
		t.Errorf("%d lines, want 16", total)
	}
}
