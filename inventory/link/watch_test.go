package link

import (
	"crypto/tls"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// other is the other end of a link as a vigil sees it.
type other struct {
	last  heard
	mute  bool          // it says nothing
	there bool          // its machine is: what is sent is acknowledged
	slow  time.Duration // its answers take so long
	asked int
}

func (o *other) subject(done <-chan struct{}) subject {
	return subject{
		last: &o.last, done: done, acked: func() bool { return o.there },
		ask: func() <-chan struct{} {
			o.asked++
			answered := make(chan struct{})
			if !o.mute {
				time.AfterFunc(o.slow, func() { o.last.now(); close(answered) })
			}
			return answered
		},
	}
}

func TestVigil(t *testing.T) {
	for name, c := range map[string]struct {
		side        Side
		mute, there bool
		slow        time.Duration // its answers
		talks       time.Duration // it speaks by itself, so often; 0: never
		gone        time.Duration // after which it is found gone; 0: never within two minutes
		asked       [2]int        // at least and at most, in that time
	}{
		"an agent asks an idle controller":             {side: Dialled, asked: [2]int{23, 24}},
		"a controller leaves the asking to the agent":  {side: Accepted, talks: 5 * time.Second},
		"a controller asks an agent that says nothing": {side: Accepted, asked: [2]int{18, 19}},
		"a slow controller is not given up":            {side: Dialled, slow: 14 * time.Second, asked: [2]int{6, 7}},
		"one that is slower, but there, is not either": {side: Dialled, slow: 20 * time.Second, there: true, asked: [2]int{6, 10}},
		"a slow agent that is there is not":            {side: Accepted, slow: 12 * time.Second, there: true, asked: [2]int{10, 26}},
		"a dead controller is":                         {side: Dialled, mute: true, gone: 20500 * time.Millisecond, asked: [2]int{1, 1}},
		"a dead agent is, soon":                        {side: Accepted, mute: true, gone: 11 * time.Second, asked: [2]int{1, 1}},
		"an agent that hangs is, after a while":        {side: Accepted, mute: true, there: true, gone: 20 * time.Second, asked: [2]int{3, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, done := &other{mute: c.mute, there: c.there, slow: c.slow}, make(chan struct{})
				o.last.now()
				began := time.Now()
				over := time.AfterFunc(2*time.Minute, func() { close(done) })
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
				gone := vigils[c.side].watch(o.subject(done))
				if took := time.Since(began); gone != (c.gone > 0) || gone && took != c.gone {
					t.Errorf("found gone: %t after %s", gone, took)
				}
				if o.asked < c.asked[0] || o.asked > c.asked[1] {
					t.Errorf("asked %d times, not %d to %d", o.asked, c.asked[0], c.asked[1])
				}
			})
		})
	}
}

// A word that came while nobody had time to read it is one.
func TestVigilLooksOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, done := vigils[Accepted], make(chan struct{})
		o := &other{slow: v.patience + lastLook/2}
		o.last.now()
		over := time.AfterFunc(time.Minute, func() { close(done) })
		defer over.Stop()
		if v.watch(o.subject(done)) {
			t.Error("it was found gone")
		}
	})
}

// What was sent to a program that does not read is acknowledged by its machine,
// until that has no more room.
func TestAcked(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = near.Close() }()
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = far.Close() }()
	acked := ackedOf(tls.Client(near, &tls.Config{InsecureSkipVerify: true}))
	await := func(want bool) {
		t.Helper()
		limit := time.After(time.Minute)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for acked() != want {
			select {
			case <-tick.C:
			case <-limit:
				t.Fatalf("acknowledged: %t", !want)
			}
		}
	}
	if _, err := near.Write([]byte("anybody there?")); err != nil {
		t.Fatal(err)
	}
	await(true)
	_ = near.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for err == nil {
		_, err = near.Write(make([]byte, 1<<20))
	}
	await(false)
	_ = near.Close()
	if acked() {
		t.Error("a closed connection is acknowledged")
	}
	pipe, _ := net.Pipe()
	if ackedOf(pipe)() {
		t.Error("a pipe is acknowledged")
	}
}
