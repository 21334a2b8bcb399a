package pop3d

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/store"
)

// program returns how to run another's program.
func program(t testing.TB, debianPackage, name string, args ...string) *exec.Cmd {
	t.Helper()
	path := peers.Find(t, debianPackage, name)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = memory(t)
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	return cmd
}

// memory is a directory in memory, where there is one: mpop syncs each file it writes.
func memory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pop3d-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mustRun(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%.3000s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// mixed are messages as the world sends them: Chinese and Japanese charsets, encoded
// words and parameters, raw 8-bit headers, MIME that is broken, dots, long lines.
func mixed(t testing.TB, count int) []string {
	t.Helper()
	encode := func(e encoding.Encoding, s string) string {
		b, err := e.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	kinds := []string{
		"Content-Type: text/plain; charset=gbk\r\n\r\n" + encode(simplifiedchinese.GBK, "天气预报：明天晴。\r\n"),
		"Content-Type: text/plain; charset=gb18030\r\n\r\n" + encode(simplifiedchinese.GB18030, "𠮷野家\r\n"),
		"Content-Type: text/plain; charset=big5\r\n\r\n" + encode(traditionalchinese.Big5, "許功蓋\r\n"),
		"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + encode(japanese.ISO2022JP, "日本語\r\n"),
		"X-Raw: " + encode(simplifiedchinese.GBK, "未编码的标题") + "\r\n\r\nraw 8-bit header\r\n",
		"Content-Type: application/pdf; name*0*=UTF-8''%E5%A4%A9; name*1*=%E6%B0%94.pdf\r\n\r\nJVBERi0=\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nnever closed\r\n",
		"Content-Type: multipart/mixed; boundary=\"\r\n\r\n--\r\n",
		"\r\n.\r\n..\r\n.a\r\n\r\n.\r\nFrom the start of a line\r\n",
		"\r\n" + strings.Repeat("x", 5000) + "\r\n",
		"\r\n",
		"\r\n\x80\xff\xfe\r\n\x01\x02\r\n",
	}
	messages := make([]string, count)
	for i := range messages {
		messages[i] = fmt.Sprintf("Message-ID: <%d@example.test>\r\nFrom: sender@example.test\r\nTo: user1@example.test\r\n"+
			"Date: Tue, 24 Nov 2026 00:00:00 +0000\r\nSubject: =?gb2312?B?zOzG+A==?= %d\r\n%s", i, i, kinds[i%len(kinds)])
	}
	return messages
}

// stocked is a server with TLS whose user1 has these messages.
func stocked(t testing.TB, messages []string) *node {
	t.Helper()
	n := start(t, func(o *Options) { o.Settings.TLS = certificate(t) })
	for len(messages) > 0 {
		var batch []store.Delivery
		for _, text := range messages[:min(len(messages), 200)] {
			batch = append(batch, store.Delivery{Accounts: []string{user1}, Body: strings.NewReader(text), Size: int64(len(text))})
		}
		if _, err := n.store.Append(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
		messages = messages[len(batch):]
	}
	return n
}

// left is how many messages user1 has.
func (n *node) left(t testing.TB) int {
	t.Helper()
	view, err := Stored{n.store}.View(t.Context(), store.Place{Account: user1, Mailbox: store.Inbox})
	if err != nil {
		t.Fatal(err)
	}
	return view.Len()
}

// hashes are the messages with their line ends as clients on this system keep them.
func hashes(messages []string) map[[32]byte]int {
	set := map[[32]byte]int{}
	for _, m := range messages {
		set[sha256.Sum256([]byte(strings.ReplaceAll(m, "\r\n", "\n")))]++
	}
	return set
}

const clientMessages = 10_000

func TestMpopFetchesEverythingOnce(t *testing.T) {
	messages := mixed(t, clientMessages)
	n := stocked(t, messages)
	host, port, err := net.SplitHostPort(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(options ...string) string {
		cmd := program(t, "mpop", "mpop")
		config := fmt.Sprintf("account x\nhost %s\nport %s\nuser user1@example.test\npassword secret pass\nauth user\ntls off\nreceived_header off\n"+
			"uidls_file %s/uidls\n%s\n", host, port, cmd.Dir, strings.Join(options, "\n"))
		file := filepath.Join(cmd.Dir, "mpoprc")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(cmd.Dir, "box", d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		cmd.Args = append(cmd.Args, "-q", "-C", file, "x")
		mustRun(t, cmd)
		return filepath.Join(cmd.Dir, "box", "new")
	}
	box := fetch("delivery maildir box", "keep on", "pipelining on")
	want := hashes(messages)
	err = filepath.WalkDir(box, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		want[sha256.Sum256(text)]--
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range want {
		if count != 0 {
			t.Fatalf("a message came %d times too few", count)
		}
	}
	if left := n.left(t); left != clientMessages {
		t.Errorf("%d messages are left", left)
	}
}

func TestFetchmailFetchesAndDeletes(t *testing.T) {
	messages := mixed(t, clientMessages)
	n := stocked(t, messages)
	host, port, err := net.SplitHostPort(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := program(t, "fetchmail", "fetchmail")
	config := fmt.Sprintf("set invisible\npoll %s protocol pop3 port %s uidl no dns\n user \"user1@example.test\" password \"secret pass\" is \"someone\" here\n"+
		" no rewrite no mimedecode sslproto '' bsmtp \"%s\" fetchall fetchlimit 0\n", host, port, filepath.Join(cmd.Dir, "out"))
	file := filepath.Join(cmd.Dir, "fetchmailrc")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Args = append(cmd.Args, "-f", file, "--nosyslog", "-i", filepath.Join(cmd.Dir, "ids"), "--pidfile", filepath.Join(cmd.Dir, "pid"), "-s")
	mustRun(t, cmd)
	out, err := os.ReadFile(filepath.Join(cmd.Dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	got := string(bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n")))
	for i, m := range messages {
		stuffed := strings.ReplaceAll(strings.ReplaceAll(m, "\r\n", "\n"), "\n.", "\n..")
		_, body, _ := strings.Cut(stuffed, "\n\n")
		id := fmt.Sprintf("Message-ID: <%d@example.test>\n", i)
		at := strings.Index(got, id)
		if at < 0 {
			t.Fatalf("message %d did not come", i)
		}
		end := strings.Index(got[at:], "\n.\n")
		if _, came, _ := strings.Cut(got[at:at+max(end, 0)+1], "\n\n"); end < 0 || came != body {
			t.Fatalf("message %d came as\n%.500q, want\n%.500q", i, came, body)
		}
		got = got[at:]
	}
	if left := n.left(t); left != 0 {
		t.Errorf("%d messages are left", left)
	}
}

func TestCurlFetchesEverything(t *testing.T) {
	messages := mixed(t, clientMessages)
	n := stocked(t, messages)
	cmd := program(t, "curl", "curl", "-sS", "-u", "user1@example.test:secret pass", fmt.Sprintf("pop3://%s/[1-%d]", n.addr, clientMessages), "-o", "#1")
	mustRun(t, cmd)
	for i, m := range messages {
		text, err := os.ReadFile(filepath.Join(cmd.Dir, fmt.Sprint(i+1)))
		if err != nil || string(text) != m {
			t.Fatalf("message %d came as\n%.500q, %v, want\n%.500q", i+1, text, err, m)
		}
	}
	for mechanism, addr := range map[string]string{"PLAIN": n.addr, "LOGIN": n.addr} {
		cmd := program(t, "curl", "curl", "-sS", "--login-options", "AUTH="+mechanism, "-u", "user1@example.test:secret pass", "pop3://"+addr+"/1")
		if got := mustRun(t, cmd); got != messages[0] {
			t.Errorf("with %s: %.500q", mechanism, got)
		}
	}
	cmd = program(t, "curl", "curl", "-sS", "--oauth2-bearer", "good", "-u", "user1@example.test", "pop3://"+n.addr+"/1")
	if got := mustRun(t, cmd); got != messages[0] {
		t.Errorf("with OAUTHBEARER: %.500q", got)
	}
}

const poplibClient = `
import hashlib, poplib, sys
poplib._MAXLINE = 1 << 20  # it refuses lines over 2,048 bytes, which some mail has
host, port = sys.argv[1].rsplit(":", 1)
count = int(sys.argv[2])
p = poplib.POP3(host, int(port), timeout=60)
p.user("user1@example.test")
p.pass_("secret pass")
p.utf8()
assert p.stat()[0] == count
uidl = [line.split()[1] for line in p.uidl()[1]]
assert len(set(uidl)) == count and all(len(u) <= 70 for u in uidl)
total = hashlib.sha256()
for i in range(1, count + 1):
    for line in p.retr(i)[1]:
        total.update(line + b"\r\n")
print(total.hexdigest())
for i in range(2, count + 1, 2):
    p.dele(i)
p.quit()
p = poplib.POP3(host, int(port), timeout=60)
p.user("user1@example.test")
p.pass_("secret pass")
assert [line.split()[1] for line in p.uidl()[1]] == uidl[::2]
p.quit()
`

func TestPoplibFetchesAndDeletesEveryOther(t *testing.T) {
	messages := mixed(t, clientMessages)
	n := stocked(t, messages)
	got := mustRun(t, program(t, "python3", "python3", "-c", poplibClient, n.addr, fmt.Sprint(clientMessages)))
	if want := fmt.Sprintf("%x\n", sha256.Sum256([]byte(strings.Join(messages, "")))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if left := n.left(t); left != clientMessages/2 {
		t.Errorf("%d messages are left", left)
	}
}

func TestNodePop3FetchesAndDeletesEveryOther(t *testing.T) {
	const dir = "../testdata/node"
	peers.Node(t, dir, "node-pop3")
	messages := mixed(t, clientMessages)
	n := stocked(t, messages)
	host, port, err := net.SplitHostPort(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := program(t, "nodejs", "node", "pop3.mjs", host, port, "user1@example.test", "secret pass", fmt.Sprint(clientMessages))
	cmd.Dir = dir
	if got, want := mustRun(t, cmd), fmt.Sprintf("%x\n", sha256.Sum256([]byte(strings.Join(messages, "")))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if left := n.left(t); left != clientMessages/2 {
		t.Errorf("%d messages are left", left)
	}
}

// GNU SASL, in mpop, is a second implementation of the mechanisms.
func TestMpopSignsIn(t *testing.T) {
	n := stocked(t, mixed(t, 1))
	host, port, err := net.SplitHostPort(n.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		mechanism, password string
		ok                  bool
	}{
		{"scram-sha-256", "secret pass", true}, {"scram-sha-256", "wrong", false},
		{"plain", "secret pass", true}, {"plain", "wrong again", false},
		{"login", "secret pass", true}, {"oauthbearer", "good", true}, {"oauthbearer", "bad", false},
	} {
		cmd := program(t, "mpop", "mpop", "--host="+host, "--port="+port, "--user=user1@example.test", "--auth="+test.mechanism,
			"--passwordeval=echo "+test.password, "--tls=off", "--serverinfo")
		cmd.Args[len(cmd.Args)-1] = "--auth-only"
		cmd.Args = append(cmd.Args, "--uidls-file="+filepath.Join(cmd.Dir, "uidls"), "--keep=on", "--delivery=mbox,"+filepath.Join(cmd.Dir, "mbox"))
		out, err := cmd.CombinedOutput()
		if (err == nil) != test.ok {
			t.Errorf("%s with %q: %v\n%s", test.mechanism, test.password, err, out)
		}
	}
}
