// Package dev starts a whole small fleet on this machine: a controller and N
// servers, each on its own loopback address, as the separate processes they are
// in production. Only addresses, ports and certificates differ.
//
// The controller's main imports it, and nothing else.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mailfleet/inventory/release"
)

// Options say what fleet to start.
type Options struct {
	Dir      string        // everything it keeps
	Servers  int           // 1 to 200
	Listen   string        // of the console; empty: 127.0.0.1:8443, or :8443 at the controller's own address when Base is not the default
	Base     string        // first three octets of the loopback network, 127.x.y
	Interval time.Duration // between samples
	Agents   AgentOptions
	Reset    bool      // forget what Dir keeps
	Bin      string    // directory of the three programs
	Out      io.Writer // for the person at the terminal
	Log      *slog.Logger
}

// AgentOptions are options that the fleet's agents are run with.
type AgentOptions struct {
	UpgradeLimit time.Duration // for another build of the agent to reach the controller; 0: the agent's own
	UpgradeGate  time.Duration // for which another build of a service must be well; 0: the agent's own
}

// args are those of a program that takes them by these names.
func (o AgentOptions) args() (args []string) {
	for name, d := range map[string]time.Duration{"--upgrade-limit": o.UpgradeLimit, "--upgrade-gate": o.UpgradeGate} {
		if d != 0 {
			args = append(args, name, d.String())
		}
	}
	return args
}

// DefaultBase is the network of a dev fleet when none is named.
const DefaultBase = "127.0.10"

// ErrUsage is wrapped by errors about the options.
var ErrUsage = errors.New("wrong option")

func usage(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUsage}, a...)...)
}

// controllerHost is the controller's last octet in the fleet's network.
const controllerHost = 254

const (
	readyLimit = 2 * time.Minute
	lockFile   = "dev.lock"
	infoFile   = "dev.json"
	releaseKey = "release.key" // signs releases of programs
)

// fleet is a dev fleet being run.
type fleet struct {
	Options
	children  *children
	info      Info
	url       string
	transport *http.Transport
}

// Run starts the fleet, says when it is ready, and runs it until ctx ends. Then
// everything is stopped; what it keeps stays for the next run.
func Run(ctx context.Context, o Options) error {
	f := &fleet{Options: o}
	if err := f.validate(); err != nil {
		return err
	}
	began := time.Now()
	unlock, err := f.claim()
	if err != nil {
		return err
	}
	defer unlock()
	starting, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	f.children = newChildren(o.Log, func(name, logFile string) {
		fail(fmt.Errorf("%s ended before the fleet was ready: %s (see %s)", name, lastLine(logFile), logFile))
	})
	defer f.children.stop()
	if err := f.start(starting); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil
		case starting.Err() != nil:
			return context.Cause(starting)
		}
		return err
	}
	f.sayReady(time.Since(began))
	<-ctx.Done()
	_, _ = fmt.Fprintln(o.Out, "stopping …")
	return nil
}

func (f *fleet) validate() error {
	if f.Servers < 1 || f.Servers > 200 {
		return usage("--servers %d is not between 1 and 200", f.Servers)
	}
	ip, err := netip.ParseAddr(f.Base + ".1")
	if err != nil || !ip.Is4() || !ip.IsLoopback() {
		return usage("--base %q must be the first three octets of a loopback network, like %s", f.Base, DefaultBase)
	}
	if f.Listen == "" {
		f.Listen = "127.0.0.1:8443"
		if f.Base != DefaultBase {
			f.Listen = net.JoinHostPort(f.address(controllerHost), "8443")
		}
	}
	host, port, err := net.SplitHostPort(f.Listen)
	if err != nil {
		return usage("--listen %q must look like 127.0.0.1:8443", f.Listen)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return usage("--listen %q must be a loopback address", f.Listen)
	}
	if f.Interval < time.Second {
		return usage("--sample-interval %s is shorter than 1s", f.Interval)
	}
	if f.Agents.UpgradeLimit < 0 || f.Agents.UpgradeGate < 0 {
		return usage("--upgrade-limit and --upgrade-gate must not be negative")
	}
	f.url = "https://" + net.JoinHostPort(host, port)
	f.Dir, err = filepath.Abs(f.Dir)
	return err
}

// address is a host of the fleet's network.
func (f *fleet) address(host int) string { return fmt.Sprintf("%s.%d", f.Base, host) }

// claim makes Dir this process's own, empty when a reset is asked for.
func (f *fleet) claim() (unlock func(), err error) {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the dev fleet's directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(f.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the dev fleet's directory: %w", err)
	}
	unlock = func() { _ = lock.Close() }
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		unlock()
		return nil, fmt.Errorf("a dev fleet is running in %s already", f.Dir)
	}
	if f.Reset {
		if err := f.forget(); err != nil {
			unlock()
			return nil, err
		}
	}
	return unlock, nil
}

// forget removes what a dev fleet keeps, and only that.
func (f *fleet) forget() error {
	var errs []error
	for _, name := range []string{infoFile, releaseKey, "controller.yaml", "controller", "servers", "log", "machines"} {
		errs = append(errs, os.RemoveAll(filepath.Join(f.Dir, name)))
	}
	return errors.Join(errs...)
}

// start brings everything up, in the order an operator would.
func (f *fleet) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for _, dir := range []string{filepath.Join(f.Dir, "log"), machinesOf(f.Dir)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	f.say("starting the controller")
	if err := f.startController(ctx); err != nil {
		return err
	}
	f.say("adding servers, domain and users")
	if err := f.seed(ctx); err != nil {
		return fmt.Errorf("seed the fleet: %w", err)
	}
	f.say("starting %d agents", f.Servers)
	for _, s := range f.info.Servers {
		if err := f.startAgent(ctx, s); err != nil {
			return err
		}
	}
	if err := f.awaitReady(ctx); err != nil {
		return err
	}
	return f.settle(ctx)
}

func (f *fleet) startController(ctx context.Context) error {
	if err := f.trustReleaseKey(); err != nil {
		return fmt.Errorf("make the fleet's release key: %w", err)
	}
	config := filepath.Join(f.Dir, "controller.yaml")
	text := fmt.Sprintf("# Written by mailfleet-controller dev at each start.\ndir: %q\nlisten: %q\nurl: %q\ngossip:\n  listen: %q\nsamples:\n  interval: %s\n",
		f.controllerDir(), f.Listen, f.url, f.address(controllerHost)+":7946", f.Interval)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	if err := f.children.start("controller", f.logFile("controller"), filepath.Join(f.Bin, "mailfleet-controller"), "serve", "--config", config); err != nil {
		return err
	}
	return f.awaitController(ctx)
}

// trustReleaseKey makes a key that signs releases, at the first start, and has the
// controller trust it; agents learn of it when they join.
func (f *fleet) trustReleaseKey() error {
	file := filepath.Join(f.Dir, releaseKey)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	key, err := release.NewKey()
	if err != nil {
		return err
	}
	chain, err := release.NewChain(key)
	if err != nil {
		return err
	}
	list, err := chain.Text()
	if err != nil {
		return err
	}
	secret, err := release.KeyPEM(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.controllerDir(), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.controllerDir(), "release.keys"), list, 0o600); err != nil {
		return err
	}
	return os.WriteFile(file, secret, 0o600) // last: with it the list is there
}

func (f *fleet) startAgent(ctx context.Context, s ServerInfo) error {
	dir := filepath.Join(f.Dir, "servers", s.Name)
	agent := filepath.Join(f.Bin, "mailfleet-agent")
	if _, err := os.Stat(filepath.Join(dir, "identity.json")); errors.Is(err, os.ErrNotExist) {
		enrolment, err := f.client().InviteServer(ctx, s.Name)
		if err != nil {
			return fmt.Errorf("make a join token for %s: %w", s.Name, err)
		}
		env := "MAILFLEET_JOIN_TOKEN=" + enrolment.Token
		if err := f.children.run(ctx, f.logFile(s.Name), []string{env}, agent, "join", "--dir", dir, "--controller", f.url, "--name", s.Name); err != nil {
			return fmt.Errorf("let the agent of %s join: %w", s.Name, err)
		}
	}
	return f.children.start(s.Name, f.logFile(s.Name), filepath.Join(f.Bin, "mailfleet-controller"), append([]string{"dev-machine", "--dir", f.Dir, "--name", s.Name}, f.Agents.args()...)...)
}

// Machine runs the machine of one server of the fleet kept in dir.
func Machine(ctx context.Context, dir, bin, name string, o AgentOptions, log *slog.Logger) error {
	return RunMachine(ctx, MachineOptions{
		Socket: socketOf(dir, name), Log: log,
		Agent: append([]string{
			filepath.Join(bin, "mailfleet-agent"), "run", "--dir", filepath.Join(dir, "servers", name), "--stop-services",
			"--dev-machines", machinesOf(dir), "--mailnode", filepath.Join(bin, "mailfleet-mailnode"),
		}, o.args()...),
	})
}

// machinesOf is where the sockets of a fleet's machines are.
func machinesOf(dir string) string { return filepath.Join(dir, "machines") }

func socketOf(dir, name string) string { return filepath.Join(machinesOf(dir), name+".sock") }

// settle tells every machine that a death is to be mended from now on.
func (f *fleet) settle(ctx context.Context) error {
	for _, s := range f.info.Servers {
		err := until(ctx, "tell the machine of "+s.Name+" that the fleet is ready", func() error {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", socketOf(f.Dir, s.Name))
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(wordLimit))
			if _, err := conn.Write([]byte("settled\n")); err != nil {
				return err
			}
			_, err = io.ReadAll(conn)
			return err
		})
		if err != nil {
			return err
		}
	}
	f.children.settled()
	return nil
}

func (f *fleet) controllerDir() string       { return filepath.Join(f.Dir, "controller") }
func (f *fleet) logFile(name string) string  { return filepath.Join(f.Dir, "log", name+".log") }
func (f *fleet) say(format string, a ...any) { _, _ = fmt.Fprintf(f.Out, format+" …\n", a...) }

// sayReady prints what a person needs, and the one line scripts wait for.
func (f *fleet) sayReady(took time.Duration) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  console   %s\n  user      %s\n  password  %s\n  API token %s\n  CA        %s\n\n",
		f.info.Console, f.info.Operator.User, f.info.Operator.Password, f.info.Token, f.info.CA)
	for _, s := range f.info.Servers {
		fmt.Fprintf(&b, "  %-8s %s  smtp %d  pop3 %d\n", s.Name, s.Address, s.Ports["smtp"], s.Ports["pop3"])
	}
	for _, u := range f.info.Users {
		fmt.Fprintf(&b, "  %-20s password %s\n", u.Address, u.Password)
	}
	fmt.Fprintf(&b, "\nready: %d servers up, %d mailnodes running, in %.1f s (all of this is in %s; Ctrl-C stops)\n",
		len(f.info.Servers), len(f.info.Servers), took.Seconds(), filepath.Join(f.Dir, infoFile))
	_, _ = io.WriteString(f.Out, b.String())
}
