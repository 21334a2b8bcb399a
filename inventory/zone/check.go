package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"mailfleet/inventory"
)

// Resolver asks the DNS. *net.Resolver is one.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// State is how a record stands in the DNS.
type State string

// The states.
const (
	Right     State = "right"
	Missing   State = "missing"
	Different State = "different"
	Unknown   State = "unknown" // the DNS could not be asked
)

// Finding is what the DNS has of a record.
type Finding struct {
	Record
	State State
	Found []string           // in its place, as Value is written
	Note  inventory.Sentence // none when the record is right
}

// Check compares records with the DNS, which is asked for all at once.
func Check(ctx context.Context, r Resolver, records []Record) []Finding {
	list := make([]Finding, len(records))
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i, rec := range records {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			list[i] = check(ctx, r, rec)
		})
	}
	wg.Wait()
	return list
}

func check(ctx context.Context, r Resolver, rec Record) Finding {
	f := Finding{Record: rec}
	found, err := lookup(ctx, r, rec)
	var dns *net.DNSError
	switch {
	case err != nil && !(errors.As(err, &dns) && dns.IsNotFound):
		f.State, f.Note = Unknown, inventory.Say("The DNS could not be asked for %s.", rec.Name)
		return f
	case len(found) == 0:
		f.State, f.Note = Missing, inventory.Say("There is no %s record of %s.", rec.Type, rec.Name)
		return f
	}
	f.Found = found
	f.State, f.Note = compare(rec, found)
	return f
}

// lookup finds the records that stand where rec should.
func lookup(ctx context.Context, r Resolver, rec Record) (found []string, err error) {
	name := rec.Name + "." // complete: no search list
	switch rec.Type {
	case "MX":
		mxs, err := r.LookupMX(ctx, name)
		for _, mx := range mxs {
			found = append(found, fmt.Sprintf("%d %s", mx.Pref, dot(mx.Host)))
		}
		return found, err
	case "SRV":
		_, srvs, err := r.LookupSRV(ctx, "", "", name)
		for _, s := range srvs {
			found = append(found, fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, dot(s.Target)))
		}
		return found, err
	case "CNAME":
		to, err := r.LookupCNAME(ctx, name)
		if to != "" {
			found = []string{dot(to)}
		}
		return found, err
	}
	texts, err := r.LookupTXT(ctx, name)
	version, _, _ := strings.Cut(rec.Value, ";")
	version, _, _ = strings.Cut(version, " ")
	for _, text := range texts { // others may stand beside it
		if begins(text, version) {
			found = append(found, text)
		}
	}
	return found, err
}

// begins tells whether a text is of a version, such as v=spf1.
func begins(text, version string) bool {
	if len(text) < len(version) || !strings.EqualFold(text[:len(version)], version) {
		return false
	}
	rest := text[len(version):]
	return rest == "" || rest[0] == ' ' || rest[0] == ';'
}

func compare(rec Record, found []string) (State, inventory.Sentence) {
	switch rec.Type {
	case "MX", "SRV":
		host := rec.Value[strings.LastIndexByte(rec.Value, ' ')+1:]
		for _, f := range found {
			// Its place in the order is the owner's choice; the port is not.
			if f[strings.LastIndexByte(f, ' ')+1:] == host && (rec.Type == "MX" || port(f) == port(rec.Value)) {
				return Right, inventory.Sentence{}
			}
		}
		return Different, inventory.Say("The %s records of %s lead elsewhere.", rec.Type, rec.Name)
	case "CNAME":
		if found[0] == rec.Value {
			return Right, inventory.Sentence{}
		}
		return Different, inventory.Say("%s leads elsewhere.", rec.Name)
	}
	if len(found) > 1 {
		return Different, inventory.Say("%s has %d records of this kind, of which receivers may use none: leave one.", rec.Name, len(found))
	}
	return compareText(rec, found[0])
}

func port(srv string) string {
	if f := strings.Fields(srv); len(f) == 4 {
		return f[2]
	}
	return ""
}

func compareText(rec Record, found string) (State, inventory.Sentence) {
	want := tags(rec.Value)
	got := tags(found)
	switch rec.Job {
	case Senders:
		have := strings.Fields(strings.ToLower(found))
		for _, term := range strings.Fields(rec.Value) {
			if !strings.HasSuffix(term, "all") && !slices.Contains(have, strings.ToLower(term)) {
				return Different, inventory.Say("The SPF record does not have %s, so mail from there may be refused.", term)
			}
		}
		return Right, inventory.Sentence{}
	case Signature:
		if got["p"] != want["p"] {
			return Different, inventory.Say("The record has another key, so signatures of this domain fail.")
		}
		return Right, inventory.Sentence{}
	case Policy:
		if got["p"] != want["p"] {
			return Different, inventory.Say("The DMARC record has the policy %s.", got["p"])
		}
		return Right, inventory.Sentence{}
	case Reports:
		if got["rua"] != "" {
			return Right, inventory.Sentence{}
		}
	case Transport:
		if got["id"] == want["id"] {
			return Right, inventory.Sentence{}
		}
		return Different, inventory.Say("The record names another version of the policy, so senders may keep an old one.")
	}
	if found == rec.Value {
		return Right, inventory.Sentence{}
	}
	return Different, inventory.Say("The text of the record is another.")
}

// tags reads name=value pairs divided by semicolons.
func tags(s string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(part, "=")
		m[strings.ToLower(strings.TrimSpace(name))] = strings.Join(strings.Fields(value), "")
	}
	return m
}
