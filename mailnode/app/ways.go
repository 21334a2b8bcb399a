package app

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/guard"
	"mailfleet/mailnode/origin"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/smtpd"
)

// rewrite is the reverse-path of mail that is forwarded outside for an address.
func (f *flow) rewrite(from, via string) (string, error) {
	d := f.terms.Load().domains[domainOf(via)]
	if d == nil {
		return from, nil
	}
	return d.srs.Forward(from, time.Now())
}

// reverse is whom mail for a rewritten reverse-path is for.
func (f *flow) reverse(address string) (original string, ok bool) {
	if len(address) < 5 || !strings.EqualFold(address[:3], "srs") {
		return "", false
	}
	d := f.terms.Load().domains[domainOf(address)]
	if d == nil {
		return "", false
	}
	original, err := d.srs.Reverse(address, time.Now())
	return original, err == nil
}

// server is how another server of the fleet is reached.
func (f *flow) server(name string) *outbound.Route { return f.terms.Load().peers[name] }

// route is the smart host for the mail of a sender.
func (f *flow) route(sender, _ string) *outbound.Route {
	if d := f.terms.Load().domains[sender]; d != nil {
		return d.route
	}
	return nil
}

// language is that of an address's account.
func (a *App) language(address string) string {
	account, err := a.directory.Recipient(address)
	if err != nil || account.Language == "" {
		return "zh-CN"
	}
	return account.Language
}

// recipients implements smtpd.Recipients.
type recipients struct{ *App }

// Judge implements smtpd.Recipients.
func (r recipients) Judge(_ context.Context, from directory.Sender, address string, size int64) (largest int64, err error) {
	if _, ok := r.flow.reverse(address); ok {
		return 0, nil
	}
	route, err := r.directory.Resolve(address, from)
	if err != nil || route.MessageBytes > 0 && size > route.MessageBytes { // there is an answer for that
		return route.MessageBytes, err
	}
	if len(route.Targets) == 1 && route.Targets[0].Account != nil {
		err = r.store.CanTake(route.Targets[0].Account.ID, 1, size)
	}
	return route.MessageBytes, err
}

// senders implements smtpd.Senders.
type senders struct{ *directory.Directory }

// MaySend implements smtpd.Senders.
func (s senders) MaySend(account *directory.Account, from envelope.Address) bool {
	return s.Owns(account.ID, from.String())
}

// allowance implements smtpd.Allowance.
type allowance struct{ *App }

func (w allowance) plan(account string) guard.Plan {
	a, _ := w.directory.ByID(account)
	s := w.flow.terms.Load().mail.Submission
	return guard.Plan{
		Recipients: a.Recipients, SentADay: a.SentADay,
		SentAnHour: cmp.Or(a.SentAnHour, s.SentAnHour, 3000), MessagesAnHour: cmp.Or(a.MessagesAnHour, s.MessagesAnHour, 1000),
	}
}

// Recipient implements smtpd.Allowance.
func (w allowance) Recipient(ctx context.Context, account string, already int) error {
	verdict, err := w.flow.brake.Recipient(ctx, account, already, w.plan(account))
	if err == nil && verdict.Refusal != nil {
		return verdict.Refusal
	}
	return err
}

// Message implements smtpd.Allowance.
func (w allowance) Message(ctx context.Context, e *envelope.Envelope) error {
	verdict, err := w.flow.brake.Message(ctx, e.Account, len(e.Recipients), w.plan(e.Account))
	switch {
	case err != nil:
		return err
	case verdict.Refusal != nil:
		return verdict.Refusal
	case verdict.Hold:
		e.Held = "its sender writes to far more recipients than usual"
	}
	return nil
}

// Sign implements smtpd.Signer and outbound.Signer.
func (f *flow) Sign(_ context.Context, domain string, message io.Reader) ([]byte, error) {
	d := f.terms.Load().domains[strings.ToLower(domain)]
	if d == nil || len(d.keys) == 0 {
		return nil, nil
	}
	signer, err := origin.NewSigner(domain, d.keys, time.Now())
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(signer, message); err != nil {
		return nil, err
	}
	fields, err := signer.Fields()
	return []byte(fields), err
}

// Signed implements outbound.Signer.
func (f *flow) Signed(domain, name string, value []byte) bool {
	return origin.Signed(domain, name, value)
}

// Judge implements smtpd.Judge.
func (f *flow) Judge(ctx context.Context, m smtpd.Arrival) (smtpd.Verdict, error) {
	var v smtpd.Verdict
	if v.Refusal = f.guard.Message(m.Peer.Address, f.without(m.Peer.Port, "")); v.Refusal == nil {
		return f.origins(ctx, m)
	}
	return v, nil
}

// origins judges where a message is from. Of several domains of recipients the mildest
// decides: none has its mail treated more strictly than it wants.
func (f *flow) origins(ctx context.Context, m smtpd.Arrival) (verdict smtpd.Verdict, err error) {
	t, accept := f.terms.Load(), origin.Refuse
	strict := []origin.Action{origin.Accept, origin.Mark, origin.Quarantine, origin.Refuse}
	for _, r := range m.Envelope.Recipients {
		if d := t.domains[domainOf(r.Address)]; d != nil && slices.Index(strict, d.accept) < slices.Index(strict, accept) {
			accept = d.accept
		}
	}
	if accept == origin.Accept {
		return verdict, nil
	}
	v, err := t.judge.Judge(ctx, origin.Message{Peer: m.Peer.Address, Helo: m.Peer.Helo, From: m.Envelope.From}, m.Open())
	if err != nil {
		return smtpd.Verdict{}, err
	}
	verdict.Fields = []byte(v.Header)
	switch v.Disposition(accept) {
	case origin.Refuse:
		verdict.Refusal = v.Refusal()
	case origin.Quarantine:
		verdict.Quarantine = "it fails the DMARC policy of " + v.DMARC.Domain
	}
	return verdict, nil
}

// reputation implements smtpd.Reputation.
type reputation struct{ *flow }

// Connect implements smtpd.Reputation.
func (r reputation) Connect(ctx context.Context, p smtpd.Peer) smtpd.Opinion {
	o := r.guard.Connect(ctx, p.Address, r.without(p.Port, ""))
	return smtpd.Opinion{Refusal: o.Refusal, Delay: o.Delay, Name: o.Name}
}

// Recipient implements smtpd.Reputation.
func (r reputation) Recipient(ctx context.Context, p smtpd.Peer, from, to string) smtpd.Opinion {
	o := r.guard.Recipient(ctx, guard.Attempt{
		Address: p.Address, From: from, To: to,
		SPF: func(ctx context.Context) bool {
			return r.terms.Load().judge.SPF(ctx, p.Address, p.Helo, from).Result == origin.Pass
		},
		Without: func(domain string) guard.Without { return r.without(p.Port, domain) },
	})
	return smtpd.Opinion{Refusal: o.Refusal, Delay: o.Delay, Name: o.Name, Marks: o.Marks}
}

// Erred implements smtpd.Reputation.
func (r reputation) Erred(p smtpd.Peer) { r.guard.Erred(p.Address) }

// domainOf is the domain of an address, in lower case.
func domainOf(address string) string {
	_, domain, _ := strings.Cut(address[max(0, strings.LastIndexByte(address, '@')):], "@")
	return strings.ToLower(domain)
}
