package imapd

import (
	"errors"
	"io"

	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

// searchBatch is how many messages are looked up at once in a search.
const searchBatch = 256

// candidate is a message that a search looks at. What it needs of the message beyond
// the view of the mailbox is read when it is asked for.
type candidate struct {
	*store.Item
	index   int // in the view the peer knows
	search  *searching
	message *store.Message
	known   *message.Keys

	follow []store.Message // it and those of the batch that come after it
	body   []byte          // its bytes, when they were read ahead
}

// searching is one search.
type searching struct {
	s     *session
	now   *store.View
	ahead *store.Ahead
	err   error // the first one; the search is then worth nothing
}

func (r *searching) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// record is the message's record.
func (c *candidate) record() *store.Message {
	if c.message == nil {
		c.message = &store.Message{UID: c.UID}
		for m, err := range c.search.s.srv.store.MessagesOf(c.search.s.srv.ctx, c.search.s.box.place, c.search.now, []uint32{c.UID}, true) {
			if err != nil {
				c.search.fail(err)
				break
			}
			c.message = &m
		}
	}
	return c.message
}

// keys are the decoded values of its header; those of a message that is gone are empty.
func (c *candidate) keys() *message.Keys {
	if c.known == nil {
		c.known = &message.Keys{}
		if data := c.record().Digest; len(data) > 0 {
			k, err := message.Encoded(data).Keys()
			if err != nil {
				c.search.fail(errors.Join(store.ErrDamaged, err))
			}
			c.known = &k
		}
	}
	return c.known
}

// candidates goes through messages the peer knows and yields those that match.
// First all are asked what costs nothing, then those that are left are read in
// batches.
func (s *session) candidates(c *call, e *extent, m matcher, yield func(*candidate)) error {
	run := &searching{s: s, now: e.now, ahead: s.srv.store.Ahead()}
	defer run.ahead.Release()
	p := newProgress(s, c, e.told.Len())
	var batch []candidate
	for i, item := range e.all {
		if e.now != e.told {
			j, found := e.now.Search(item.UID)
			if !found {
				continue
			}
			item = e.now.At(j)
		}
		one := candidate{Item: item, index: i, search: run}
		if m.cost == ofItem {
			if m.match(&one) {
				yield(&one)
			}
			continue
		}
		if m.before != nil && !m.before(&one) {
			continue
		}
		if batch = append(batch, one); len(batch) == searchBatch {
			run.look(batch, m, yield)
			batch = batch[:0]
			p.tell(i)
		}
		if run.err != nil {
			return run.err
		}
	}
	run.look(batch, m, yield)
	return run.err
}

// look reads candidates and asks them all.
func (r *searching) look(batch []candidate, m matcher, yield func(*candidate)) {
	if len(batch) == 0 || r.err != nil {
		return
	}
	uids := make([]uint32, 0, len(batch))
	for i := range batch {
		uids = append(uids, batch[i].UID)
	}
	at := 0
	messages := make([]store.Message, 0, len(batch))
	for msg, err := range r.s.srv.store.MessagesOf(r.s.srv.ctx, r.s.box.place, r.now, uids, m.cost >= ofDigest) {
		if err != nil {
			r.fail(err)
			return
		}
		for at < len(batch) && batch[at].UID < msg.UID {
			at++
		}
		if at < len(batch) && batch[at].UID == msg.UID {
			messages = append(messages, msg)
			batch[at].message = &messages[len(messages)-1]
		}
	}
	at = 0
	for i := range batch {
		one := &batch[i]
		if one.message == nil {
			continue
		}
		one.follow = messages[at:]
		if at++; m.match(one) {
			yield(one)
		}
	}
}

// bytes is the message. Only one candidate's are good at a time.
func (c *candidate) bytes() io.ReaderAt {
	if c.body == nil && c.follow != nil {
		c.body = c.search.ahead.Body(c.follow)
		c.follow = nil
	}
	if c.body != nil {
		return readAhead(c.body)
	}
	return c.search.s.srv.store.ReaderAt(*c.record())
}
