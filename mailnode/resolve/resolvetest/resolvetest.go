// Package resolvetest is a DNS server on a loopback address with the records a test
// wants, and faults on request. Tests of the mailnode's rooms import it.
package resolvetest

import (
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailfleet/mailnode/resolve"
)

// Server is a DNS server that knows the records it was given and no others.
type Server struct {
	Addr    string       // address and port, UDP and TCP
	Queries atomic.Int64 // that came in

	mu      sync.Mutex
	records map[string][]dns.RR // by name, in lower case
	faults  map[string]dns.HandlerFunc
	secure  bool
}

// New starts a server with records in the manner of zone files, such as
// "example.test. 300 IN MX 10 mx.example.test.". It stops with the test.
func New(t testing.TB, records ...string) *Server {
	t.Helper()
	s := &Server{records: map[string][]dns.RR{}, faults: map[string]dns.HandlerFunc{}}
	s.Add(t, records...)
	udp, tcp := listen(t)
	s.Addr = udp.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}} {
		var serving sync.WaitGroup
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() {
			if err := server.ActivateAndServe(); err != nil {
				t.Errorf("the DNS server: %v", err)
			}
		})
		<-started
		t.Cleanup(func() {
			if err := server.Shutdown(); err != nil {
				t.Error(err)
			}
			serving.Wait()
		})
	}
	return s
}

// listen opens a port for UDP and TCP.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		udp, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := new(net.ListenConfig).Listen(t.Context(), "tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		_ = udp.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// Add adds records.
func (s *Server) Add(t testing.TB, records ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatalf("the record %q: %v", text, err)
		}
		name := strings.ToLower(rr.Header().Name)
		s.records[name] = append(s.records[name], rr)
	}
}

// Remove removes all records of a name.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, dns.Fqdn(strings.ToLower(name)))
}

// Secure makes the server claim that its answers are proven by DNSSEC.
func (s *Server) Secure(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secure = yes
}

// Refuse makes the server answer questions for a name with an error such as
// dns.RcodeServerFailure; 0 takes it back.
func (s *Server) Refuse(name string, rcode int) {
	if rcode == 0 {
		s.Handle(name, nil)
		return
	}
	s.Handle(name, func(w dns.ResponseWriter, m *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(m, rcode))
	})
}

// Silence makes the server say nothing when it is asked for a name.
func (s *Server) Silence(name string) { s.Handle(name, func(dns.ResponseWriter, *dns.Msg) {}) }

// Handle has f answer the questions for a name; nil takes it back.
func (s *Server) Handle(name string, f dns.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = dns.Fqdn(strings.ToLower(name))
	if f == nil {
		delete(s.faults, name)
		return
	}
	s.faults[name] = f
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	s.Queries.Add(1)
	name := strings.ToLower(m.Question[0].Name)
	s.mu.Lock()
	fault := s.faults[name]
	answer := s.answer(m)
	s.mu.Unlock()
	if fault != nil {
		fault(w, m)
		return
	}
	size := dns.MinMsgSize
	if e := m.IsEdns0(); e != nil {
		size = int(e.UDPSize())
		answer.SetEdns0(dns.DefaultMsgSize, false)
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		answer.Truncate(size)
	}
	_ = w.WriteMsg(answer) // a client that went away is not this server's trouble
}

// answer follows aliases as a recursive server does.
func (s *Server) answer(m *dns.Msg) *dns.Msg {
	answer := new(dns.Msg).SetReply(m)
	answer.RecursionAvailable = true
	answer.AuthenticatedData = s.secure
	name, kind := strings.ToLower(m.Question[0].Name), m.Question[0].Qtype
	const aliases = 20
	for range aliases {
		next := ""
		for _, rr := range s.records[name] {
			switch c, alias := rr.(*dns.CNAME); {
			case rr.Header().Rrtype == kind:
				answer.Answer = append(answer.Answer, rr)
			case alias:
				answer.Answer = append(answer.Answer, rr)
				next = strings.ToLower(c.Target)
			}
		}
		if len(s.records[name]) == 0 && !s.above(name) {
			answer.Rcode = dns.RcodeNameError
		}
		if next == "" {
			break
		}
		name = next
	}
	if len(answer.Answer) == 0 || answer.Rcode != dns.RcodeSuccess {
		answer.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns:  "ns.test.", Mbox: "hostmaster.test.", Serial: 1, Minttl: 30,
		}}
	}
	return answer
}

// above tells whether there are names below this one.
func (s *Server) above(name string) bool {
	for other := range s.records {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}

// Resolver returns a resolver that asks this server. It is closed with the test.
func (s *Server) Resolver(t testing.TB) *resolve.Resolver {
	t.Helper()
	r, err := resolve.New(resolve.Settings{Servers: []string{s.Addr}, Timeout: time.Second, Deadline: 4 * time.Second}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}
