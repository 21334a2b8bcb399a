package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/smtpd"
)

// listener is an open listener, and what the configuration says of it.
type listener struct {
	config api.Listener
	open   *gate.Listener
	serve  func(*gate.Listener)
}

// listeners are those in use. Access is under App.mu, but for wait.
type listeners struct {
	list    []listener
	serving sync.WaitGroup
}

// wait returns when no listener is served any more.
func (ls *listeners) wait() { ls.serving.Wait() }

// missing returns those of wanted that are not open.
func (ls *listeners) missing(wanted []api.Listener) []api.Listener {
	missing := slices.Clone(wanted)
	for _, l := range ls.list {
		if i := slices.Index(missing, l.config); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		}
	}
	return missing
}

// change serves those that were added and closes those that are not wanted any more.
func (ls *listeners) change(wanted []api.Listener, added []listener) {
	unwanted := slices.Clone(wanted)
	ls.list = slices.DeleteFunc(append(ls.list, added...), func(l listener) bool {
		if i := slices.Index(unwanted, l.config); i >= 0 {
			unwanted = slices.Delete(unwanted, i, i+1)
			return false
		}
		_ = l.open.Close() // closed is all it has to be
		return true
	})
	for _, l := range added {
		ls.serving.Go(func() { l.serve(l.open) })
	}
}

// bind opens listeners: all of them or none.
func (a *App) bind(ctx context.Context, wanted []api.Listener) (open []listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range open {
				err = errors.Join(err, l.open.Close())
			}
			open = nil
		}
	}()
	for _, w := range wanted {
		l, err := listenOn(ctx, w)
		if err != nil {
			if op, ok := errors.AsType[*net.OpError](err); ok {
				err = op.Err // without the address, which the sentence names
			}
			return open, fmt.Errorf("cannot listen on %s for %s: %w", w.Address, w.Protocol, err)
		}
		b := listener{config: w}
		switch w.Protocol {
		case api.SMTP:
			b.open, b.serve = a.smtp(l, smtpd.Receiving)
		case api.Submission:
			b.open, b.serve = a.smtp(l, smtpd.Submission)
		case api.Submissions:
			b.open, b.serve = a.smtp(l, smtpd.Submissions)
		case api.LMTP:
			b.open, b.serve = a.smtp(l, smtpd.LMTP)
		case api.POP3:
			b.open, b.serve = a.pop3d.Gate.Listen(l), a.pop3d.Serve
		case api.POP3S:
			b.open, b.serve = a.pop3d.Gate.Listen(l), a.pop3d.ServeTLS
		case api.IMAP:
			b.open, b.serve = a.imapd.Gate.Listen(l), a.imapd.Serve
		case api.IMAPS:
			b.open, b.serve = a.imapd.Gate.Listen(l), a.imapd.ServeTLS
		}
		b.open.Local = w.Local
		open = append(open, b)
	}
	return open, nil
}

// listenOn listens on an IP address or a socket. A socket that a killed mailnode left
// behind goes first; another file stays, and listening fails.
func listenOn(ctx context.Context, w api.Listener) (net.Listener, error) {
	var config net.ListenConfig
	path := w.Socket()
	if path == "" {
		return config.Listen(ctx, "tcp", w.Address)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		_ = os.Remove(path) // or listening says what is wrong
	}
	return config.Listen(ctx, "unix", path)
}

// smtp is how a listener of smtpd is opened and served.
func (a *App) smtp(l net.Listener, k smtpd.Kind) (*gate.Listener, func(*gate.Listener)) {
	open := a.smtpd.Gate(k).Listen(l)
	if k == smtpd.Receiving {
		open.Proxies = a.flow.within(func(t *terms) []netip.Prefix { return t.proxies })
		open.Fronts = a.flow.within(func(t *terms) []netip.Prefix { return t.fronts })
		open.Trusted = a.flow.within(func(t *terms) []netip.Prefix { return t.known })
		open.Bounds = func() gate.Bounds { return a.flow.terms.Load().bounds(open.Port()) }
	}
	return open, func(open *gate.Listener) {
		a.smtpd.Serve(open, k, func() smtpd.Policy { return a.flow.policy(k, open.Port()) })
	}
}
