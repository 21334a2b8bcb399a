package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// send delivers a message by SMTP; nil means that the server has acknowledged it.
func send(address, to, text string) error {
	conn, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "mx.example.test")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return sendOn(c, to, text)
}

func sendOn(c *smtp.Client, to, text string) error {
	if err := c.Mail("sender@outside.test"); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

type fetched struct{ uidl, text string }

// fetch gets all messages of an account by POP3 and deletes them if asked to.
func fetch(t *testing.T, address, user string, remove bool) (all []fetched) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := &pop3{t, textproto.NewReader(bufio.NewReader(conn)), conn}
	c.ok()
	c.do("USER " + user)
	c.do("PASS " + password)
	c.do("UIDL")
	ids, err := c.ReadDotLines()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range ids {
		number, uidl, _ := strings.Cut(line, " ")
		c.do("RETR " + number)
		lines, err := c.ReadDotLines()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fetched{uidl, strings.Join(lines, "\r\n") + "\r\n"})
		if remove {
			c.do("DELE " + number)
		}
	}
	c.do("QUIT")
	return all
}

type pop3 struct {
	t *testing.T
	*textproto.Reader
	conn net.Conn
}

func (c *pop3) do(command string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", command); err != nil {
		c.t.Fatal(err)
	}
	c.ok()
}

func (c *pop3) ok() {
	c.t.Helper()
	line, err := c.ReadLine()
	if err != nil || !strings.HasPrefix(line, "+OK") {
		c.t.Fatalf("got %q, %v", line, err)
	}
}
