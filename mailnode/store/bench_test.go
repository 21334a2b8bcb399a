package store

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
)

// BenchmarkDeliver is durable deliveries of 10 KB messages, each writer to an
// account of its own.
func BenchmarkDeliver(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{})
			defer shut(b, s)
			text := bytes.Repeat([]byte("0123456789abcdef"), 640)
			b.SetBytes(int64(len(text)))
			b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
			var n atomic.Int64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				account := fmt.Sprintf("0198c0de-0000-7000-8000-%012d", n.Add(1))
				for pb.Next() {
					if _, err := s.Deliver(b.Context(), Delivery{Accounts: []string{account}, Body: bytes.NewReader(text), Size: int64(len(text))}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkRead reads 10 KB messages that are in tables on disk.
func BenchmarkRead(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	defer shut(b, s)
	text := bytes.Repeat([]byte("0123456789abcdef"), 640)
	for range 1000 {
		if _, err := s.Deliver(b.Context(), Delivery{Accounts: []string{alice}, Body: bytes.NewReader(text), Size: int64(len(text))}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	_, messages := snapshot(b, s, alice)
	b.SetBytes(int64(len(text)))
	i := 0
	for b.Loop() {
		if _, err := io.Copy(io.Discard, s.Body(messages[i%len(messages)])); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
