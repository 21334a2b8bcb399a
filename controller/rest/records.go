package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/dkim"
	"mailfleet/inventory"
	"mailfleet/inventory/zone"
)

// dnsTime is how long the DNS has to answer.
const dnsTime = 8 * time.Second

type recordsInput struct {
	Named
	Check bool `query:"check" doc:"Compare with what the DNS has"`
}

type recordsOutput struct {
	Body api.DomainRecords
}

func (s *Server) listDomainRecords(ctx context.Context, in *recordsInput) (*recordsOutput, error) {
	var plan zone.Plan
	out := &recordsOutput{api.DomainRecords{Records: []api.DNSRecord{}}}
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		d, _, err := s.domains().visible(ctx, tx, in.ID)
		if err != nil {
			return err
		}
		out.Body.Domain = d.Name
		if plan, err = s.planOf(tx, d); err != nil {
			return err
		}
		if mode := d.Mail.MTASTS; mode != "" && mode != "none" && len(plan.Hosts) > 0 {
			out.Body.Policy, plan.PolicyID = stsPolicy(mode, plan.Hosts)
			plan.PolicyHost = plan.Hosts[0].Name
		}
		return nil
	})
	if err != nil || len(plan.Hosts) == 0 { // nobody takes its mail: there is nothing to publish
		return out, err
	}
	records, err := plan.Records()
	if err != nil {
		return nil, err
	}
	findings := make([]zone.Finding, len(records))
	for i, r := range records {
		findings[i] = zone.Finding{Record: r, State: "unchecked"}
	}
	if in.Check {
		ctx, cancel := context.WithTimeout(ctx, dnsTime)
		defer cancel()
		findings = zone.Check(ctx, s.DNS, records)
	}
	for _, f := range findings {
		r := api.DNSRecord{
			Purpose: string(f.Job), Type: f.Type, Name: f.Name, Value: f.Value, Zone: f.String(), Needed: f.Needed,
			State: string(f.State), Found: append([]string{}, f.Found...), Note: f.Note.String(),
		}
		if r.Note != "" {
			r.Said = &f.Note
		}
		out.Body.Records = append(out.Body.Records, r)
	}
	return out, nil
}

// exchangers are the servers that take mail from the world.
func exchangers(tx inventory.Tx) (list []*inventory.Server, err error) {
	services, _, err := tx.Services().List(inventory.Query{Where: map[string][]string{"kind": {string(inventory.KindMailnode)}}})
	if err != nil {
		return nil, err
	}
	takes := make(map[inventory.ID]bool)
	for _, v := range services {
		takes[v.Server] = takes[v.Server] || v.Ports["smtp"] != 0
	}
	servers, _, err := tx.Servers().List(inventory.Query{Where: map[string][]string{"state": present}})
	for _, server := range servers {
		if takes[server.ID] {
			list = append(list, server)
		}
	}
	return list, err
}

// planOf is what the records of a domain are made of.
func (s *Server) planOf(tx inventory.Tx, d *inventory.Domain) (zone.Plan, error) {
	plan := zone.Plan{Domain: d.Name, ReportTo: d.Mail.Report, Policy: dmarcPolicy(d.Mail.Policy)}
	if plan.ReportTo == "" {
		plan.ReportTo = "postmaster@" + d.Name
	}
	servers, err := exchangers(tx)
	if err != nil {
		return plan, err
	}
	for _, server := range servers {
		host := zone.Host{Name: server.Name}
		if a, err := netip.ParseAddr(server.Address); err == nil {
			host.Addresses = append(host.Addresses, a)
		}
		plan.Hosts = append(plan.Hosts, host)
	}
	keys, err := dkim.Of(tx, d.Name)
	if err != nil {
		return plan, err
	}
	for _, k := range keys {
		key, err := dkim.Open(s.Seal, k)
		if err != nil {
			s.Logger.Warn("a DKIM key cannot be opened", "domain", d.Name, "selector", k.Selector, "err", err)
			continue
		}
		plan.Keys = append(plan.Keys, key)
	}
	return plan, nil
}

// dmarcPolicy is what others are asked to do, in the words of RFC 7489.
func dmarcPolicy(h inventory.Handling) string {
	switch h {
	case inventory.HandleQuarantine:
		return "quarantine"
	case inventory.HandleRefuse:
		return "reject"
	default:
		return "none"
	}
}

// stsPolicy is the MTA-STS policy of a domain (RFC 8461 §3.2) and its id, another one with
// each change.
func stsPolicy(mode string, hosts []zone.Host) (text, id string) {
	text = "version: STSv1\r\nmode: " + mode + "\r\n"
	for _, h := range hosts {
		text += "mx: " + h.Name + "\r\n"
	}
	text += "max_age: 604800\r\n"
	sum := sha256.Sum256([]byte(text))
	return text, hex.EncodeToString(sum[:16])
}
