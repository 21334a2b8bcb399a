package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Problem is something that is not as it should be.
type Problem struct {
	Place             // zero when it is in no mailbox
	Name       string // of the mailbox
	UID        uint32 // 0 when it is no message
	Unreadable bool   // the message cannot be served
	What       string // one sentence
}

func (p Problem) String() string {
	switch {
	case p.UID != 0:
		return fmt.Sprintf("account %s, mailbox %q, UID %d: %s", p.Account, p.Name, p.UID, p.What)
	case p.Mailbox != 0:
		return fmt.Sprintf("account %s, mailbox %q: %s", p.Account, p.Name, p.What)
	case p.Account != "":
		return fmt.Sprintf("account %s: %s", p.Account, p.What)
	default:
		return p.What
	}
}

// Check tells how far a verification is and takes what it finds.
type Check struct {
	Problem  func(Problem)
	Progress func(part string, done, of uint64) // of is 0 when it is not known
}

// Verdict sums a verification up.
type Verdict struct {
	Messages   uint64
	Bodies     uint64
	Problems   int
	Unreadable int  // messages that cannot be served
	Torn       bool // parts of the database's files cannot be read
}

// Verify reads everything and reports what is damaged or does not fit together. An
// error means that it could not go on.
func (s *Store) Verify(ctx context.Context, c Check) (verdict Verdict, err error) {
	snap, err := s.view(ctx)
	if err != nil {
		return Verdict{}, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	v := &verifier{ctx: ctx, snap: snap, check: c, names: map[Place]string{}}
	for _, step := range []func() error{v.log, v.accounts, v.shares, v.bodies} {
		if err := step(); err != nil {
			return v.verdict, err
		}
	}
	return v.verdict, nil
}

type verifier struct {
	ctx   context.Context
	snap  *pebble.Snapshot
	check Check
	names map[Place]string // of mailboxes with messages

	verdict Verdict
}

func (v *verifier) report(p Place, uid uint32, unreadable bool, format string, args ...any) {
	v.verdict.Problems++
	if unreadable {
		v.verdict.Unreadable++
	}
	v.check.Problem(Problem{Place: p, Name: v.names[p], UID: uid, Unreadable: unreadable, What: fmt.Sprintf(format, args...)})
}

// torn is report for what Pebble cannot read.
func (v *verifier) torn(what string, cause error) {
	v.verdict.Torn = true
	v.report(Place{}, 0, false, "%s cannot be read: %v", what, cause)
}

func (v *verifier) progress(part string, done, of uint64) {
	if v.check.Progress != nil {
		v.check.Progress(part, done, of)
	}
}

// each goes through the keys that begin with prefix as scan does, and past what cannot
// be read, which it reports.
func (v *verifier) each(prefix []byte, what string, f func(key, value []byte) error) error {
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	t := tolerant{it: it}
	err = t.each(v.ctx, func(key, value []byte) error { return f(key[len(prefix):], value) }, func(_, _ []byte, cause error) {
		v.torn(what, cause)
	})
	if closed := it.Close(); closed != nil && !pebble.IsCorruptionError(closed) { // Pebble says damage again
		err = errors.Join(err, closed)
	}
	return err
}

func (v *verifier) log() error {
	var last uint64
	return v.each([]byte{'l'}, "a part of the log", func(key, value []byte) error {
		seq := binary.BigEndian.Uint64(key)
		if last != 0 && seq != last+1 {
			v.report(Place{}, 0, false, "log entries %d to %d are missing", last+1, seq-1)
		}
		last = seq
		if _, err := decodeEntry(value); err != nil && (len(value) == 0 || value[0] == recordVersion) {
			v.report(Place{}, 0, false, "log entry %d: %v", seq, err)
		}
		if seq%1024 == 0 {
			v.progress("log", seq, 0)
		}
		return nil
	})
}

func (v *verifier) accounts() error {
	ids, err := anyAccounts(v.snap)
	if pebble.IsCorruptionError(err) {
		v.torn(fmt.Sprintf("what follows account %d of them", len(ids)), err)
	} else if err != nil {
		return err
	}
	for n, id := range ids {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		h, found, err := readHolder(v.snap, id)
		switch {
		case pebble.IsCorruptionError(err):
			v.torn("the record of account "+id, err)
		case err != nil || !found:
			v.report(Place{Account: id}, 0, false, "its record is missing or damaged")
		case h.doomed:
			continue
		}
		if err := v.account(id, h); err != nil {
			return err
		}
		v.progress("accounts", uint64(n+1), uint64(len(ids)))
	}
	return nil
}

// anyAccounts lists the accounts that have any keys. With an error, it lists those
// before it.
func anyAccounts(from iterable) (ids []string, err error) {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{'a'}, UpperBound: []byte{'a' + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; {
		end := bytes.IndexByte(it.Key(), 0)
		if end < 0 {
			return ids, errRecord
		}
		id := string(it.Key()[1:end])
		ids = append(ids, id)
		ok = it.SeekGE(after(accountPrefix(id)))
	}
	return ids, it.Error()
}

// readHolder reads the record of an account.
func readHolder(r reader, account string) (h holder, found bool, err error) {
	v, closer, err := r.Get(tableKey(account, 'a'))
	if errors.Is(err, pebble.ErrNotFound) {
		return holder{}, false, nil
	}
	if err != nil {
		return holder{}, false, err
	}
	h, err = decodeHolder(v)
	return h, true, errors.Join(err, closer.Close())
}

func (v *verifier) account(id string, h holder) error {
	list, err := readMailboxes(v.snap, id)
	if err != nil {
		v.torn("mailboxes of account "+id, err)
		return nil
	}
	names := map[string]bool{}
	var use Usage
	emails := map[ObjectID]int{}
	threads := map[uint64]uint32{}
	for _, m := range list {
		p := Place{id, m.ID}
		v.names[p] = m.Name
		if names[m.Name] {
			v.report(p, 0, false, "another mailbox has this name")
		}
		names[m.Name] = true
		if m.ID >= h.nextMailbox || m.HighestModSeq > h.state || m.UIDValidity > h.validity {
			v.report(p, 0, false, "the account does not know that it was made or changed")
		}
		use.Bytes += int64(m.Bytes)
		use.Messages += int64(m.Messages)
		if err := v.mailbox(p, m, emails, threads); err != nil {
			return err
		}
	}
	for name := range names {
		for _, above := range parents(name) {
			if !names[above] {
				v.report(Place{Account: id}, 0, false, "mailbox %q is below %q, which is missing", name, above)
			}
		}
	}
	if use != h.usage() {
		v.report(Place{Account: id}, 0, false, "it counts %d messages of %d bytes, its mailboxes %d of %d", h.messages, h.bytes, use.Messages, use.Bytes)
	}
	return v.index(id, emails, threads)
}

// mailbox checks a mailbox and its messages, and counts them by id and Message-ID.
func (v *verifier) mailbox(p Place, m Mailbox, emails map[ObjectID]int, threads map[uint64]uint32) error {
	items := map[uint32]Item{}
	found := boxTx{Mailbox: Mailbox{}, account: &accountTx{}}
	err := v.each(accountKey(p.Account, 'm', p.Mailbox), fmt.Sprintf("messages of account %s, mailbox %q", p.Account, m.Name), func(key, value []byte) error {
		uid := binary.BigEndian.Uint32(key)
		item, err := decodeItem(uid, value)
		if err != nil {
			v.report(p, uid, true, "%v", err)
			return nil
		}
		if uid >= m.UIDNext || item.ModSeq > m.HighestModSeq {
			v.report(p, uid, false, "the mailbox does not know that it was given or changed")
		}
		items[uid] = item
		found.weigh(&item, 1)
		return nil
	})
	if err != nil {
		return err
	}
	counted := Mailbox{Messages: m.Messages, Bytes: m.Bytes, Unseen: m.Unseen, Deleted: m.Deleted, DeletedBytes: m.DeletedBytes}
	if got := found.Mailbox; !sameCounts(got, counted) {
		v.report(p, 0, false, "it counts %d messages of %d bytes, %d unseen, %d deleted, and has %d of %d, %d, %d",
			m.Messages, m.Bytes, m.Unseen, m.Deleted, got.Messages, got.Bytes, got.Unseen, got.Deleted)
	}
	err = v.each(accountKey(p.Account, 'i', p.Mailbox), fmt.Sprintf("messages of account %s, mailbox %q", p.Account, m.Name), func(key, value []byte) error {
		uid := binary.BigEndian.Uint32(key)
		i, err := decodeIdentity(value)
		item, ok := items[uid]
		delete(items, uid)
		switch {
		case err != nil:
			v.report(p, uid, true, "%v", err)
			return nil
		case !ok:
			v.report(p, uid, true, "it has no flags and dates")
		case item.Size != i.size:
			v.report(p, uid, true, "it has two sizes, %d and %d", item.Size, i.size)
		}
		v.verdict.Messages++
		emails[i.id]++
		for _, hash := range i.threads {
			threads[hash]++
		}
		if ok, err := has(v.snap, emailKey(p, i.id, uid)); err != nil || !ok {
			v.report(p, uid, false, "it is not found by its id")
		}
		return nil
	})
	for _, uid := range slices.Sorted(maps.Keys(items)) {
		v.report(p, uid, true, "it has no identity: nothing tells its bytes")
	}
	return err
}

func sameCounts(a, b Mailbox) bool {
	return a.Messages == b.Messages && a.Bytes == b.Bytes && a.Unseen == b.Unseen && a.Deleted == b.Deleted && a.DeletedBytes == b.DeletedBytes
}

func has(r reader, key []byte) (bool, error) {
	_, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

// index checks what an account's messages are found by. An account from which
// something is being removed has more.
func (v *verifier) index(id string, emails map[ObjectID]int, threads map[uint64]uint32) error {
	removing := false
	if err := scan(v.snap, doomedKey(Place{Account: id})[:len(id)+2], func(_, _ []byte) error { removing = true; return nil }); err != nil {
		return err
	}
	if removing {
		return nil
	}
	err := v.each(tableKey(id, 'o'), "a part of account "+id, func(key, _ []byte) error {
		if len(key) == 24 {
			emails[ObjectID(key)]--
		}
		return nil
	})
	if err != nil {
		return err
	}
	for email, n := range emails {
		if n != 0 {
			v.report(Place{Account: id}, 0, false, "message id %s is found in %d places more or less than it is in", email, n)
		}
	}
	err = v.each(tableKey(id, 'r'), "a part of account "+id, func(key, value []byte) error {
		if len(key) == 8 && len(value) == 20 {
			threads[binary.BigEndian.Uint64(key)] -= binary.BigEndian.Uint32(value[16:])
		}
		return nil
	})
	for _, n := range threads {
		if n != 0 {
			v.report(Place{Account: id}, 0, false, "the Message-IDs by which threads are found are not those of its messages")
			break
		}
	}
	return err
}

// shares checks that rights are found by those they are given to.
func (v *verifier) shares() error {
	for p, name := range v.names {
		if err := v.each(grantKey(p, ""), "rights in a mailbox", func(who, _ []byte) error {
			if ok, err := has(v.snap, shareKey(p, string(who))); err != nil || !ok {
				v.report(p, 0, false, "the rights of %s in %q are not found by him", who, name)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachIdentity goes through the identities of all messages, those that are being
// removed included.
func (v *verifier) eachIdentity(f func(p Place, uid uint32, i identity)) error {
	return v.each([]byte{'a'}, "a part of the accounts", func(key, value []byte) error {
		n := bytes.IndexByte(key, 0)
		if n < 0 || len(key) != n+10 || key[n+1] != 'i' {
			return nil
		}
		if i, err := decodeIdentity(value); err == nil { // bad ones were reported before
			be := binary.BigEndian
			f(Place{string(key[:n]), MailboxID(be.Uint32(key[n+2:]))}, be.Uint32(key[n+6:]), i)
		}
		return nil
	})
}
