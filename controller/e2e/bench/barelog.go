package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bareLog is how many records a second a file takes that does nothing but keep them: each
// writer has one record at a time, and all that wait are written together with one fsync.
// No server that promises to keep its mail can be expected to do better on this disk.
func bareLog(ctx context.Context, dir string, b burden) (float64, error) {
	f, err := os.CreateTemp(dir, "log")
	if err != nil {
		return 0, err
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	const lasts = time.Second
	ctx, stop := context.WithTimeout(ctx, lasts)
	defer stop()
	record := letter(1, b.size)
	waiting := make(chan chan<- error, b.writers)
	var all sync.WaitGroup
	for range b.writers {
		all.Go(func() {
			done := make(chan error, 1)
			for ctx.Err() == nil {
				waiting <- done
				if err := <-done; err != nil {
					return
				}
			}
		})
	}
	go func() {
		all.Wait()
		close(waiting)
	}()
	began, written := time.Now(), 0
	var failed error
	for first := range waiting {
		group := []chan<- error{first}
		text := append([]byte(nil), record...)
		for len(waiting) > 0 {
			group = append(group, <-waiting)
			text = append(text, record...)
		}
		_, err := f.Write(text)
		err = errors.Join(err, unix.Fdatasync(int(f.Fd())))
		for _, done := range group {
			done <- err
		}
		written += len(group)
		failed = errors.Join(failed, err)
	}
	return float64(written) / time.Since(began).Seconds(), failed
}
