package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPartsStopLastInFirstOut(t *testing.T) {
	var s stops
	var order []string
	for _, name := range []string{"store", "faces", "socket"} {
		s.push(name, func(context.Context) error {
			order = append(order, name)
			return errors.New("no " + name)
		})
	}
	err := s.run(slog.New(slog.DiscardHandler))
	if !slices.Equal(order, []string{"socket", "faces", "store"}) {
		t.Errorf("stopped in the order %v", order)
	}
	if err == nil || strings.Count(err.Error(), "stopping the ") != 3 {
		t.Errorf("got %v", err)
	}
}

func TestPartThatHangsDoesNotHoldTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stops
		start := time.Now()
		release, asked := make(chan struct{}), make(chan time.Duration, 1)
		s.push("store", func(context.Context) error {
			t.Error("the store was closed under those who use it")
			return nil
		})
		s.push("faces", func(ctx context.Context) error {
			<-ctx.Done()
			asked <- time.Since(start)
			<-release
			return nil
		})
		err := s.run(slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "the faces did not stop within 29s") {
			t.Errorf("got %v", err)
		}
		if d, pressed := time.Since(start), <-asked; d != patience || pressed != grace {
			t.Errorf("gave up after %v, pressed after %v", d, pressed)
		}
		close(release)
	})
}
