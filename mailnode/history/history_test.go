package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/inventory"
)

// disk is a table in memory that can be made to fail.
type disk struct {
	mu     sync.Mutex
	values map[string][]byte
	puts   int
	broken bool
}

func (d *disk) Get(_ context.Context, key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.values[string(key)], nil
}

func (d *disk) Put(_ context.Context, values map[string][]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken {
		return errors.New("no space left")
	}
	d.puts++
	for k, v := range values {
		if d.values == nil {
			d.values = map[string][]byte{}
		}
		d.values[k] = v
	}
	return nil
}

func open(d *disk) *History { return New(d, slog.New(slog.DiscardHandler)) }

// running runs a test with a history that is written.
func running(t *testing.T, f func(t *testing.T, d *disk, h *History)) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h := open(d)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.Run(ctx); close(done) }()
		f(t, d, h)
		cancel()
		<-done
	})
}

func success(address string) inventory.MailSignIn {
	return inventory.MailSignIn{Protocol: "pop3", Address: address, Mechanism: "PLAIN", OK: true}
}

func failure(address string) inventory.MailSignIn {
	return inventory.MailSignIn{Protocol: "pop3", Address: address, Mechanism: "PLAIN", Reason: "wrong password"}
}

func TestAttemptsThatAreAlikeAreOneEntry(t *testing.T) {
	running(t, func(t *testing.T, _ *disk, h *History) {
		start := time.Now()
		for range 10 {
			h.Add("a", success("192.0.2.1"))
			time.Sleep(time.Minute)
		}
		h.Add("a", failure("192.0.2.1"))
		got := h.List("a")
		if len(got) != 2 || got[0].OK || got[1].Count != 10 || !got[1].First.Equal(start) || got[1].Last.Sub(start) != 9*time.Minute {
			t.Errorf("got %+v", got)
		}
		if len(h.List("b")) != 0 {
			t.Error("another account has entries")
		}
	})
}

func TestABotnetDoesNotWashTheUserOut(t *testing.T) {
	running(t, func(t *testing.T, d *disk, h *History) {
		h.Add("a", success("192.0.2.1"))
		for i := range 1000 {
			time.Sleep(time.Second)
			h.Add("a", failure(fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
		}
		got := h.List("a")
		if len(got) != keepEach+1 || !got[keepEach].OK || got[0].Address != "10.0.3.249" {
			t.Errorf("%d entries: %+v", len(got), got)
		}
	})
}

func TestWhatIsNewIsOnTheDiskWithinSecondsAndTheRestSeldom(t *testing.T) {
	running(t, func(t *testing.T, d *disk, h *History) {
		h.Add("a", success("192.0.2.1"))
		time.Sleep(writeEvery + time.Second)
		if got := open(d).List("a"); len(got) != 1 || got[0].Count != 1 {
			t.Errorf("on the disk: %+v", got)
		}
		for range 60 {
			time.Sleep(time.Minute)
			h.Add("a", success("192.0.2.1"))
		}
		time.Sleep(writeEvery)
		d.mu.Lock()
		puts := d.puts
		d.mu.Unlock()
		if puts != 5 {
			t.Errorf("an hour of sign-ins took %d writings", puts)
		}
	})
}

func TestEverythingNewIsWrittenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h := open(d)
		h.Add("a", success("192.0.2.1"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		h.Run(ctx)
		if got := open(d).List("a"); len(got) != 1 {
			t.Errorf("on the disk: %+v", got)
		}
	})
}

func TestAPlaceIsKnownAfterARestartAndForgottenInTime(t *testing.T) {
	running(t, func(t *testing.T, d *disk, h *History) {
		h.Add("a", success("192.0.2.1"))
		h.Add("a", failure("198.51.100.1"))
		time.Sleep(writeEvery + time.Second)
		again := open(d)
		for place, want := range map[string]bool{"192.0.2.0/24": true, "198.51.100.0/24": false, "203.0.113.0/24": false} {
			if h.Known("a", place) != want || again.Known("a", place) != want {
				t.Errorf("%s: must be known: %v", place, want)
			}
		}
		if h.Known("b", "192.0.2.0/24") {
			t.Error("another account's place is known")
		}
		time.Sleep(knownFor)
		if h.Known("a", "192.0.2.0/24") {
			t.Error("the place is known for ever")
		}
	})
}

func TestWhatADiskDoesNotTakeIsWrittenLater(t *testing.T) {
	running(t, func(t *testing.T, d *disk, h *History) {
		d.mu.Lock()
		d.broken = true
		d.mu.Unlock()
		h.Add("a", success("192.0.2.1"))
		time.Sleep(time.Minute)
		d.mu.Lock()
		d.broken = false
		d.mu.Unlock()
		h.Add("b", success("192.0.2.1"))
		time.Sleep(writeEvery + time.Second)
		if again := open(d); len(again.List("a")) != 1 || len(again.List("b")) != 1 {
			t.Error("something was lost")
		}
	})
}

func TestADamagedRecordIsAsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(&disk{values: map[string][]byte{"a": []byte("{")}})
		if len(h.List("a")) != 0 || h.Known("a", "192.0.2.0/24") {
			t.Error("it has entries")
		}
		h.Add("a", success("192.0.2.1"))
		if len(h.List("a")) != 1 {
			t.Error("it takes none")
		}
	})
}
