package supervise

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// probePause lies between two questions whether a service is ready.
const probePause = 100 * time.Millisecond

// probe asks a service that was started whether it is ready.
type probe struct {
	outcome chan error // once: nil when it is ready
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// startProbe asks ready until it says yes, or p.ready has passed. Without a
// ready the service only has to live for p.settle.
func startProbe(ctx context.Context, p policy, ready func(context.Context) error) *probe {
	ctx, cancel := context.WithCancel(ctx)
	b := &probe{outcome: make(chan error, 1), cancel: cancel}
	b.done.Go(func() {
		if ready == nil {
			b.outcome <- pause(ctx, p.settle)
		} else {
			b.outcome <- ask(ctx, p.ready, ready)
		}
	})
	return b
}

func ask(ctx context.Context, limit time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, probePause) != nil {
			return fmt.Errorf("not ready after %v: %w", limit, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the asking.
func (b *probe) stop() {
	b.cancel()
	b.done.Wait()
}
