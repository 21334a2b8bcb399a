package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	// grace is how long sessions have to finish what they do.
	grace = 25 * time.Second
	// patience is how long a part has to stop when even that did not help.
	patience = 29 * time.Second
)

// stops are the parts that run, in the order they were started.
type stops struct{ parts []part }

type part struct {
	name string
	stop func(ctx context.Context) error
}

func (s *stops) push(name string, stop func(ctx context.Context) error) {
	s.parts = append(s.parts, part{name, stop})
}

// run stops the parts, the last one first. Should one hang, it gives up: what lies
// below is in use, and the end of the process is the only way out.
func (s *stops) run(log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	late := time.NewTimer(patience)
	defer late.Stop()
	var errs []error
	for _, p := range slices.Backward(s.parts) {
		done := make(chan error, 1)
		go func() { done <- p.stop(ctx) }()
		select {
		case err := <-done:
			if err != nil {
				errs = append(errs, fmt.Errorf("stopping the %s: %w", p.name, err))
			}
			log.Debug("stopped", "part", p.name)
		case <-late.C:
			return errors.Join(append(errs, fmt.Errorf("the %s did not stop within %v", p.name, patience))...)
		}
	}
	return errors.Join(errs...)
}
