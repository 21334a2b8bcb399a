// Package fleettest runs the real programs for tests and benchmarks: it builds
// them once, starts dev fleets on loopback networks of their own, and stops
// what it started. Only packages of e2e import it.
package fleettest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/dev"
)

// Programs are the names of the binaries.
var Programs = map[string]string{
	"mailfleet-controller": "mailfleet/controller", "mailfleet-agent": "mailfleet/agent", "mailfleet-mailnode": "mailfleet/mailnode",
}

// Build builds the programs into dir, with the race detector if asked.
func Build(ctx context.Context, dir string, race bool) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(Programs))
	for name, path := range Programs {
		wg.Go(func() {
			args := []string{"build", "-o", filepath.Join(dir, name)}
			if race {
				args = append(args, "-race")
			}
			cmd := exec.CommandContext(ctx, "go", append(args, path)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				errs <- fmt.Errorf("build %s: %w\n%s", name, err, out)
			}
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Fleet is a running dev fleet.
type Fleet struct {
	Dir   string
	Info  dev.Info
	Ready time.Duration // from the start until it said so

	cmd  *exec.Cmd
	out  *bytes.Buffer
	done chan struct{} // closed when the launcher has ended
	err  error
}

// FreeBase finds a loopback network that nothing listens on.
func FreeBase(ctx context.Context) string {
	for {
		base := fmt.Sprintf("127.%d.%d", 20+rand.IntN(230), 1+rand.IntN(250))
		free := true
		for _, at := range []string{".254:8443", ".254:7946", ".1:9835", ".1:1025", ".1:7946"} {
			l, err := new(net.ListenConfig).Listen(ctx, "tcp", base+at)
			if err != nil {
				free = false
				break
			}
			_ = l.Close()
		}
		if free {
			return base
		}
	}
}

// freeAddress is for a console outside the fleet's network, as by default.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Start starts a dev fleet from the programs in bin and waits until it is
// ready. dir must be short: sockets lie in it.
func Start(ctx context.Context, bin, dir string, args ...string) (*Fleet, error) {
	f := &Fleet{Dir: dir, done: make(chan struct{}), out: new(bytes.Buffer)}
	listen, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	f.cmd = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, "mailfleet-controller"), append([]string{"dev", "--dir", dir, "--base", FreeBase(ctx), "--listen", listen}, args...)...)
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	f.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	pipe, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr := new(bytes.Buffer)
	f.cmd.Stderr = stderr
	if err := f.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go func() {
		scanner := bufio.NewScanner(pipe)
		for scanner.Scan() {
			f.out.WriteString(scanner.Text() + "\n")
			if strings.HasPrefix(scanner.Text(), "ready: ") {
				close(ready)
			}
		}
		f.err = f.cmd.Wait()
		close(f.done)
	}()
	select {
	case <-ready:
		f.Ready = time.Since(began)
	case <-f.done:
		return nil, fmt.Errorf("the dev fleet ended: %w\n%s%s%s", f.err, f.out, stderr, f.Logs())
	case <-ctx.Done():
		_ = f.Stop()
		return nil, fmt.Errorf("the dev fleet was not ready in time\n%s%s%s", f.out, stderr, f.Logs())
	}
	text, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err == nil {
		err = json.Unmarshal(text, &f.Info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// Stop ends the fleet as Ctrl-C does.
func (f *Fleet) Stop() error {
	_ = f.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-f.done:
		return f.err
	case <-time.After(90 * time.Second):
		_ = f.cmd.Process.Kill()
		<-f.done
		return errors.New("the dev fleet did not stop")
	}
}

// Logs are the last lines of what the fleet's processes wrote.
func (f *Fleet) Logs() string {
	files, _ := filepath.Glob(filepath.Join(f.Dir, "log", "*.log"))
	var b strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "--- %s\n%s\n", filepath.Base(file), text[max(0, len(text)-6000):])
	}
	return b.String()
}

// Races returns what the race detector wrote, empty when nothing.
func (f *Fleet) Races() string {
	files, _ := filepath.Glob(filepath.Join(f.Dir, "log", "*.log"))
	more, _ := filepath.Glob(filepath.Join(f.Dir, "servers", "*", "services", "*", "*.log"))
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if at := bytes.Index(text, []byte("WARNING: DATA RACE")); err == nil && at >= 0 {
			return file + "\n" + string(text[at:min(len(text), at+6000)])
		}
	}
	return ""
}

// Client speaks to the fleet's controller with the operator token.
func (f *Fleet) Client() *api.Client {
	return &api.Client{Base: f.Info.Console, Token: f.Info.Token, HTTP: f.HTTP()}
}

// HTTP is a client that knows the fleet's CA.
func (f *Fleet) HTTP() *http.Client {
	pool := x509.NewCertPool()
	ca, _ := os.ReadFile(f.Info.CA)
	pool.AppendCertsFromPEM(ca)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
}

// Processes finds the fleet's processes by a part of their command line, e.g.
// "serve", "servers/mail1 run" or "servers/mail1/mailnode".
func (f *Fleet) Processes(part string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		line := strings.ReplaceAll(string(text), "\x00", " ")
		if strings.Contains(line, f.Dir) && strings.Contains(line, part) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Drain reads r to its end and closes it.
func Drain(r io.ReadCloser) { _, _ = io.Copy(io.Discard, r); _ = r.Close() }
