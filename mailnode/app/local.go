package app

import (
	"context"
	"io"
	"sync/atomic"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/store"
)

// local takes mail for the accounts of this server, and for nobody else: there is no
// queue that it could wait in.
type local struct {
	directory *directory.Directory
	store     *store.Store

	delivered atomic.Int64 // copies put into mailboxes
	bytes     atomic.Int64 // size of these copies
}

// Judge implements smtpd.Recipients.
func (l *local) Judge(_ context.Context, address string, size int64) (largest int64, err error) {
	a, err := l.directory.Recipient(address)
	if err != nil {
		return 0, err
	}
	if a.MessageBytes > 0 && size > a.MessageBytes {
		return a.MessageBytes, nil // there is an answer for that
	}
	return a.MessageBytes, l.store.CanTake(a.ID, 1, size)
}

// Accept implements smtpd.Deliverer.
func (l *local) Accept(ctx context.Context, e envelope.Envelope, prefix []byte, body io.Reader, size int64) error {
	accounts := make([]string, len(e.Recipients))
	for i, r := range e.Recipients {
		a, err := l.directory.Recipient(r.Address)
		if err != nil {
			return err
		}
		accounts[i] = a.ID
	}
	prefix = append([]byte("Return-Path: <"+e.From+">\r\n"), prefix...)
	receipts, err := l.store.Deliver(ctx, store.Delivery{Accounts: accounts, Prefix: prefix, Body: body, Size: size})
	if err != nil {
		return err
	}
	l.delivered.Add(int64(len(receipts)))
	l.bytes.Add((int64(len(prefix)) + size) * int64(len(receipts)))
	return nil
}
