package imapd

import (
	"sync/atomic"

	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/store"
)

// watch wakes a session that waits when something happens in accounts it wants to
// hear of. It has no goroutine: who makes a change marks it and wakes the connection.
type watch struct {
	pending atomic.Bool // there are events to take
	list    []*store.Watch
	account []string
}

// start watches accounts, in place of those before.
func (w *watch) start(st *store.Store, c *gate.Conn, accounts ...string) {
	w.stop()
	for _, account := range accounts {
		w.list = append(w.list, st.WatchCall(account, func() {
			w.pending.Store(true)
			c.Wake()
		}))
		w.account = append(w.account, account)
	}
}

func (w *watch) stop() {
	for _, one := range w.list {
		one.Close()
	}
	w.list, w.account = nil, nil
	w.pending.Store(false)
}

// due reports whether there is something to tell.
func (w *watch) due() bool { return w.pending.Load() }

// happened is an account's events.
type happened struct {
	account string
	events  []store.Event
	lost    bool // some are missing
}

// take returns what happened since the last call.
func (w *watch) take() (all []happened) {
	w.pending.Store(false)
	for i, one := range w.list {
		if events, lost := one.Take(); len(events) > 0 || lost {
			all = append(all, happened{w.account[i], events, lost})
		}
	}
	return all
}
