package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// patience is how long one step of a measurement may take.
const patience = 4 * time.Minute

// talker is the client of the measurements. It reads answers through one large buffer
// and looks no further into them than their framing, so that the server is what is
// measured.
type talker struct {
	net.Conn
	buf      []byte
	from, to int   // what is read and not yet taken
	total    int64 // bytes read
}

func dial(ctx context.Context, address string, buffer int) (*talker, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	return &talker{Conn: c, buf: make([]byte, buffer)}, nil
}

func (t *talker) close() { _ = t.Close() }

// more reads more, behind what is not yet taken.
func (t *talker) more() error {
	if t.from > 0 {
		t.to = copy(t.buf, t.buf[t.from:t.to])
		t.from = 0
	}
	if t.to == len(t.buf) {
		t.buf = append(t.buf, make([]byte, len(t.buf))...)
	}
	n, err := t.Read(t.buf[t.to:])
	t.to += n
	t.total += int64(n)
	return err
}

// line takes a line with its end. It is good until the next read.
func (t *talker) line() ([]byte, error) {
	looked := 0
	for {
		if i := bytes.IndexByte(t.buf[t.from+looked:t.to], '\n'); i >= 0 {
			line := t.buf[t.from : t.from+looked+i+1]
			t.from += len(line)
			return line, nil
		}
		looked = t.to - t.from
		if err := t.more(); err != nil {
			return nil, err
		}
	}
}

// skip takes n bytes and forgets them.
func (t *talker) skip(n int64) error {
	for n > int64(t.to-t.from) {
		n -= int64(t.to - t.from)
		t.from, t.to = 0, 0
		if err := t.more(); err != nil {
			return err
		}
	}
	t.from += int(n)
	return nil
}

// greeted reads the greeting.
func (t *talker) greeted() error {
	line, err := t.line()
	if err == nil && !bytes.HasPrefix(line, []byte("* OK")) && !bytes.HasPrefix(line, []byte("+OK")) {
		err = fmt.Errorf("it is greeted with %q", line)
	}
	return err
}

// literal is the length a line announces (RFC 9051 §4.3), -1 when it announces none.
func literal(line []byte) int64 {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 || line[len(line)-1] != '}' {
		return -1
	}
	n, err := strconv.ParseInt(string(line[bytes.LastIndexByte(line, '{')+1:len(line)-1]), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// answer is what an IMAP command was answered.
type answer struct {
	fetched  int   // FETCH responses
	literals int64 // bytes of literals
	found    int   // numbers of SEARCH responses
	exists   int
}

// do sends an IMAP command, whose tag is "a", and reads its answer.
func (t *talker) do(command string) (a answer, err error) {
	if _, err := io.WriteString(t, "a "+command+"\r\n"); err != nil {
		return a, err
	}
	return t.answer(command)
}

// answer reads until a response tagged "a".
func (t *talker) answer(command string) (a answer, err error) {
	for {
		line, err := t.line()
		if err != nil {
			return a, fmt.Errorf("%.60s: %w", command, err)
		}
		switch {
		case bytes.HasPrefix(line, []byte("a ")):
			if !bytes.HasPrefix(line, []byte("a OK")) {
				return a, fmt.Errorf("%.60s: %.200s", command, line)
			}
			return a, nil
		case bytes.HasPrefix(line, []byte("* SEARCH")):
			a.found = bytes.Count(bytes.TrimRight(line[8:], " \r\n"), []byte(" "))
		case bytes.HasSuffix(line, []byte(" EXISTS\r\n")):
			a.exists, _ = strconv.Atoi(string(line[2 : len(line)-9]))
		case bytes.HasPrefix(line, []byte("* ")) && bytes.Contains(line[:min(len(line), 24)], []byte(" FETCH ")):
			a.fetched++
		}
		for n := literal(line); n >= 0; n = literal(line) {
			a.literals += n
			if err := t.skip(n); err != nil {
				return a, err
			}
			if line, err = t.line(); err != nil {
				return a, err
			}
		}
	}
}

// imap signs in and selects a mailbox, unless it is "".
func imap(ctx context.Context, c contender, user, mailbox string, buffer int) (*talker, error) {
	t, err := dial(ctx, c.imap(), buffer)
	if err != nil {
		return nil, err
	}
	if err = t.greeted(); err == nil {
		_, err = t.do(fmt.Sprintf("LOGIN %s %q", user, password))
	}
	if err == nil && mailbox != "" {
		_, err = t.do("SELECT " + mailbox)
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// pop3 signs in.
func pop3(ctx context.Context, c contender, user string, buffer int) (*talker, error) {
	t, err := dial(ctx, c.pop3(), buffer)
	if err != nil {
		return nil, err
	}
	if err = t.greeted(); err == nil {
		if err = t.say("USER " + user); err == nil {
			err = t.say("PASS " + password)
		}
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// say sends a POP3 command that is answered by one line.
func (t *talker) say(command string) error {
	if _, err := io.WriteString(t, command+"\r\n"); err != nil {
		return err
	}
	line, err := t.line()
	if err == nil && !bytes.HasPrefix(line, []byte("+OK")) {
		err = fmt.Errorf("%.20s: %.200s", command, line)
	}
	return err
}

// download gets messages 1 to count, asking for up to ahead of them before the first has
// come (RFC 2449 §6.6).
func (t *talker) download(count, ahead int) error {
	for asked, got := 0, 0; got < count; {
		if asked-got <= ahead/2 {
			var b strings.Builder
			for ; asked < count && asked-got < ahead; asked++ {
				fmt.Fprintf(&b, "RETR %d\r\n", asked+1)
			}
			if _, err := io.WriteString(t, b.String()); err != nil {
				return err
			}
		}
		if err := t.more(); err != nil {
			return err
		}
		n, err := t.ends()
		if err != nil {
			return err
		}
		got += n
	}
	return nil
}

// ends takes answers that end in a line of a dot, and counts them.
func (t *talker) ends() (count int, err error) {
	if bytes.HasPrefix(t.buf[t.from:t.to], []byte("-ERR")) {
		return 0, fmt.Errorf("RETR: %.100q", t.buf[t.from:t.to])
	}
	const end = "\r\n.\r\n"
	for at := t.from; ; {
		i := bytes.IndexByte(t.buf[at:t.to], '.') // rarer than lines
		if i < 0 || at+i+3 > t.to {
			// A line of a dot may have been read in part.
			t.from = max(t.from, t.to-len(end)+1)
			return count, nil
		}
		if at += i; at >= t.from+2 && string(t.buf[at-2:at+3]) == end {
			t.from = at + 3
			count++
		}
		at++
	}
}
