package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// hash is the argon2id hash of password, at a cost that is no part of what is measured.
const hash = "$argon2id$v=19$m=64,t=1,p=1$AisCEWIkpb4a2wFUtSHnXQ$XT34jQl79k8fdzPqtFLXyhox/fkcSNeENYrioVSQtkg"

// mailnode is the real program, without TLS.
type mailnode struct {
	bin, dir string
	running  *program
	status   *api.Status
	indexed  bool // mail that is searched has its index
}

// newMailnode writes the configuration of a mailnode with some listeners and accounts.
func newMailnode(bin, dir string, addresses []string, mail inventory.MailFlow, route inventory.Route, protocols ...api.Protocol) (*mailnode, error) {
	m := &mailnode{bin: bin, dir: dir}
	config := api.Config{
		Index: 1, Server: "bench", Hostname: "mx.example.test", Mail: mail,
		Limits:  api.Limits{Connections: 19_000, ConnectionsPerAddress: 19_000},
		Domains: []api.Domain{{Name: "example.test", Mail: inventory.DomainMail{Route: route}}},
	}
	for _, p := range protocols {
		config.Listeners = append(config.Listeners, api.Listener{Protocol: p, Address: "127.0.0.1:0", Local: true})
	}
	for i, address := range addresses {
		config.Accounts = append(config.Accounts, api.Account{ID: fmt.Sprintf("0198c0de-0000-7000-8000-%012d", i), Address: address, PasswordHash: hash})
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return m, os.WriteFile(m.config(), text, 0o600)
}

func (m *mailnode) config() string     { return filepath.Join(m.dir, "mailnode.json") }
func (m *mailnode) name() string       { return "mailfleet" }
func (m *mailnode) mail(string) string { return filepath.Join(m.dir, "data", "store") }
func (m *mailnode) processes() []int   { return []int{m.running.cmd.Process.Pid} }
func (m *mailnode) imap() string       { return m.address(api.IMAP) }
func (m *mailnode) pop3() string       { return m.address(api.POP3) }

func (m *mailnode) address(p api.Protocol) string {
	for _, l := range m.status.Listeners {
		if l.Protocol == p {
			return l.Address
		}
	}
	return ""
}

func (m *mailnode) start(ctx context.Context) (err error) {
	log, data := filepath.Join(m.dir, "log"), filepath.Join(m.dir, "data")
	if m.running, err = run(ctx, filepath.Join(m.bin, "mailfleet-mailnode"), log, "run", "--config", m.config(), "--dir", data); err != nil {
		return err
	}
	return m.running.await(ctx, log, func() (err error) {
		m.status, err = api.Dial(filepath.Join(data, api.SocketName)).Status(ctx)
		return err
	})
}

func (m *mailnode) stop() error {
	err := m.running.end()
	m.running = nil
	return err
}

// hands is how many fill a mailbox at once.
const hands = 2

// fill appends many messages at once (RFC 3502).
func (m *mailnode) fill(ctx context.Context, user string, c corpus) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := c.batches(ctx)
	var all sync.WaitGroup
	errs := make([]error, hands)
	for hand := range hands {
		all.Go(func() {
			if errs[hand] = m.append(ctx, user, batches); errs[hand] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

func (m *mailnode) append(ctx context.Context, user string, batches <-chan []byte) error {
	t, err := imap(ctx, m, user, "", 4<<10)
	if err != nil {
		return err
	}
	defer t.close()
	for batch := range batches {
		if _, err := t.Write(batch); err != nil {
			return err
		}
		if _, err := t.answer("APPEND"); err != nil {
			return err
		}
	}
	return nil
}

// batches makes the commands that append a corpus, some while others are carried out.
func (c corpus) batches(ctx context.Context) <-chan []byte {
	made := make(chan []byte, 1)
	go func() {
		defer close(made)
		for i := 0; i < c.count; {
			batch := []byte("a APPEND INBOX")
			for n := 0; n < 1000 && i < c.count; n++ {
				text := c.text(i)
				batch = fmt.Appendf(batch, " {%d+}\r\n", len(text))
				batch = append(batch, text...)
				i++
			}
			select {
			case made <- append(batch, "\r\n"...):
			case <-ctx.Done():
				return
			}
		}
	}()
	return made
}

// index has a mailbox searched until the index that the first search has made is used.
func (m *mailnode) index(ctx context.Context, user string) error {
	if m.indexed {
		return nil
	}
	t, err := imap(ctx, m, user, "INBOX", 4<<10)
	if err != nil {
		return err
	}
	defer t.close()
	var first, last time.Duration
	began := time.Now()
	for first == 0 || last > first/10 {
		searched := time.Now()
		if _, err := t.do("SEARCH TEXT nowhere"); err != nil {
			return err
		}
		if last = time.Since(searched); first == 0 {
			first = last
		}
		if time.Since(began) > patience {
			return fmt.Errorf("there is no index after %.0f s", time.Since(began).Seconds())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(3*last, 10*time.Second)): // else it takes the machine from the index
		}
	}
	m.indexed = true
	fmt.Printf("the first search took %.1f s; its index was there after %.1f s\n", first.Seconds(), time.Since(began).Seconds())
	return nil
}

func (m *mailnode) smtp() string { return m.address(api.SMTP) }

func (m *mailnode) submit(ctx context.Context, user string) (*talker, error) {
	t, err := mailTalk(ctx, m.address(api.Submission))
	if err != nil {
		return nil, err
	}
	if err := t.signIn(user); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// landed looks into the mailboxes: a message is there when it has been accepted.
func (m *mailnode) landed(ctx context.Context, count int) (landing, error) {
	l := landing{at: time.Now()}
	for _, box := range boxes() {
		t, err := imap(ctx, m, box, "", 4<<10)
		if err != nil {
			return l, err
		}
		a, err := t.do("SELECT INBOX")
		t.close()
		if err != nil {
			return l, err
		}
		l.count += a.exists
	}
	if l.count < count {
		return l, fmt.Errorf("of %d messages only %d are in the mailboxes", count, l.count)
	}
	return l, nil
}

// pile has the messages be held for a while (RFC 4865), all until the same moment.
func (m *mailnode) pile(ctx context.Context, put func(parameter string) error) error {
	const enough = 20 * time.Second
	due := time.Now().Add(enough).Truncate(time.Second)
	if err := put(" HOLDUNTIL=" + due.UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	if time.Now().After(due) {
		return fmt.Errorf("the queue could not be filled in %.0f s", enough.Seconds())
	}
	pause(ctx, time.Until(due))
	return ctx.Err()
}
