package pop3d

import (
	"context"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/mailnode/store"
)

// readAheadShelf is a shelf whose messages are those of a store.
type readAheadShelf struct {
	*shelf
	ahead    *store.Ahead
	messages []store.Message
}

func (s *readAheadShelf) Ahead() *store.Ahead { return s.ahead }

func (s *readAheadShelf) Messages(context.Context, store.Place, []uint32, bool) iter.Seq2[store.Message, error] {
	return func(yield func(store.Message, error) bool) {
		for _, m := range s.messages {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// What was read ahead is given back when the peer pauses, who may go on all the same and
// is waited for as long as ever.
func TestAPausedDownloadHoldsNothing(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := st.Deliver(t.Context(), store.Delivery{Accounts: []string{user1}, Body: strings.NewReader(first), Size: int64(len(first))}); err != nil {
		t.Fatal(err)
	}
	_, messages, err := st.Snapshot(t.Context(), store.Place{Account: user1, Mailbox: store.Inbox})
	if err != nil {
		t.Fatal(err)
	}
	oneMessage() // in real time
	synctest.Test(t, func(t *testing.T) {
		s := &readAheadShelf{&shelf{}, st.Ahead(), messages}
		_, client, end := serve(t.Context(), s)
		defer end()
		p := newPeer(t, client)
		p.Want("+OK")
		p.signIn()
		for range 2 {
			p.lines("RETR 1")
			synctest.Wait()
			if !s.ahead.Holds() {
				t.Error("it holds nothing between two messages")
			}
			time.Sleep(lull + time.Millisecond)
			synctest.Wait()
			if s.ahead.Holds() {
				t.Error("it holds what it has read")
			}
		}
		p.do("NOOP", "+OK")
		p.lines("RETR 1")
		start := time.Now()
		p.Want("-ERR nothing heard for 10m0s")
		if d := time.Since(start); d != idleTimeout {
			t.Errorf("after %v", d)
		}
		p.WantClosed()
		if s.ahead.Holds() {
			t.Error("a session that is over holds something")
		}
	})
}
