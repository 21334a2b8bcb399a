package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sink is Postfix's smtp-sink, which takes mail and forgets it.
type sink struct {
	running *program
	log     string
}

func startSink(ctx context.Context, dir, address string) (*sink, error) {
	s := &sink{log: filepath.Join(dir, "sink")}
	if err := os.RemoveAll(s.log); err != nil {
		return nil, err
	}
	var err error
	if s.running, err = run(ctx, "/usr/sbin/smtp-sink", s.log, "-u", "postfix", "-h", "sink.far.test", "-c", address, "1000"); err != nil {
		return nil, err
	}
	return s, s.running.await(ctx, s.log, func() error { return ready(ctx, address) })
}

// ready is whether something listens.
func ready(ctx context.Context, address string) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// count is how many messages have come; the sink writes the number time and again.
func (s *sink) count() (int, error) {
	f, err := os.Open(s.log)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	tail := make([]byte, 200)
	n, _ := f.ReadAt(tail, max(0, info.Size()-int64(len(tail)))) // it may be shorter
	text := string(tail[:n])
	end := strings.LastIndexByte(text, '\r')
	if end < 0 {
		return 0, nil
	}
	text = text[:end]
	_, number, _ := strings.Cut(text[max(0, strings.LastIndex(text, "mesg=")):], "=")
	count, _ := strconv.Atoi(number)
	return count, nil
}

// remote takes mail, counts its recipients, and remembers when some of it came.
type remote struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu         sync.Mutex
	recipients int
	marked     map[string]time.Time // when mail for an address came that begins with mark
	changed    chan struct{}        // closed when recipients came
}

// mark begins the addresses whose arrival a remote remembers.
const mark = "friend"

func startRemote(ctx context.Context, address string) (*remote, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	r := &remote{listener: l, marked: map[string]time.Time{}, changed: make(chan struct{})}
	r.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			r.serving.Go(func() {
				defer func() { _ = c.Close() }()
				_ = r.serve(c) // who goes away in the middle is not counted
			})
		}
	})
	return r, nil
}

func (r *remote) close() { _ = r.listener.Close() }

// serve is one connection.
func (r *remote) serve(c net.Conn) error {
	in, out := bufio.NewReaderSize(c, 32<<10), bufio.NewWriterSize(c, 16<<10)
	if _, err := out.WriteString("220 remote.far.test ESMTP\r\n"); err != nil {
		return err
	}
	var to []string
	for {
		if in.Buffered() == 0 {
			if err := errors.Join(c.SetDeadline(time.Now().Add(patience)), out.Flush()); err != nil {
				return err
			}
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		reply := "250 2.0.0 ok\r\n"
		switch verb := strings.ToUpper(string(line[:min(4, len(line))])); verb {
		case "EHLO":
			reply = "250-remote.far.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n"
		case "MAIL":
			to = to[:0]
		case "RCPT":
			to = append(to, string(line))
		case "DATA":
			if err := r.body(in, out); err != nil {
				return err
			}
			r.came(to)
		case "QUIT":
			_, err = out.WriteString("221 2.0.0 bye\r\n")
			return errors.Join(err, out.Flush())
		}
		if _, err := out.WriteString(reply); err != nil {
			return err
		}
	}
}

// body takes a message.
func (r *remote) body(in *bufio.Reader, out *bufio.Writer) error {
	_, err := out.WriteString("354 go on\r\n")
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if bytes.Equal(line, []byte(".\r\n")) {
			return nil
		}
	}
}

func (r *remote) came(to []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recipients += len(to)
	for _, line := range to {
		_, address, _ := strings.Cut(line, "<")
		address, _, _ = strings.Cut(address, ">")
		if strings.HasPrefix(address, mark) {
			r.marked[address] = time.Now()
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// await returns when so many recipients have got their mail.
func (r *remote) await(ctx context.Context, recipients int) error {
	return r.until(ctx, func() bool { return r.recipients >= recipients })
}

// arrival waits for the mail for an address.
func (r *remote) arrival(ctx context.Context, address string) (at time.Time, err error) {
	return at, r.until(ctx, func() (here bool) { at, here = r.marked[address]; return here })
}

// until waits for something that is so when mail has come; r.mu is held when it is asked.
func (r *remote) until(ctx context.Context, so func() bool) error {
	late := time.After(patience)
	for {
		r.mu.Lock()
		is, n, changed := so(), r.recipients, r.changed
		r.mu.Unlock()
		if is {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("it takes too long: %d recipients have got their mail", n)
		}
	}
}
