package link

import (
	"sync/atomic"
	"time"
)

// vigil is how an end finds out that the other one is gone: after quiet without
// a word it asks, and after patience without a word it knows.
type vigil struct{ quiet, patience time.Duration }

// The end that dialled asks first, so that one question in five seconds is all
// that a link costs. It is patient: a controller to which thousands come back is
// slow to answer, and would be slower if they all came again. The end that
// accepted is not: it is to tell who is down.
var vigils = map[Side]vigil{
	Dialled:  {quiet: 5 * time.Second, patience: 15 * time.Second},
	Accepted: {quiet: 6500 * time.Millisecond, patience: 4 * time.Second},
}

// lastLook is what a word that has come, and was not read yet, may take.
const lastLook = 500 * time.Millisecond

// heard is when the other end was last heard.
type heard struct{ at atomic.Int64 } // nanoseconds since 1970

func (h *heard) now() { h.at.Store(time.Now().UnixNano()) }

func (h *heard) time() time.Time { return time.Unix(0, h.at.Load()) }

// watch returns when the other end is gone, or done is closed. ask asks it for a
// word and returns when there was one, or none within the patience.
func (v vigil) watch(last *heard, ask func() error, done <-chan struct{}) (gone bool) {
	for {
		if wait := v.quiet - time.Since(last.time()); wait > 0 {
			if !pause(wait, done) {
				return false
			}
			continue
		}
		asked := time.Now()
		if ask() == nil || last.time().After(asked) {
			continue
		}
		if !pause(lastLook, done) {
			return false
		}
		if !last.time().After(asked) {
			return true
		}
	}
}

// pause waits; it tells whether the whole time passed.
func pause(d time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}
