package app

import (
	"strings"
	"time"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/hook"
	"mailfleet/mailnode/queue"
)

// hookSettings are those of the domains' hooks.
func hookSettings(c *api.Config) hook.Settings {
	s := hook.Settings{Server: c.Server, Networks: networks(c.Mail.HooksTo)}
	for i := range c.Domains {
		d := &c.Domains[i]
		secrets := map[string]string{}
		for _, secret := range d.HookSecrets {
			secrets[secret.Hook] = secret.Secret
		}
		for _, h := range d.Mail.Hooks {
			t := hook.Target{ID: string(h.ID), URL: h.URL, Domain: strings.ToLower(d.Name), Secrets: []string{secrets[string(h.ID)]}}
			for _, kind := range h.Events {
				t.Kinds = append(t.Kinds, hook.Kind(kind))
			}
			s.Targets = append(s.Targets, t)
		}
	}
	return s
}

// tell tells the hooks what became of a recipient: those of the recipient's domain, and
// those of the sender's.
func (f *flow) tell(e queue.Event) {
	event := hook.Event{
		Kind: hook.Kind(e.Kind), At: time.Now().UTC(), Message: e.Envelope.ID, Account: e.Envelope.Account,
		From: e.Envelope.From, To: e.Recipient.Address, Peer: e.Outcome.Host, Reply: e.Outcome.Reply, Reason: e.Outcome.Text,
		Size: e.Size,
	}
	terms := f.terms.Load()
	from, to := domainOf(e.Envelope.From), domainOf(e.Recipient.Address)
	for i, domain := range []string{to, from} {
		if terms.domains[domain] == nil || i > 0 && from == to {
			continue
		}
		event.Domain = domain
		f.hooks.Emit(event)
	}
}
