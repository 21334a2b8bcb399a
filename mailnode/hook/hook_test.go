package hook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/store"
)

var (
	quiet  = slog.New(slog.DiscardHandler)
	secret = "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
)

func open(t testing.TB, fs vfs.FS) *store.Store {
	t.Helper()
	s, err := store.Open("/store", store.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// receiver is an HTTP server that notes what it takes.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(w http.ResponseWriter, r *http.Request, n int) bool // true: it has answered; n counts from 0
	requests int
	ids      []string // of events, in order
	webhooks []string // ids of requests
	last     *http.Request
	body     []byte
}

func receive(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int) bool) *receiver {
	t.Helper()
	v := &receiver{answer: answer}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	v.mu.Lock()
	n := v.requests
	v.requests++
	v.webhooks = append(v.webhooks, r.Header.Get("webhook-id"))
	v.mu.Unlock()
	if v.answer != nil && v.answer(w, r, n) {
		return
	}
	var p struct{ Data struct{ Events []Event } }
	if err := json.Unmarshal(body, &p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range p.Data.Events {
		v.ids = append(v.ids, e.ID)
	}
	v.last, v.body = r, body
}

func (v *receiver) got() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string{}, v.ids...)
}

// distinct counts the events that came, once or again because an answer was late.
func (v *receiver) distinct() int {
	ids := v.got()
	slices.Sort(ids)
	return len(slices.Compact(ids))
}

// until waits for a condition.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-tick.C
	}
}

// run starts a hook; stop ends it.
func run(t testing.TB, s Settings, st *store.Store) (h *Hook, stop func()) {
	t.Helper()
	h = New(s, st, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return h, stop
}

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s := open(t, vfs.NewMem())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func target(id, url string) Target {
	return Target{ID: id, URL: url, Secrets: []string{secret}}
}

func settings(list ...Target) Settings {
	return Settings{Server: "mx.example.test", Targets: list, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: time.Minute, Backoff: []time.Duration{10 * time.Millisecond}}
}

func event(n int) Event {
	return Event{ID: fmt.Sprintf("e%05d", n), Kind: Delivered, Domain: "example.test", Message: "m", From: "a@b.test", To: "c@example.test"}
}

func inOrder(t testing.TB, got []string, from, to int) {
	t.Helper()
	seen := map[string]bool{}
	last := ""
	for _, id := range got {
		if id < last && !seen[id] {
			t.Errorf("%s came after %s", id, last)
		}
		seen[id], last = true, max(last, id)
	}
	for n := from; n < to; n++ {
		if !seen[event(n).ID] {
			t.Errorf("%d never came", n)
		}
	}
}

func TestEventsComeInBatches(t *testing.T) {
	v := receive(t, nil)
	other := receive(t, nil)
	only := target("only", other.URL)
	only.Domain, only.Kinds = "OTHER.test", []Kind{Bounced}
	st := newStore(t)
	h, _ := run(t, settings(target("all", v.URL), only), st)
	for n := range 1000 {
		h.Emit(event(n))
	}
	h.Emit(Event{ID: "b1", Kind: Bounced, Domain: "other.test"})
	h.Emit(Event{ID: "b2", Kind: Received, Domain: "other.test"})
	if err := st.Update(t.Context(), nil, func(tx *store.Tx) error { return h.Add(tx, Event{ID: "b3", Kind: Bounced, Domain: "other.test"}) }); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no")
	if err := st.Update(t.Context(), nil, func(tx *store.Tx) error {
		return errors.Join(h.Add(tx, Event{ID: "b4", Kind: Bounced, Domain: "other.test"}), failure)
	}); !errors.Is(err, failure) {
		t.Fatal(err)
	}
	until(t, "all events come", func() bool { return len(v.got()) == 1003 && len(other.got()) == 2 })
	got := slices.DeleteFunc(v.got(), func(id string) bool { return id[0] == 'b' })
	inOrder(t, got, 0, 1000)
	if v.requests > 250 { // 12, when nothing else takes the processor
		t.Errorf("%d requests", v.requests)
	}
	if all := strings.Join(other.got(), " "); !strings.Contains(all, "b1") || !strings.Contains(all, "b3") {
		t.Errorf("the other got %s", all)
	}
	until(t, "nothing waits", func() bool { s := h.Status(); return s[0].Waiting == 0 && s[1].Waiting == 0 })
	if s := h.Status()[0]; s.Sent != 1003 || s.Dropped != 0 || s.Error != "" {
		t.Errorf("%+v", s)
	}
}

// What the library of the Standard Webhooks project takes is signed as it has to be.
func TestStandardWebhooks(t *testing.T) {
	const folder = "../testdata/node"
	node := peers.Node(t, folder, "standardwebhooks")
	old := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("o"), 24))
	v := receive(t, nil)
	to := target("t", v.URL)
	word := strings.Repeat("word", 6) // the specification's library knows only base64
	to.Secrets = []string{secret, old, word}
	h, _ := run(t, settings(to), newStore(t))
	h.Emit(event(1))
	until(t, "the event comes", func() bool { return len(v.got()) == 1 })
	headers := map[string]string{}
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		headers[name] = v.last.Header.Get(name)
	}
	for _, c := range []struct {
		secret, body string
		good         bool
	}{
		{"whsec_" + base64.StdEncoding.EncodeToString([]byte(word)), string(v.body), true}, {secret, string(v.body), true}, {old, string(v.body), true}, {secret, string(v.body) + " ", false}, {"whsec_" + strings.Repeat("A", 32), string(v.body), false},
	} {
		in, err := json.Marshal(map[string]any{"secret": c.secret, "body": c.body, "headers": headers})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), node, "webhook.mjs")
		cmd.Dir, cmd.Stdin = folder, bytes.NewReader(in)
		out, err := cmd.Output()
		if (err == nil && string(out) == "mail.events") != c.good {
			t.Errorf("with %s: %s, %v", c.secret, out, err)
		}
	}
}

// A server that fails in every way gets all in the end, in order, and the same
// request has the same id each time.
func TestServersThatFail(t *testing.T) {
	hanging := make(chan struct{})
	v := receive(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
		switch n {
		case 0:
			w.WriteHeader(http.StatusInternalServerError)
		case 1:
			<-hanging
		case 2:
			panic(http.ErrAbortHandler) // resets
		case 3:
			http.Redirect(w, r, "http://127.0.0.2:1/", http.StatusTemporaryRedirect)
		case 4:
			http.Redirect(w, r, "/elsewhere", http.StatusFound) // would become a GET
		case 5:
			w.Header().Set("Content-Length", "1000000")
			w.WriteHeader(http.StatusTooManyRequests)
		case 6:
			http.Redirect(w, r, "/elsewhere", http.StatusPermanentRedirect) // is followed
		default:
			return false
		}
		return true
	})
	defer close(hanging)
	good := receive(t, nil)
	set := settings(target("bad", v.URL), target("good", good.URL))
	set.Timeout = time.Second
	h, _ := run(t, set, newStore(t))
	for n := range 10 {
		h.Emit(event(n))
	}
	until(t, "the good one gets all", func() bool { return good.distinct() == 10 })
	until(t, "the bad one gets all", func() bool { return v.distinct() == 10 })
	inOrder(t, v.got(), 0, 10)
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range v.webhooks[:7] {
		if id == "" || id != v.webhooks[0] {
			t.Errorf("a request was tried again with another id: %q", v.webhooks)
		}
	}
	if s := h.Status()[0]; s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// What waits outlives a restart; too many and too old ones are dropped, the oldest first.
func TestWhatWaitsIsKeptWithinBounds(t *testing.T) {
	fs := vfs.NewMem()
	st := open(t, fs)
	down := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	set := settings(target("t", down.URL), target("gone", down.URL))
	set.Entries = 50
	set.Backoff = []time.Duration{time.Hour}
	h, stop := run(t, set, st)
	for n := range 200 {
		h.Emit(event(n))
	}
	until(t, "the oldest are dropped", func() bool {
		s := h.Status()
		return s[1].Waiting == 50 && s[1].Dropped == 150 && s[1].Error != "" && !s[1].Next.IsZero() && s[0].Waiting == 50
	})
	h.Emit(event(200)) // written as it stops
	stop()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	st = open(t, fs)
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	v := receive(t, nil)
	h, stop = run(t, settings(target("t", v.URL)), st)
	defer stop()
	until(t, "the rest comes", func() bool { got := v.got(); return len(got) >= 51 && h.Status()[0].Waiting == 0 })
	inOrder(t, v.got(), 150, 201)
	if n, err := h.outbox.count(t.Context()); err != nil || len(n) != 0 {
		t.Errorf("%v waits, %v", n, err)
	}
	set = settings(target("old", down.URL))
	set.Age = 50 * time.Millisecond
	h.Configure(set)
	h.Emit(event(1))
	until(t, "what is too old is dropped", func() bool { s := h.Status(); return s[0].Target == "old" && s[0].Dropped == 1 && s[0].Waiting == 0 })
}

func TestATargetThatIsGoneIsLeftAlone(t *testing.T) {
	v := receive(t, func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n == 0 {
			w.WriteHeader(http.StatusGone)
		}
		return n == 0
	})
	h, _ := run(t, settings(target("t", v.URL)), newStore(t))
	h.Emit(event(0))
	until(t, "it is gone", func() bool { return h.Status()[0].Gone })
	h.Emit(event(1))
	until(t, "both wait", func() bool { return h.Status()[0].Waiting == 2 })
	h.Configure(settings(target("t", v.URL)))
	until(t, "both come", func() bool { return len(v.got()) == 2 })
}

// A domain's administrator cannot make this server reach into its own network.
func TestPrivateAddressesAreNotReached(t *testing.T) {
	v := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	defer v.Close()
	set := settings(target("t", v.URL))
	set.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")} // others than its own
	h, _ := run(t, set, newStore(t))
	h.Emit(event(0))
	until(t, "it is refused", func() bool { return strings.Contains(h.Status()[0].Error, "not a public one") })
	for address, want := range map[string]bool{
		"127.0.0.1": false, "::1": false, "10.1.1.1": false, "192.168.1.1": false, "169.254.169.254": false, "fe80::1": false,
		"fd00::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "100.64.1.1": false, "198.51.100.1": true, "2001:db8::1": true,
	} {
		if public(netip.MustParseAddr(address)) != want {
			t.Errorf("%s", address)
		}
	}
}

func TestWrongTargetsAreLeftOut(t *testing.T) {
	good := target("t", "https://hook.example.test/x")
	for name, change := range map[string]func(t *Target){
		"id": func(t *Target) { t.ID = "a/b" }, "no id": func(t *Target) { t.ID = "" }, "scheme": func(t *Target) { t.URL = "ftp://x/" },
		"no host": func(t *Target) { t.URL = "https:///x" }, "password": func(t *Target) { t.URL = "https://a:b@x/" },
		"no secret": func(t *Target) { t.Secrets = nil }, "short secret": func(t *Target) { t.Secrets = []string{"whsec_AAAA"} },
		"short word": func(t *Target) { t.Secrets = []string{"secret"} }, "event": func(t *Target) { t.Kinds = []Kind{"eaten"} },
	} {
		bad := good
		change(&bad)
		if err := bad.Check(); err == nil {
			t.Errorf("a wrong %s is right", name)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	v := receive(t, nil)
	bad := target("bad", v.URL)
	bad.Secrets = nil
	h, _ := run(t, settings(bad, target("good", v.URL), target("twice", v.URL), target("twice", v.URL)), newStore(t))
	h.Emit(event(0))
	until(t, "the good ones are told", func() bool { return len(v.got()) == 2 })
	s := h.Status()
	if len(s) != 3 || s[0].Target != "bad" || !strings.Contains(s[0].Error, "needs a secret") || s[0].Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("a@b.test", "550 \xff no\r\n", strings.Repeat("é", 2000))
	f.Fuzz(func(t *testing.T, from, reply, reason string) {
		b, err := encode(Event{ID: "1", Kind: Bounced, From: from, Reply: reply, Reason: reason})
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > maxEvent || !json.Valid(b) {
			t.Errorf("%q", b)
		}
		if _, err := newBatch("s", []row{{[]byte("t\x00\x00\x00\x00\x00\x00\x00\x00\x01"), b}}); err != nil {
			t.Error(err)
		}
	})
}
