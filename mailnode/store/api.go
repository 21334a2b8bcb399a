package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

var errSoon = errors.New("store: not there yet")

// Place names a mailbox in the store.
type Place struct {
	Account string
	Mailbox MailboxID
}

// ---- accounts ----

// Quota limits what an account may hold; 0 is no limit.
type Quota struct{ Bytes, Messages int64 }

// Usage is what an account holds.
type Usage struct{ Bytes, Messages int64 }

// Account is the state of an account.
type Account struct {
	ID    string
	Usage Usage
	State uint64 // grows with every change in the account; it is also the modseq of its newest change
}

// CreateAccount makes an account with an inbox and the mailboxes of
// Options.Mailboxes. One that is there already stays as it is.
func (s *Store) CreateAccount(ctx context.Context, account string) error { return errSoon }

// DeleteAccount removes an account with all it holds, step by step. Should it be
// cut short, the account takes no more mail, and calling it again goes on.
func (s *Store) DeleteAccount(ctx context.Context, account string) error { return errSoon }

// Accounts lists the ids of all accounts after the id from, in order.
func (s *Store) Accounts(ctx context.Context, from string) iter.Seq2[string, error] { return nil }

// Account returns an account's state. One that never got a message is empty.
func (s *Store) Account(ctx context.Context, account string) (Account, error) {
	return Account{}, errSoon
}

// CanTake fails with ErrQuota when messages of together bytes would exceed the
// account's quota now.
func (s *Store) CanTake(account string, messages, bytes int64) error { return errSoon }

// ---- mailboxes ----

// Mailboxes lists an account's mailboxes in the order of their names, INBOX
// first. The parent of every mailbox is in the list.
func (s *Store) Mailboxes(ctx context.Context, account string) ([]Mailbox, error) {
	return nil, errSoon
}

// Find returns the mailbox with a name; ErrNoMailbox when there is none.
// INBOX is found in any case.
func (s *Store) Find(ctx context.Context, account, name string) (Mailbox, error) {
	return Mailbox{}, errSoon
}

// Status returns a mailbox without its messages; ErrNoMailbox when it is not there.
func (s *Store) Status(ctx context.Context, p Place) (Mailbox, error) { return Mailbox{}, errSoon }

// CreateMailbox makes a mailbox and those above it that are missing. use is a
// special use (RFC 6154) such as \Sent, or "". It fails with ErrExists, ErrName,
// ErrUse (another mailbox has that use) and ErrTooMany.
func (s *Store) CreateMailbox(ctx context.Context, account, name, use string) (Mailbox, error) {
	return Mailbox{}, errSoon
}

// RenameMailbox renames a mailbox and all below it. Of INBOX, it moves the
// messages to a new mailbox and leaves those below alone (RFC 9051 §6.3.6).
func (s *Store) RenameMailbox(ctx context.Context, account, from, to string) error { return errSoon }

// DeleteMailbox removes a mailbox with its messages. When there are mailboxes
// below it, its name stays and cannot be selected. INBOX cannot be deleted.
func (s *Store) DeleteMailbox(ctx context.Context, account, name string) error { return errSoon }

// SetUse changes a mailbox's special use.
func (s *Store) SetUse(ctx context.Context, p Place, use string) error { return errSoon }

// Subscribe notes or forgets a subscription to a name, of this or another account,
// whether or not there is such a mailbox (RFC 9051 §6.3.7).
func (s *Store) Subscribe(ctx context.Context, account, name string, on bool) error { return errSoon }

// Subscriptions lists the names an account has subscribed to, in order.
func (s *Store) Subscriptions(ctx context.Context, account string) ([]string, error) {
	return nil, errSoon
}

// ---- rights and annotations ----

// Grant gives somebody rights in a mailbox (RFC 4314). Who is what the caller
// takes for an identifier: an account id, "anyone", "-" before one for negative rights.
type Grant struct {
	Who    string
	Rights string // one letter each, in alphabetical order
}

// Share is a mailbox in which somebody was given rights.
type Share struct {
	Place
	Grant
}

// SetGrant replaces somebody's rights in a mailbox; without rights, the grant goes.
func (s *Store) SetGrant(ctx context.Context, p Place, g Grant) error { return errSoon }

// Grants lists the rights given in a mailbox, in the order of Who. The owner's are not
// among them unless set.
func (s *Store) Grants(ctx context.Context, p Place) ([]Grant, error) { return nil, errSoon }

// Shares lists the mailboxes, of all accounts, in which who was given rights.
func (s *Store) Shares(ctx context.Context, who string) ([]Share, error) { return nil, errSoon }

// Annotations are entries of a mailbox, of an account (Mailbox 0), or of the whole
// server (zero Place): names as /shared/comment with values (RFC 5464). Owner is
// whose they are: "" for shared ones, an account id for private ones.
type Annotations struct {
	Place
	Owner string
}

// Annotations returns all entries there are at a place.
func (s *Store) Annotations(ctx context.Context, at Annotations) (map[string][]byte, error) {
	return nil, errSoon
}

// Annotate sets entries, and removes those whose value is nil, in one change.
func (s *Store) Annotate(ctx context.Context, at Annotations, entries map[string][]byte) error {
	return errSoon
}

// ---- messages ----

// Item is what a View keeps of each message: what is needed to list, search by
// flag, size and date, and to synchronise.
type Item struct {
	UID      uint32
	Zone     int16 // of the internal date, minutes east of UTC
	Flags    Flags
	ModSeq   uint64
	Size     int64 // bytes, header lines of the account's own included
	Internal int64 // internal date, seconds since 1970
	Saved    int64 // when it came into this mailbox (RFC 8514), seconds since 1970
}

// Date is the internal date in the zone it was given in.
func (i *Item) Date() time.Time { return time.Time{} }

// View is a mailbox at one moment. It never changes and may be kept and used by many.
// Messages stand in the order of their UIDs and are numbered from 0.
type View struct {
	Mailbox Mailbox
}

// Len is the number of messages.
func (v *View) Len() int { return 0 }

// At returns message i. It is not to be changed.
func (v *View) At(i int) *Item { return nil }

// Search returns the number of the first message whose UID is at least uid, and
// whether it is that one.
func (v *View) Search(uid uint32) (i int, found bool) { return 0, false }

// All goes through the messages.
func (v *View) All() iter.Seq2[int, *Item] { return nil }

// Since tells what happened since an earlier view of the same mailbox: UIDs of
// messages that have gone and come, and of those in both whose flags changed.
func (v *View) Since(old *View) Difference { return Difference{} }

// Difference is what happened between two views. UIDs are in ascending order.
type Difference struct{ Gone, Come, Changed []uint32 }

// Box is an open mailbox. All who open a mailbox share it; it is loaded once and kept
// up to date in memory.
type Box struct{}

// Select opens a mailbox. It fails with ErrNoMailbox when there is none or it cannot
// be selected. The Box must be closed.
func (s *Store) Select(ctx context.Context, p Place) (*Box, error) { return nil, errSoon }

// View is the mailbox as of the last durable change. It costs nothing.
func (b *Box) View() *View { return nil }

// Gone tells that the mailbox was deleted.
func (b *Box) Gone() bool { return false }

// Close ends the use of the box.
func (b *Box) Close() {}

// Messages goes through those of the messages uids (in ascending order) that are
// still there. withDigest also reads what Options.Digest made of them, made now when
// it was not kept. A Message may be kept; its Digest too.
func (s *Store) Messages(ctx context.Context, p Place, uids []uint32, withDigest bool) iter.Seq2[Message, error] {
	return nil
}

// Email finds the mailboxes that have a message of an id (RFC 8474 EMAILID).
func (s *Store) Email(ctx context.Context, account string, id ObjectID) ([]MailboxUID, error) {
	return nil, errSoon
}

// MailboxUID is where a message stands in its account.
type MailboxUID struct {
	Mailbox MailboxID
	UID     uint32
}

// Section reads n bytes of a message from an offset on, fewer at its end. What it
// returns also implements io.WriterTo. It fails like Body.
func (s *Store) Section(m Message, offset, n int64) io.Reader { return nil }

// ReaderAt reads a message anywhere.
func (s *Store) ReaderAt(m Message) io.ReaderAt { return nil }

// Append puts messages into mailboxes, all or none, in the order given. When it
// returns without error they are durable. The bodies are read to their ends before;
// none of them may come from a slow peer, who would keep others waiting. There is one
// receipt for each account or place of each delivery, in that order.
func (s *Store) Append(ctx context.Context, deliveries ...Delivery) ([]Receipt, error) {
	return nil, errSoon
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
	Conditional    bool // change only what has a modseq of at most UnchangedSince
	UnchangedSince uint64
}

// FlagResult says what StoreFlags did. UIDs are in ascending order.
type FlagResult struct {
	Changed  []Item   // messages whose flags changed, as they are now
	Modified []uint32 // messages left alone because they changed after UnchangedSince
	ModSeq   uint64   // of this change; the mailbox's HIGHESTMODSEQ when nothing changed
	Keywords []string // the mailbox's table, for Changed
}

// StoreFlags changes flags in one change. Messages that are gone are passed over, and
// a message whose flags stay the same keeps its modseq.
func (s *Store) StoreFlags(ctx context.Context, p Place, c FlagChange) (FlagResult, error) {
	return FlagResult{}, errSoon
}

// Transfer says where messages went. From and To correspond.
type Transfer struct {
	UIDValidity uint32 // of the destination
	From, To    []uint32
	ModSeq      uint64 // of the change
}

// Copy copies messages to the end of another (or the same) mailbox, of any account, all
// or none. Flags, keywords, internal date, EMAILID and, within an account, THREADID stay
// the same. Those that are gone are passed over.
func (s *Store) Copy(ctx context.Context, from Place, uids []uint32, to Place) (Transfer, error) {
	return Transfer{}, errSoon
}

// Move is Copy and Expunge in one change (RFC 6851).
func (s *Store) Move(ctx context.Context, from Place, uids []uint32, to Place) (Transfer, error) {
	return Transfer{}, errSoon
}

// Expunged says what was removed, in ascending order.
type Expunged struct {
	UIDs   []uint32
	ModSeq uint64 // of the change; the mailbox's HIGHESTMODSEQ when there was none
}

// Vanished lists the UIDs expunged after modseq. complete is false when the store no
// longer knows all of them: then every UID that is not in the mailbox may be one.
func (s *Store) Vanished(ctx context.Context, p Place, modseq uint64) (uids []uint32, complete bool, err error) {
	return nil, false, errSoon
}

// ---- change feed ----

// EventKind says what happened.
type EventKind int

// What happens.
const (
	MessagesAdded EventKind = iota + 1
	FlagsChanged
	MessagesExpunged
	MailboxCreated
	MailboxDeleted
	MailboxRenamed
	MailboxChanged // special use, rights, annotations
	SubscriptionsChanged
	AccountDeleted
)

// Event is a durable change in an account.
type Event struct {
	Kind    EventKind
	Mailbox MailboxID
	Name    string   // mailbox name, or subscription
	OldName string   // for MailboxRenamed
	UIDs    []uint32 // ascending; not to be changed
	ModSeq  uint64   // of the change
}

// Watch gathers an account's events for somebody until he takes them.
type Watch struct{}

// Watch begins to gather the events of an account. It holds a bounded number; when
// they are not taken in time they are dropped and Take says so. It must be closed.
func (s *Store) Watch(account string) *Watch { return nil }

// Ready has a value when there are events to take.
func (w *Watch) Ready() <-chan struct{} { return nil }

// Take returns the events since the last call, in order. lost tells that some were
// dropped: the caller looks at everything anew.
func (w *Watch) Take() (events []Event, lost bool) { return nil, false }

// Close ends the watch.
func (w *Watch) Close() {}

// ---- digests ----

// Digest is what is computed of a message once, when it is taken in.
type Digest struct {
	Data []byte // kept as it is; opens with a version of its maker's
	// Thread are Message-IDs: its own, then those of References and In-Reply-To,
	// oldest first. A message joins the thread of the first that is known in the account.
	Thread []string
}

// ---- other rooms' keys ----

// Table is a named part of the database for another room, such as the queue.
type Table struct{}

// Table returns the table with a name of lower-case letters.
func (s *Store) Table(name string) Table { return Table{} }

// Get returns a value, nil when there is none.
func (t Table) Get(ctx context.Context, key []byte) ([]byte, error) { return nil, errSoon }

// Scan goes through the keys from (included) to (excluded, nil: to the end). Keys
// and values are good until the next.
func (t Table) Scan(ctx context.Context, from, to []byte) iter.Seq2[[]byte, []byte] { return nil }

// Held is a body in the database that a table holds, so that it stays.
type Held struct {
	ID   BodyID
	Size int64 // bytes
}

// BodyID names a body in the store.
type BodyID = ObjectID

// Staged is a body that was read in and is not yet in the database. It must be closed.
type Staged struct{}

// Stage reads a body. Nobody stages a second one before the first is closed or used.
func (s *Store) Stage(ctx context.Context, r io.Reader, size int64) (*Staged, error) {
	return nil, errSoon
}

// Close gives up a body that was not used.
func (b *Staged) Close() {}

// Tx is a change being put together. It is good until the function it was given to
// returns; that function must be quick and must not call the Store.
type Tx struct{}

// Update makes one durable change of all that f does. body may be nil. An error of f
// changes nothing.
func (s *Store) Update(ctx context.Context, body *Staged, f func(tx *Tx) error) error { return errSoon }

// Get reads a key of a table, without the writes of this change.
func (tx *Tx) Get(t Table, key []byte) ([]byte, error) { return nil, errSoon }

// Set writes a key of a table.
func (tx *Tx) Set(t Table, key, value []byte) error { return errSoon }

// Delete removes a key of a table.
func (tx *Tx) Delete(t Table, key []byte) error { return errSoon }

// Hold makes a table hold a staged body, under a key of its choice.
func (tx *Tx) Hold(t Table, key []byte, body *Staged) (Held, error) { return Held{}, errSoon }

// Release gives a held body up; it goes when nobody has it any more.
func (tx *Tx) Release(t Table, key []byte) error { return errSoon }

// File puts a staged body (d.Body and d.Size are not looked at) into mailboxes.
func (tx *Tx) File(d Delivery, body *Staged) ([]Receipt, error) { return nil, errSoon }

// FileHeld puts a held body into mailboxes.
func (tx *Tx) FileHeld(d Delivery, body Held) ([]Receipt, error) { return nil, errSoon }

// Count adds to counters.
func (tx *Tx) Count(counts ...Count) error { return errSoon }

// HeldSection reads n bytes of a held body from an offset on.
func (s *Store) HeldSection(h Held, offset, n int64) io.Reader { return nil }

// ---- ledger ----

// Count is a counter of the ledger and what is added to it.
type Count struct {
	Key string // parts divided by '/', in an order good for listing: day/domain/account/name
	N   int64
}

// Counts goes through the counters whose keys begin with prefix, in order.
func (s *Store) Counts(ctx context.Context, prefix string) iter.Seq2[Count, error] { return nil }
