package steward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"mailfleet/controller/api"
	mailnodeapi "mailfleet/mailnode/api"
)

// translateMail says domains, accounts, groups and other servers in the mailnode's words.
func translateMail(c *mailnodeapi.Config, d api.Desired) {
	for _, domain := range d.Mail.Domains {
		c.Domains = append(c.Domains, translateDomain(domain))
	}
	for _, a := range d.Mail.Accounts {
		c.Accounts = append(c.Accounts, mailnodeapi.Account{
			ID: string(a.ID), Address: a.Address, PasswordHash: a.Password, Suspended: a.Suspended,
			SCRAM: a.SCRAM, AppPasswords: appPasswords(a),
			QuotaBytes: a.Limits.Quota, QuotaMessages: a.Limits.Messages, MessageBytes: a.Limits.MessageSize, Off: a.Off,
			Aliases: a.Aliases, Forward: a.Forward, Language: a.Language, Recipients: a.Limits.Recipients, SentADay: a.Limits.SentADay,
			SentAnHour: a.Limits.SentAnHour, MessagesAnHour: a.Limits.MessagesAnHour,
		})
	}
	for _, g := range d.Mail.Groups {
		c.Groups = append(c.Groups, mailnodeapi.Group{Address: g.Address, Members: g.Members, Writers: g.Writers})
	}
	for _, h := range d.Mail.Homes {
		if h.Server != d.Server.Name {
			c.Away = append(c.Away, mailnodeapi.Away{Address: h.Address, Aliases: h.Aliases, Server: h.Server, Suspended: h.Suspended})
		}
	}
	for _, p := range d.Mail.Peers {
		if p.Name != d.Server.Name {
			c.Peers = append(c.Peers, mailnodeapi.Peer{Name: p.Name, Address: p.Address})
		}
	}
	c.AwayPartial = d.Mail.Partial
	if d.Gossip.Key != "" { // what all servers of the fleet know, and nobody else
		mac := hmac.New(sha256.New, []byte(d.Gossip.Key))
		mac.Write([]byte("rewritten senders"))
		c.ForwardSecret = hex.EncodeToString(mac.Sum(nil))
	}
	c.Postmaster = postmaster(c)
}

func translateDomain(d api.DesiredDomain) mailnodeapi.Domain {
	domain := mailnodeapi.Domain{
		Name: d.Name, Postmaster: d.Postmaster, MessageBytes: d.MessageSize, Mail: d.Mail, RoutePassword: d.RoutePassword,
	}
	for _, k := range d.DKIM {
		domain.DKIM = append(domain.DKIM, mailnodeapi.DKIMKey{Selector: k.Selector, Private: k.Private})
	}
	for _, id := range slices.Sorted(maps.Keys(d.HookSecrets)) {
		domain.HookSecrets = append(domain.HookSecrets, mailnodeapi.HookSecret{Hook: string(id), Secret: d.HookSecrets[id]})
	}
	return domain
}

// postmaster is who answers for the server: the account that answers for one of the
// domains, the first that has one here, or else on another server.
func postmaster(c *mailnodeapi.Config) string {
	here, away := make(map[string]bool), make(map[string]bool)
	for _, a := range c.Accounts {
		here[a.Address] = true
	}
	for _, a := range c.Away {
		away[a.Address] = true
	}
	for _, accounts := range []map[string]bool{here, away} {
		for _, d := range c.Domains {
			if d.Postmaster != "" && accounts[d.Postmaster] {
				return d.Postmaster
			}
		}
	}
	return ""
}
