package dbstore

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"mailfleet/inventory"
)

// BenchmarkUpdate measures durable changes of one record each; with 16 workers
// those that wait share a commit.
func BenchmarkUpdate(b *testing.B) {
	for _, workers := range []int{1, 16, 200} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			s := openAt(b, filepath.Join(b.TempDir(), "bench.db"))
			var names atomic.Int64
			done := make(chan struct{}, workers)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			for range workers {
				go func() {
					defer func() { done <- struct{}{} }()
					r := &inventory.Service{Name: fmt.Sprint(names.Add(1)), Server: inventory.NewID()}
					err := s.Update(b.Context(), func(tx inventory.Tx) error { return tx.Services().Create(r) })
					for left.Add(-1) >= 0 && err == nil {
						r.Restarts++
						err = s.Update(b.Context(), func(tx inventory.Tx) error { return tx.Services().Update(r) })
					}
					if err != nil {
						b.Error(err)
					}
				}()
			}
			for range workers {
				<-done
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}

// BenchmarkView measures reading one record by a unique field, and a page of 100.
func BenchmarkView(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "bench.db"))
	err := s.Update(b.Context(), func(tx inventory.Tx) error {
		for i := range 5000 {
			if err := tx.Servers().Create(&inventory.Server{Name: fmt.Sprintf("s%d", i), State: inventory.ServerUp}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, fn := range map[string]func(tx inventory.Tx) error{
		"find": func(tx inventory.Tx) error {
			_, err := tx.Servers().Find("name", "s4321")
			return err
		},
		"page": func(tx inventory.Tx) error {
			_, _, err := tx.Servers().List(inventory.Query{Limit: 100, Where: map[string][]string{"state": {"up"}}})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := s.View(b.Context(), fn); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "views/s")
		})
	}
}
