package store

import "sync"

const (
	// recentRecords is how many records of each kind are kept at most. When there are more
	// all are forgotten: those in use come back with their next change.
	recentRecords = 8192
	// recentKeywords is how many keywords a mailbox has at most that is kept.
	recentKeywords = 16
)

// recent keeps the records that changes have lately written, as the last of them left
// them: mail comes to the same mailboxes again and again, and to look a record up and read
// it takes longer than to alter it. It is guarded by Store.mu. What is written here is
// always in the database too, even if it is not durable yet, and only what a change has
// written that was applied.
type recent struct {
	accounts map[string]holder
	boxes    map[Place]Mailbox
	seen     *sync.Mutex      // of boxes, for who looks at it without Store.mu; who writes it holds both
	counts   map[string]int64 // of the ledger
}

func newRecent() recent {
	return recent{accounts: map[string]holder{}, boxes: map[Place]Mailbox{}, seen: new(sync.Mutex), counts: map[string]int64{}}
}

// clear forgets everything, for a change that writes such records past its Tx.
func (r *recent) clear() {
	r.seen.Lock()
	defer r.seen.Unlock()
	clear(r.accounts)
	clear(r.boxes)
	clear(r.counts)
}

// note takes up a change that was applied.
func (r *recent) note(tx *Tx) {
	for id, a := range tx.accounts {
		if a.rec != a.was {
			keep(r.accounts, id, a.rec)
		}
	}
	r.seen.Lock()
	defer r.seen.Unlock()
	for p, m := range tx.boxes {
		switch {
		case m.removed || len(m.Keywords) > recentKeywords:
			delete(r.boxes, p)
		case m.dirty:
			keep(r.boxes, p, m.Mailbox)
		}
	}
	for key, n := range tx.totals {
		keep(r.counts, key, n)
	}
}

// lately is the record of a mailbox as the last change left it, if it is kept. It waits for
// no change that is being made.
func (s *Store) lately(p Place) (m Mailbox, found bool) {
	s.recent.seen.Lock()
	defer s.recent.seen.Unlock()
	m, found = s.recent.boxes[p]
	return m, found
}

func keep[K comparable, V any](m map[K]V, key K, value V) {
	if len(m) >= recentRecords {
		clear(m)
	}
	m[key] = value
}
