package rest

import (
	"context"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// failures goes through what was noted on all servers, so many asked for at once.
func (s *Server) failures(l ledgerScope, most int) *merge[inventory.MailFailure] {
	return &merge[inventory.MailFailure]{
		s: s, servers: l.servers, time: ledgerTime, key: (*inventory.MailFailure).Key,
		page: func(ctx context.Context, at *inventory.Server, after string) ([]inventory.MailFailure, string, error) {
			q := l.query
			q.After, q.Limit = after, most
			page, err := s.Mailnodes.MailFailures(ctx, at.ID, q)
			return page.Failures, page.Next, err
		},
	}
}

// nameFailures gives failures the addresses of their accounts.
func (s *Server) nameFailures(ctx context.Context, list []inventory.MailFailure) ([]api.MailFailure, error) {
	names := make(map[inventory.ID]string)
	for _, f := range list {
		names[f.Account] = ""
	}
	err := s.addressesOf(ctx, names)
	items := make([]api.MailFailure, 0, len(list))
	for _, f := range list {
		items = append(items, api.MailFailure{MailFailure: f, Address: names[f.Account]})
	}
	return items, err
}

type mailFailuresInput struct {
	LedgerFilter
	LedgerPaging
}

type mailFailuresOutput struct {
	Body api.MailFailures
}

func (s *Server) listMailFailures(ctx context.Context, in *mailFailuresInput) (*mailFailuresOutput, error) {
	l, err := s.ledgerScope(ctx, in.LedgerFilter, nil)
	if err != nil {
		return nil, err
	}
	callOf(ctx).extend(ledgerTime + writeTimeout)
	m := s.failures(l, in.Limit)
	m.from(in.Cursor)
	list, next := m.take(ctx, in.Limit)
	out := &mailFailuresOutput{api.MailFailures{Next: next, Silent: toldSilent(l.reach, m.silent), Partial: len(m.silent) > 0}}
	out.Body.Items, err = s.nameFailures(ctx, list)
	return out, err
}

type exportMailFailuresInput struct {
	LedgerFilter
}

func (s *Server) exportMailFailures(ctx context.Context, in *exportMailFailuresInput) (*huma.StreamResponse, error) {
	l, err := s.ledgerScope(ctx, in.LedgerFilter, nil)
	if err != nil {
		return nil, err
	}
	header := []string{"time", "account", "address", "message", "from", "to", "host", "code", "status", "text"}
	return streamCSV(ctx, s, "failures.csv", header, s.failures(l, csvRows), func(ctx context.Context, list []inventory.MailFailure) ([][]string, error) {
		items, err := s.nameFailures(ctx, list)
		lines := make([][]string, 0, len(items))
		for _, f := range items {
			lines = append(lines, []string{
				f.At.UTC().Format(time.RFC3339), string(f.Account), f.Address, f.Message, f.From, f.To, f.Host, strconv.Itoa(f.Code), f.Status, f.Text,
			})
		}
		return lines, err
	})
}
