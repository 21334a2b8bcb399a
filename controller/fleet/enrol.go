package fleet

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/identity"
)

// tokenLife is how long a join token can be used.
const tokenLife = 24 * time.Hour

// standardPorts are a mailnode's listeners (IANA; 9835 is the peers' port).
var standardPorts = map[string]int{
	"smtp": 25, "submission": 587, "submissions": 465, "pop3": 110, "pop3s": 995,
	"imap": 143, "imaps": 993, "http": 80, "https": 443, "peer": 9835,
}

// Add makes a server that an agent may join as. A server that was removed comes
// back under its old id, so that its history goes on.
func (f *Fleet) Add(ctx context.Context, actor inventory.Actor, req api.NewServer) (api.Enrolment, error) {
	var out api.Enrolment
	err := f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := f.AddIn(tx, actor, req)
		if err != nil {
			return err
		}
		out, err = f.invite(tx, s)
		return err
	})
	return out, err
}

// AddIn is Add as a part of a transaction, and without a token.
func (f *Fleet) AddIn(tx inventory.Tx, actor inventory.Actor, req api.NewServer) (*inventory.Server, error) {
	if err := inventory.CheckName("name", req.Name); err != nil {
		return nil, err
	}
	if err := checkAddress(req.Address); err != nil {
		return nil, err
	}
	ports, err := mailPorts(req.Ports)
	if err != nil {
		return nil, err
	}
	s, err := tx.Servers().Find("name", req.Name)
	back := err == nil && s.State == inventory.ServerRemoved
	switch {
	case err == nil && !back:
		return nil, inventory.Errorf(inventory.Conflict, "there is a server %s already", req.Name)
	case err != nil && !inventory.Is(err, inventory.NotFound):
		return nil, err
	case err != nil:
		s = &inventory.Server{Name: req.Name}
	}
	s.State, s.Since = inventory.ServerJoining, time.Now().UTC()
	s.Address, s.Region, s.Labels = req.Address, req.Region, req.Labels
	if back {
		err = tx.Servers().Update(s)
	} else {
		err = tx.Servers().Create(s)
	}
	if err != nil {
		return nil, err
	}
	if req.Mailnode == nil || *req.Mailnode {
		if err := tx.Services().Create(&inventory.Service{
			Server: s.ID, Name: string(inventory.KindMailnode), Kind: inventory.KindMailnode, ServiceConfig: inventory.ServiceConfig{Ports: ports},
			Want: inventory.WantRunning, ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceUnknown},
		}); err != nil {
			return nil, err
		}
	}
	return s, audit(tx, actor, "server.create", inventory.Servers, s.Name, nil, s)
}

// Invite makes another join token for a server, whether its agent has joined
// before or not. Joining again revokes the certificates of before.
func (f *Fleet) Invite(ctx context.Context, actor inventory.Actor, id inventory.ID) (api.Enrolment, error) {
	var out api.Enrolment
	err := f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, string(id))
		if err != nil {
			return err
		}
		if out, err = f.invite(tx, s); err != nil {
			return err
		}
		return tx.Audit().Append(actor.Entry("server.invite", inventory.Servers, s.Name))
	})
	return out, err
}

func (f *Fleet) invite(tx inventory.Tx, s *inventory.Server) (api.Enrolment, error) {
	token, hash := identity.NewJoinToken(f.opts.CA.Fingerprint())
	t := &inventory.JoinToken{Server: s.ID, Hash: hash, Expires: time.Now().Add(tokenLife).UTC()}
	if err := tx.JoinTokens().Create(t); err != nil {
		return api.Enrolment{}, err
	}
	services, _, err := tx.Services().List(inventory.Query{Where: map[string][]string{"server": {string(s.ID)}}})
	if err != nil {
		return api.Enrolment{}, err
	}
	view := api.Server{Server: *s, Services: []inventory.Service{}, Witnesses: []string{}}
	for _, v := range services {
		view.Services = append(view.Services, *v)
	}
	return api.Enrolment{
		Server: view, Token: token, Expires: t.Expires,
		Command: fmt.Sprintf("mailfleet-agent join --controller %s --token %s", f.opts.URL, token),
	}, nil
}

// Join lets an agent in, once per token. Every refusal is audited.
func (f *Fleet) Join(ctx context.Context, address string, req api.Join) (api.Joined, error) {
	var out api.Joined
	var refused error
	revoked := 0
	err := f.store.Update(ctx, func(tx inventory.Tx) error {
		out, refused = api.Joined{}, nil
		s, t, err := admit(tx, req)
		if err == nil {
			out, revoked, err = f.enrol(tx, s, t, req.CSR)
		}
		actor := inventory.Actor{Name: "agent", Address: address}
		target := req.Name
		if s != nil {
			target = s.Name
		}
		switch inventory.CodeOf(err) {
		case inventory.Internal:
			if err != nil {
				return err
			}
			return tx.Audit().Append(actor.Entry("server.join", inventory.Servers, target))
		default: // the refusal itself must be kept
			refused = err
			entry := actor.Entry("server.join.refused", inventory.Servers, target)
			entry.Reason = err.Error()
			return tx.Audit().Append(entry)
		}
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return api.Joined{}, err
	}
	f.cut(out.ID) // whoever held the link before has lost its certificate
	if revoked == 0 {
		return out, nil
	}
	return out, f.loadRevoked(ctx)
}

// cut closes a server's link, if it has one.
func (f *Fleet) cut(id inventory.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.servers[id]; p != nil && p.link != nil {
		p.link.Close()
	}
}

// admit finds whom a token lets in.
func admit(tx inventory.Tx, req api.Join) (*inventory.Server, *inventory.JoinToken, error) {
	token, err := identity.ParseJoinToken(req.Token)
	if err != nil {
		return nil, nil, inventory.Errorf(inventory.Invalid, "%s", err)
	}
	t, err := tx.JoinTokens().Find("hash", hex.EncodeToString(token.Hash()))
	if inventory.Is(err, inventory.NotFound) {
		return nil, nil, inventory.Errorf(inventory.Forbidden, "this controller did not make this join token")
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := server(tx, string(t.Server))
	if err != nil {
		if inventory.Is(err, inventory.NotFound) {
			err = inventory.Errorf(inventory.Forbidden, "the server of this join token was removed")
		}
		return nil, nil, err
	}
	switch now := time.Now(); {
	case !t.Used.IsZero():
		return s, t, inventory.Errorf(inventory.Forbidden, "this join token was used at %s; make another with: server invite %s", t.Used.Format(time.RFC3339), s.Name)
	case now.After(t.Expires):
		return s, t, inventory.Errorf(inventory.Forbidden, "this join token expired at %s; make another with: server invite %s", t.Expires.Format(time.RFC3339), s.Name)
	case req.Name != "" && req.Name != s.Name:
		return s, t, inventory.Errorf(inventory.Forbidden, "this join token is for server %s, not %s", s.Name, req.Name)
	}
	return s, t, nil
}

// enrol certifies the server's agent and revokes what it was certified before.
func (f *Fleet) enrol(tx inventory.Tx, s *inventory.Server, t *inventory.JoinToken, csr string) (joined api.Joined, revoked int, err error) {
	now := time.Now().UTC()
	if revoked, err = revokeAll(tx, s.ID, now); err != nil {
		return api.Joined{}, 0, err
	}
	cert, _, err := f.issue(tx, s, identity.ProfileAgent, csr)
	if err != nil {
		return api.Joined{}, 0, err
	}
	keys, err := f.releaseKeys()
	if err != nil {
		return api.Joined{}, 0, err
	}
	t.Used = now
	if err := tx.JoinTokens().Update(t); err != nil {
		return api.Joined{}, 0, err
	}
	return api.Joined{
		ID: s.ID, Name: s.Name, Address: s.Address, Certificate: cert,
		CA: string(f.opts.CA.CertPEM()), Gossip: f.opts.Pool, ReleaseKeys: keys,
	}, revoked, nil
}

// issue certifies the key of csr for a server and records it.
func (f *Fleet) issue(tx inventory.Tx, s *inventory.Server, profile identity.Profile, csr string) (string, time.Time, error) {
	ip, err := netip.ParseAddr(s.Address)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("address of %s: %w", s.Name, err)
	}
	cert, issued, err := f.opts.CA.Issue([]byte(csr), identity.Request{
		Profile: profile, ServerID: string(s.ID), ServerName: s.Name,
		DNSNames: []string{s.Name}, IPs: []netip.Addr{ip}, Now: time.Now(),
	})
	if err != nil {
		if errors.Is(err, identity.ErrBadCSR) {
			err = inventory.FieldErrorf("csr", "%s", err)
		}
		return "", time.Time{}, err
	}
	if err := forgetExpired(tx, s.ID, time.Now()); err != nil {
		return "", time.Time{}, err
	}
	record := &inventory.Certificate{Server: s.ID, Serial: issued.Serial, Profile: string(profile), Expires: issued.NotAfter.UTC()}
	return string(cert), issued.NotAfter, tx.Certificates().Create(record)
}

// certify answers an agent's request for a certificate.
func (f *Fleet) certify(ctx context.Context, who caller, req api.CertificateRequest) (api.IssuedCertificate, error) {
	profile := identity.Profile(req.Profile)
	if profile != identity.ProfileAgent && profile != identity.ProfileMail {
		return api.IssuedCertificate{}, inventory.FieldErrorf("profile", "profile must be %q or %q", identity.ProfileAgent, identity.ProfileMail)
	}
	var out api.IssuedCertificate
	err := f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, string(who.id))
		if err != nil {
			return err
		}
		if out.Certificate, out.Expires, err = f.issue(tx, s, profile, req.CSR); err != nil {
			return err
		}
		actor := inventory.Actor{Name: "agent:" + s.Name}
		return tx.Audit().Append(actor.Entry("certificate.issue", inventory.Certificates, s.Name+" "+req.Profile))
	})
	return out, err
}

// Change changes what is known of a server. A version other than 0 must be the
// current one.
func (f *Fleet) Change(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64, req api.ServerChange) error {
	if req.Address != nil {
		if err := checkAddress(*req.Address); err != nil {
			return err
		}
	}
	return f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, string(id))
		if err != nil {
			return err
		}
		if err := current(version, s.Version); err != nil {
			return err
		}
		before := *s
		if req.Address != nil {
			s.Address = *req.Address
		}
		if req.Region != nil {
			s.Region = *req.Region
		}
		if req.Labels != nil {
			s.Labels = req.Labels
		}
		if err := tx.Servers().Update(s); err != nil {
			return err
		}
		return audit(tx, actor, "server.update", inventory.Servers, s.Name, before, s)
	})
}

// Remove takes a server from the fleet: its certificates are revoked, its link
// is cut, its services and open alerts end. Accounts at home on it forbid that.
func (f *Fleet) Remove(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64) error {
	err := f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, string(id))
		if err != nil {
			return err
		}
		if err := current(version, s.Version); err != nil {
			return err
		}
		return f.RemoveIn(tx, actor, s.ID)
	})
	if err != nil {
		return err
	}
	return f.Removed(ctx, id)
}

// RemoveIn is Remove as a part of a transaction; call Removed once that is over.
func (f *Fleet) RemoveIn(tx inventory.Tx, actor inventory.Actor, id inventory.ID) error {
	s, err := server(tx, string(id))
	if err != nil {
		return err
	}
	if err := emptyOfAccounts(tx, s.ID); err != nil {
		return err
	}
	before := *s
	now := time.Now().UTC()
	s.State, s.Since = inventory.ServerRemoved, now
	if err := tx.Servers().Update(s); err != nil {
		return err
	}
	if _, err := revokeAll(tx, s.ID, now); err != nil {
		return err
	}
	services, _, err := tx.Services().List(inventory.Query{Where: map[string][]string{"server": {string(s.ID)}}})
	if err != nil {
		return err
	}
	for _, v := range services {
		if err := tx.Services().Delete(v.ID); err != nil {
			return err
		}
	}
	if err := leavePools(tx, s.ID); err != nil {
		return err
	}
	if err := resolveAll(tx, s.ID, now); err != nil {
		return err
	}
	return audit(tx, actor, "server.remove", inventory.Servers, s.Name, before, nil)
}

// Removed cuts the links of servers that were removed.
func (f *Fleet) Removed(ctx context.Context, ids ...inventory.ID) error {
	for _, id := range ids {
		f.cut(id)
	}
	return f.loadRevoked(ctx)
}

// leavePools takes a server out of every pool.
func leavePools(tx inventory.Tx, id inventory.ID) error {
	pools, _, err := tx.Pools().List(inventory.Query{})
	if err != nil {
		return err
	}
	for _, p := range pools {
		n := len(p.Members)
		p.Members = slices.DeleteFunc(p.Members, func(m inventory.Member) bool { return m.Server == id })
		if len(p.Members) == n {
			continue
		}
		if err := tx.Pools().Update(p); err != nil {
			return err
		}
	}
	return nil
}

// Revoked tells whether a certificate was revoked, by serial.
func (f *Fleet) Revoked(serial string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revoked[serial]
}

// loadRevoked reads which certificates are revoked and would still be valid.
func (f *Fleet) loadRevoked(ctx context.Context) error {
	revoked := make(map[string]bool)
	err := f.store.View(ctx, func(tx inventory.Tx) error {
		list, _, err := tx.Certificates().List(inventory.Query{})
		for _, c := range list {
			if !c.Revoked.IsZero() && time.Now().Before(c.Expires) {
				revoked[c.Serial] = true
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.revoked = revoked
	f.mu.Unlock()
	return nil
}

// forgetAfter is how long the record of an expired certificate is kept.
const forgetAfter = 30 * 24 * time.Hour

// forgetExpired deletes the records of a server's certificates that ended long ago.
func forgetExpired(tx inventory.Tx, id inventory.ID, now time.Time) error {
	list, _, err := tx.Certificates().List(inventory.Query{Where: map[string][]string{"server": {string(id)}}})
	if err != nil {
		return err
	}
	for _, c := range list {
		if now.After(c.Expires.Add(forgetAfter)) {
			if err := tx.Certificates().Delete(c.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// revokeAll revokes a server's certificates that are valid and returns how many.
func revokeAll(tx inventory.Tx, id inventory.ID, now time.Time) (revoked int, err error) {
	list, _, err := tx.Certificates().List(inventory.Query{Where: map[string][]string{"server": {string(id)}}})
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		if !c.Revoked.IsZero() || now.After(c.Expires) {
			continue
		}
		c.Revoked = now
		if err := tx.Certificates().Update(c); err != nil {
			return 0, err
		}
		revoked++
	}
	return revoked, nil
}

func checkAddress(address string) error {
	if _, err := netip.ParseAddr(address); err != nil {
		return inventory.FieldErrorf("address", "address %q is not an IP address", address)
	}
	return nil
}

// mailPorts fills in the standard ports and refuses unknown listeners.
func mailPorts(given map[string]int) (map[string]int, error) {
	ports := maps.Clone(standardPorts)
	for name, port := range given {
		if _, ok := standardPorts[name]; !ok {
			known := slices.Sorted(maps.Keys(standardPorts))
			return nil, inventory.FieldErrorf("ports."+name, "there is no listener %q; there are %s", name, strings.Join(known, ", "))
		}
		if port < 0 || port > 65535 {
			return nil, inventory.FieldErrorf("ports."+name, "port %d is not between 1 and 65535 (0: off)", port)
		}
		ports[name] = port
	}
	return ports, nil
}

func emptyOfAccounts(tx inventory.Tx, id inventory.ID) error {
	n, err := tx.Accounts().Count(inventory.Query{Where: map[string][]string{"server": {string(id)}}})
	if err != nil {
		return err
	}
	if n > 0 {
		return inventory.Errorf(inventory.Conflict, "%d accounts are at home on this server; move or delete them first", n)
	}
	return nil
}

// current checks the version a caller thinks it changes.
func current(asked, is uint64) error {
	if asked != 0 && asked != is {
		return inventory.Errorf(inventory.Stale, "this was changed meanwhile: its version is %d, not %d", is, asked)
	}
	return nil
}

// audit records a change with what was before and is after.
func audit(tx inventory.Tx, actor inventory.Actor, action string, kind inventory.Kind, target string, before, after any) error {
	entry := actor.Entry(action, kind, target)
	for _, side := range []struct {
		value any
		text  *string
	}{{before, &entry.Before}, {after, &entry.After}} {
		if side.value == nil {
			continue
		}
		b, err := json.Marshal(side.value)
		if err != nil {
			return fmt.Errorf("encode for the audit log: %w", err)
		}
		*side.text = string(b)
	}
	return tx.Audit().Append(entry)
}
