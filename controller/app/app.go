// Package app wires the controller: configuration, New, Run. Nothing below
// imports it; main and e2e do.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"mailfleet/alerts"
	"mailfleet/alerts/sms"
	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/controller/dkim"
	"mailfleet/controller/fleet"
	"mailfleet/controller/handshake"
	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/embedded"
	"mailfleet/controller/ops"
	"mailfleet/controller/releases"
	"mailfleet/controller/rest"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
	"mailfleet/inventory/domainkey"
	"mailfleet/inventory/identity"
	"mailfleet/inventory/members"
	"mailfleet/ui"
)

// PasswordFile holds the operator's one-time password after the first start, in
// the controller's directory.
const PasswordFile = "operator.password"

// SealFile holds the key of the secrets in the database, in the controller's
// directory.
const SealFile = "seal.key"

// stopLimit is how long requests in hand may take when the controller stops.
const stopLimit = 10 * time.Second

// App is a controller, ready to run.
type App struct {
	config Config
	log    *slog.Logger
	out    io.Writer // for the person who starts it

	store    *dbstore.Store
	samples  *embedded.Store
	releases *releases.Shelf
	ca       *identity.CA
	seal     *seal.Key
	self     *identity.Self
	gate     *auth.Gate
	pool     *members.Pool
	fleet    *fleet.Fleet
	ops      *ops.Ops
	rest     *rest.Server
	outbox   *sms.Outbox
	reports  http.HandlerFunc // of the SMS gateway; nil: it brings none
	listener net.Listener
	server   *http.Server

	stops []stop // run last in, first out
}

type stop struct {
	name string
	fn   func() error
}

// New opens what the controller keeps and binds its ports. Run must follow; on
// an error everything opened is closed again. The first start's one-time
// password is told on out.
func New(ctx context.Context, config Config, log *slog.Logger, out io.Writer) (*App, error) {
	a := &App{config: config, log: log, out: out}
	if err := a.setup(ctx); err != nil {
		return nil, errors.Join(err, a.stop())
	}
	return a, nil
}

func (a *App) onStop(name string, fn func() error) { a.stops = append(a.stops, stop{name, fn}) }

func (a *App) stop() error {
	var errs []error
	for i := len(a.stops) - 1; i >= 0; i-- {
		if err := a.stops[i].fn(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", a.stops[i].name, err))
		}
	}
	a.stops = nil
	return errors.Join(errs...)
}

func (a *App) setup(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		a.openStores, a.openIdentity, a.firstStart, a.joinPool, a.buildLogic, a.buildFace,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) openStores(ctx context.Context) (err error) {
	if err := os.MkdirAll(a.config.Dir, 0o700); err != nil {
		return fmt.Errorf("make the controller's directory: %w", err)
	}
	if a.store, err = dbstore.Open(ctx, dbstore.Options{Path: filepath.Join(a.config.Dir, "inventory.db"), Logger: a.log}); err != nil {
		return fmt.Errorf("open the inventory: %w", err)
	}
	a.onStop("inventory", a.store.Close)
	if a.samples, err = embedded.Open(embedded.Options{
		Dir: filepath.Join(a.config.Dir, "samples"), Retention: a.config.Samples.Retention, Logger: a.log,
	}); err != nil {
		return fmt.Errorf("open the sample store: %w", err)
	}
	a.onStop("sample store", a.samples.Close)
	a.releases, err = releases.Open(a.config.Dir)
	return err
}

func (a *App) openIdentity(context.Context) (err error) {
	if a.ca, err = identity.OpenCA(a.config.Dir); err != nil {
		return fmt.Errorf("open the certificate authority: %w", err)
	}
	if a.seal, err = seal.Open(filepath.Join(a.config.Dir, SealFile)); err != nil {
		return err
	}
	names, ips := a.config.certificateNames()
	if a.self, err = a.ca.IssueSelf(a.config.Name, names, ips); err != nil {
		return fmt.Errorf("certify the controller: %w", err)
	}
	return nil
}

// certificateNames are all the controller can be reached by.
func (c *Config) certificateNames() (names []string, ips []netip.Addr) {
	add := func(s string) {
		if ip, err := netip.ParseAddr(s); err == nil {
			if !ip.IsUnspecified() {
				ips = append(ips, ip)
			}
		} else if s != "" {
			names = append(names, s)
		}
	}
	if u, err := url.Parse(c.URL); err == nil {
		add(u.Hostname())
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil {
		add(host)
	}
	for _, s := range append([]string{"localhost", "127.0.0.1", "::1"}, c.Names...) {
		add(s)
	}
	return names, ips
}

// firstStart makes the operator and the pool's key.
func (a *App) firstStart(ctx context.Context) error {
	a.gate = auth.New(a.store)
	a.gate.Seal(a.seal)
	provider, err := a.config.OpenID.provider(a.config.URL)
	if err != nil {
		return err
	}
	if provider != nil {
		a.gate.Trust(*provider)
	}
	password, created, err := a.gate.FirstStart(ctx)
	if err != nil {
		return fmt.Errorf("make the first operator: %w", err)
	}
	if !created {
		return nil
	}
	if err := a.firstRules(ctx); err != nil {
		return fmt.Errorf("make the first rules: %w", err)
	}
	file := filepath.Join(a.config.Dir, PasswordFile)
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the operator's one-time password: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "First start. Sign in at %s as %q with password %s\n(kept in %s; delete it when you have changed the password)\n",
		a.config.URL, auth.FirstPerson, password, file)
	return err
}

// firstRules makes the rules that a fleet should not be without. They can be changed
// or deleted as any other.
func (a *App) firstRules(ctx context.Context) error {
	rules := []*inventory.Rule{{
		Name: "服务器失联 Server down", Metric: alerts.ServerUp, Comparison: inventory.Below, Value: 1, Clear: 1,
		Severity: inventory.Critical, Enabled: true,
	}, {
		Name: "发信异常 Mail held", Metric: alerts.AccountBurst, Comparison: inventory.AtLeast, Value: 1, Clear: 1,
		Severity: inventory.Critical, Enabled: true,
	}}
	return a.store.Update(ctx, func(tx inventory.Tx) error {
		for _, rule := range rules {
			if err := errors.Join(alerts.Check(rule), tx.Rules().Create(rule)); err != nil {
				return err
			}
		}
		return nil
	})
}

// setting returns one of the controller's own values, making it at the first start.
func (a *App) setting(ctx context.Context, name string, make func() string) (value string, err error) {
	err = a.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := tx.Settings().Find("name", name)
		if inventory.Is(err, inventory.NotFound) {
			s = &inventory.Setting{Name: name, Value: make()}
			err = tx.Settings().Create(s)
		}
		if err == nil {
			value = s.Value
		}
		return err
	})
	return value, err
}

// gossipKey returns the pool's secret.
func (a *App) gossipKey(ctx context.Context) (string, error) {
	return a.setting(ctx, "gossip_key", members.NewKey)
}

func (a *App) joinPool(ctx context.Context) error {
	key, err := a.gossipKey(ctx)
	if err != nil {
		return fmt.Errorf("read the gossip key: %w", err)
	}
	bind, err := netip.ParseAddrPort(a.config.Gossip.Listen)
	if err != nil {
		return fmt.Errorf("gossip.listen: %w", err)
	}
	advertise, err := resolve(ctx, a.config.Gossip.Advertise)
	if err != nil && bind.Addr().IsUnspecified() {
		return fmt.Errorf("gossip.advertise: %w", err)
	}
	if !bind.Addr().IsUnspecified() {
		advertise = netip.AddrPort{}
	}
	a.pool, err = members.Start(members.Config{
		Name: a.config.Name, ID: a.config.Name, Role: members.RoleController, Bind: bind, Advertise: advertise,
		Key: key, Snapshot: filepath.Join(a.config.Dir, "members.snapshot"), Logger: a.log,
	})
	if err != nil {
		return fmt.Errorf("join the pool of members: %w", err)
	}
	a.onStop("members", func() error { return errors.Join(a.pool.Leave(), a.pool.Close()) })
	return nil
}

// resolve turns host:port into an address.
func resolve(ctx context.Context, hostport string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(net.JoinHostPort(ips[0].Unmap().String(), port))
}

// living is fleet's view of the pool.
type living struct{ pool *members.Pool }

func (l living) Alive() map[string]bool {
	alive := make(map[string]bool)
	for _, m := range l.pool.Members() {
		if m.Status == members.StatusAlive {
			alive[m.Name] = true
		}
	}
	return alive
}

func (a *App) buildLogic(ctx context.Context) error {
	key, err := a.gossipKey(ctx)
	if err != nil {
		return err
	}
	bind, err := netip.ParseAddrPort(a.config.Gossip.Listen)
	if err != nil {
		return err
	}
	a.fleet, err = fleet.New(ctx, fleet.Options{
		Store: a.store, CA: a.ca, Seal: a.seal, Write: a.writeHandler(), Gossip: living{a.pool}, Releases: a.releases,
		Pool: api.Gossip{Key: key, Port: int(bind.Port()), Peers: []string{a.config.Gossip.Advertise}},
		URL:  a.config.URL, Interval: a.config.Samples.Interval, Together: a.config.SMS.Together, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.ops = ops.New(ops.Options{Store: a.store, Fleet: a.fleet, Own: here(a.log), Sessions: a.fleet.CountMailSessions, Queued: a.fleet.CountQueued, Log: a.log})
	gateway, err := a.gateway(ctx)
	if err != nil {
		return err
	}
	a.outbox = sms.NewOutbox(queue{a.store}, gateway, a.log)
	return nil
}

// writeHandler takes samples from links, client certificates and tokens alike.
func (a *App) writeHandler() http.Handler {
	return metrics.WriteHandler(metrics.WriteOptions{
		Store: a.samples, Logger: a.log,
		Server: func(r *http.Request) (string, bool) {
			if name, ok := fleet.ServerOf(r.Context()); ok {
				return name, true
			}
			return a.gate.WriteIdentity(r)
		},
		OnWrite: func(server string, samples []metrics.Sample) {
			a.rest.PublishSamples(server, readings(server, samples))
		},
	})
}

func readings(server string, samples []metrics.Sample) []api.Reading {
	out := make([]api.Reading, 0, len(samples))
	for _, s := range samples {
		out = append(out, api.Reading{Server: server, Metric: s.Metric, Tags: s.Tags, Time: s.Time, Value: s.Value})
	}
	return out
}

func (a *App) buildFace(ctx context.Context) (err error) {
	a.rest, err = rest.New(rest.Options{
		Store: a.store, Samples: a.samples, Write: a.writeHandler(), Auth: a.gate, Operations: a.ops, Fleet: a.fleet, Powers: a.fleet, Mailnodes: a.fleet, Seal: a.seal, DNS: net.DefaultResolver, Releases: a.releases,
		Problems: a.problems, Console: ui.Console(), Version: inventory.Version, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.onStop("API", a.rest.Close)
	a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", a.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for console, API and agents: %w", err)
	}
	a.onStop("listener", func() error { _ = a.listener.Close(); return nil }) // Run closes it first when it ran
	a.server = &http.Server{
		Handler:   http.HandlerFunc(a.serve),
		TLSConfig: identity.ServerConfig(a.ca.Root, a.self.GetCertificate, a.fleet.Revoked),
		Protocols: new(http.Protocols),
		// Not nil, so that Run can add the agents' protocol.
		TLSNextProto: make(map[string]func(*http.Server, *tls.Conn, http.Handler)),
		ErrorLog:     slog.NewLogLogger(a.log.With("component", "http").Handler(), slog.LevelDebug),
	}
	a.server.Protocols.SetHTTP1(true)
	a.server.Protocols.SetHTTP2(true)
	rest.Protect(a.server)
	return nil
}

// serve gives the gateway's reports to where they belong and all else to rest.
func (a *App) serve(w http.ResponseWriter, r *http.Request) {
	if a.reports != nil && r.URL.Path == reportPath {
		a.reports(w, r)
		return
	}
	a.rest.ServeHTTP(w, r)
}

// Addr is the address that is listened on.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// Run runs the controller until ctx ends or a part of it fails, then stops
// everything.
func (a *App) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	a.server.TLSNextProto[identity.AgentProtocol] = func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
		state := conn.ConnectionState()
		peer, err := identity.PeerOf(&state)
		if err != nil {
			_ = conn.Close()
			return
		}
		a.fleet.ServeLink(ctx, conn, peer)
	}
	g.Go(func() error { return a.fleet.Run(ctx) })
	g.Go(func() error { return a.ops.Run(ctx) })
	g.Go(func() error { return a.outbox.Run(ctx) })
	keys := &dkim.Keeper{Store: a.store, Seal: a.seal, DNS: net.DefaultResolver, Rotation: domainkey.DefaultRotation, Log: a.log.With("component", "dkim")}
	g.Go(func() error { return keys.Run(ctx) })
	g.Go(func() error {
		err := a.server.Serve(handshake.New(a.listener, handshake.Options{
			Config: a.server.TLSConfig, Log: a.log.With("component", "handshake"),
		}))
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	g.Go(func() error {
		<-ctx.Done()
		_ = a.rest.Close() // ends streams and long polls, which Shutdown would wait for
		rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer cancel()
		if err := a.server.Shutdown(rest); err != nil {
			return a.server.Close()
		}
		return nil
	})
	a.log.Info("controller running", "url", a.config.URL, "listen", a.Addr().String(), "version", inventory.Version)
	return errors.Join(g.Wait(), a.stop())
}
