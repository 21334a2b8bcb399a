package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/dkim"
	"mailfleet/inventory"
	"mailfleet/inventory/domainkey"
)

// DNS looks up what the world sees. net.Resolver is one.
type DNS interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

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
	out := &recordsOutput{}
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		d, _, err := s.domains().visible(ctx, tx, in.ID)
		if err != nil {
			return err
		}
		servers, err := exchangers(tx)
		if err != nil {
			return err
		}
		keys, err := dkim.Of(tx, d.Name)
		if err != nil {
			return err
		}
		out.Body = recordsOf(d, servers, keys)
		return nil
	})
	if err == nil && in.Check {
		s.checkRecords(ctx, out.Body.Records)
	}
	return out, err
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

// recordsOf are the records to publish for a domain.
func recordsOf(d *inventory.Domain, servers []*inventory.Server, keys []*inventory.DKIMKey) api.DomainRecords {
	out := api.DomainRecords{Domain: d.Name, Records: []api.DNSRecord{}}
	add := func(purpose, kind, name, value string) {
		out.Records = append(out.Records, api.DNSRecord{Purpose: purpose, Type: kind, Name: name, Value: value, State: "unchecked", Found: []string{}})
	}
	spf := "v=spf1"
	for _, server := range servers {
		add("mx", "MX", d.Name, "10 "+server.Name+".")
		if a, err := netip.ParseAddr(server.Address); err == nil {
			spf += map[bool]string{true: " ip4:", false: " ip6:"}[a.Is4()] + server.Address
		}
	}
	if d.Mail.Route.Host != "" {
		spf += " a:" + d.Mail.Route.Host
	}
	add("spf", "TXT", d.Name, spf+" -all")
	for _, k := range keys {
		add("dkim", "TXT", domainkey.Name(k.Selector, d.Name), k.Record)
	}
	report := d.Mail.Report
	if report == "" {
		report = "postmaster@" + d.Name
	}
	policy := map[inventory.Handling]string{inventory.HandleQuarantine: "quarantine", inventory.HandleRefuse: "reject"}[d.Mail.Policy]
	if policy == "" {
		policy = "none"
	}
	add("dmarc", "TXT", "_dmarc."+d.Name, "v=DMARC1; p="+policy+"; rua=mailto:"+report)
	add("tls-rpt", "TXT", "_smtp._tls."+d.Name, "v=TLSRPTv1; rua=mailto:"+report)
	if mode := d.Mail.MTASTS; mode != "" && mode != "none" {
		out.Policy = "version: STSv1\r\nmode: " + mode + "\r\n"
		for _, server := range servers {
			out.Policy += "mx: " + server.Name + "\r\n"
		}
		out.Policy += "max_age: 604800\r\n"
		id := sha256.Sum256([]byte(out.Policy)) // another one with each change (RFC 8461 §3.1)
		add("mta-sts", "TXT", "_mta-sts."+d.Name, "v=STSv1; id="+hex.EncodeToString(id[:16]))
	}
	return out
}

// checkRecords fills in what the DNS has.
func (s *Server) checkRecords(ctx context.Context, records []api.DNSRecord) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	type answer struct {
		values []string
		err    error
	}
	answers := make(map[string]*answer)
	var wait sync.WaitGroup
	for _, r := range records {
		key := r.Type + " " + r.Name
		if answers[key] != nil {
			continue
		}
		a := &answer{}
		answers[key] = a
		wait.Go(func() { a.values, a.err = s.lookup(ctx, r.Type, r.Name) })
	}
	wait.Wait()
	for i := range records {
		a := answers[records[i].Type+" "+records[i].Name]
		compare(&records[i], a.values, a.err)
	}
}

func (s *Server) lookup(ctx context.Context, kind, name string) (values []string, err error) {
	if kind == "TXT" {
		return s.DNS.LookupTXT(ctx, name+".")
	}
	list, err := s.DNS.LookupMX(ctx, name+".")
	for _, mx := range list {
		values = append(values, fmt.Sprintf("%d %s", mx.Pref, strings.ToLower(mx.Host)))
	}
	return values, err
}

// compare says how what was found is to what is wanted. Of texts only those count
// that are for the same purpose: the domain's own name has others, too.
func compare(r *api.DNSRecord, values []string, err error) {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		err = nil
	}
	if err != nil && len(values) == 0 {
		r.State = "unknown"
		return
	}
	version, _, _ := strings.Cut(r.Value, ";")
	version, _, _ = strings.Cut(version, " ")
	for _, v := range values {
		same := v == r.Value
		switch {
		case r.Purpose == "dkim":
			same = dkim.Same(v, r.Value)
		case r.Type == "MX":
			_, host, _ := strings.Cut(v, " ") // the preference is the administrator's choice
			_, wanted, _ := strings.Cut(r.Value, " ")
			same = host == wanted
		case !strings.HasPrefix(v, version):
			continue
		}
		if same {
			r.State, r.Found = "found", []string{}
			return
		}
		r.Found = append(r.Found, v)
	}
	slices.Sort(r.Found)
	r.State = "missing"
	if len(r.Found) > 0 && r.Type != "MX" {
		r.State = "different"
	}
}
