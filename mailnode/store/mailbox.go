package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxNameBytes  = 1000
	maxNameLevels = 32
	maxMailboxes  = 10_000
	inboxName     = "INBOX"
	// moveStep is how many messages one change moves when INBOX is renamed.
	moveStep = 5000
)

// uses are the special uses a mailbox can have (RFC 6154 §2, RFC 8457).
var uses = []string{`\All`, `\Archive`, `\Drafts`, `\Flagged`, `\Important`, `\Junk`, `\Sent`, `\Trash`}

// cleanName returns a mailbox name as it is kept: in Unicode's form NFC (RFC 9051 §5.1),
// INBOX in capitals. It fails with ErrName.
func cleanName(name string) (string, error) {
	if !utf8.ValidString(name) || len(name) > maxNameBytes {
		return "", ErrName
	}
	name = norm.NFC.String(name)
	levels := strings.Split(name, "/")
	for i, level := range levels {
		if level == "" || i == maxNameLevels || strings.ContainsAny(level, "*%") || strings.ContainsFunc(level, unicode.IsControl) {
			return "", ErrName
		}
	}
	if strings.EqualFold(levels[0], inboxName) {
		levels[0] = inboxName
	}
	return strings.Join(levels, "/"), nil
}

// parents returns the names above a name, the topmost first.
func parents(name string) (list []string) {
	for i := range len(name) {
		if name[i] == '/' {
			list = append(list, name[:i])
		}
	}
	return list
}

// compareNames orders names so that INBOX comes first and a mailbox before those below it.
func compareNames(a, b string) int {
	if a == inboxName || b == inboxName {
		return cmp.Compare(b2i(b == inboxName), b2i(a == inboxName))
	}
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// readMailboxes lists an account's mailboxes in the order of their ids.
func readMailboxes(from iterable, account string) (list []Mailbox, err error) {
	err = scan(from, tableKey(account, 'b'), func(key, v []byte) error {
		m, err := decodeMailbox(MailboxID(binary.BigEndian.Uint32(key)), v)
		if err != nil {
			return fmt.Errorf("mailbox %d of account %s: %w", binary.BigEndian.Uint32(key), account, err)
		}
		list = append(list, m)
		return nil
	})
	return list, err
}

// Mailboxes lists an account's mailboxes in the order of their names, INBOX first. The
// parent of every mailbox is in the list.
func (s *Store) Mailboxes(ctx context.Context, account string) (list []Mailbox, err error) {
	if err := checkAccount(account); err != nil {
		return nil, err
	}
	snap, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	list, err = readMailboxes(snap, account)
	slices.SortFunc(list, func(a, b Mailbox) int { return compareNames(a.Name, b.Name) })
	return list, err
}

// Find returns the mailbox with a name; ErrNoMailbox when there is none. INBOX is found
// in any case.
func (s *Store) Find(ctx context.Context, account, name string) (Mailbox, error) {
	list, err := s.Mailboxes(ctx, account)
	if err != nil {
		return Mailbox{}, err
	}
	return named(list, name)
}

// Target is Find for who is about to change the mailbox. It does not wait until what
// others changed last is durable: that is so before the change that follows is. It is
// found soonest when it is likely: 0 is none.
func (s *Store) Target(account, name string, likely MailboxID) (Mailbox, error) {
	if err := checkAccount(account); err != nil {
		return Mailbox{}, err
	}
	if name == "INBOX" { // where most goes
		likely = Inbox
	}
	if m, found := s.lately(Place{account, likely}); found && m.Name == name {
		return m, nil
	}
	if name == "INBOX" {
		return readMailbox(s.db, Place{account, Inbox})
	}
	list, err := readMailboxes(s.db, account)
	if err != nil {
		return Mailbox{}, err
	}
	return named(list, name)
}

// named is the mailbox of a name.
func named(list []Mailbox, name string) (Mailbox, error) {
	name, err := cleanName(name)
	if err != nil {
		return Mailbox{}, ErrNoMailbox
	}
	for _, m := range list {
		if m.Name == name {
			return m, nil
		}
	}
	return Mailbox{}, ErrNoMailbox
}

// Status returns a mailbox without its messages; ErrNoMailbox when it is not there.
func (s *Store) Status(ctx context.Context, p Place) (m Mailbox, err error) {
	snap, err := s.view(ctx)
	if err != nil {
		return Mailbox{}, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	return readMailbox(snap, p)
}

// tree is an account's mailboxes in a change, by name.
type tree map[string]*boxTx

func (tx *Tx) tree(account string) (tree, error) {
	if _, err := tx.open(account); err != nil {
		return nil, err
	}
	list, err := readMailboxes(tx.s.db, account)
	if err != nil {
		return nil, err
	}
	t := tree{}
	for _, m := range list {
		if _, err := tx.box(Place{account, m.ID}); err != nil && !errors.Is(err, ErrNoMailbox) {
			return nil, err
		}
	}
	for p, m := range tx.boxes {
		if p.Account == account && !m.removed {
			t[m.Name] = m
		}
	}
	return t, nil
}

// below returns the mailboxes below a name.
func (t tree) below(name string) (list []*boxTx) {
	for n, m := range t {
		if strings.HasPrefix(n, name+"/") {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *boxTx) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// checkUse fails with ErrUse when use is none, or another mailbox has it.
func (t tree) checkUse(use string, except *boxTx) error {
	if use == "" {
		return nil
	}
	if !slices.Contains(uses, use) {
		return ErrUse
	}
	for _, m := range t {
		if m.Use == use && m != except {
			return ErrUse
		}
	}
	return nil
}

// grow makes a mailbox and those above it that are missing.
func (tx *Tx) grow(t tree, a *accountTx, name, use string) (*boxTx, error) {
	var made *boxTx
	for _, n := range append(parents(name), name) {
		m := t[n]
		switch {
		case m != nil && n != name:
			continue
		case m != nil: // it was only a name
			m.NoSelect, m.UIDValidity, m.UIDNext, m.Use = false, tx.validity(a), 1, use
		case len(t) >= maxMailboxes:
			return nil, ErrTooMany
		default:
			u := ""
			if n == name {
				u = use
			}
			var err error
			if m, err = tx.makeBox(a, n, u); err != nil {
				return nil, err
			}
			t[n] = m
		}
		m.touch()
		m.State = m.HighestModSeq
		tx.tell(a.id, Event{Kind: MailboxCreated, Mailbox: m.ID, Name: m.Name, ModSeq: m.HighestModSeq})
		made = m
	}
	return made, nil
}

// CreateMailbox makes a mailbox and those above it that are missing. use is a special
// use (RFC 6154) such as \Sent, or "". It fails with ErrExists, ErrName, ErrUse
// (another mailbox has that use) and ErrTooMany.
func (s *Store) CreateMailbox(_ context.Context, account, name, use string) (made Mailbox, err error) {
	if name, err = cleanName(name); err != nil {
		return Mailbox{}, err
	}
	if err := s.Room(0); err != nil {
		return Mailbox{}, err
	}
	err = s.update(mailboxes, func(tx *Tx) error {
		t, err := tx.tree(account)
		if err != nil {
			return err
		}
		if m := t[name]; m != nil && !m.NoSelect {
			return ErrExists
		}
		if err := t.checkUse(use, nil); err != nil {
			return err
		}
		m, err := tx.grow(t, tx.accounts[account], name, use)
		if err != nil {
			return err
		}
		made = m.Mailbox
		return nil
	})
	return made, err
}

// RenameMailbox renames a mailbox and all below it. Of INBOX, it moves the messages to
// a new mailbox and leaves those below alone (RFC 9051 §6.3.6).
func (s *Store) RenameMailbox(ctx context.Context, account, from, to string) error {
	from, err := cleanName(from)
	if err != nil {
		return ErrNoMailbox
	}
	if to, err = cleanName(to); err != nil {
		return err
	}
	if from == inboxName {
		return s.emptyInbox(ctx, account, to)
	}
	if from == to {
		return ErrExists
	}
	if strings.HasPrefix(to, from+"/") {
		return ErrName
	}
	return s.update(mailboxes, func(tx *Tx) error {
		t, err := tx.tree(account)
		if err != nil {
			return err
		}
		m := t[from]
		if m == nil {
			return ErrNoMailbox
		}
		return tx.rename(t, m, to)
	})
}

func (tx *Tx) rename(t tree, m *boxTx, to string) error {
	from := m.Name
	if t[to] != nil {
		return ErrExists
	}
	moved := append([]*boxTx{m}, t.below(from)...)
	for _, box := range moved {
		name := to + strings.TrimPrefix(box.Name, from)
		if _, err := cleanName(name); err != nil {
			return err
		}
		if t[name] != nil {
			return ErrExists
		}
	}
	if above := parents(to); len(above) > 0 && t[above[len(above)-1]] == nil {
		if _, err := tx.grow(t, m.account, above[len(above)-1], ""); err != nil {
			return err
		}
	}
	for _, box := range moved {
		old := box.Name
		delete(t, old)
		box.Name = to + strings.TrimPrefix(old, from)
		t[box.Name] = box
		box.dirty, box.State = true, box.account.next()
		tx.tell(box.account.id, Event{Kind: MailboxRenamed, Mailbox: box.ID, Name: box.Name, OldName: old, ModSeq: box.State})
	}
	return tx.prune(t, from)
}

// prune removes the mailboxes above a name that are only names and have none below them
// any more.
func (tx *Tx) prune(t tree, name string) error {
	for _, n := range slices.Backward(parents(name)) {
		m := t[n]
		if m == nil || !m.NoSelect || len(t.below(n)) > 0 {
			return nil
		}
		if err := tx.dropName(t, m); err != nil {
			return err
		}
	}
	return nil
}

// dropName removes a mailbox from its account's names.
func (tx *Tx) dropName(t tree, m *boxTx) error {
	m.removed = true
	delete(t, m.Name)
	tx.tell(m.account.id, Event{Kind: MailboxDeleted, Mailbox: m.ID, Name: m.Name, ModSeq: m.account.next()})
	return tx.b.Delete(mailboxKey(m.place.Account, m.ID), nil)
}

func (s *Store) emptyInbox(ctx context.Context, account, to string) error {
	made, err := s.CreateMailbox(ctx, account, to, "")
	if err != nil {
		return err
	}
	inbox := Place{account, Inbox}
	b, err := s.Select(ctx, inbox)
	if err != nil {
		return err
	}
	defer b.Close()
	for step := range slices.Chunk(uidsOf(b.View()), moveStep) {
		if _, err := s.Move(ctx, inbox, step, Place{account, made.ID}); err != nil {
			return err
		}
	}
	return nil
}

// SetUse changes a mailbox's special use.
func (s *Store) SetUse(_ context.Context, p Place, use string) error {
	return s.update(mailboxes, func(tx *Tx) error {
		t, err := tx.tree(p.Account)
		if err != nil {
			return err
		}
		m, err := tx.box(p)
		if err != nil {
			return err
		}
		if err := t.checkUse(use, m); err != nil {
			return err
		}
		m.Use = use
		tx.changed(m)
		return nil
	})
}

// changed notes that something of a mailbox changed that is not its messages.
func (tx *Tx) changed(m *boxTx) {
	m.dirty, m.State = true, m.account.next()
	tx.tell(m.account.id, Event{Kind: MailboxChanged, Mailbox: m.ID, Name: m.Name, ModSeq: m.State})
}

// Subscribe notes or forgets a subscription to a name, of this or another account,
// whether or not there is such a mailbox (RFC 9051 §6.3.7).
func (s *Store) Subscribe(_ context.Context, account, name string, on bool) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	return s.update(mailboxes, func(tx *Tx) error {
		a, err := tx.open(account)
		if err != nil {
			return err
		}
		key := subscriptionKey(account, name)
		was, err := s.read(key, func([]byte) error { return nil })
		if err != nil || was == on {
			return err
		}
		tx.tell(account, Event{Kind: SubscriptionsChanged, Name: name, ModSeq: a.next()})
		if on {
			return tx.b.Set(key, nil, nil)
		}
		return tx.b.Delete(key, nil)
	})
}

// Subscriptions lists the names an account has subscribed to, in order.
func (s *Store) Subscriptions(ctx context.Context, account string) (names []string, err error) {
	if err := checkAccount(account); err != nil {
		return nil, err
	}
	snap, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	err = scan(snap, tableKey(account, 's'), func(key, _ []byte) error {
		names = append(names, string(key))
		return nil
	})
	slices.SortFunc(names, compareNames)
	return names, err
}
