package rest

import (
	"context"
	"errors"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) auditRoutes() {
	add(s, operation{"list-audit", http.MethodGet, "/audit", "List audit entries, newest first", inventory.Audit, auth.Read, 0, ""}, s.listAudit)
	add(s, operation{"verify-audit", http.MethodGet, "/audit/verify", "Check the chain of audit entries", auth.Chain, auth.Read, 0,
		"Reads all of it."}, s.verifyAudit)
}

type auditInput struct {
	Paging
	Actor    []string `query:"actor"`
	Action   []string `query:"action"`
	Resource []string `query:"resource"`
	Target   []string `query:"target"`
}

func (s *Server) listAudit(ctx context.Context, in *auditInput) (*page[*inventory.AuditEntry], error) {
	where := map[string][]string{"actor": in.Actor, "action": in.Action, "resource": in.Resource, "target": in.Target}
	return readPage(ctx, s, in.Paging, []inventory.Kind{inventory.Audit}, func(tx inventory.Tx) ([]*inventory.AuditEntry, string, error) {
		return tx.Audit().List(in.query(true, where))
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
		out.Body.Problem = broken.Message
	default:
		return nil, err
	}
	return out, nil
}
