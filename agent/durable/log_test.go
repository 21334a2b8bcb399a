package durable

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type note struct {
	N    int    `json:"n"`
	Text string `json:"text,omitempty"`
}

func openNotes(t *testing.T, path string) (*Log[note], []note) {
	t.Helper()
	var got []note
	l, err := OpenLog(path, slog.New(slog.DiscardHandler), func(n note) { got = append(got, n) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, got
}

func TestLogGivesBackWhatWasAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	l, got := openNotes(t, path)
	if got != nil {
		t.Fatalf("a new log has %v", got)
	}
	want := []note{{N: 1}, {N: 2, Text: "two\nlines and \"quotes\""}, {N: 3, Text: strings.Repeat("长", 100_000)}}
	if err := l.Append(want[:2]...); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(want[2]); err != nil {
		t.Fatal(err)
	}
	_, got = openNotes(t, path)
	if !slices.Equal(got, want) {
		t.Fatalf("got %d records, want %d equal ones", len(got), len(want))
	}
}

func TestLogCutShortAtAnyByteKeepsTheRecordsBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	l, _ := openNotes(t, path)
	for i := range 3 {
		if err := l.Append(note{N: i}); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l, got := openNotes(t, path)
		if want := bytes.Count(whole[:cut], []byte("\n")); len(got) != want {
			t.Fatalf("cut at %d: %d records, want %d", cut, len(got), want)
		}
		if err := l.Append(note{N: 100}); err != nil {
			t.Fatal(err)
		}
		_, again := openNotes(t, path)
		if want := append(got, note{N: 100}); !slices.Equal(again, want) {
			t.Fatalf("cut at %d, then appended: %v, want %v", cut, again, want)
		}
	}
}

func TestLogWithReserveGivesBackWhatWasAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	l, _ := openNotes(t, path)
	l.Reserve(1000)
	var want []note
	sizes := make(map[int64]bool)
	for i := range 100 {
		n := note{N: i, Text: strings.Repeat("x", i)}
		want = append(want, n)
		if err := l.Append(n); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() < l.Size() {
			t.Fatalf("%d bytes of %d", info.Size(), l.Size())
		}
		sizes[info.Size()] = true
	}
	if len(sizes) > 12 {
		t.Errorf("the file grew %d times for 100 records", len(sizes))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := l.Size()
	if rest := text[used:]; len(bytes.Trim(rest, "\x00")) > 0 {
		t.Errorf("behind the records there is %q", rest)
	}
	// What a power cut may leave of a last record: its end without its beginning.
	torn := bytes.Clone(text)
	copy(torn[used+20:], "}\n")
	for name, content := range map[string][]byte{"whole": text, "torn": torn} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		l, got := openNotes(t, path)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: got %d records, want %d equal ones", name, len(got), len(want))
		}
		if err := l.Append(note{N: 1000}); err != nil {
			t.Fatal(err)
		}
		if _, got = openNotes(t, path); !slices.Equal(got, append(slices.Clone(want), note{N: 1000})) {
			t.Fatalf("%s: after one more there are %d records", name, len(got))
		}
	}
}

func TestLogSkipsADamagedRecordOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	l, _ := openNotes(t, path)
	if err := l.Append(note{N: 1}, note{N: 2}, note{N: 3}); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(path)
	second := bytes.IndexByte(whole, '\n') + 1
	third := second + bytes.IndexByte(whole[second:], '\n') + 1
	for at := second; at < third-1; at++ {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x01
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, got := openNotes(t, path); !slices.Equal(got, []note{{N: 1}, {N: 3}}) {
			t.Fatalf("bit turned at %d: %v", at, got)
		}
	}
}

func TestLogSkipsALineTooLongToBeARecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	l, _ := openNotes(t, path)
	if err := l.Append(note{N: 1}); err != nil {
		t.Fatal(err)
	}
	first, _ := os.ReadFile(path)
	long := bytes.Repeat([]byte("x"), MaxRecord+100)
	if err := os.WriteFile(path, slices.Concat(first, long, []byte("\n"), first), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, got := openNotes(t, path); !slices.Equal(got, []note{{N: 1}, {N: 1}}) {
		t.Fatalf("got %v", got)
	}
}

func TestLogRefusesARecordTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	l, _ := openNotes(t, path)
	if err := l.Append(note{N: 1}, note{Text: strings.Repeat("x", MaxRecord)}); err == nil {
		t.Fatal("no error")
	}
	if _, got := openNotes(t, path); got != nil {
		t.Fatalf("part of a refused append is there: %v", got)
	}
}

func TestLogRewriteReplacesAllAndGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	l, _ := openNotes(t, path)
	for i := range 100 {
		if err := l.Append(note{N: i}); err != nil {
			t.Fatal(err)
		}
	}
	before := l.Size()
	if err := l.Rewrite(slices.Values([]note{{N: 98}, {N: 99}})); err != nil {
		t.Fatal(err)
	}
	if l.Size() >= before/10 {
		t.Fatalf("size is %d after %d", l.Size(), before)
	}
	if err := l.Append(note{N: 100}); err != nil {
		t.Fatal(err)
	}
	if _, got := openNotes(t, path); !slices.Equal(got, []note{{N: 98}, {N: 99}, {N: 100}}) {
		t.Fatalf("got %v", got)
	}
}

func TestLogFailedWriteLeavesNothingAndRecovers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	l, _ := openNotes(t, path)
	if err := l.Append(note{N: 1}); err != nil {
		t.Fatal(err)
	}
	writable := l.f
	readOnly, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	l.f = readOnly
	if err := l.Append(note{N: 2}); err == nil {
		t.Fatal("a write to a read-only file succeeded")
	}
	l.f = writable
	if err := readOnly.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(note{N: 3}); err != nil {
		t.Fatal(err)
	}
	if _, got := openNotes(t, path); !slices.Equal(got, []note{{N: 1}, {N: 3}}) {
		t.Fatalf("got %v", got)
	}
}

func TestWriteFileReplacesAndIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"first, which is longer", "second"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if err := WriteFile(filepath.Join(path, "below-a-file"), nil); err == nil {
		t.Fatal("no error for a directory that is none")
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Fatalf("left behind: %v", left)
	}
}

// FuzzLog reads a file of any bytes, and demands that what it read stays read
// when the log goes on from there.
func FuzzLog(f *testing.F) {
	good, err := encode(note{N: 7, Text: "good"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil))
	f.Add(good)
	f.Add(append(bytes.Clone(good), good[:len(good)-1]...))
	f.Add(fmt.Appendf(nil, "%s\n\n00000000 \n%s", good[:9], good))
	read := func(t *testing.T, content []byte) (notes []note, end int64) {
		end, err := eachLine(bytes.NewReader(content), func(offset int64, line []byte) {
			if n, err := decode[note](line); err == nil {
				if !bytes.Equal(content[offset:offset+int64(len(line))], line) {
					t.Fatalf("the line is not at %d", offset)
				}
				notes = append(notes, n)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return notes, end
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		first, end := read(t, content)
		second, _ := read(t, append(content[:end:end], good...))
		if !slices.Equal(second, append(first, note{N: 7, Text: "good"})) {
			t.Fatalf("first %v, then %v", first, second)
		}
	})
}
