package store

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
)

// benchText is a 10 KB message that is like no other and does not compress well.
func benchText(n int64) []byte {
	text := fmt.Appendf(nil, "Subject: message %d\r\n\r\n", n)
	for x := uint64(n)*0x9e3779b97f4a7c15 + 1; len(text) < 10<<10; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		text = fmt.Appendf(text, "%016x", x)
	}
	return text[:10<<10]
}

func benchDigest(*io.SectionReader) (Digest, error) {
	return Digest{Data: make([]byte, 600), Thread: []string{"<id@example.test>"}}, nil
}

// BenchmarkDeliver is durable deliveries of 10 KB messages, each writer to an
// account of its own.
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
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				account := fmt.Sprintf("0198c0de-0000-7000-8000-%012d", account.Add(1))
				for pb.Next() {
					text := benchText(message.Add(1))
					if _, err := s.Deliver(b.Context(), Delivery{Accounts: []string{account}, Body: bytes.NewReader(text), Size: int64(len(text))}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
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
