package pop3d

import (
	"context"
	"errors"
	"io"
	"iter"
	"strconv"

	"mailfleet/mailnode/store"
)

// Mailboxes holds the mail. Its errors are those of store.Store.
type Mailboxes interface {
	// View is a mailbox at one moment; one that is not there is empty.
	View(ctx context.Context, p store.Place) (*store.View, error)
	Messages(ctx context.Context, p store.Place, uids []uint32, withDigest bool) iter.Seq2[store.Message, error]
	Body(m store.Message) io.Reader
	Ahead() *store.Ahead
	Expunge(ctx context.Context, p store.Place, uids []uint32) (store.Expunged, error)
}

// Stored are the mailboxes of a store.
type Stored struct{ *store.Store }

// View implements Mailboxes.
func (s Stored) View(ctx context.Context, p store.Place) (*store.View, error) {
	box, err := s.Select(ctx, p)
	if errors.Is(err, store.ErrNoMailbox) {
		return &store.View{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer box.Close()
	return box.View(), nil
}

// maildrop is a mailbox as it was at sign-in, and what the session has marked as
// deleted in it (RFC 1939 §5). Messages are numbered from 1.
type maildrop struct {
	mailboxes Mailboxes
	place     store.Place
	view      *store.View
	deleted   map[int]bool // by index in view
	count     int          // messages that are not deleted
	octets    int64        // their size

	ahead  []store.Message // read before they are asked for, in the order of their UIDs
	span   int             // how many were looked up at once
	beyond int             // index of the first that was not
	bodies *store.Ahead
}

// Clients fetch one message after the other: so many are looked up at once at first, and at
// most.
const (
	firstAhead = 16
	readAhead  = 256
)

func openMaildrop(ctx context.Context, m Mailboxes, account string) (*maildrop, error) {
	d := &maildrop{mailboxes: m, place: store.Place{Account: account, Mailbox: store.Inbox}, bodies: m.Ahead()}
	var err error
	if d.view, err = m.View(ctx, d.place); err != nil {
		return nil, err
	}
	d.reset()
	return d, nil
}

// reset takes all marks back.
func (d *maildrop) reset() {
	d.deleted = map[int]bool{}
	d.count, d.octets = d.view.Len(), 0
	for _, item := range d.view.All() {
		d.octets += item.Size
	}
}

// find returns the index of the message with a number, if it is there and not deleted.
func (d *maildrop) find(number string) (index int, ok bool) {
	n, ok := parseNumber(number)
	if !ok || n < 1 || n > d.view.Len() || d.deleted[n-1] {
		return 0, false
	}
	return n - 1, true
}

func (d *maildrop) size(index int) string { return strconv.FormatInt(d.view.At(index).Size, 10) }

// uidl names a message for ever (RFC 1939 §7): 3 to 21 characters.
func (d *maildrop) uidl(index int) string {
	return strconv.FormatUint(uint64(d.view.Mailbox.UIDValidity), 10) + "." + strconv.FormatUint(uint64(d.view.At(index).UID), 10)
}

// message looks a message up; store.ErrNoMessage when it has gone meanwhile.
func (d *maildrop) message(ctx context.Context, index int) (store.Message, error) {
	uid := d.view.At(index).UID
	for len(d.ahead) > 0 && d.ahead[0].UID < uid {
		d.ahead = d.ahead[1:]
	}
	if len(d.ahead) == 0 || d.ahead[0].UID != uid {
		if index == d.beyond {
			d.span = min(max(4*d.span, firstAhead), readAhead)
		} else {
			d.span = firstAhead
		}
		d.beyond = min(index+d.span, d.view.Len())
		uids := make([]uint32, 0, d.span)
		for i := index; i < d.beyond; i++ {
			uids = append(uids, d.view.At(i).UID)
		}
		d.ahead = make([]store.Message, 0, len(uids))
		for m, err := range d.mailboxes.Messages(ctx, d.place, uids, false) {
			if err != nil {
				d.ahead = nil
				return store.Message{}, err
			}
			d.ahead = append(d.ahead, m)
		}
	}
	if len(d.ahead) == 0 || d.ahead[0].UID != uid {
		return store.Message{}, store.ErrNoMessage
	}
	return d.ahead[0], nil
}

// body returns the bytes of a message that was just looked up, when they were read ahead;
// nil else.
func (d *maildrop) body() []byte { return d.bodies.Body(d.ahead) }

func (d *maildrop) delete(index int) {
	d.deleted[index] = true
	d.count--
	d.octets -= d.view.At(index).Size
}

// expunge removes what is marked, all of it in one change. It returns how many were
// still there.
func (d *maildrop) expunge(ctx context.Context) (int, error) {
	if len(d.deleted) == 0 {
		return 0, nil
	}
	uids := make([]uint32, 0, len(d.deleted))
	for i, item := range d.view.All() {
		if d.deleted[i] {
			uids = append(uids, item.UID)
		}
	}
	gone, err := d.mailboxes.Expunge(ctx, d.place, uids)
	return len(gone.UIDs), err
}
