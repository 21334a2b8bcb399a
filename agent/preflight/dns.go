package preflight

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailfleet/inventory"
)

// lookupLimit is how long a question to the resolver may take.
const lookupLimit = 3 * time.Second

// address looks whether the server's address is this machine's: its services
// could not listen on another's.
func address(_ context.Context, s System, f Facts) result {
	want, err := netip.ParseAddr(f.Address)
	if err != nil {
		return result{state: inventory.CheckSkipped, found: say("the server's address is not known")}
	}
	have, err := s.Addresses()
	if err != nil {
		return skipped(err)
	}
	if want.IsUnspecified() || want.IsLoopback() || slices.Contains(have, want.Unmap()) {
		return result{state: inventory.CheckOK, found: say("%s", f.Address), wanted: say("an address of this machine")}
	}
	return result{
		state: inventory.CheckFailed, found: say("%s is on no interface", f.Address), wanted: say("an address of this machine"),
		advice: say("change the server's address in the fleet, or give it to this machine: nothing can listen on it"),
	}
}

// resolver asks for the name servers of the root, which every resolver knows.
func resolver(ctx context.Context, s System, _ Facts) result {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	began := time.Now()
	if err := s.LookupRoot(ctx); err != nil {
		return result{
			state: inventory.CheckFailed, found: say("no answer: %s", reason(err)), wanted: say("an answer"),
			advice: say("name a resolver that answers in /etc/resolv.conf: without one no mail leaves this server"),
		}
	}
	return result{state: inventory.CheckOK, found: say("answers in %v", time.Since(began).Round(time.Millisecond)), wanted: say("an answer")}
}

func reason(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	return err.Error()
}

// forward and reverse ask for the server's own name and address: mail servers
// elsewhere do, and trust one the less whose names do not match.
func forward(ctx context.Context, s System, f Facts) result {
	if r, ok := named(f); !ok {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	r := result{state: inventory.CheckWarning, wanted: say("%s", f.Address), advice: say("publish an address record of %s with %s", f.Name, f.Address)}
	found, err := s.LookupHost(ctx, f.Name)
	if err != nil {
		r.found = say("%s: %s", f.Name, reason(err))
		return r
	}
	r.found = say("%s", strings.Join(found, ", "))
	if slices.Contains(found, f.Address) {
		r.state = inventory.CheckOK
	}
	return r
}

func reverse(ctx context.Context, s System, f Facts) result {
	if r, ok := named(f); !ok {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	r := result{
		state: inventory.CheckWarning, wanted: say("%s", f.Name),
		advice: say("have the owner of the network publish %s as the name of %s: others refuse mail from an address without its name", f.Name, f.Address),
	}
	found, err := s.LookupAddr(ctx, f.Address)
	if err != nil {
		r.found = say("%s: %s", f.Address, reason(err))
		return r
	}
	for i := range found {
		found[i] = strings.TrimSuffix(found[i], ".")
	}
	r.found = say("%s", strings.Join(found, ", "))
	if slices.Contains(found, f.Name) {
		r.state = inventory.CheckOK
	}
	return r
}

// named tells whether the server has a name and address that DNS can know.
func named(f Facts) (result, bool) {
	a, err := netip.ParseAddr(f.Address)
	switch {
	case err != nil || f.Name == "":
		return result{state: inventory.CheckSkipped, found: say("the server's name and address are not known")}, false
	case a.IsLoopback() || a.IsUnspecified():
		return result{state: inventory.CheckSkipped, found: say("a loopback address has no name")}, false
	case !strings.Contains(f.Name, "."):
		return result{state: inventory.CheckSkipped, found: say("%s is not a full host name", f.Name)}, false
	}
	return result{}, true
}
