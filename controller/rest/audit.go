package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) auditRoutes() {
	add(s, operation{"list-audit", http.MethodGet, "/audit", "List audit entries, newest first", inventory.Audit, auth.Read, 0, ""}, s.listAudit)
	add(s, operation{"verify-audit", http.MethodGet, "/audit/verify", "Check the chain of audit entries", auth.Chain, auth.Read, 0,
		"Reads all of it."}, s.verifyAudit)
	s.auditCSVRoute()
}

// AuditFilter is the input that chooses audit entries.
type AuditFilter struct {
	Actor    []string `query:"actor"`
	Action   []string `query:"action"`
	Resource []string `query:"resource"`
	Target   []string `query:"target"`
	Text     string   `query:"text" maxLength:"200" doc:"Somewhere in the entry, in whatever case"`
	Address  string   `query:"address" maxLength:"100" doc:"It came from"`
	From     string   `query:"from" doc:"RFC 3339, unix seconds, or -1h for an hour ago"`
	To       string   `query:"to" doc:"As from; entries before it"`
}

func (f AuditFilter) where() map[string][]string {
	return map[string][]string{"actor": f.Actor, "action": f.Action, "resource": f.Resource, "target": f.Target}
}

func (f AuditFilter) search(now time.Time) (s inventory.AuditSearch, err error) {
	s = inventory.AuditSearch{Text: f.Text, Address: f.Address}
	if f.From != "" {
		if s.From, err = parseMoment("from", f.From, now); err != nil {
			return s, err
		}
	}
	if f.To != "" {
		s.To, err = parseMoment("to", f.To, now)
	}
	return s, err
}

type auditInput struct {
	Paging
	AuditFilter
}

func (s *Server) listAudit(ctx context.Context, in *auditInput) (*page[*inventory.AuditEntry], error) {
	search, err := in.search(time.Now())
	if err != nil {
		return nil, err
	}
	return readPage(ctx, s, in.Paging, []inventory.Kind{inventory.Audit}, func(tx inventory.Tx) ([]*inventory.AuditEntry, string, error) {
		return s.searchAudit(ctx, tx, in.query(true, in.where()), search)
	})
}

// searchAudit searches the entries about what lies in the caller's scope.
func (s *Server) searchAudit(ctx context.Context, tx inventory.Tx, q inventory.Query, search inventory.AuditSearch) ([]*inventory.AuditEntry, string, error) {
	return within(ctx, tx, inventory.Audit, q, func(q inventory.Query) ([]*inventory.AuditEntry, string, error) {
		return tx.Audit().Search(q, search)
	})
}

type auditCheckOutput struct {
	Body api.AuditCheck
}

func (s *Server) verifyAudit(ctx context.Context, _ *struct{}) (*auditCheckOutput, error) {
	out := &auditCheckOutput{}
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		out.Body.Entries, err = tx.Audit().Verify()
		return err
	})
	broken, ok := errors.AsType[*inventory.Error](err)
	switch {
	case err == nil:
		out.Body.Intact = true
	case ok && broken.Code == inventory.Conflict:
		out.Body.Problem, out.Body.Said = broken.Message, broken.Said.Beside()
	default:
		return nil, err
	}
	return out, nil
}
