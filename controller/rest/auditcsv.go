package rest

import (
	"context"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// csvBatch is how many entries are read for the CSV at once.
const csvBatch = 1000

func (s *Server) auditCSVRoute() {
	add(s, operation{"export-audit", http.MethodGet, "/audit.csv", "Audit entries as CSV, oldest first", inventory.Audit, auth.Read, 0,
		"All that match, with a header line (RFC 4180)."}, s.exportAudit)
	o := s.api.OpenAPI()
	o.Paths["/api/v1/audit.csv"].Get.Responses["200"].Content = map[string]*huma.MediaType{
		"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}},
	}
}

var csvHeader = []string{
	"seq", "time", "actor", "address", "action", "resource", "target", "scope", "reason", "before", "after", "request_id", "previous", "hash",
}

type exportAuditInput struct {
	AuditFilter
}

func (s *Server) exportAudit(ctx context.Context, in *exportAuditInput) (*huma.StreamResponse, error) {
	search, err := in.search(time.Now())
	if err != nil {
		return nil, err
	}
	// The first batch is read before the answer begins, so that errors are still told.
	q := inventory.Query{Where: set(in.where()), Limit: csvBatch}
	batch, next, err := s.auditBatch(ctx, q, search)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		g := humagin.Unwrap(hc)
		g.Header("Content-Type", "text/csv; charset=utf-8; header=present")
		g.Header("Content-Disposition", `attachment; filename="audit.csv"`)
		c := callOf(g.Request.Context())
		w := csv.NewWriter(g.Writer)
		w.UseCRLF = true
		err := w.Write(csvHeader)
		for err == nil {
			c.extend(writeTimeout)
			if err = writeEntries(w, batch); err != nil || next == "" {
				break
			}
			q.Cursor = next
			batch, next, err = s.auditBatch(ctx, q, search)
		}
		if err != nil {
			s.Logger.Warn("audit export ended early", "cid", c.id, "err", err)
			panic(http.ErrAbortHandler) // half a file must not look whole
		}
	}}, nil
}

// auditBatch reads entries in a transaction of their own, so that an export
// of millions holds nothing up. What was read before stays as it is.
func (s *Server) auditBatch(ctx context.Context, q inventory.Query, search inventory.AuditSearch) (batch []*inventory.AuditEntry, next string, err error) {
	err = s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		batch, next, err = s.searchAudit(ctx, tx, q, search)
		return err
	})
	return batch, next, err
}

func writeEntries(w *csv.Writer, batch []*inventory.AuditEntry) error {
	for _, e := range batch {
		scopes := make([]string, len(e.Scope))
		for i, s := range e.Scope {
			scopes[i] = string(s)
		}
		line := []string{
			strconv.FormatUint(e.Seq, 10), e.Created.UTC().Format(time.RFC3339Nano), e.Actor, e.Address, e.Action, e.Resource, e.Target,
			strings.Join(scopes, " "), e.Reason, e.Before, e.After, e.RequestID, e.Previous, e.Hash,
		}
		for i, cell := range line {
			line[i] = inert(cell)
		}
		if err := w.Write(line); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// inert keeps a spreadsheet from taking a text that somebody chose for a formula.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
