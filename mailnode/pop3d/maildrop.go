package pop3d

import (
	"context"

	"mailfleet/mailnode/store"
)

// maildrop is a mailbox as it was at sign-in, and what the session has marked as
// deleted in it (RFC 1939 §5). Messages are numbered from 1.
type maildrop struct {
	account  string
	messages []store.Message
	deleted  map[int]bool // by index in messages
	count    int          // messages that are not deleted
	octets   int64        // their size
}

func openMaildrop(ctx context.Context, m Mailboxes, account string) (*maildrop, error) {
	_, messages, err := m.Snapshot(ctx, store.Place{Account: account, Mailbox: store.Inbox})
	if err != nil {
		return nil, err
	}
	d := &maildrop{account: account, messages: messages}
	d.reset()
	return d, nil
}

// reset takes all marks back.
func (d *maildrop) reset() {
	d.deleted = map[int]bool{}
	d.count, d.octets = len(d.messages), 0
	for _, m := range d.messages {
		d.octets += m.Size
	}
}

// get returns the message with a number, if it is there and not deleted.
func (d *maildrop) get(number string) (index int, m store.Message, ok bool) {
	n, ok := parseNumber(number)
	if !ok || n < 1 || n > len(d.messages) || d.deleted[n-1] {
		return 0, store.Message{}, false
	}
	return n - 1, d.messages[n-1], true
}

func (d *maildrop) delete(index int) {
	d.deleted[index] = true
	d.count--
	d.octets -= d.messages[index].Size
}

// expunge removes what is marked, all of it in one change.
func (d *maildrop) expunge(ctx context.Context, m Mailboxes) error {
	if len(d.deleted) == 0 {
		return nil
	}
	uids := make([]uint32, 0, len(d.deleted))
	for i := range d.messages {
		if d.deleted[i] {
			uids = append(uids, d.messages[i].UID)
		}
	}
	_, err := m.Expunge(ctx, store.Place{Account: d.account, Mailbox: store.Inbox}, uids)
	return err
}
