package imapd

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzSession lets a user of a server say anything, with a mailbox selected. Whatever it is,
// the session ends when he leaves, and the server lives.
func FuzzSession(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal("no scripts", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if command, ok := strings.CutPrefix(line, "C: "); ok {
				f.Add(command + "\r\n")
			}
		}
	}
	n := start(f, nil)
	n.fill(f, 1, 12, mixed)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := net.Dial("tcp", n.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "a LOGIN "+address(1)+" \""+secret+"\"\r\nb SELECT INBOX\r\n"+text)
		_ = c.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, c); os.IsTimeout(err) {
			t.Errorf("the session does not end after %q", text)
		}
	})
}
