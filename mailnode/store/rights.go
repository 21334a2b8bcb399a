package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Grant gives somebody rights in a mailbox (RFC 4314). Who is what the caller takes for
// an identifier: an account id, "anyone", "-" before one for negative rights.
type Grant struct {
	Who    string
	Rights string // one letter each, in alphabetical order
}

// Share is a mailbox in which somebody was given rights.
type Share struct {
	Place
	Grant
}

const (
	maxGrants     = 1000
	maxIdentifier = 320
	// Limits of annotations (RFC 5464 §4.2).
	maxEntries    = 256
	maxEntryName  = 512
	maxEntryValue = 64 << 10
)

// SetGrant replaces somebody's rights in a mailbox; without rights, the grant goes.
func (s *Store) SetGrant(_ context.Context, p Place, g Grant) error {
	if g.Who == "" || len(g.Who) > maxIdentifier || strings.IndexByte(g.Who, 0) >= 0 {
		return fmt.Errorf("store: %q cannot be given rights", g.Who)
	}
	letters := []byte(g.Rights)
	slices.Sort(letters)
	rights := slices.Compact(letters)
	return s.update(mailboxes, func(tx *Tx) error {
		m, err := tx.box(p)
		if err != nil {
			return err
		}
		tx.changed(m)
		if len(rights) == 0 {
			return errors.Join(tx.b.Delete(grantKey(p, g.Who), nil), tx.b.Delete(shareKey(p, g.Who), nil))
		}
		n := 0
		if err := scan(s.db, grantKey(p, ""), func(_, _ []byte) error { n++; return nil }); err != nil {
			return err
		}
		if n >= maxGrants {
			return ErrTooMany
		}
		return errors.Join(tx.b.Set(grantKey(p, g.Who), rights, nil), tx.b.Set(shareKey(p, g.Who), rights, nil))
	})
}

// Grants lists the rights given in a mailbox, in the order of Who. The owner's are not
// among them unless set.
func (s *Store) Grants(ctx context.Context, p Place) (list []Grant, err error) {
	snap, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	if _, err := readMailbox(snap, p); err != nil {
		return nil, err
	}
	err = scan(snap, grantKey(p, ""), func(who, rights []byte) error {
		list = append(list, Grant{string(who), string(rights)})
		return nil
	})
	return list, err
}

// Shares lists the mailboxes, of all accounts, in which who was given rights.
func (s *Store) Shares(ctx context.Context, who string) (list []Share, err error) {
	if who == "" || strings.IndexByte(who, 0) >= 0 {
		return nil, nil
	}
	snap, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	err = scan(snap, sharePrefix(who), func(key, rights []byte) error {
		n := len(key) - 5
		if n < 1 {
			return errRecord
		}
		p := Place{string(key[:n]), MailboxID(binary.BigEndian.Uint32(key[n+1:]))}
		list = append(list, Share{p, Grant{who, string(rights)}})
		return nil
	})
	return list, err
}

// Annotations are entries of a mailbox, of an account (Mailbox 0), or of the whole
// server (zero Place): names as /shared/comment with values (RFC 5464). Owner is whose
// they are: "" for shared ones, an account id for private ones.
type Annotations struct {
	Place
	Owner string
}

func (at Annotations) check() error {
	if at.Account != "" {
		if err := checkAccount(at.Account); err != nil {
			return err
		}
	}
	if at.Owner != "" {
		return checkAccount(at.Owner)
	}
	return nil
}

// Annotations returns all entries there are at a place.
func (s *Store) Annotations(ctx context.Context, at Annotations) (entries map[string][]byte, err error) {
	if err := at.check(); err != nil {
		return nil, err
	}
	snap, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	entries = map[string][]byte{}
	err = scan(snap, annotationPrefix(at), func(name, value []byte) error {
		entries[string(name)] = append([]byte{}, value...)
		return nil
	})
	return entries, err
}

// Annotate sets entries, and removes those whose value is nil, in one change. It fails
// with ErrTooMany when there would be more than 256, or one is longer than 64 KiB.
func (s *Store) Annotate(_ context.Context, at Annotations, entries map[string][]byte) error {
	if err := at.check(); err != nil {
		return err
	}
	for name, value := range entries {
		if name == "" || len(name) > maxEntryName || len(value) > maxEntryValue || strings.IndexByte(name, 0) >= 0 {
			return ErrTooMany
		}
	}
	return s.update(mailboxes, func(tx *Tx) error {
		if err := tx.annotated(at, slices.Sorted(maps.Keys(entries))); err != nil {
			return err
		}
		there := map[string]bool{}
		if err := scan(s.db, annotationPrefix(at), func(name, _ []byte) error {
			there[string(name)] = true
			return nil
		}); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			key := append(annotationPrefix(at), name...)
			if value := entries[name]; value != nil {
				there[name] = true
				if err := tx.b.Set(key, value, nil); err != nil {
					return err
				}
			} else if there[name] {
				delete(there, name)
				if err := tx.b.Delete(key, nil); err != nil {
					return err
				}
			}
		}
		if len(there) > maxEntries {
			return ErrTooMany
		}
		return nil
	})
}

// annotated notes that some of a place's annotations change.
func (tx *Tx) annotated(at Annotations, entries []string) error {
	if at.Account == "" {
		return nil
	}
	if at.Mailbox != 0 {
		m, err := tx.box(at.Place)
		if err != nil {
			return err
		}
		tx.changed(m)
	} else {
		a, err := tx.open(at.Account)
		if err != nil {
			return err
		}
		tx.tell(at.Account, Event{Kind: MailboxChanged, ModSeq: a.next()})
	}
	e := &tx.events[len(tx.events)-1].event // told just now
	e.Entries, e.Owner = entries, at.Owner
	return nil
}
