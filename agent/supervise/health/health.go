// Package health asks a service how it is, as an inventory.Probe says: by a
// command, a connection, or the first words of a mail or web protocol.
//
// Only supervise imports it.
package health

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"mailfleet/inventory"
)

const (
	maxLine   = 4096     // octets of an answer's line
	maxLines  = 100      // of an answer
	maxOutput = 64 << 10 // octets of a command's output
	killDelay = time.Second
)

// Ask returns nil when the service is well, or why it is not, in one sentence
// that a person may read. ctx bounds how long it may take.
func Ask(ctx context.Context, p inventory.Probe) error {
	var err error
	switch p.Kind {
	case inventory.ProbeCommand:
		err = command(ctx, p.Command)
	case inventory.ProbeHTTP:
		err = web(ctx, p.URL)
	case inventory.ProbeTCP:
		err = converse(ctx, p, func(*talk) error { return nil })
	case inventory.ProbeSMTP:
		err = converse(ctx, p, smtp)
	case inventory.ProbeIMAP:
		err = converse(ctx, p, imap)
	case inventory.ProbePOP3:
		err = converse(ctx, p, pop3)
	default:
		err = inventory.Fail("this agent does not know the probe %q", p.Kind)
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return inventory.Fail("no answer in time: %v", err)
	}
	return err
}

// command runs a program, and ends all it has started.
func command(ctx context.Context, words []string) error {
	out := &tail{}
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Stdout, c.Stderr, c.Dir = out, out, "/"
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = killDelay
	err := c.Run()
	if err == nil {
		return nil
	}
	if line := out.lastLine(); line != "" {
		return inventory.Fail("%v: %s", err, line)
	}
	return err
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[max(0, len(p)-maxOutput):]...)
	t.text = t.text[max(0, len(t.text)-maxOutput):]
	return len(p), nil
}

func (t *tail) lastLine() string {
	text := bytes.TrimSpace(t.text)
	return shorten(string(text[bytes.LastIndexByte(text, '\n')+1:]))
}

// shorten makes what a service said fit into a sentence.
func shorten(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return text
}

// anyCertificate is for asking whether a service answers at all: it is reached
// by an address its certificate need not name, and is told nothing.
func anyCertificate() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
}

func web(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: anyCertificate(), DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return inventory.Fail("it answered %s", shorten(res.Status))
	}
	return nil
}

// talk is a conversation in lines.
type talk struct {
	r *bufio.Reader
	w io.Writer
}

// converse connects and has a conversation.
func converse(ctx context.Context, p inventory.Probe, say func(*talk) error) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if p.TLS {
		secure := tls.Client(conn, anyCertificate())
		if err := secure.HandshakeContext(ctx); err != nil {
			return inventory.Fail("TLS: %v", err)
		}
		conn = secure
	}
	return say(&talk{r: bufio.NewReaderSize(conn, maxLine), w: conn})
}

func (t *talk) line() (string, error) {
	b, err := t.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", inventory.Fail("a line of its answer has more than %d octets", maxLine)
	}
	if errors.Is(err, io.EOF) {
		return "", inventory.Fail("it closed the connection")
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (t *talk) send(line string) error {
	_, err := io.WriteString(t.w, line+"\r\n")
	return err
}

// smtp expects a greeting and that EHLO is taken (RFC 5321 §4.2.1, §4.3.1).
func smtp(t *talk) error {
	if err := t.reply("220"); err != nil {
		return err
	}
	if err := t.send("EHLO localhost"); err != nil {
		return err
	}
	if err := t.reply("250"); err != nil {
		return err
	}
	_ = t.send("QUIT") // it is well whether it takes that or not
	return nil
}

// reply reads a reply of one or more lines that must have a code.
func (t *talk) reply(code string) error {
	for range maxLines {
		line, err := t.line()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, code) {
			return inventory.Fail("it answered %q", shorten(line))
		}
		if !strings.HasPrefix(line, code+"-") {
			return nil
		}
	}
	return inventory.Fail("its answer has more than %d lines", maxLines)
}

// imap expects a greeting that is no BYE (RFC 9051 §7.1).
func imap(t *talk) error { return t.greeting("a LOGOUT", "* OK", "* PREAUTH") }

// pop3 expects a greeting (RFC 1939 §4).
func pop3(t *talk) error { return t.greeting("QUIT", "+OK") }

func (t *talk) greeting(leave string, good ...string) error {
	line, err := t.line()
	if err != nil {
		return err
	}
	for _, prefix := range good {
		if rest, ok := strings.CutPrefix(line, prefix); ok && (rest == "" || rest[0] == ' ') {
			_ = t.send(leave) // it is well whether it takes that or not
			return nil
		}
	}
	return inventory.Fail("it answered %q", shorten(line))
}
