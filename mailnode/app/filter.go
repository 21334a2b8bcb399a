package app

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/milter"
	"mailfleet/mailnode/smtpd"
)

// chains are the milters that see mail of others, and those that see mail of users.
type chains struct{ receiving, submission *milter.Chain }

// chainsOf makes the chains of a configuration.
func chainsOf(c *api.Config, log *slog.Logger) (all chains, err error) {
	var receiving, submission []milter.Settings
	for _, m := range c.Mail.Milters {
		s := milter.Settings{
			Name: m.Address, Address: m.Address, Required: m.OnFailure != "accept",
			Timeout: time.Duration(m.Timeout), // 0: the package's own
		}
		if len(m.On) == 0 || slices.Contains(m.On, "receiving") {
			receiving = append(receiving, s)
		}
		if len(m.On) == 0 || slices.Contains(m.On, "submission") {
			submission = append(submission, s)
		}
	}
	if all.receiving, err = milter.New(receiving, log); err != nil {
		return all, err
	}
	all.submission, err = milter.New(submission, log)
	return all, err
}

// filter implements smtpd.Filter with the milters in force.
type filter struct{ *App }

// Connect implements smtpd.Filter.
func (f filter) Connect(ctx context.Context, p smtpd.Peer) (smtpd.FilterSession, milter.Ruling) {
	all := f.flow.chains.Load()
	chain := all.submission
	switch p.Kind {
	case smtpd.Receiving:
		chain = all.receiving
	case smtpd.LMTP:
		return nil, milter.Ruling{}
	}
	if chain.Empty() {
		return nil, milter.Ruling{}
	}
	name := f.smtpd.Hostname()
	s, ruling := chain.Connect(ctx, visitor(p, name))
	return filtered{s, name}, ruling
}

// filtered implements smtpd.FilterSession.
type filtered struct {
	*milter.Session
	server string
}

// Helo implements smtpd.FilterSession.
func (f filtered) Helo(ctx context.Context, p smtpd.Peer) milter.Ruling {
	return f.Session.Helo(ctx, visitor(p, f.server))
}

// Message implements smtpd.FilterSession.
func (f filtered) Message(ctx context.Context, m smtpd.Arrival) milter.Ruling {
	return f.Session.Message(ctx, milter.Message{ID: m.Envelope.ID, Header: m.Header, Open: m.Open})
}

func visitor(p smtpd.Peer, server string) milter.Peer {
	v := milter.Peer{Name: p.Name, Helo: p.Helo, Server: server}
	if p.Address.IsValid() {
		v.Address = netip.AddrPortFrom(p.Address, 0)
	}
	if p.TLS {
		v.TLS = "TLS"
	}
	return v
}
