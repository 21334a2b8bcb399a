package store

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
)

// Flags is a set of a message's flags: the system flags below (RFC 9051 §2.3.2) and,
// from bit FirstKeyword on, the keywords of its mailbox in the order of
// Mailbox.Keywords.
type Flags uint64

// The system flags.
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

const (
	// SystemFlags are all of them.
	SystemFlags = Seen | Answered | Flagged | Deleted | Draft
	// FirstKeyword is the bit of a mailbox's first keyword.
	FirstKeyword = 5
	// MaxKeywords is how many different keywords a mailbox can have in use.
	MaxKeywords = 64 - FirstKeyword
	// MaxKeyword is how long a keyword may be, in bytes.
	MaxKeyword = 255
)

// Has tells whether all flags of f are set.
func (s Flags) Has(f Flags) bool { return s&f == f }

// Keywords lists the keywords of the set; table is its Mailbox's Keywords.
func (s Flags) Keywords(table []string) []string {
	var list []string
	for i, word := range table {
		if word != "" && s.Has(keywordBit(i)) {
			list = append(list, word)
		}
	}
	return list
}

// KeywordFlag is the bit of a keyword in a mailbox's table, 0 when the mailbox
// does not have it. Case does not matter (RFC 9051 §2.3.2).
func KeywordFlag(table []string, word string) Flags {
	for i, w := range table {
		if w != "" && strings.EqualFold(w, word) {
			return keywordBit(i)
		}
	}
	return 0
}

func keywordBit(slot int) Flags { return 1 << (FirstKeyword + slot) }

// isKeyword tells whether a word is an atom of IMAP (RFC 9051 §9) of sane length.
func isKeyword(word string) bool {
	if word == "" || len(word) > MaxKeyword {
		return false
	}
	for i := range len(word) {
		if c := word[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

// flags is the set of system flags and keywords in a mailbox, which gets the keywords
// it does not have.
func (tx *Tx) flags(m *boxTx, system Flags, keywords []string) (Flags, error) {
	set := system & SystemFlags
	for _, word := range keywords {
		if !isKeyword(word) {
			return 0, ErrKeyword
		}
		bit := KeywordFlag(m.Keywords, word)
		if bit == 0 {
			var err error
			if bit, err = tx.addKeyword(m, word, set); err != nil {
				return 0, err
			}
		}
		set |= bit
	}
	return set, nil
}

// addKeyword gives a mailbox a keyword, in the place of one no message has if it must.
// taken are those about to be used.
func (tx *Tx) addKeyword(m *boxTx, word string, taken Flags) (Flags, error) {
	slot := slices.Index(m.Keywords, "")
	if slot < 0 && len(m.Keywords) == MaxKeywords {
		if err := tx.freeKeywords(m, taken); err != nil {
			return 0, err
		}
		if slot = slices.Index(m.Keywords, ""); slot < 0 {
			return 0, ErrKeyword
		}
	}
	table := slices.Clone(m.Keywords) // views have the old one
	if slot < 0 {
		slot = len(table)
		table = append(table, "")
	}
	table[slot] = word
	m.Keywords, m.dirty = table, true
	return keywordBit(slot), nil
}

// freeKeywords empties the places of keywords that are not used and no message has.
func (tx *Tx) freeKeywords(m *boxTx, used Flags) error {
	for _, list := range [][]Item{m.added, m.changed} {
		for i := range list {
			used |= list[i].Flags
		}
	}
	if v := m.cache.current(); v != nil {
		for _, i := range v.All() {
			used |= i.Flags
		}
	} else if err := scan(tx.s.db, accountKey(m.place.Account, 'm', m.ID), func(key, v []byte) error {
		i, err := decodeItem(binary.BigEndian.Uint32(key), v)
		used |= i.Flags
		return err
	}); err != nil {
		return err
	}
	table := slices.Clone(m.Keywords)
	for slot := range table {
		if !used.Has(keywordBit(slot)) {
			table[slot] = ""
		}
	}
	m.Keywords = table
	return nil
}

// FlagOp is how flags are changed.
type FlagOp int

// The ways to change flags.
const (
	SetFlags FlagOp = iota
	AddFlags
	RemoveFlags
)

// FlagChange changes flags of messages.
type FlagChange struct {
	UIDs           []uint32 // in any order
	Op             FlagOp
	Flags          Flags // system flags
	Keywords       []string
	Conditional    bool // change only what has a modseq of at most UnchangedSince (RFC 7162 §3.1.3)
	UnchangedSince uint64
}

// FlagResult says what StoreFlags did. UIDs are in ascending order.
type FlagResult struct {
	Changed  []Item   // messages whose flags changed, as they are now
	Modified []uint32 // messages left alone because they changed after UnchangedSince
	ModSeq   uint64   // of the last change; the mailbox's HIGHESTMODSEQ when nothing changed
	Keywords []string // the mailbox's table, for Changed
}

// flagStep is how many messages one change flags, see transferStep.
const flagStep = 10_000

// StoreFlags changes flags, of many messages in several changes, so that no other change
// is kept waiting. Messages that are gone are passed over, and a message whose flags stay
// the same keeps its modseq. After an error FlagResult tells what was changed before it.
func (s *Store) StoreFlags(ctx context.Context, p Place, c FlagChange) (whole FlagResult, err error) {
	uids := slices.Compact(slices.Sorted(slices.Values(c.UIDs)))
	for at := 0; at == 0 || at < len(uids); at += flagStep {
		if err := ctx.Err(); err != nil {
			return whole, err
		}
		var r FlagResult
		err := s.update(flagged, func(tx *Tx) error {
			m, err := tx.folder(p)
			if err != nil {
				return err
			}
			r, err = tx.storeFlags(m, uids[at:min(at+flagStep, len(uids))], c)
			return err
		})
		if err != nil {
			return whole, err
		}
		whole.Changed, whole.Modified = append(whole.Changed, r.Changed...), append(whole.Modified, r.Modified...)
		whole.ModSeq, whole.Keywords = r.ModSeq, r.Keywords
	}
	return whole, nil
}

func (tx *Tx) storeFlags(m *boxTx, uids []uint32, c FlagChange) (r FlagResult, err error) {
	var set Flags
	if c.Op == RemoveFlags {
		set = c.Flags & SystemFlags
		for _, word := range c.Keywords {
			set |= KeywordFlag(m.Keywords, word)
		}
	} else if set, err = tx.flags(m, c.Flags, c.Keywords); err != nil {
		return r, err
	}
	var changed []uint32
	for _, uid := range uids {
		item, found, err := tx.item(m, uid)
		if err != nil {
			return r, err
		}
		if !found {
			continue
		}
		if c.Conditional && item.ModSeq > c.UnchangedSince {
			r.Modified = append(r.Modified, uid)
			continue
		}
		flags := c.Op.apply(item.Flags, set)
		if flags == item.Flags {
			continue
		}
		m.mark(&item, -1)
		item.Flags, item.ModSeq = flags, m.touch()
		m.mark(&item, 1)
		if err := tx.setItem(m.place, &item); err != nil {
			return r, err
		}
		m.changed = append(m.changed, item)
		changed = append(changed, uid)
	}
	if len(changed) > 0 {
		tx.tell(m.place.Account, Event{Kind: FlagsChanged, Mailbox: m.ID, UIDs: changed, ModSeq: m.HighestModSeq})
	}
	r.Changed, r.ModSeq, r.Keywords = m.changed, m.HighestModSeq, m.Keywords
	return r, nil
}

func (op FlagOp) apply(flags, set Flags) Flags {
	switch op {
	case AddFlags:
		return flags | set
	case RemoveFlags:
		return flags &^ set
	default:
		return set
	}
}
