package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) mailboxRoutes() {
	add(s, operation{"list-mailboxes", http.MethodGet, "/accounts/{id}/mailboxes", "What an account's mailboxes hold and may hold", inventory.Accounts, auth.Read, 0,
		"The account's server is asked: 503 while it is away."}, s.listMailboxes)
	add(s, operation{"list-sign-ins", http.MethodGet, "/accounts/{id}/sign-ins", "The last sign-ins to an account by mail", inventory.Accounts, auth.Read, 0,
		"Good and failed ones, alike ones as one, the latest first. The account's server is asked: 503 while it is away."}, s.listSignIns)
}

type mailboxesOutput struct {
	Body api.AccountMailboxes
}

func (s *Server) listMailboxes(ctx context.Context, in *Named) (*mailboxesOutput, error) {
	account, err := s.getAccount(ctx, in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	held, err := s.Mailnodes.Mailboxes(ctx, account.Body.Server, account.Body.ID)
	if err != nil {
		return nil, err
	}
	held.Mailboxes = append([]inventory.Mailbox{}, held.Mailboxes...)
	limits := account.Body.Effective.Limits
	return &mailboxesOutput{api.AccountMailboxes{Mailboxes: held, Quota: limits.Quota, MaxMessages: limits.Messages}}, nil
}

type signInsOutput struct {
	Body api.MailSignIns
}

func (s *Server) listSignIns(ctx context.Context, in *Named) (*signInsOutput, error) {
	account, err := s.accounts().get(ctx, in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	list, err := s.Mailnodes.SignIns(ctx, account.Body.Server, account.Body.ID)
	if err != nil {
		return nil, err
	}
	return &signInsOutput{api.MailSignIns{Items: append([]inventory.MailSignIn{}, list...)}}, nil
}
