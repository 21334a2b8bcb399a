package imapd

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/store"
)

// mixed are messages of all kinds that a mailbox of a Chinese user has, good and bad.
func mixed(i int) string {
	id := fmt.Sprintf("Message-ID: <mixed%d@example.test>\r\nDate: Tue, %d Jan 2024 10:00:00 +0800\r\n", i, 1+i%28)
	switch i % 12 {
	case 0:
		return id + "From: \xd5\xc5\xc8\xfd <zhang@example.test>\r\nSubject: =?GBK?B?zOzG+A==?=\r\nContent-Type: text/plain; charset=gbk\r\n\r\n\xcc\xec\xc6\xf8\xba\xdc\xba\xc3\r\n"
	case 1:
		return id + "From: a@example.test\r\nSubject: =?gb18030?Q?=CC=EC=C6=F8?=\r\nContent-Type: text/plain; charset=GB18030\r\nContent-Transfer-Encoding: base64\r\n\r\nzOzG+LrcusM=\r\n"
	case 2:
		return id + "From: b@example.test\r\nSubject: =?big5?B?pNGu8A==?=\r\nContent-Type: text/plain; charset=big5\r\n\r\n\xa4\xd1\xae\xf0\r\n"
	case 3:
		return id + "From: c@example.test\r\nSubject: =?ISO-2022-JP?B?GyRCRTc1JBsoQg==?=\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BE75$\x1b(B\r\n"
	case 4:
		return id + "From: d@example.test\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=UTF-8''%E5%A4%A9.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n--b--\r\n"
	case 5:
		return id + "From: e@example.test\r\nSubject: no end\r\nContent-Type: multipart/alternative; boundary=\"x y\"\r\n\r\n--x y\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n"
	case 6:
		return id + "From: f@example.test\r\nSubject: within\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: g@example.test\r\n\r\ninner text\r\n"
	case 7:
		return id + "no header line\r\nFrom: <<>>@@\r\nSubject: bad\r\nContent-Type: ;;;\r\n\r\nbad\r\n"
	case 8:
		return id + "From: h@example.test\r\n\r\n"
	case 9:
		return id + "From: i@example.test\r\nSubject: long\r\n\r\n" + strings.Repeat("0123456789 天气预报\r\n", 3000)
	case 10:
		return id + "From: j@example.test\r\nSubject: =?utf-8?Q?=E5=A4=A9?=\r\n =?utf-8?Q?=E6=B0=94?=\r\nTo: g: k@example.test, l@example.test;\r\n\r\nfolded\r\n"
	}
	return id + "From: m@example.test\r\nSubject: dots\r\n\r\n.\r\n..\r\nFrom x\r\n"
}

// whole are the mixed messages without those that OfflineIMAP itself writes anew, as
// they are no good MIME.
func whole(i int) string {
	if i%12 == 5 || i%12 == 7 {
		i += 1000 * 12
		i -= i%12 - 3
	}
	return mixed(i)
}

// manyMixed is how many the clients synchronise, fewMixed those that take their time with
// so many: OfflineIMAP a minute, mutt half of it. IMAPD_CLIENTS says otherwise.
const (
	manyMixed = 10_000
	fewMixed  = 1000
)

func mixedCount(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("IMAPD_CLIENTS")); err == nil {
		return n
	}
	return usual
}

func (n *fixture) port() string {
	_, port, _ := net.SplitHostPort(n.addr)
	return port
}

// run runs a program with its home in a directory.
func run(t testing.TB, home, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home, "TERM=xterm")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// memory is a directory in memory, where there is one: clients sync each file they write.
func memory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "imapd-")
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

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// contents are the messages of a mailbox with their flags, as the store has them.
func (n *fixture) contents(t testing.TB, user int, name string) map[string]store.Flags {
	t.Helper()
	box, err := n.store.Find(t.Context(), account(user), name)
	if err != nil {
		t.Fatal(err)
	}
	_, messages, err := n.store.Snapshot(t.Context(), store.Place{Account: account(user), Mailbox: box.ID})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]store.Flags{}
	for _, m := range messages {
		b, err := io.ReadAll(n.store.Body(m))
		if err != nil {
			t.Fatal(err)
		}
		all[string(b)] = m.Flags
	}
	return all
}

// tuid is the header line that mbsync adds to what it copies.
var tuid = regexp.MustCompile(`(?m)^X-TUID: .*\r\n`)

// maildir reads the messages of a maildir, with CRLF, and the flags of their files.
func maildir(t testing.TB, dir string) (texts map[string]string, files map[string]string) {
	t.Helper()
	texts, files = map[string]string{}, map[string]string{}
	for _, sub := range []string{"cur", "new"} {
		names, err := filepath.Glob(filepath.Join(dir, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			text := tuid.ReplaceAllString(string(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))), "")
			_, flags, _ := strings.Cut(filepath.Base(name), ":2,")
			texts[text], files[text] = flags, name
		}
	}
	return texts, files
}

// wantSame proves that the maildir has what the server has, byte for byte.
func wantSame(t testing.TB, local map[string]string, remote map[string]store.Flags) {
	t.Helper()
	if len(local) != len(remote) {
		t.Errorf("%d messages here, %d there", len(local), len(remote))
	}
	for text := range remote {
		if _, ok := local[text]; !ok {
			t.Errorf("not here: %.200q", text)
		}
	}
}

// synchronises lets a client that synchronises a maildir with the server do so both ways.
func synchronises(t *testing.T, n *fixture, user int, sync func(), dir string) {
	sync()
	before := n.contents(t, user, inbox)
	local, files := maildir(t, dir)
	wantSame(t, local, before)

	order := slices.Sorted(maps.Keys(files))
	flag := func(text, flags string) {
		t.Helper()
		name, _, _ := strings.Cut(filepath.Base(files[text]), ":2,")
		if err := os.Rename(files[text], filepath.Join(dir, "cur", name+":2,"+flags)); err != nil {
			t.Fatal(err)
		}
	}
	flag(order[0], "FS")
	flag(order[1], "RS")
	if err := os.Remove(files[order[2]]); err != nil {
		t.Fatal(err)
	}
	added := "Subject: added here\nMessage-ID: <added@example.test>\nFrom: x@example.test\n\nadded\n"
	write(t, filepath.Join(dir, "cur", "1.added.here:2,S"), added)
	p := n.signedIn(t, user)
	p.do("a SELECT INBOX", "a OK")
	p.append("INBOX", "Subject: added there\r\nMessage-ID: <there@example.test>\r\nFrom: y@example.test\r\n\r\nadded\r\n")
	sync()
	sync() // some clients take a second look

	after := n.contents(t, user, inbox)
	if len(after) != len(before)+1 {
		t.Errorf("there were %d and are %d", len(before), len(after))
	}
	changed := 0
	for text, flags := range before {
		switch now, there := after[text]; {
		case text == order[2] && there:
			t.Error("the deleted message is there")
		case text != order[2] && !there:
			t.Errorf("a message is gone: %.100q", text)
		case text == order[0] && !now.Has(store.Flagged|store.Seen), text == order[1] && !now.Has(store.Answered|store.Seen):
			t.Errorf("flags were not taken over: %b", now)
		case now != flags:
			changed++
		}
	}
	if changed > 3 {
		t.Errorf("%d messages have other flags", changed)
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(after)), func(text string) bool { return strings.Contains(text, "<added@example.test>") }) {
		t.Error("the message added here is not there")
	}
	texts, _ := maildir(t, dir)
	if !slices.ContainsFunc(slices.Collect(maps.Keys(texts)), func(text string) bool { return strings.Contains(text, "<there@example.test>") }) {
		t.Error("the message added there is not here")
	}
}

func TestMbsync(t *testing.T) {
	t.Parallel()
	program := peers.Find(t, "isync", "mbsync")
	n := start(t, withMixed(t))
	home := memory(t)
	write(t, filepath.Join(home, ".mbsyncrc"), fmt.Sprintf(`
FSync no

IMAPAccount a
Host 127.0.0.1
Port %s
User %s
Pass "%s"
SSLType None
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
Path %s/mail/
Inbox %s/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
`, n.port(), address(1), secret, home, home))
	if err := os.MkdirAll(filepath.Join(home, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	synchronises(t, n, 1, func() { run(t, home, program, "-q", "-a") }, filepath.Join(home, "mail", "INBOX"))
}

func TestOfflineIMAP(t *testing.T) {
	t.Parallel()
	program := peers.Find(t, "offlineimap3", "offlineimap")
	n := start(t, nil)
	home := memory(t)
	write(t, filepath.Join(home, ".offlineimaprc"), fmt.Sprintf(`
[general]
accounts = a
ui = quiet
fsync = no
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %s/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = %s
remoteuser = %s
remotepass = %s
ssl = no
starttls = no
auth_mechanisms = PLAIN
`, home, n.port(), address(1), secret))
	n.fill(t, 1, mixedCount(fewMixed), whole)
	synchronises(t, n, 1, func() { run(t, home, program, "-o") }, filepath.Join(home, "mail", "INBOX"))
}

func TestCurl(t *testing.T) {
	t.Parallel()
	program := peers.Find(t, "curl", "curl")
	n := start(t, withMixed(t))
	count := mixedCount(manyMixed)
	home := memory(t)
	base := "imap://" + n.addr
	curl := func(args ...string) string {
		return run(t, home, program, append([]string{"-sS", "-u", address(1) + ":" + secret}, args...)...)
	}
	var both sync.WaitGroup // one waits while the other is answered
	for _, part := range [][2]int{{1, count / 2}, {count/2 + 1, count}} {
		both.Go(func() { curl(fmt.Sprintf("%s/INBOX;MAILINDEX=[%d-%d]", base, part[0], part[1]), "-o", "#1") })
	}
	both.Wait()
	for i := range count {
		if got, err := os.ReadFile(filepath.Join(home, strconv.Itoa(i+1))); err != nil || string(got) != mixed(i) {
			t.Fatalf("message %d came as %.300q, %v", i+1, got, err)
		}
	}
	if got := curl(base + "/INBOX?SUBJECT%20dots"); !strings.HasPrefix(got, "* SEARCH 12") {
		t.Errorf("searched %q", got)
	}
	file := filepath.Join(home, "m")
	write(t, file, "Subject: up\r\n\r\nup\r\n")
	curl("-T", file, base+"/INBOX")
	if got := curl(fmt.Sprintf("%s/INBOX;UID=%d", base, count+1)); got != "Subject: up\r\n\r\nup\r\n" {
		t.Errorf("uploaded %q", got)
	}
	if got := curl(base, "-X", `LIST "" *`); !strings.Contains(got, `"/" INBOX`) {
		t.Errorf("listed %q", got)
	}
}

func TestMutt(t *testing.T) {
	t.Parallel()
	mutt, program := peers.Find(t, "mutt", "mutt"), peers.Find(t, "bsdutils", "script")
	n := start(t, nil)
	count := mixedCount(fewMixed)
	n.fill(t, 1, count, mixed)
	home := memory(t)
	write(t, filepath.Join(home, ".muttrc"), fmt.Sprintf(`
set imap_user="%s" imap_pass="%s" ssl_starttls=no ssl_force_tls=no imap_authenticators="login"
set folder="imap://%s/" spoolfile="+INBOX" confirmappend=no confirmcreate=no delete=yes mail_check=1 wait_key=no header_cache= quit=yes move=no copy=no timeout=1
set mbox_type=Maildir
push "<tag-pattern>~A<enter><tag-prefix><copy-message>%s/out<enter><untag-pattern>~A<enter><limit>~i mixed11@<enter><flag-message><limit>all<enter><first-entry><delete-message><sync-mailbox><quit>"
`, address(1), secret, n.addr, home))
	run(t, home, program, "-qec", mutt+" -F "+home+"/.muttrc", "/dev/null")
	texts, _ := maildir(t, filepath.Join(home, "out"))
	if len(texts) != count {
		t.Errorf("mutt copied %d messages", len(texts))
	}
	left := n.contents(t, 1, inbox)
	if len(left) != count-1 {
		t.Errorf("%d messages are left", len(left))
	}
	if flags := left[mixed(11)]; !flags.Has(store.Flagged) {
		t.Errorf("the flags are %b", flags)
	}
}

const imaplibScript = `
import hashlib, imaplib, sys
host, port, user, password = sys.argv[1:5]
m = imaplib.IMAP4(host, int(port))
m.login(user, password)
def ok(r):
    assert r[0] == 'OK', r
    return r[1]
m.enable('CONDSTORE')
ok(m.create('"a b"'))
assert any(b'a b' in l for l in ok(m.list()))
ok(m.select('INBOX'))
ok(m.append('INBOX', r'(\Seen)', imaplib.Time2Internaldate(1700000000), b'Subject: p\r\n\r\npython\r\n'))
assert ok(m.search(None, 'BODY', 'python')) == [b'1'], m.search(None, 'BODY', 'python')
data = ok(m.fetch('1', '(RFC822 FLAGS)'))
assert data[0][1] == b'Subject: p\r\n\r\npython\r\n', data
ok(m.store('1', '+FLAGS', r'(\Flagged)'))
ok(m.copy('1', '"a b"'))
assert ok(m.status('"a b"', '(MESSAGES)'))[0].endswith(b'(MESSAGES 1)')
assert ok(m.sort('(REVERSE DATE)', 'UTF-8', 'ALL')) == [b'1']
assert ok(m.thread('REFERENCES', 'UTF-8', 'ALL')) == [b'(1)']
assert ok(m.namespace())
assert ok(m.getquotaroot('INBOX'))
assert ok(m.myrights('INBOX'))
assert ok(m.select('full'))[0] == sys.argv[5].encode()
whole = hashlib.sha256()
for part in ok(m.fetch('1:*', '(BODY.PEEK[])')):
    if isinstance(part, tuple):
        whole.update(part[1])
print(whole.hexdigest())
ok(m.store('1:*', '+FLAGS.SILENT', r'(\Answered)'))
assert len(ok(m.search(None, 'ANSWERED'))[0].split()) == int(sys.argv[5])
ok(m.create('again'))
for i in range(1, 101):  # each takes 40 ms: it waits for the acknowledgement of what it sent
    text = ok(m.fetch(str(i), '(BODY.PEEK[])'))[0][1]
    ok(m.append('again', None, None, text))
ok(m.select('INBOX'))
ok(m.store('1', '+FLAGS', r'(\Deleted)'))
assert ok(m.expunge()) == [b'1']
ok(m.close())
ok(m.unselect()) if hasattr(m, 'unselect') and m.state == 'SELECTED' else None
m.logout()
`

func TestImaplib(t *testing.T) {
	t.Parallel()
	program := peers.Find(t, "python3", "python3")
	n := start(t, withMixed(t))
	count := mixedCount(manyMixed)
	if err := n.store.RenameMailbox(t.Context(), account(1), inbox, "full"); err != nil { // INBOX is empty then
		t.Fatal(err)
	}
	want := sha256.New()
	for i := range count {
		want.Write([]byte(mixed(i)))
	}
	got := run(t, t.TempDir(), program, "-c", imaplibScript, "127.0.0.1", n.port(), address(1), secret, fmt.Sprint(count))
	if got != fmt.Sprintf("%x\n", want.Sum(nil)) {
		t.Errorf("imaplib read %s, want %x", got, want.Sum(nil))
	}
	full, again := n.contents(t, 1, "full"), n.contents(t, 1, "again")
	for i := range count {
		if flags, there := full[mixed(i)]; !there || flags != store.Answered {
			t.Fatalf("message %d is there: %v, with the flags %b", i, there, flags)
		}
		if flags, there := again[mixed(i)]; i < 100 && (!there || flags != 0) {
			t.Fatalf("the copy of message %d is there: %v, with the flags %b", i, there, flags)
		}
	}
}
