package imapd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/store"
)

// fill puts many messages into a mailbox, many at once.
func (n *fixture) fill(t testing.TB, user, count int, body func(i int) string) {
	t.Helper()
	if err := n.store.CreateAccount(t.Context(), account(user)); err != nil {
		t.Fatal(err)
	}
	box, err := n.store.Find(t.Context(), account(user), inbox)
	if err != nil {
		t.Fatal(err)
	}
	place := store.Place{Account: account(user), Mailbox: box.ID}
	for done := 0; done < count; {
		var batch []store.Delivery
		for size := 0; done < count && len(batch) < 1000 && size < 8<<20; done++ {
			text := body(done)
			size += len(text)
			batch = append(batch, store.Delivery{Places: []store.Place{place}, Body: strings.NewReader(text), Size: int64(len(text))})
		}
		if _, err := n.store.Append(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
	}
}

func small(i int) string { return fmt.Sprintf("Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\nx\r\n", i, i) }

// A peer that asks for much and reads nothing holds a buffer, not what it asked for.
func TestAClientThatNeverReadsHoldsLittle(t *testing.T) {
	n := start(t, nil)
	n.fill(t, 1, 20, func(int) string { return "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 50_000) })
	before := heap()
	const peers = 30
	for range peers {
		p := n.signedIn(t, 1)
		p.do("a SELECT INBOX", "a OK")
		if err := p.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			p.send("b FETCH 1:* BODY.PEEK[]\r\n")
		}
		if _, err := p.r.ReadString('\n'); err != nil { // it has begun to answer
			t.Fatal(err)
		}
	}
	if held := (heap() - before) / peers; held > 400<<10 {
		t.Errorf("each holds %d KiB", held>>10)
	}
}

// A peer that sends a long message and does not go on holds a buffer, not what has come.
func TestAClientThatStopsInALongMessageHoldsLittle(t *testing.T) {
	n := start(t, nil)
	const peers = 30
	before := heap()
	for range peers {
		p := n.signedIn(t, 1)
		p.send("a APPEND INBOX {10000000}\r\n")
		if line := p.line(); !strings.HasPrefix(line, "+") {
			t.Fatalf("got %q", line)
		}
		p.send(strings.Repeat("0123456789abcdef\r\n", 100_000))
	}
	if held := (heap() - before) / peers; held > 400<<10 {
		t.Errorf("each holds %d KiB", held>>10)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestManyIdleConnections holds connections that idle, 10,000 when IMAPD_SOAK says so, and
// tells all of them of one message. Their other ends are in a process of their own, as
// one process may not have so many open files.
func TestManyIdleConnections(t *testing.T) {
	count := 500
	if s := os.Getenv("IMAPD_SOAK"); s != "" {
		count, _ = strconv.Atoi(s)
	}
	n := start(t, nil)
	n.fill(t, 1, 1000, small)
	warm := n.signedIn(t, 1)
	warm.do("a SELECT INBOX", "a OK")
	before := heap()
	peers := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPeersOfManyIdleConnections$")
	peers.Env = append(os.Environ(), holdIdle+"="+n.addr, holdCount+"="+strconv.Itoa(count))
	out, err := peers.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := peers.Start(); err != nil {
		t.Fatal(err)
	}
	says := bufio.NewReader(out)
	hear := func(what string) {
		t.Helper()
		if line, err := says.ReadString('\n'); err != nil || line != what+"\n" {
			rest, _ := io.ReadAll(says)
			t.Fatalf("the peers say %q, %v\n%s", line, err, rest)
		}
	}
	hear("all idle")
	each := (heap() - before) / int64(count)
	t.Logf("%d idle connections take %d bytes each", count, each)
	if each > 16<<10 {
		t.Errorf("an idle connection takes %d bytes", each)
	}
	begun := time.Now()
	warm.append("INBOX", "Subject: news\r\n\r\n")
	hear("all told")
	t.Logf("all were told after %v", time.Since(begun))
	if err := peers.Wait(); err != nil {
		t.Error(err)
	}
}

const holdIdle, holdCount = "IMAPD_HOLD_IDLE", "IMAPD_HOLD_COUNT"

// TestPeersOfManyIdleConnections are the other ends of TestManyIdleConnections.
func TestPeersOfManyIdleConnections(t *testing.T) {
	addr := os.Getenv(holdIdle)
	if addr == "" {
		t.Skip("TestManyIdleConnections runs it")
	}
	count, err := strconv.Atoi(os.Getenv(holdCount))
	if err != nil {
		t.Fatal(err)
	}
	peers := make([]net.Conn, count)
	buf := make([]byte, 64<<10)
	for i := range peers {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		peers[i] = c
		if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(c, "a LOGIN %s \"%s\"\r\nb SELECT INBOX\r\nc IDLE\r\n", address(1), secret); err != nil {
			t.Fatal(err)
		}
		await(t, c, buf, "+ idling\r\n")
	}
	fmt.Println("all idle")
	for _, c := range peers {
		await(t, c, buf, "* 1001 EXISTS\r\n")
	}
	fmt.Println("all told")
}

// await reads until what was read ends with text.
func await(t testing.TB, c net.Conn, buf []byte, text string) {
	t.Helper()
	n := 0
	for !bytes.HasSuffix(buf[:n], []byte(text)) {
		got, err := c.Read(buf[n:])
		if n += got; err != nil || n == len(buf) {
			t.Fatalf("got %q, %v", buf[:n], err)
		}
	}
}

func TestALargeMailbox(t *testing.T) {
	count, limit := 2000, time.Minute
	if s := os.Getenv("IMAPD_LARGE"); s != "" { // by itself, on a machine that does nothing else
		count, _ = strconv.Atoi(s)
		limit = 100 * time.Millisecond
	}
	n := start(t, nil)
	n.fill(t, 1, count, small)
	p := n.signedIn(t, 1)
	timed := func(what, command string) time.Duration {
		if err := p.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		p.send("t " + command + "\r\n")
		read := int64(0)
		for {
			line, err := p.r.ReadSlice('\n')
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				t.Fatal(err)
			}
			read += int64(len(line))
			if bytes.HasPrefix(line, []byte("t ")) {
				if !bytes.HasPrefix(line, []byte("t OK")) {
					t.Fatalf("%s: %s", command, line)
				}
				break
			}
		}
		took := time.Since(begun)
		t.Logf("%-28s %8v %9d bytes", what, took.Round(time.Microsecond*100), read)
		return took
	}
	for _, what := range []string{"SELECT, the first", "SELECT again"} {
		if took := timed(what, "SELECT INBOX"); took > limit {
			t.Errorf("%s took %v", what, took)
		}
		timed("FETCH of the last", "FETCH * FLAGS") // it may have to be read first
	}
	timed("FETCH flags", "FETCH 1:* (UID FLAGS)")
	timed("FETCH envelope and flags", "FETCH 1:* (UID FLAGS ENVELOPE)")
	timed("FETCH all that is kept", "FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE MODSEQ PREVIEW)")
	timed("FETCH bodies", "FETCH 1:* BODY.PEEK[]")
	timed("STORE of all", "STORE 1:* +FLAGS.SILENT \\Flagged")
	timed("SEARCH flags", "SEARCH UNSEEN FLAGGED")
	timed("SEARCH subject", "SEARCH SUBJECT 777")
	timed("SEARCH body", "SEARCH BODY zzz")
	timed("SORT by subject", "SORT (SUBJECT) UTF-8 ALL")
	timed("THREAD", "THREAD REFERENCES UTF-8 ALL")
	timed("COPY of all", "COPY 1:* INBOX")
}

// BenchmarkFetchBodies measures bodies of 10 KB, 1,000 of them.
func BenchmarkFetchBodies(b *testing.B) {
	n := start(b, nil)
	n.fill(b, 1, 1000, func(i int) string {
		return fmt.Sprintf("Subject: %d\r\n\r\n", i) + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc\r\n", 160)
	})
	p := n.signedIn(b, 1)
	p.do("a SELECT INBOX", "a OK")
	b.ResetTimer()
	for b.Loop() {
		if err := p.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			b.Fatal(err)
		}
		p.send("b UID FETCH 1:* BODY.PEEK[]\r\n")
		read := 0
		for {
			line, err := p.r.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			read += len(line)
			if bytes.HasPrefix(line, []byte("b OK")) {
				break
			}
		}
		b.SetBytes(int64(read))
	}
}

// BenchmarkAppend measures durable APPENDs of 10 KB over 64 connections.
func BenchmarkAppend(b *testing.B) {
	n := start(b, nil)
	const conns = 64
	text := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc\r\n", 160)
	command := fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s\r\n", len(text), text)
	work := make(chan struct{}, conns)
	done := make(chan error, conns)
	for i := range conns {
		p := n.signedIn(b, 1+i%50)
		go func() {
			var err error
			for range work {
				if err != nil {
					continue
				}
				if _, err = io.WriteString(p, command); err == nil {
					var line string
					if line, err = p.r.ReadString('\n'); err == nil && !strings.HasPrefix(line, "a OK") {
						err = fmt.Errorf("got %q", line)
					}
				}
			}
			done <- err
		}()
	}
	b.ResetTimer()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	for range conns {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// A connection that idles in TLS keeps no room for the large message that once came over it.
func TestIdleConnectionsInTLSAreSmall(t *testing.T) {
	n := start(t, func(c *config) { c.Settings.TLS = certificate(t) })
	const count, most = 200, 25_000
	message := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 12_000)
	before := heap()
	peers := make([]*net.TCPConn, count) // what only the other side needs is not held
	for i := range peers {
		p := n.dial(t)
		peers[i] = p.Conn.(*net.TCPConn)
		p.do("a STARTTLS", "a OK")
		p = newPeer(t, tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true}))
		p.do(fmt.Sprintf(`b LOGIN %s "%s"`, address(1), secret), "b OK")
		p.send(fmt.Sprintf("c APPEND INBOX {%d+}\r\n%s\r\nd IDLE\r\n", len(message), message))
		p.want("c OK")
		p.want("+ ")
	}
	each := (heap() - before) / count
	t.Logf("%d bytes a connection at first", each)
	for late := time.Now().Add(time.Minute); each > most && time.Now().Before(late); <-time.After(100 * time.Millisecond) {
		each = (heap() - before) / count
	}
	t.Logf("%d bytes a connection", each)
	if each > most {
		t.Errorf("an idle connection takes %d bytes", each)
	}
	runtime.KeepAlive(peers)
}
