package link

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// other is the other end of a link as a vigil sees it.
type other struct {
	last  heard
	mute  bool          // it says nothing
	slow  time.Duration // its answers take so long
	asked int
}

// ask is a ping with the vigil's patience.
func (o *other) ask(v vigil) error {
	o.asked++
	if o.mute || o.slow > v.patience {
		time.Sleep(v.patience)
		return errors.New("no answer in time")
	}
	time.Sleep(o.slow)
	o.last.now()
	return nil
}

func TestVigil(t *testing.T) {
	for name, c := range map[string]struct {
		side   Side
		mute   bool
		slow   time.Duration // its answers
		talks  time.Duration // the other end speaks by itself, so often; 0: never
		gone   time.Duration // after which it is found gone; 0: never within a minute
		asked  int           // at least, in that time
		asked2 int           // at most
	}{
		"an agent asks an idle controller":             {side: Dialled, asked: 11, asked2: 12},
		"a controller leaves the asking to the agent":  {side: Accepted, talks: 5 * time.Second},
		"a controller asks an agent that says nothing": {side: Accepted, asked: 8, asked2: 9},
		"a slow controller is not given up":            {side: Dialled, slow: 14 * time.Second, asked: 3, asked2: 4},
		"a dead controller is":                         {side: Dialled, mute: true, gone: 20500 * time.Millisecond, asked: 1, asked2: 1},
		"a dead agent is, soon":                        {side: Accepted, mute: true, gone: 11 * time.Second, asked: 1, asked2: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, v, done := &other{mute: c.mute, slow: c.slow}, vigils[c.side], make(chan struct{})
				o.last.now()
				began := time.Now()
				over := time.AfterFunc(time.Minute, func() { close(done) })
				defer over.Stop()
				if c.talks > 0 {
					talking := time.NewTicker(c.talks)
					defer talking.Stop()
					go func() {
						for {
							select {
							case <-talking.C:
								o.last.now()
							case <-done:
								return
							}
						}
					}()
				}
				gone := v.watch(&o.last, func() error { return o.ask(v) }, done)
				if took := time.Since(began); gone != (c.gone > 0) || gone && took != c.gone {
					t.Errorf("found gone: %t after %s", gone, took)
				}
				if o.asked < c.asked || o.asked > c.asked2 {
					t.Errorf("asked %d times, not %d to %d", o.asked, c.asked, c.asked2)
				}
			})
		})
	}
}

// A word that came while nobody had time to read it is one.
func TestVigilLooksOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last heard
		last.now()
		v, done := vigils[Accepted], make(chan struct{})
		asked := 0
		gone := v.watch(&last, func() error {
			if asked++; asked == 1 {
				time.Sleep(v.patience)
				time.AfterFunc(lastLook/2, last.now)
				return errors.New("no answer")
			}
			last.now()
			close(done)
			return nil
		}, done)
		if gone || asked != 2 {
			t.Errorf("found gone: %t, asked %d times", gone, asked)
		}
	})
}
