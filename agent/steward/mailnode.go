package steward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/agent/supervise"
	"mailfleet/controller/api"
	"mailfleet/inventory"
	mailnodeapi "mailfleet/mailnode/api"
)

// lmtpSocket is where programs on the same server hand mail in, in the mailnode's directory.
const lmtpSocket = "lmtp.sock"

// stopGrace is a little more than a mailnode takes to finish what it holds.
const stopGrace = 35 * time.Second

// mailnode is the server's own mail server, as the steward runs it: its
// configuration file is written from the desired state, and it is told to read
// it again when it changes.
type mailnode struct {
	dir     string
	program string

	mu      sync.Mutex
	written []byte // configuration on disk, without its index
	reload  bool   // it has not been taken up by the running process yet
}

func newMailnode(agentDir, program string) (*mailnode, error) {
	m := &mailnode{dir: filepath.Join(agentDir, "mailnode"), program: program}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the mailnode's directory: %w", err)
	}
	return m, nil
}

func (m *mailnode) configFile() string  { return filepath.Join(m.dir, "config.json") }
func (m *mailnode) certificate() string { return filepath.Join(m.dir, "mail.pem") }
func (m *mailnode) socket() string      { return filepath.Join(m.dir, mailnodeapi.SocketName) }

// specify fills in how it is run.
func (m *mailnode) specify(spec *supervise.Spec) {
	spec.Command = []string{m.program, "run", "--config", m.configFile(), "--dir", m.dir}
	spec.StopGrace = stopGrace
	client := mailnodeapi.Dial(m.socket())
	spec.Ready = func(ctx context.Context) error {
		_, err := client.Status(ctx)
		return err
	}
	spec.Health = func(ctx context.Context) (string, error) {
		status, err := client.Status(ctx)
		if err != nil {
			return "", fmt.Errorf("the mailnode does not answer on its control socket: %w", err)
		}
		return status.Version, nil
	}
	spec.Reloader = func(ctx context.Context) error {
		_, err := client.Reload(ctx)
		if p, refused := errors.AsType[*mailnodeapi.Problem](err); refused {
			return inventory.Fail("%s", p.Said())
		}
		return err
	}
}

// renewed makes the next configure tell the process of its new certificate.
func (m *mailnode) renewed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reload = true
}

// configure writes the configuration when it has changed and has the running
// process take it up. A mailnode that is not running reads it when it starts.
func (m *mailnode) configure(ctx context.Context, d api.Desired, v api.DesiredService) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	config := m.translate(d, v)
	same, err := json.Marshal(config)
	if err != nil {
		return err
	}
	if !bytes.Equal(same, m.written) {
		config.Index = d.Index
		text, err := json.MarshalIndent(config, "", " ")
		if err != nil {
			return err
		}
		if err := durable.WriteFile(m.configFile(), text); err != nil {
			return fmt.Errorf("write the mailnode's configuration: %w", err)
		}
		m.written, m.reload = same, true
	}
	if !m.reload {
		return nil
	}
	_, err = mailnodeapi.Dial(m.socket()).Reload(ctx)
	if p, refused := errors.AsType[*mailnodeapi.Problem](err); refused {
		return inventory.Fail("the mailnode keeps its old configuration: %s", p.Said())
	}
	m.reload = false // taken up, or it is not running
	return nil
}

// translate says the desired state in the mailnode's words.
func (m *mailnode) translate(d api.Desired, v api.DesiredService) mailnodeapi.Config {
	c := mailnodeapi.Config{
		Server: d.Server.Name, Hostname: d.Server.Name,
		Drained: v.Drained, Domains: []mailnodeapi.Domain{}, Accounts: []mailnodeapi.Account{},
	}
	_, err := os.Stat(m.certificate())
	secured := err == nil
	if secured {
		c.TLS = mailnodeapi.TLS{Cert: m.certificate(), Key: m.certificate()}
	}
	// A loopback address is reached by this machine only: passwords may go there in the clear.
	address, err := netip.ParseAddr(d.Server.Address)
	local := err == nil && address.IsLoopback()
	for _, l := range []struct {
		protocol mailnodeapi.Protocol
		port     int
		secure   bool
	}{
		{mailnodeapi.SMTP, v.Ports["smtp"], false}, {mailnodeapi.Submission, v.Ports["submission"], false},
		{mailnodeapi.Submissions, v.Ports["submissions"], true}, {mailnodeapi.POP3, v.Ports["pop3"], false}, {mailnodeapi.POP3S, v.Ports["pop3s"], true},
		{mailnodeapi.IMAP, v.Ports["imap"], false}, {mailnodeapi.IMAPS, v.Ports["imaps"], true},
	} {
		if l.port != 0 && (secured || !l.secure) {
			c.Listeners = append(c.Listeners, mailnodeapi.Listener{
				Protocol: l.protocol, Address: net.JoinHostPort(d.Server.Address, strconv.Itoa(l.port)), Local: local,
			})
		}
	}
	if v.Mail != nil {
		for _, l := range v.Mail.Receiving.Listeners {
			if l.Port != v.Ports["smtp"] {
				c.Listeners = append(c.Listeners, mailnodeapi.Listener{
					Protocol: mailnodeapi.SMTP, Address: net.JoinHostPort(d.Server.Address, strconv.Itoa(l.Port)), Local: local,
				})
			}
		}
	}
	if socket := filepath.Join(m.dir, lmtpSocket); len(socket) <= mailnodeapi.MaxSocket {
		c.Listeners = append(c.Listeners, mailnodeapi.Listener{Protocol: mailnodeapi.LMTP, Address: mailnodeapi.UnixPrefix + socket})
	}
	if v.Mail != nil {
		c.Mail = *v.Mail
	}
	translateMail(&c, d)
	return c
}

// appPasswords says an account's application passwords in the mailnode's words.
func appPasswords(a api.DesiredAccount) (list []mailnodeapi.AppPassword) {
	for _, p := range a.AppPasswords {
		app := mailnodeapi.AppPassword{ID: string(p.ID), Name: p.Name, Hash: p.Hash, SCRAM: p.SCRAM, Expires: p.Expires}
		for _, name := range p.Protocols {
			app.Protocols = append(app.Protocols, mailnodeapi.Protocol(name))
		}
		list = append(list, app)
	}
	return list
}
