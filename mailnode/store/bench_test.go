package store

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// benchNoise does not compress well.
var benchNoise = func() []byte {
	noise := make([]byte, 64<<10)
	for x, i := uint64(1), 0; i < len(noise); i++ {
		x = x*6364136223846793005 + 1442695040888963407
		noise[i] = "0123456789abcdef"[x>>60]
	}
	return noise
}()

// benchText is a 10 KB message that is like no other and does not compress well. To make
// it takes little time.
func benchText(n int64) []byte {
	text := make([]byte, 0, 10<<10)
	text = strconv.AppendInt(append(text, "Subject: message "...), n, 10)
	text = append(text, "\r\n\r\n"...)
	return append(text, benchNoise[n%(48<<10):][:cap(text)-len(text)]...)
}

func benchDigest(body *io.SectionReader) (Digest, error) {
	head := make([]byte, 32)
	_, _ = body.ReadAt(head, 0) // the messages are longer
	return Digest{Data: make([]byte, 600), Thread: []string{string(head)}}, nil
}

// spent is the processor time this process has taken.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDeliver is durable deliveries of 10 KB messages, each writer to an
// account of its own, each counted in the ledger. On a machine that others use too the
// processor's time tells more than the rate.
func BenchmarkDeliver(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{Digest: benchDigest})
			defer shut(b, s)
			b.SetBytes(10 << 10)
			b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
			if writers == 1 {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			}
			var account, message atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			before := spent()
			b.RunParallel(func(pb *testing.PB) {
				account := fmt.Sprintf("0198c0de-0000-7000-8000-%012d", account.Add(1))
				counts := []Count{{"2026-01-05/example.test/" + account + "/in", 1}, {"2026-01-05/example.test/" + account + "/in.bytes", 10 << 10}}
				for pb.Next() {
					text := benchText(message.Add(1))
					d := Delivery{Accounts: []string{account}, Body: bytes.NewReader(text), Size: int64(len(text)), Counts: counts}
					if _, err := s.Deliver(b.Context(), d); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64((spent()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			m := s.db.Metrics()
			b.ReportMetric(float64(m.WAL.BytesWritten)/float64(b.N), "WAL-B/msg")
			b.ReportMetric(float64(m.Total().TableBytesFlushed+m.Total().TableBytesCompacted+m.Total().BlobBytesFlushed+m.Total().BlobBytesCompacted)/float64(b.N), "table-B/msg")
			b.ReportMetric(float64(s.history.total)/float64(b.N), "log-B/msg")
		})
	}
}

// BenchmarkRead reads 10 KB messages that are in tables on disk.
func BenchmarkRead(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	defer shut(b, s)
	fill(b, s, 1000, benchText)
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	_, messages := snapshot(b, s, alice)
	b.SetBytes(10 << 10)
	i := 0
	for b.Loop() {
		if _, err := io.Copy(io.Discard, s.Body(messages[i%len(messages)])); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// fill appends n messages to alice's inbox, many in one change.
func fill(t testing.TB, s *Store, n int, text func(int64) []byte) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		var list []Delivery
		for i := from; i < min(from+1000, n); i++ {
			d := Delivery{Accounts: []string{alice}, Flags: Flags(i) & (Seen | Answered)}
			body := text(int64(i))
			d.Body, d.Size = bytes.NewReader(body), int64(len(body))
			list = append(list, d)
		}
		if _, err := s.Append(t.Context(), list...); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkFlags changes flags of 10,000 messages in one change.
func BenchmarkFlags(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	defer shut(b, s)
	fill(b, s, 10_000, func(n int64) []byte { return fmt.Appendf(nil, "%d", n%50) })
	box, err := s.Select(b.Context(), Place{alice, Inbox})
	if err != nil {
		b.Fatal(err)
	}
	defer box.Close()
	uids := uidsOf(box.View())
	op := AddFlags
	for b.Loop() {
		if _, err := s.StoreFlags(b.Context(), Place{alice, Inbox}, FlagChange{UIDs: uids, Op: op, Flags: Flagged}); err != nil {
			b.Fatal(err)
		}
		op = AddFlags + RemoveFlags - op
	}
}

const benchMessages = 50_000

// BenchmarkOpen opens a mailbox of 500,000 messages: cold is what the first to open it
// waits for, warm what everybody else does. envelopes reads 100,000 digests.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir, Options{Digest: benchDigest})
	defer shut(b, s)
	fill(b, s, benchMessages, func(n int64) []byte { return fmt.Appendf(nil, "%d", n%50) })
	p := Place{alice, Inbox}
	forget := func() {
		s.mu.Lock()
		clear(s.boxes)
		s.idle.Init()
		s.idleItems = 0
		s.mu.Unlock()
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			forget()
			box, err := s.Select(b.Context(), p)
			if err != nil || box.View().Len() != benchMessages {
				b.Fatal(err)
			}
			box.Close()
		}
	})
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			box, err := s.Select(b.Context(), p)
			if err != nil || box.View().Len() != benchMessages {
				b.Fatal(err)
			}
			box.Close()
		}
	})
	b.Run("envelopes", func(b *testing.B) {
		uids := slices.Clone(uidsOf(view(b, s, p))[:benchMessages/5])
		for b.Loop() {
			n := 0
			for m, err := range s.Messages(b.Context(), p, uids, true) {
				if err != nil || len(m.Digest) != 600 {
					b.Fatal(err)
				}
				n++
			}
			if n != len(uids) {
				b.Fatal(n)
			}
		}
	})
}
