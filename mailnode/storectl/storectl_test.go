package storectl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/store"
)

const (
	alice = "0198c0de-0000-7000-8000-00000000000a"
	bob   = "0198c0de-0000-7000-8000-00000000000b"
	carol = "0198c0de-0000-7000-8000-00000000000c"
)

func open(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(dir, "store"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fill makes mailboxes with some of everything for alice and a message for bob.
func fill(t testing.TB, s *store.Store) {
	t.Helper()
	m, err := s.CreateMailbox(t.Context(), alice, "档案/2024 a.b", `\Archive`)
	if err != nil {
		t.Fatal(err)
	}
	date := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	for i, p := range []store.Place{{Account: alice, Mailbox: store.Inbox}, {Account: alice, Mailbox: m.ID}, {Account: alice, Mailbox: m.ID}, {Account: bob, Mailbox: store.Inbox}} {
		if err := s.CreateAccount(t.Context(), p.Account); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("Subject: %d\r\n\r\nFrom the start\r\n>From quoted\r\n\r\nFrom after an empty line\r\n%s", i, strings.Repeat("x", i*70_000)+"\r\n")
		if _, err := s.Append(t.Context(), store.Delivery{
			Places: []store.Place{p}, Prefix: []byte("Return-Path: <a@b.test>\r\n"), Body: strings.NewReader(text), Size: int64(len(text)),
			Flags: store.Flags(i * 5), Keywords: []string{"$Label1", fmt.Sprint("word", i)}[:i%3], Internal: date.Add(time.Duration(i) * time.Hour),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// content is what an account holds, for comparison.
func content(t testing.TB, s *store.Store, account string) string {
	t.Helper()
	boxes, err := s.Mailboxes(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range boxes {
		_, messages, err := s.Snapshot(t.Context(), store.Place{Account: account, Mailbox: m.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range messages {
			text, err := io.ReadAll(s.Body(msg))
			if err != nil {
				t.Fatal(err)
			}
			words := msg.Flags.Keywords(m.Keywords)
			slices.Sort(words)
			list = append(list, fmt.Sprintf("%s %v %v %d %q", m.Name, msg.Flags&store.SystemFlags, words, msg.Internal.Unix(), text))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// run runs a command.
func run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	c := Command()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(io.Discard)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func must(t testing.TB, want string, args ...string) string {
	t.Helper()
	out, err := run(t, args...)
	if err != nil || !strings.Contains(out, want) {
		t.Fatalf("store %s: %q, %v; want %q", strings.Join(args, " "), out, err, want)
	}
	return out
}

// serve runs the part of a mailnode the commands need.
func serve(t testing.TB, s *store.Store, dir string) {
	t.Helper()
	handler, err := Handler(s, dir)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/store/", handler)
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(api.Status{}) })
	l, err := net.Listen("unix", filepath.Join(dir, api.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestWhatIsExportedCanBeImported(t *testing.T) {
	for _, live := range []bool{false, true} {
		for _, format := range []string{"maildir", "mbox"} {
			t.Run(fmt.Sprintf("%s, live %t", format, live), func(t *testing.T) {
				dir, to := shortDir(t), t.TempDir()
				s := open(t, dir)
				fill(t, s)
				want := content(t, s, alice)
				if live {
					serve(t, s, dir)
				} else if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				must(t, "4 messages written, 0 were there", "export", "--dir", dir, "--to", to, "--format", format)
				must(t, "0 messages written, 4 were there", "export", "--dir", dir, "--to", to, "--format", format)
				from := filepath.Join(to, alice)
				must(t, "3 messages taken, 0 were there", "import", "--dir", dir, "--from", from, "--format", format, "--account", carol)
				must(t, "0 messages taken, 3 were there", "import", "--dir", dir, "--from", from, "--format", format, "--account", carol)
				if !live {
					s = open(t, dir)
				}
				if got := content(t, s, carol); got != want {
					t.Errorf("exported\n%.2000s\nand imported\n%.2000s", want, got)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if left, err := os.ReadDir(filepath.Join(dir, checkpointsName)); err == nil && len(left) > 0 {
					t.Errorf("checkpoints are left: %v", left)
				}
			})
		}
	}
}

func TestMessagesAreExportedWithWhatIsKnownOfThem(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	s := open(t, dir)
	fill(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, "3 messages written", "export", "--dir", dir, "--to", to, "--format", "eml", "--account", alice)
	data, err := os.ReadFile(filepath.Join(to, alice, "档案", "2024 a.b", "2.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got["flags"]) != `[\Answered \Deleted $Label1 word2]` || got["uid"] != 2.0 || got["internal_date"] != "2020-02-03T06:05:06Z" {
		t.Errorf("%s", data)
	}
	text, err := os.ReadFile(filepath.Join(to, alice, "档案", "2024 a.b", "2.eml"))
	if err != nil || !strings.HasPrefix(string(text), "Return-Path: <a@b.test>\r\nSubject: 2\r\n") {
		t.Errorf("%.80q, %v", text, err)
	}
}

func TestBackupIsIncrementalAndRestored(t *testing.T) {
	dir, to := shortDir(t), t.TempDir()
	s := open(t, dir)
	fill(t, s)
	want := content(t, s, alice)
	serve(t, s, dir)
	must(t, "", "compact", "--dir", dir)
	first := strings.TrimSpace(must(t, to, "backup", "--dir", dir, "--to", to))
	must(t, "the store is whole: 4 messages", "verify", "--dir", dir)
	must(t, "the store is whole: 4 messages", "verify", "--dir", first)
	must(t, `"messages": 4`, "stat", "--dir", dir)
	must(t, `"old": 0`, "stat", "--dir", dir)
	if err := os.Rename(first, filepath.Join(to, "20200101T000000Z")); err != nil { // lest they have one second
		t.Fatal(err)
	}
	before, err := s.Status(t.Context(), store.Place{Account: alice, Mailbox: store.Inbox})
	if err != nil {
		t.Fatal(err)
	}
	second := strings.TrimSpace(must(t, to, "backup", "--dir", dir, "--to", to))
	shared := 0
	err = filepath.WalkDir(second, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			shared++
		}
		return err
	})
	if err != nil || shared == 0 {
		t.Errorf("%d files are shared with the first backup, %v", shared, err)
	}
	if _, err := run(t, "restore", "--from", to, "--dir", dir, "--replace"); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("restoring below a running mailnode: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	fresh := t.TempDir()
	must(t, "4 messages", "restore", "--from", to, "--dir", fresh)
	if _, err := run(t, "restore", "--from", to, "--dir", fresh); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("restoring over a store: %v", err)
	}
	must(t, "4 messages", "restore", "--from", second, "--dir", fresh, "--replace")
	s = open(t, fresh)
	if got := content(t, s, alice); got != want {
		t.Errorf("backed up\n%.2000s\nand restored\n%.2000s", want, got)
	}
	after, err := s.Status(t.Context(), store.Place{Account: alice, Mailbox: store.Inbox})
	if err != nil || after.UIDValidity != before.UIDValidity || after.UIDNext <= before.UIDNext || after.HighestModSeq <= before.HighestModSeq {
		t.Errorf("the mailbox was %+v and is %+v: UIDs could be given twice, %v", before, after, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, "the store is whole", "verify", "--dir", fresh)

	names, err := filepath.Glob(filepath.Join(second, "db", "*.sst"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	data, err := os.ReadFile(names[0])
	data[len(data)/2] ^= 1
	if err := errors.Join(err, os.WriteFile(names[0], data, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "restore", "--from", second, "--dir", t.TempDir()); err == nil || !strings.Contains(err.Error(), "the backup is damaged") {
		t.Errorf("restoring a damaged backup: %v", err)
	}
}

func TestRepairSaysToStopTheMailnode(t *testing.T) {
	dir := shortDir(t)
	s := open(t, dir)
	fill(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, "the store is whole", "repair", "--dir", dir)
	if _, err := run(t, "verify", "--dir", t.TempDir()); err == nil {
		t.Error("a store that is not there was verified")
	}
}

func TestFilesOfOtherProgramsAreImported(t *testing.T) {
	dir, from := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(from, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("m/new/1.a.host", "Subject: new\n\none\n")
	write("m/cur/2.a.host:2,FSb", "Subject: seen\n\ntwo\n")
	write("m/dovecot-keywords", "0 zero\n1 $Forwarded\n")
	write("m/.Sent.2024/cur/3.a.host:2,", "Subject: sub\n\nthree\n")
	write("m/tmp/4.a.host", "half")
	must(t, "3 messages taken", "import", "--dir", dir, "--from", filepath.Join(from, "m"), "--account", alice)
	write("b/old.mbox", "From a@b.test Mon Feb  3 04:05:06 2020\nSubject: x\nStatus: RO\nX-Status: A\n\nbody\n>From quoted\n\nFrom c@d.test Mon Feb  3 04:05:07 2020\nSubject: y\n\nlast")
	must(t, "2 messages taken", "import", "--dir", dir, "--from", filepath.Join(from, "b"), "--format", "mbox", "--account", alice)
	write("bad", "no mbox\n")
	if _, err := run(t, "import", "--dir", dir, "--from", filepath.Join(from, "bad"), "--format", "mbox", "--account", alice); err == nil {
		t.Error("what is no mbox was imported")
	}
	s := open(t, dir)
	defer func() { _ = s.Close() }()
	got := content(t, s, alice)
	for _, want := range []string{
		`INBOX 0 [] `, `"Subject: new\r\n\r\none\r\n"`,
		`INBOX 5 [$Forwarded] `, `"Subject: seen\r\n\r\ntwo\r\n"`,
		`Sent/2024 0 [] `, `"Subject: sub\r\n\r\nthree\r\n"`,
		`old 3 [] 1580702706 "Subject: x\r\n\r\nbody\r\nFrom quoted\r\n"`, `old 0 [] 1580702707 "Subject: y\r\n\r\nlast"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func FuzzMbox(f *testing.F) {
	f.Add([]byte("From a Mon Feb  3 04:05:06 2020\nStatus: R\n\nx\n\nFrom b\n"))
	f.Add([]byte("From \n>From \n>>From \n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		flags, _, rest := statusOf(data)
		if len(rest) > len(data) || flags&^store.SystemFlags != 0 {
			t.Errorf("%q became %q with %b", data, rest, flags)
		}
		_ = fromDate(string(data))
		if text := withCRLF(data); bytes.Count(text, []byte("\r\n")) != bytes.Count(data, []byte("\n")) {
			t.Errorf("%q became %q", data, text)
		}
	})
}
