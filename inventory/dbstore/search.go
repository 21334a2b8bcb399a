package dbstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"mailfleet/inventory"
)

// searchPage is how many entries a search reads at once.
const searchPage = 1000

// clockSlack is how far behind an ID's time the clock may have been set back
// without a search missing the entry.
const clockSlack = 24 * time.Hour

// Search implements inventory.AuditLog. The database leaves out most of what
// does not match; what it lets through is looked at again.
func (l auditLog) Search(q inventory.Query, s inventory.AuditSearch) (page []*inventory.AuditEntry, next string, err error) {
	if s == (inventory.AuditSearch{}) {
		return l.List(q)
	}
	text := strings.ToLower(s.Text)
	for {
		found, err := l.candidates(q, s)
		if err != nil {
			return nil, "", err
		}
		for _, f := range found {
			e, err := decode[*inventory.AuditEntry](f)
			if err != nil {
				return nil, "", err
			}
			if !matches(e, s, text) {
				continue
			}
			if q.Limit > 0 && len(page) == q.Limit { // there is one more: a next page
				return page, cursorAfter(page[q.Limit-1].ID), nil
			}
			page = append(page, e)
		}
		if len(found) < searchPage {
			return page, "", nil
		}
		q.Cursor = cursorAfter(found[len(found)-1].ID)
	}
}

// candidates reads the next rows that may match.
func (l auditLog) candidates(q inventory.Query, s inventory.AuditSearch) (found []row, err error) {
	query, err := l.query(&found, q)
	if err != nil {
		return nil, err
	}
	if !s.From.IsZero() {
		query = query.Where("id >= ?", idAt(s.From))
	}
	if !s.To.IsZero() {
		query = query.Where("id < ?", idAt(s.To.Add(clockSlack)))
	}
	if s.Address != "" {
		query = query.Where("doc LIKE ? ESCAPE '!'", like(s.Address))
	}
	if ascii(s.Text) { // the database's lower may know no other letters
		once := quoted(strings.ToLower(s.Text))
		query = query.Where("(lower(doc) LIKE ? ESCAPE '!' OR lower(doc) LIKE ? ESCAPE '!')", like(once), like(quoted(once)))
	}
	order := "id"
	if q.Newest {
		order = "id DESC"
	}
	return found, l.fail(query.Order(order).Limit(searchPage).Scan(l.ctx))
}

func matches(e *inventory.AuditEntry, s inventory.AuditSearch, text string) bool {
	switch {
	case s.Address != "" && e.Address != s.Address,
		!s.From.IsZero() && e.Created.Before(s.From),
		!s.To.IsZero() && !e.Created.Before(s.To):
		return false
	case text == "":
		return true
	}
	for _, t := range auditTexts(e) {
		if strings.Contains(strings.ToLower(*t), text) {
			return true
		}
	}
	return false
}

// idAt is where the IDs made at t begin (RFC 9562 §5.7).
func idAt(t time.Time) string {
	ms := max(0, t.UnixMilli())
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// quoted is s as it stands inside a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always can be
	return string(b[1 : len(b)-1])
}

var wild = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// like is the pattern of texts that hold s, with ! as its escape.
func like(s string) string { return "%" + wild.Replace(s) + "%" }

func ascii(s string) bool {
	for _, r := range s {
		if r >= 0x80 {
			return false
		}
	}
	return s != ""
}
