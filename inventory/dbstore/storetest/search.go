package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

// auditSearch: a search finds what is in an entry's texts, pages as a list
// does, and takes wildcards and quotes for what they are.
func auditSearch(t *testing.T, open Open) {
	s := open(t, "search")
	entries := []*inventory.AuditEntry{
		{Actor: "operator:ann", Action: "domain.create", Target: "1", Address: "192.0.2.1", After: `{"name":"Example.test","note":"50%"}`},
		{Actor: "operator:bob", Action: "domain.change", Target: "1", Address: "192.0.2.10", Reason: `he said "no" & left_`, Scope: []inventory.Scope{"domain:a.test", "tenant:t"}},
		{Actor: "operator:bob", Action: "person.create", Target: "2", Address: "::1", Reason: "ÄRGER 审计", Scope: []inventory.Scope{"domain:b.test"}},
	}
	update(t, s, func(tx inventory.Tx) error {
		for _, e := range entries {
			fresh := *e
			if err := tx.Audit().Append(&fresh); err != nil {
				return err
			}
			e.Meta = fresh.Meta
		}
		return nil
	})
	search := func(q inventory.Query, in inventory.AuditSearch) string {
		var found []string
		for {
			var next string
			view(t, s, func(tx inventory.Tx) (err error) {
				var page []*inventory.AuditEntry
				page, next, err = tx.Audit().Search(q, in)
				for _, e := range page {
					found = append(found, fmt.Sprint(e.Seq))
				}
				return err
			})
			if next == "" {
				return strings.Join(found, " ")
			}
			q.Cursor = next
		}
	}
	created := entries[0].Created
	for name, c := range map[string]struct {
		q    inventory.Query
		in   inventory.AuditSearch
		want string
	}{
		"all":            {inventory.Query{}, inventory.AuditSearch{}, "1 2 3"},
		"letters":        {inventory.Query{}, inventory.AuditSearch{Text: "EXAMPLE"}, "1"},
		"wildcard":       {inventory.Query{}, inventory.AuditSearch{Text: "0%"}, "1"},
		"underscore":     {inventory.Query{}, inventory.AuditSearch{Text: "ft_"}, "2"},
		"no wildcard":    {inventory.Query{}, inventory.AuditSearch{Text: "do_ain"}, ""},
		"quoted":         {inventory.Query{}, inventory.AuditSearch{Text: `"no" & `}, "2"},
		"in JSON":        {inventory.Query{}, inventory.AuditSearch{Text: `"name":"example`}, "1"},
		"other letters":  {inventory.Query{}, inventory.AuditSearch{Text: "ärger 审"}, "3"},
		"not the JSON":   {inventory.Query{}, inventory.AuditSearch{Text: "request_id"}, ""},
		"address":        {inventory.Query{}, inventory.AuditSearch{Address: "192.0.2.1"}, "1"},
		"newest, paged":  {inventory.Query{Newest: true, Limit: 1}, inventory.AuditSearch{Text: "operator"}, "3 2 1"},
		"with a field":   {inventory.Query{Where: map[string][]string{"actor": {"operator:bob"}}}, inventory.AuditSearch{Text: "test"}, ""},
		"scope":          {inventory.Query{Where: map[string][]string{"scope": {"tenant:t", "domain:b.test"}}}, inventory.AuditSearch{}, "2 3"},
		"scope and text": {inventory.Query{Where: map[string][]string{"scope": {"tenant:t"}}}, inventory.AuditSearch{Text: "bob"}, "2"},
		"from":           {inventory.Query{}, inventory.AuditSearch{From: created}, "1 2 3"},
		"to":             {inventory.Query{}, inventory.AuditSearch{To: created}, ""},
		"between":        {inventory.Query{}, inventory.AuditSearch{From: created.Add(-time.Hour), To: created.Add(time.Hour)}, "1 2 3"},
		"later":          {inventory.Query{}, inventory.AuditSearch{From: created.Add(time.Hour)}, ""},
	} {
		wantEqual(t, name, search(c.q, c.in), c.want)
	}
}
