package milter

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	lib "github.com/emersion/go-milter"

	"mailfleet/mailnode/envelope"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	peer  = Peer{Address: netip.MustParseAddrPort("192.0.2.1:4711"), Name: "mail.example.org", Helo: "helo.example.org", TLS: "TLSv1.3", Account: "ann", Server: "mx.example.test"}
)

const (
	header = "From: ann@example.org\r\nSubject: one\r\n two\r\nX-Old: 1\r\nX-Old: 2\r\n"
	body   = "first line\r\n.second line\r\n"
)

// program is a milter of the library's server.
type program struct {
	lib.NoOpMilter
	seen *[]string
	mu   *sync.Mutex

	connect, helo, mail, rcpt, header, chunk, end func(m *lib.Modifier) (lib.Response, error)
}

func (p program) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*p.seen = append(*p.seen, fmt.Sprintf(format, args...))
}

func call(f func(m *lib.Modifier) (lib.Response, error), m *lib.Modifier) (lib.Response, error) {
	if f == nil {
		return lib.RespContinue, nil
	}
	return f(m)
}

func (p program) Connect(host, family string, port uint16, addr net.IP, m *lib.Modifier) (lib.Response, error) {
	p.note("connect %s %s %d %s %s", host, family, port, addr, m.Macros["j"])
	return call(p.connect, m)
}

func (p program) Helo(name string, m *lib.Modifier) (lib.Response, error) {
	p.note("helo %s %s", name, m.Macros["{tls_version}"])
	return call(p.helo, m)
}

func (p program) MailFrom(from string, m *lib.Modifier) (lib.Response, error) {
	p.note("mail %s %s", from, m.Macros["{auth_authen}"])
	return call(p.mail, m)
}

func (p program) RcptTo(to string, m *lib.Modifier) (lib.Response, error) {
	p.note("rcpt %s", to)
	if to == "no@example.test" {
		return lib.RespReject, nil
	}
	return call(p.rcpt, m)
}

func (p program) Header(name, value string, m *lib.Modifier) (lib.Response, error) {
	p.note("header %s=%q", name, value)
	return call(p.header, m)
}

func (p program) Headers(textproto.MIMEHeader, *lib.Modifier) (lib.Response, error) {
	return lib.RespContinue, nil
}

func (p program) BodyChunk(chunk []byte, m *lib.Modifier) (lib.Response, error) {
	if len(chunk) < 1000 {
		p.note("body %q", chunk)
	} else {
		p.note("body of %d bytes", len(chunk))
	}
	return call(p.chunk, m)
}

func (p program) Body(m *lib.Modifier) (lib.Response, error) {
	p.note("end %s", m.Macros["i"])
	return call(p.end, m)
}

func (p program) Abort(*lib.Modifier) error {
	p.note("abort")
	return nil
}

func listen(t testing.TB, network string) (net.Listener, string) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "m.sock")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, network + ":" + l.Addr().String()
}

// serve runs a milter and returns its settings.
func serve(t testing.TB, network string, protocol lib.OptProtocol, p program) (Settings, func() []string) {
	t.Helper()
	p.seen, p.mu = new([]string), new(sync.Mutex)
	l, address := listen(t, network)
	s := &lib.Server{NewMilter: func() lib.Milter { return p }, Actions: 0xff, Protocol: protocol}
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return Settings{Name: "test", Address: address, Timeout: 10 * time.Second}, func() []string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return append([]string{}, *p.seen...)
	}
}

func chain(t testing.TB, list ...Settings) *Chain {
	t.Helper()
	c, err := New(list, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func message(header, body string) Message {
	return Message{ID: "ID1", Header: []byte(header), Open: func() io.Reader { return strings.NewReader(header + "\r\n" + body) }}
}

// run sends one message through a session until a ruling ends it.
func run(t testing.TB, c *Chain, to ...string) (string, Ruling) {
	t.Helper()
	s, r := c.Connect(t.Context(), peer)
	defer s.Close()
	stop := func() bool {
		if r.Refusal != nil && !r.Refusal.Valid() {
			t.Errorf("the refusal %v is none", r.Refusal)
		}
		return r.Refusal != nil || r.Accept || r.Discard
	}
	if stop() {
		return "connect", r
	}
	if r = s.Helo(t.Context(), peer); stop() {
		return "helo", r
	}
	if r = s.Mail(t.Context(), "ann@example.org", []envelope.Param{{Key: "SIZE", Value: "10", Given: true}}); stop() {
		return "mail", r
	}
	for _, to := range append(to, "bob@example.test") {
		if r = s.Recipient(t.Context(), to, nil); stop() && to != "no@example.test" {
			return "rcpt", r
		}
	}
	r = s.Message(t.Context(), message(header, body))
	stop()
	return "end", r
}

func answer(r lib.Response) func(*lib.Modifier) (lib.Response, error) {
	return func(*lib.Modifier) (lib.Response, error) { return r, nil }
}

func TestAMilterSeesTheWholeSession(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		s, seen := serve(t, network, 0, program{})
		at, r := run(t, chain(t, s), "no@example.test")
		if at != "end" || r.Refusal != nil || !reflect.DeepEqual(r.Changes, Changes{}) {
			t.Errorf("%s %+v", at, r)
		}
		want := []string{
			"connect mail.example.org tcp4 4711 192.0.2.1 mx.example.test", "helo helo.example.org TLSv1.3", "mail ann@example.org ann",
			"rcpt no@example.test", "rcpt bob@example.test",
			`header From="ann@example.org"`, `header Subject="one\n two"`, `header X-Old="1"`, `header X-Old="2"`,
			fmt.Sprintf("body %q", body), "end ID1",
		}
		if got := seen(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: it saw\n%s\nwant\n%s", network, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestAMilterDoesWithoutWhatItDoesNotWant(t *testing.T) {
	s, seen := serve(t, "tcp", lib.OptNoConnect|lib.OptNoHelo|lib.OptNoRcptTo|lib.OptNoHeaders|lib.OptNoEOH|lib.OptNoBody, program{})
	if at, r := run(t, chain(t, s)); at != "end" || r.Refusal != nil {
		t.Errorf("%s %+v", at, r)
	}
	if got, want := seen(), []string{"mail ann@example.org ann", "end ID1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("it saw %q", got)
	}
}

func TestAnswersOfMilters(t *testing.T) {
	custom := lib.NewResponseStr('y', "554-5.7.9 We do not\r\n554 5.7.9 like this.")
	for _, c := range []struct {
		name, at string
		p        program
		refusal  string
		accept   bool
		discard  bool
	}{
		{"rejects at connect", "connect", program{connect: answer(lib.RespReject)}, "550 5.7.1", false, false},
		{"defers at helo", "helo", program{helo: answer(lib.RespTempFail)}, "451 4.7.1", false, false},
		{"replies at mail", "mail", program{mail: answer(custom)}, "554 5.7.9 We do not like this", false, false},
		{"replies without a code of its own", "mail", program{mail: answer(lib.NewResponseStr('y', "450 later"))}, "450 4.7.1 later", false, false},
		{"replies strangely", "mail", program{mail: answer(lib.NewResponseStr('y', "450 sp\xc3\xa4ter\x01"))}, "450 4.7.1 sp?ter?", false, false},
		{"accepts the session", "connect", program{connect: answer(lib.RespAccept)}, "", true, false},
		{"accepts the message", "mail", program{mail: answer(lib.RespAccept)}, "", true, false},
		{"discards", "rcpt", program{rcpt: answer(lib.RespDiscard)}, "", false, true},
		{"rejects a header", "end", program{header: answer(lib.RespReject)}, "550 5.7.1", false, false},
		{"rejects a body", "end", program{chunk: answer(lib.RespReject)}, "550 5.7.1", false, false},
		{"rejects at the end", "end", program{end: answer(lib.RespReject)}, "550 5.7.1", false, false},
		{"discards at the end", "end", program{end: answer(lib.RespDiscard)}, "", false, true},
		{"ends the connection", "mail", program{mail: answer(lib.NewResponse('4', nil))}, "421 4.7.1", false, false},
	} {
		s, _ := serve(t, "tcp", 0, c.p)
		at, r := run(t, chain(t, s))
		if at != c.at || r.Accept != c.accept || r.Discard != c.discard || (r.Refusal == nil) != (c.refusal == "") {
			t.Errorf("%s: at %s %+v", c.name, at, r)
		} else if r.Refusal != nil && !strings.HasPrefix(r.Refusal.Error(), c.refusal) {
			t.Errorf("%s: %v", c.name, r.Refusal)
		}
	}
}

// Every change is taken, and the next milter sees the message as it is then.
func TestChanges(t *testing.T) {
	one, _ := serve(t, "tcp", 0, program{end: func(m *lib.Modifier) (lib.Response, error) {
		for _, err := range []error{
			m.AddHeader("X-Added", "a\r\n b"), m.InsertHeader(0, "X-First", "f"), m.ChangeHeader(2, "x-old", "new"),
			m.ChangeHeader(1, "Subject", ""), m.ChangeHeader(9, "X-Past", "end"), m.AddRecipient("eve@example.test"), m.DeleteRecipient("bob@example.test"),
			m.ChangeFrom("<other@example.org>"), m.Quarantine("odd"), m.ReplaceBody([]byte("new\r\n")), m.ReplaceBody([]byte("body\r\n")),
		} {
			if err != nil {
				return nil, err
			}
		}
		return lib.RespContinue, nil
	}})
	two, seen := serve(t, "tcp", 0, program{})
	at, r := run(t, chain(t, one, two))
	from := "other@example.org"
	want := Changes{
		Header: []HeaderChange{
			{AppendField, 0, "X-Added", "a\n b"}, {InsertField, 0, "X-First", "f"}, {ReplaceField, 2, "x-old", "new"},
			{ReplaceField, 1, "Subject", ""}, {ReplaceField, 9, "X-Past", "end"},
		},
		Quarantine: "odd", From: &from, Add: []string{"eve@example.test"}, Remove: []string{"bob@example.test"},
		Body: []byte("new\r\nbody\r\n"), NewBody: true,
	}
	if at != "end" || r.Refusal != nil || !reflect.DeepEqual(r.Changes, want) {
		t.Errorf("%s %+v", at, r)
	}
	saw := strings.Join(seen(), "\n")
	for _, want := range []string{"header X-First=\"f\"\nheader From=\"ann@example.org\"\nheader X-Old=\"1\"\nheader x-old=\"new\"\nheader X-Added=\"a\\n b\"\nheader X-Past=\"end\"\nbody \"new\\r\\nbody\\r\\n\""} {
		if !strings.Contains(saw, want) {
			t.Errorf("the next saw\n%s", saw)
		}
	}
}

// A milter that refuses in the end has changed nothing, and those after it are not
// asked.
func TestTheFirstRefusalEndsIt(t *testing.T) {
	one, _ := serve(t, "tcp", 0, program{end: func(m *lib.Modifier) (lib.Response, error) {
		return lib.RespReject, m.AddHeader("X", "y")
	}})
	two, seen := serve(t, "tcp", 0, program{})
	if _, r := run(t, chain(t, one, two)); r.Refusal == nil || !reflect.DeepEqual(r.Changes, Changes{}) {
		t.Errorf("%+v", r)
	}
	if strings.Contains(strings.Join(seen(), " "), "end") {
		t.Errorf("the next saw %q", seen())
	}
}

func TestManyMessagesInASession(t *testing.T) {
	s, seen := serve(t, "tcp", 0, program{})
	c := chain(t, s)
	session, _ := c.Connect(t.Context(), peer)
	defer session.Close()
	session.Helo(t.Context(), peer)
	for i := range 3 {
		if r := session.Mail(t.Context(), "a@b.test", nil); r.Refusal != nil {
			t.Fatal(r)
		}
		if i == 1 {
			session.Reset(t.Context())
			continue
		}
		session.Recipient(t.Context(), "c@d.test", nil)
		large := message(header, strings.Repeat(body, 10_000))
		if r := session.Message(t.Context(), large); r.Refusal != nil {
			t.Fatal(r)
		}
	}
	all := strings.Join(seen(), "\n")
	if strings.Count(all, "mail ") != 3 || strings.Count(all, "end ") != 2 || strings.Count(all, "abort") != 1 || strings.Count(all, "body of") < 8 {
		t.Errorf("it saw\n%s", all)
	}
}

// A milter that is not there or misbehaves is passed by, or makes mail wait.
func TestMiltersThatFail(t *testing.T) {
	for name, f := range map[string]func(c net.Conn){
		"closes at once":        func(c net.Conn) {},
		"says nothing":          func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"speaks something else": func(c net.Conn) { _, _ = io.WriteString(c, "220 hello\r\n"); _, _ = io.Copy(io.Discard, c) },
		"sends a large packet":  func(c net.Conn) { _, _ = c.Write([]byte{0xff, 0xff, 0xff, 0xff, 'O'}); _, _ = io.Copy(io.Discard, c) },
		"wants too much": func(c net.Conn) {
			_, _ = c.Write([]byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
			_, _ = io.Copy(io.Discard, c)
		},
		"sends an empty packet": func(c net.Conn) { _, _ = c.Write([]byte{0, 0, 0, 0, 0}); _, _ = io.Copy(io.Discard, c) },
		"answers nonsense": func(c net.Conn) {
			_, _ = c.Write([]byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0xff, 0, 0, 0, 0})
			_, _ = c.Write([]byte{0, 0, 0, 1, '!'})
			_, _ = io.Copy(io.Discard, c)
		},
		"only says that it lives": func(c net.Conn) {
			_, _ = c.Write([]byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0xff, 0, 0, 0, 0})
			for {
				if _, err := c.Write([]byte{0, 0, 0, 1, 'p'}); err != nil {
					return
				}
			}
		},
	} {
		l, address := listen(t, "tcp")
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				wg.Go(func() { f(c); _ = c.Close() })
			}
		})
		s := Settings{Name: "bad", Address: address, ConnectTimeout: 100 * time.Millisecond, Timeout: 100 * time.Millisecond}
		if at, r := run(t, chain(t, s)); r.Refusal != nil || !r.Accept {
			t.Errorf("%s: at %s %+v", name, at, r)
		}
		s.Required = true
		at, r := run(t, chain(t, s))
		if at != "connect" || r.Refusal == nil || !r.Refusal.Temporary() {
			t.Errorf("%s: at %s %+v", name, at, r)
		}
		_ = l.Close()
		wg.Wait()
	}
	gone := Settings{Name: "gone", Address: "unix:" + filepath.Join(t.TempDir(), "none"), Required: true}
	if _, r := run(t, chain(t, gone)); r.Refusal == nil || !r.Refusal.Temporary() {
		t.Errorf("one that is not there: %+v", r)
	}
}

// One that failed is left alone for a while, and asked again then, in the same
// session.
func TestAMilterComesBack(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "late")
	c := chain(t, Settings{Name: "late", Address: "unix:" + socket, Rest: time.Millisecond})
	session, r := c.Connect(t.Context(), peer)
	defer session.Close()
	if r.Refusal != nil {
		t.Fatal(r)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	p := program{seen: new([]string), mu: new(sync.Mutex), mail: answer(lib.RespReject)}
	s := &lib.Server{NewMilter: func() lib.Milter { return p }, Actions: 0xff}
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	defer func() { _ = s.Close(); <-done }()
	deadline := time.Now().Add(time.Minute)
	for r.Refusal == nil && time.Now().Before(deadline) {
		r = session.Mail(t.Context(), "a@b.test", nil)
	}
	if r.Refusal == nil || !strings.Contains(strings.Join(*p.seen, " "), "connect mail.example.org") {
		t.Errorf("%+v, it saw %q", r, *p.seen)
	}
}

func TestHeadersThatEndOtherwise(t *testing.T) {
	for rest, want := range map[string]string{"\r\n\r\nx\r\n": "\r\nx\r\n", "no field\r\n": "no field\r\n", "": "", "x": "x"} {
		m := Message{Header: []byte(header), Open: func() io.Reader { return strings.NewReader(header + rest) }}
		if got, err := io.ReadAll(bodyOf(m)); err != nil || string(got) != want {
			t.Errorf("%q has the body %q, %v", rest, got, err)
		}
	}
	short := Message{Header: []byte(header), Open: func() io.Reader { return strings.NewReader("x") }}
	if got, err := io.ReadAll(bodyOf(short)); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s, _ := serve(t, "tcp", 0, program{})
	s.Connections, s.Required = 2, true
	c := chain(t, s)
	var open []*Session
	for i := range 3 {
		session, r := c.Connect(t.Context(), peer)
		if (r.Refusal != nil) != (i == 2) {
			t.Errorf("connection %d: %+v", i, r)
		}
		open = append(open, session)
	}
	for _, session := range open {
		session.Close()
	}
	if _, r := run(t, c); r.Refusal != nil {
		t.Errorf("after they closed: %v", r.Refusal)
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"unix:/run/a.sock": "unix /run/a.sock", "local:/run/a.sock": "unix /run/a.sock", "tcp:127.0.0.1:80": "tcp 127.0.0.1:80",
		"inet:80@localhost": "tcp localhost:80", "inet6:80@::1": "tcp [::1]:80", "tcp:[::1]:80": "tcp [::1]:80",
		"unix:a": "", "tcp:host": "", "host:80": "", "": "", "inet:80@": "",
	} {
		s := Settings{Name: "x", Address: address}
		network, to, err := s.dial()
		if got := strings.TrimSpace(network + " " + to); got != want || (err != nil) != (want == "") {
			t.Errorf("%s is %q, %v", address, got, err)
		}
	}
	if _, err := New([]Settings{{Address: "unix:/a"}}, quiet); err == nil {
		t.Error("a milter without a name was taken")
	}
}

// Whatever a milter answers, changes stay within bounds and a header is a header.
func FuzzAnswers(f *testing.F) {
	f.Add(byte('h'), []byte("X\x00y\x00"))
	f.Add(byte('m'), []byte("\x00\x00\x00\x01From\x00a\nb\x00"))
	f.Add(byte('+'), []byte("<a@b>\x00x\x00"))
	f.Add(byte('y'), []byte("550-5.1.1 a\n550 5.1.1 b\x00"))
	f.Fuzz(func(t *testing.T, code byte, data []byte) {
		var c Changes
		known, err := c.note(code, data)
		if known && err == nil {
			w := &work{fields: splitFields([]byte(header)), open: func() io.Reader { return nil }}
			w.apply(c)
			for _, field := range w.fields {
				if !strings.HasSuffix(field, "\r\n") || strings.ContainsAny(field[:strings.IndexByte(field, ':')], " \r\n") {
					t.Errorf("%q", field)
				}
			}
			if c.NewBody && bytes.Contains(bytes.ReplaceAll(w.changes.Body, []byte("\r\n"), nil), []byte("\n")) {
				t.Errorf("the body %q", w.changes.Body)
			}
		}
		if r := reply(data); r != nil && !r.Valid() {
			t.Errorf("the reply %v", r)
		}
	})
}
