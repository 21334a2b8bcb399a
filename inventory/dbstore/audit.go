package dbstore

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// auditLog is the hash chain of audit entries. A record's version never
// changes here, so it gives the order of the chain; clocks and IDs do not.
type auditLog struct{ table[*inventory.AuditEntry] }

// Append implements inventory.AuditLog. Text that is not UTF-8 is made so:
// what is hashed must be what is stored.
func (l auditLog) Append(e *inventory.AuditEntry) error {
	if err := l.writable(); err != nil {
		return err
	}
	var last row
	var end inventory.AuditEntry // of the chain so far
	err := l.rows(&last).Order("version DESC").Limit(1).Scan(l.ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows): // the first
	case err != nil:
		return l.fail(err)
	default:
		found, err := decode[*inventory.AuditEntry](last)
		if err != nil {
			return err
		}
		end = *found
	}
	before := *e
	for _, text := range auditTexts(e) {
		*text = strings.ToValidUTF8(*text, "\uFFFD")
	}
	for i, scope := range e.Scope {
		e.Scope[i] = inventory.Scope(strings.ToValidUTF8(string(scope), "\uFFFD"))
	}
	e.Seq, e.Previous = end.Seq+1, end.Hash
	if err := l.Create(e); err != nil {
		*e = before
		return err
	}
	l.undos = append(l.undos, func() { *e = before })
	return nil
}

// Verify implements inventory.AuditLog. It reads the chain in pages and knows
// where the chain must end, so entries cut off at the end are missed too.
func (l auditLog) Verify() (int, error) {
	if err := l.ready(); err != nil {
		return 0, err
	}
	newest, err := l.newest(inventory.Audit)
	if err != nil {
		return 0, err
	}
	var end inventory.AuditEntry
	for {
		var found []auditRow
		if err := l.rows(&found).Where("version > ?", end.Version).Order("version").Limit(1000).Scan(l.ctx); err != nil {
			return 0, l.fail(err)
		}
		if len(found) == 0 {
			break
		}
		for _, f := range found {
			e, err := f.check(end)
			if err != nil {
				return 0, err
			}
			end = *e
		}
	}
	if end.Version != newest {
		return 0, inventory.Errorf(inventory.Conflict, "audit entry %d is missing: the log ends too early", end.Seq+1)
	}
	return int(end.Seq), nil
}

// auditRow is a row with the columns that entries are selected by.
type auditRow struct {
	bun.BaseModel `bun:"alias:r"`
	row

	Actor    string
	Action   string
	Resource string
	Target   string
}

// check decodes the entry and tells whether it is what was appended after end.
func (f auditRow) check(end inventory.AuditEntry) (*inventory.AuditEntry, error) {
	seq := end.Seq + 1
	e, err := decode[*inventory.AuditEntry](f.row)
	if err != nil {
		return nil, inventory.Wrap(inventory.Conflict, err, "audit entry %d was tampered with: it cannot be read", seq)
	}
	var wrong string
	switch {
	case e.Seq != seq:
		wrong = fmt.Sprintf("entry %d stands in its place", e.Seq)
	case e.Previous != end.Hash:
		wrong = "it does not follow the entry before"
	case e.Hash != auditHash(e):
		wrong = "its hash does not match what it says"
	case f.ID != e.ID || f.Version != e.Version ||
		f.Actor != columnText(e.Actor) || f.Action != columnText(e.Action) ||
		f.Resource != columnText(e.Resource) || f.Target != columnText(e.Target):
		wrong = "its index was changed"
	default:
		return e, nil
	}
	return nil, inventory.Errorf(inventory.Conflict, "audit entry %d was tampered with: %s", seq, wrong)
}

// auditTexts are the texts of an entry that its author gives, in the order in
// which they are hashed.
func auditTexts(e *inventory.AuditEntry) []*string {
	return []*string{
		&e.Actor, &e.Address, &e.Action, &e.Resource, &e.Target,
		&e.Before, &e.After, &e.Reason, &e.RequestID,
	}
}

// auditHash is the SHA-256 of the entry's fields in hexadecimal, each written
// as "<octets>:<value>,": id, version, created and updated (RFC 3339, UTC),
// seq, the texts, the scopes and the hash of the entry before.
func auditHash(e *inventory.AuditEntry) string {
	h := sha256.New()
	write := func(s string) { _, _ = fmt.Fprintf(h, "%d:%s,", len(s), s) } // a hash never fails
	write(string(e.ID))
	write(strconv.FormatUint(e.Version, 10))
	write(e.Created.UTC().Format(time.RFC3339Nano))
	write(e.Updated.UTC().Format(time.RFC3339Nano))
	write(strconv.FormatUint(e.Seq, 10))
	for _, text := range auditTexts(e) {
		write(*text)
	}
	for _, scope := range e.Scope {
		write(string(scope))
	}
	write(e.Previous)
	return hex.EncodeToString(h.Sum(nil))
}
