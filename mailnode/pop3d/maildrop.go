package pop3d

import (
	"context"
	"strconv"

	"mailfleet/mailnode/store"
)

// maildrop is a mailbox as it was at sign-in, and what the session has marked as
// deleted in it (RFC 1939 §5). Messages are numbered from 1.
type maildrop struct {
	place    store.Place
	validity uint32 // UIDVALIDITY
	messages []store.Message
	deleted  map[int]bool // by index in messages
	count    int          // messages that are not deleted
	octets   int64        // their size
}

func openMaildrop(ctx context.Context, m Mailboxes, account string) (*maildrop, error) {
	place := store.Place{Account: account, Mailbox: store.Inbox}
	box, messages, err := m.Snapshot(ctx, place)
	if err != nil {
		return nil, err
	}
	d := &maildrop{place: place, validity: box.UIDValidity, messages: messages}
	d.reset()
	return d, nil
}

// reset takes all marks back.
func (d *maildrop) reset() {
	d.deleted = map[int]bool{}
	d.count, d.octets = len(d.messages), 0
	for i := range d.messages {
		d.octets += d.messages[i].Size
	}
}

// find returns the index of the message with a number, if it is there and not deleted.
func (d *maildrop) find(number string) (index int, ok bool) {
	n, ok := parseNumber(number)
	if !ok || n < 1 || n > len(d.messages) || d.deleted[n-1] {
		return 0, false
	}
	return n - 1, true
}

// uidl names a message for ever (RFC 1939 §7): 3 to 21 characters.
func (d *maildrop) uidl(index int) string {
	return strconv.FormatUint(uint64(d.validity), 10) + "." + strconv.FormatUint(uint64(d.messages[index].UID), 10)
}

func (d *maildrop) delete(index int) {
	d.deleted[index] = true
	d.count--
	d.octets -= d.messages[index].Size
}

// expunge removes what is marked, all of it in one change. It returns how many were
// still there.
func (d *maildrop) expunge(ctx context.Context, m Mailboxes) (int, error) {
	if len(d.deleted) == 0 {
		return 0, nil
	}
	uids := make([]uint32, 0, len(d.deleted))
	for i := range d.messages {
		if d.deleted[i] {
			uids = append(uids, d.messages[i].UID)
		}
	}
	gone, err := m.Expunge(ctx, d.place, uids)
	return len(gone.UIDs), err
}
