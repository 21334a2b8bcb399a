package imapd

import (
	"context"
	"fmt"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/store"
)

type transferFunc func(ctx context.Context, from store.Place, uids []uint32, to store.Place) (store.Transfer, error)

// transfer is COPY, of all of the messages or none, and MOVE.
func (s *session) transfer(c *call, need rights, do transferFunc) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	set, err := s.r.Set()
	if err != nil {
		return err
	}
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	b := s.box
	moving := c.name == "MOVE"
	if moving && b.readOnly {
		return refuse(imap.ResponseCodeNoPerm, "the mailbox is open for reading only")
	}
	if err := b.rights.need(need); err != nil {
		return err
	}
	e, err := s.reach(set, c.uid)
	if err != nil {
		return err
	}
	seqs, err := s.seqs(e.told, set, c.uid)
	if err != nil {
		return err
	}
	to, err := s.findTarget(s.srv.ctx, name)
	if err != nil {
		return err
	}
	if len(seqs) == 0 {
		return nil
	}
	uids := uidsOf(e.told, seqs)
	went, err := do(s.srv.ctx, b.place, uids, to.place)
	if len(went.From) == 0 {
		if err == nil {
			err = refuse(imap.ResponseCodeNonExistent, "the messages are gone")
		}
		return err
	}
	code := copyUID(went)
	if !moving {
		c.code = code
		return nil
	}
	// Before the messages are told to be gone, and also when not all of them went
	// (RFC 6851 §4.3).
	s.untagged(code, "moved")
	s.srv.Counters.Expunged.Add(int64(len(went.From)))
	if err != nil {
		return s.movedInPart(c, len(went.From), len(uids), err)
	}
	if s.qresync {
		c.code = "HIGHESTMODSEQ " + number(b.open.View().Mailbox.HighestModSeq)
	}
	return nil
}

// movedInPart tells that some of the messages are gone, and why the others are not.
func (s *session) movedInPart(c *call, n, of int, why error) error {
	s.update(true)
	code, text := s.explain(c, why)
	return refuse(imap.ResponseCode(code), fmt.Sprintf("%s; %d of the %d messages were moved", text, n, of))
}

// copyUID is RFC 9051 §7.1's COPYUID. Both lists ascend, so they correspond as sets.
func copyUID(t store.Transfer) string {
	b := append([]byte("COPYUID "), number(uint64(t.UIDValidity))...)
	b = rangesOf(t.From).Append(append(b, ' '))
	return string(rangesOf(t.To).Append(append(b, ' ')))
}
