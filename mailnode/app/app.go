// Package app puts a mailnode together and runs it. Only the mailnode's main
// program (and tests of all programs together) import it.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/control"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/history"
	"mailfleet/mailnode/imapd"
	"mailfleet/mailnode/pop3d"
	"mailfleet/mailnode/search"
	"mailfleet/mailnode/smtpd"
	"mailfleet/mailnode/store"
	"mailfleet/mailnode/storectl"
)

// Options are what a mailnode is started with.
type Options struct {
	ConfigFile string // see api.Config
	Dir        string // where it keeps everything; made when it is not there
	Version    string
	Logger     *slog.Logger
}

// App is a mailnode.
type App struct {
	opts    Options
	log     *slog.Logger
	started time.Time

	directory *directory.Directory
	store     *store.Store
	history   *history.History
	auth      *auth.Auth
	flow      *flow
	smtpd     *smtpd.Server
	pop3d     *pop3d.Server
	imapd     *imapd.Server
	stops     stops

	mu        sync.Mutex // held by whoever changes the configuration
	config    *api.Config
	listeners listeners
	running   bool // listeners are open: there is something to change
}

// New reads the configuration. An unusable one is an error of type *api.ConfigError.
func New(o Options) (*App, error) {
	config, err := api.LoadConfig(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	return &App{opts: o, log: o.Logger.With("server", config.Server), config: config}, nil
}

// Run runs the mailnode until ctx ends and then stops it in good order, within
// half a minute. It ends earlier, with an error, when the store fails.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.stops.run(a.log)) }()
	a.started = time.Now()
	if err := a.open(); err != nil {
		return err
	}
	if err := a.listen(ctx); err != nil {
		return err
	}
	a.log.Info("ready", "dir", a.opts.Dir, "version", a.opts.Version, "config_index", a.Status().ConfigIndex)
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
		return nil
	case <-a.store.Failed():
		return store.ErrFailed
	}
}

// open makes the parts below the network.
func (a *App) open() error {
	if err := os.MkdirAll(a.opts.Dir, 0o700); err != nil {
		return fmt.Errorf("the directory of the mailnode: %w", err)
	}
	a.directory = directory.New(tableOf(a.config))
	var err error
	a.store, err = store.Open(filepath.Join(a.opts.Dir, "store"), store.Options{
		Logger: a.log, FreeBytes: a.config.Limits.FreeBytes, Digest: digest, Mailboxes: mailboxes,
		Quota: a.quota,
	})
	if err != nil {
		return err
	}
	a.stops.push("store", func(context.Context) error { return a.store.Close() })
	set, err := settingsOf(a.config)
	if err != nil {
		return err
	}
	spool := filepath.Join(a.opts.Dir, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return fmt.Errorf("the spool directory: %w", err)
	}
	key, err := secretKey(filepath.Join(a.opts.Dir, "auth.key"))
	if err != nil {
		return err
	}
	a.history = history.New(rows{a.store.Table("sign-ins"), a.store}, a.log)
	a.run("history of sign-ins", a.history.Run)
	a.auth = auth.New(auth.Options{Accounts: a.directory, History: a.history, Key: key, Logger: a.log})
	if err := a.newFlow(); err != nil {
		return err
	}
	a.smtpd = smtpd.New(smtpd.Options{
		Recipients: recipients{a}, Deliverer: a.flow.deliver, Room: a.store.Room, Auth: a.auth, Senders: senders{a.directory},
		Allowance: allowance{a}, Signer: a.flow, Judge: a.flow, Filter: filter{a}, Reputation: reputation{a.flow},
		SpoolDir: spool, Logger: a.log, Settings: set.smtp,
	})
	a.pop3d = pop3d.New(pop3d.Options{
		Auth: a.auth, Mailboxes: pop3d.Stored{Store: a.store}, Logger: a.log, Settings: set.pop3,
	})
	rows, messages := search.Stored(a.store)
	index := search.New(rows, messages, a.log)
	a.run("full-text index", index.Run)
	a.imapd = imapd.New(imapd.Options{
		Auth: a.auth, Accounts: a.directory, Store: a.store, Texts: index, SpoolDir: spool, Logger: a.log, Settings: set.imap,
	})
	a.stops.push("faces", func(ctx context.Context) error {
		a.mu.Lock()
		a.running = false
		a.mu.Unlock()
		var all sync.WaitGroup
		all.Go(func() { a.smtpd.Stop(ctx) })
		all.Go(func() { a.pop3d.Stop(ctx) })
		all.Go(func() { a.imapd.Stop(ctx) })
		all.Wait()
		a.listeners.wait()
		return nil
	})
	return nil
}

// run runs a part in the background until it is stopped.
func (a *App) run(name string, part func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { part(ctx) })
	a.stops.push(name, func(context.Context) error {
		cancel()
		running.Wait()
		return nil
	})
}

// listen opens the listeners and, last of all, the control socket: when that
// answers, the mailnode is ready.
func (a *App) listen(ctx context.Context) error {
	a.mu.Lock()
	added, err := a.bind(ctx, a.listeners.missing(a.config.Listeners))
	if err == nil {
		a.listeners.change(a.config.Listeners, added)
		a.running = true
	}
	a.mu.Unlock()
	if err != nil {
		return err
	}
	l, err := control.Listen(ctx, filepath.Join(a.opts.Dir, api.SocketName))
	if err != nil {
		return err
	}
	server := control.New(a, a.log)
	handler, err := storectl.Handler(a.store, a.opts.Dir)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server.Handle("/v1/store/", handler)
	days := newDaySums(a.store, a.log)
	a.run("sums of the ledger", days.run)
	server.HandleQueue(waiting{a.flow.queue, a.flow.brake, a.store, days})
	server.HandleHolds(a.holds())
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(l) })
	a.stops.push("control socket", func(ctx context.Context) error {
		defer serving.Wait()
		return server.Close(ctx)
	})
	return nil
}

// Reload reads the configuration file again and puts it in force. When it cannot be
// used, or an address it names cannot be listened on, everything stays as it is.
func (a *App) Reload(ctx context.Context) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.running {
		return 0, errors.New("the mailnode is starting or stopping")
	}
	index, err := a.reload(ctx)
	if err != nil {
		a.log.Error("the configuration was not changed", "error", err)
		return 0, err
	}
	a.log.Info("the configuration was changed", "config_index", index)
	return index, nil
}

func (a *App) reload(ctx context.Context) (uint64, error) {
	config, err := api.LoadConfig(a.opts.ConfigFile)
	if err != nil {
		return 0, err
	}
	set, err := settingsOf(config)
	if err != nil {
		return 0, err
	}
	terms, err := a.flow.termsOf(config)
	if err != nil {
		return 0, err
	}
	added, err := a.bind(ctx, a.listeners.missing(config.Listeners))
	if err != nil {
		return 0, err
	}
	if err := a.flow.configure(config, terms, a.log); err != nil {
		for _, l := range added {
			_ = l.open.Close() // nobody has been served on it
		}
		return 0, err
	}
	a.directory.Replace(tableOf(config))
	a.store.Reserve(config.Limits.FreeBytes)
	a.smtpd.Configure(set.smtp)
	a.pop3d.Configure(set.pop3)
	a.imapd.Configure(set.imap)
	a.listeners.change(config.Listeners, added)
	a.config = config
	a.endUnwelcome()
	return config.Index, nil
}
