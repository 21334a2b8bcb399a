package store

import (
	"fmt"
	"hash/fnv"
	"io"
	"slices"
)

// Digest is what is computed of a message once, when it is taken in.
type Digest struct {
	Data []byte // kept as it is; it opens with a version of its maker's
	// Thread are Message-IDs: its own first, then those of References and In-Reply-To,
	// oldest first. A message joins the thread of the first that is known in the account.
	Thread []string
}

const (
	// maxThreadIDs is by how many Message-IDs a message's thread is found: its own, the
	// oldest and the newest others.
	maxThreadIDs = 8
	oldestIDs    = 2
)

// threadHashes picks the Message-IDs that count.
func threadHashes(ids []string) []uint64 {
	if len(ids) > maxThreadIDs {
		ids = slices.Concat(ids[:1+oldestIDs], ids[len(ids)-(maxThreadIDs-1-oldestIDs):])
	}
	hashes := make([]uint64, 0, len(ids))
	for _, id := range ids {
		h := fnv.New64a()
		_, _ = io.WriteString(h, id) // it never fails
		if n := h.Sum64(); id != "" && !slices.Contains(hashes, n) {
			hashes = append(hashes, n)
		}
	}
	return hashes
}

// addDigests completes messages of a mailbox with their digests, and makes and keeps
// those that are missing.
func (s *Store) addDigests(p Place, messages []Message) error {
	uids := make([]uint32, len(messages))
	for i, m := range messages {
		uids[i] = m.UID
	}
	rows, err := s.rows(p, 'd', uids)
	if err != nil {
		return err
	}
	var missing []row
	for i := range messages {
		if len(rows) > 0 && rows[0].uid == messages[i].UID {
			messages[i].Digest = rows[0].value
			rows = rows[1:]
			continue
		}
		if s.digest == nil {
			continue
		}
		m := messages[i]
		at := io.NewSectionReader(s.ReaderAt(m), int64(m.Prefix), m.Size-int64(m.Prefix))
		d, err := s.digest(at)
		if err != nil {
			return fmt.Errorf("store: looking into message %d: %w", m.UID, err)
		}
		messages[i].Digest = d.Data
		missing = append(missing, row{m.UID, d.Data})
	}
	if len(missing) == 0 {
		return nil
	}
	return s.update(digested, func(tx *Tx) error {
		for _, r := range missing {
			// The message may have gone meanwhile.
			found, err := s.read(uidKey(p, 'i', r.uid), func([]byte) error { return nil })
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			if err := tx.b.Set(uidKey(p, 'd', r.uid), r.value, nil); err != nil {
				return err
			}
		}
		return nil
	})
}
