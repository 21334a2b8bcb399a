package imapd

import "mailfleet/mailnode/imapd/wire"

// fetch is FETCH (RFC 9051 §6.4.5).
func (s *session) fetch(c *call) error {
	f, set, err := s.readFetch(c)
	if err != nil {
		return err
	}
	if f.Items&wire.ItemModSeq != 0 {
		s.condstore = true // RFC 7162 §3.1
	}
	if f.Vanished { // which takes more than the messages that are named
		if err := s.ready(); err != nil {
			return err
		}
	}
	e, err := s.reach(set, c.uid)
	if err != nil {
		return err
	}
	seqs, err := s.seqs(e.told, set, c.uid)
	if err != nil {
		return err
	}
	d := s.sender(f, e)
	if f.ChangedSince > 0 {
		if f.Vanished {
			if err := s.vanishedEarlier(f.ChangedSince, set.Resolve(e.told.Mailbox.UIDNext-1), 0); err != nil {
				return err
			}
		}
		seqs = d.changedSince(seqs, f.ChangedSince)
	}
	if f.Partial != nil {
		seqs = partOfRanges(seqs, f.Partial)
	}
	return d.sendAll(seqs)
}

func (s *session) readFetch(c *call) (f *wire.Fetch, set wire.Set, err error) {
	if err := s.r.Space(); err != nil {
		return nil, set, err
	}
	if set, err = s.r.Set(); err != nil {
		return nil, set, err
	}
	if err := s.r.Space(); err != nil {
		return nil, set, err
	}
	if f, err = s.r.Fetch(); err != nil {
		return nil, set, err
	}
	if err := s.r.FetchModifiers(f); err != nil {
		return nil, set, err
	}
	if err := s.end(); err != nil {
		return nil, set, err
	}
	switch {
	case f.Vanished && (!c.uid || f.ChangedSince == 0 || !s.qresync):
		return nil, set, wire.Bad("VANISHED needs UID FETCH, CHANGEDSINCE and QRESYNC")
	case f.Partial != nil && !c.uid:
		return nil, set, wire.Bad("PARTIAL needs UID FETCH")
	}
	if c.uid {
		f.Items |= wire.ItemUID
	}
	return f, set, nil
}

// partOfRanges is partOf of the numbers in a set.
func partOfRanges(rs wire.Ranges, p *wire.Partial) (part wire.Ranges) {
	n := int64(rs.Len())
	first, last := p.First-1, p.Last
	if p.First < 0 {
		first, last = n+p.Last, n+p.First+1
	}
	first, last = max(first, 0), min(last, n)
	for _, r := range rs {
		size := int64(r.Stop-r.Start) + 1
		from, to := max(first, 0), min(last, size)
		if from < to {
			part = append(part, wire.Range{Start: r.Start + uint32(from), Stop: r.Start + uint32(to) - 1})
		}
		first, last = first-size, last-size
	}
	return part
}
