package durable

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openTexts(t *testing.T, dir string, max int64) *Queue[string] {
	t.Helper()
	q, err := OpenQueue[string](dir, max, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func peek(q *Queue[string], n int) (values []string) {
	for _, it := range q.Peek(n) {
		values = append(values, it.Value)
	}
	return values
}

func mustAppend(t *testing.T, q *Queue[string], values ...string) {
	t.Helper()
	if err := q.Append(values...); err != nil {
		t.Fatal(err)
	}
}

func TestQueueIsFirstInFirstOutAcrossRestarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	q := openTexts(t, dir, 1<<20)
	mustAppend(t, q, "a", "b")
	mustAppend(t, q, "c")
	items := q.Peek(2)
	if len(items) != 2 || items[0].Value != "a" || items[1].Value != "b" {
		t.Fatalf("peeked %v", items)
	}
	if err := q.Ack(items[0].Seq); err != nil {
		t.Fatal(err)
	}

	q = openTexts(t, dir, 1<<20)
	if got := peek(q, 10); !slices.Equal(got, []string{"b", "c"}) {
		t.Fatalf("after a restart: %v", got)
	}
	select {
	case <-q.Added():
	default:
		t.Fatal("an open that found items did not say so")
	}
	mustAppend(t, q, "d")
	last := q.Peek(10)
	if err := q.Ack(last[len(last)-1].Seq); err != nil {
		t.Fatal(err)
	}
	q = openTexts(t, dir, 1<<20)
	if q.Len() != 0 {
		t.Fatalf("acknowledged items are back: %v", peek(q, 10))
	}
	mustAppend(t, q, "e")
	if it := q.Peek(1); it[0].Seq <= last[len(last)-1].Seq {
		t.Fatalf("the number %d was given before", it[0].Seq)
	}
}

func TestQueueDropsTheOldestWhenFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	const bound = 64 << 10
	q := openTexts(t, dir, bound)
	filler := strings.Repeat("x", 1000)
	for i := range 200 {
		mustAppend(t, q, fmt.Sprintf("%03d%s", i, filler))
		if size := dirSize(t, dir); size > bound+2000 {
			t.Fatalf("%d bytes on disk after %d items", size, i+1)
		}
	}
	got := peek(q, 1000)
	if len(got) < 40 || len(got)+int(q.Dropped()) != 200 {
		t.Fatalf("%d kept, %d dropped", len(got), q.Dropped())
	}
	for i, v := range got {
		if want := fmt.Sprintf("%03d", 200-len(got)+i); v[:3] != want {
			t.Fatalf("item %d is %s, want %s", i, v[:3], want)
		}
	}
	again := openTexts(t, dir, bound)
	if !slices.Equal(peek(again, 1000), got) {
		t.Fatal("a restart changed the queue")
	}
}

func TestQueueAckAfterADropTakesOnlyWhatWasSeen(t *testing.T) {
	q := openTexts(t, filepath.Join(t.TempDir(), "queue"), 8<<10)
	mustAppend(t, q, "first")
	seen := q.Peek(1)[0]
	filler := strings.Repeat("x", 900)
	for q.Dropped() == 0 {
		mustAppend(t, q, filler)
	}
	left := q.Len()
	if err := q.Ack(seen.Seq); err != nil {
		t.Fatal(err)
	}
	if q.Len() != left {
		t.Fatalf("%d items of %d left", q.Len(), left)
	}
}

func TestQueueGivesTheDiskBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	const bound = 16 << 10
	q := openTexts(t, dir, bound)
	for range 400 {
		mustAppend(t, q, "an item that is taken at once")
		if err := q.Ack(q.Peek(1)[0].Seq); err != nil {
			t.Fatal(err)
		}
	}
	if size := dirSize(t, dir); size > 2*bound/segmentsPerQueue {
		t.Fatalf("an empty queue has %d bytes on disk", size)
	}
}

func TestQueueHoldsInMemoryWhatTheDiskRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	q := openTexts(t, dir, 1<<20)
	mustAppend(t, q, "a")
	restore := refuseWrites(t, q)
	for _, v := range []string{"b", "c"} {
		if err := q.Append(v); err == nil {
			t.Fatal("the disk did not refuse")
		}
	}
	items := q.Peek(10)
	if len(items) != 3 {
		t.Fatalf("peeked %v", items)
	}
	if err := q.Ack(items[1].Seq); err == nil {
		t.Fatal("the disk did not refuse")
	}
	restore()
	mustAppend(t, q, "d")
	if got := peek(q, 10); !slices.Equal(got, []string{"c", "d"}) {
		t.Fatalf("got %v", got)
	}
	q = openTexts(t, dir, 1<<20)
	if got := peek(q, 10); !slices.Equal(got, []string{"a", "c", "d"}) {
		t.Fatalf("after a restart: %v (a's acknowledgement was lost)", got)
	}
}

func TestQueueBoundsWhatItHoldsInMemory(t *testing.T) {
	q := openTexts(t, filepath.Join(t.TempDir(), "queue"), 1<<20)
	defer refuseWrites(t, q)()
	for i := range maxUnsaved + 10 {
		if err := q.Append(fmt.Sprint(i)); err == nil {
			t.Fatal("the disk did not refuse")
		}
	}
	if got := peek(q, 1); q.Len() != maxUnsaved || q.Dropped() != 10 || got[0] != "10" {
		t.Fatalf("%d held, %d dropped, first %v", q.Len(), q.Dropped(), got)
	}
}

func TestQueueRefusesAnItemTooLong(t *testing.T) {
	q := openTexts(t, filepath.Join(t.TempDir(), "queue"), 1<<20)
	if err := q.Append(strings.Repeat("x", MaxRecord)); err == nil {
		t.Fatal("no error")
	}
	mustAppend(t, q, "next")
	if got := peek(q, 10); !slices.Equal(got, []string{"next"}) {
		t.Fatalf("got %d items", len(got))
	}
}

func TestQueueToleratesATornTail(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	q := openTexts(t, dir, 1<<20)
	mustAppend(t, q, "a", "b")
	path := q.segments[0].log.path
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`1234abcd {"seq":3,"item":"c`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	q = openTexts(t, dir, 1<<20)
	mustAppend(t, q, "d")
	q = openTexts(t, dir, 1<<20)
	if got := peek(q, 10); !slices.Equal(got, []string{"a", "b", "d"}) {
		t.Fatalf("got %v", got)
	}
}

// refuseWrites makes the queue's disk refuse until the function it returns is called.
func refuseWrites(t *testing.T, q *Queue[string]) (restore func()) {
	t.Helper()
	l := q.segments[len(q.segments)-1].log
	writable := l.f
	readOnly, err := os.Open(l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.f = readOnly
	return func() {
		l.f = writable
		if err := readOnly.Close(); err != nil {
			t.Error(err)
		}
	}
}

func dirSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}
