package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// payload is the largest answer wanted by UDP: more would be cut into fragments,
	// which get lost and can be forged.
	payload = 1232
	// aliases is how many CNAMEs are followed.
	aliases = 10
	// rounds is how often each server is asked.
	rounds = 2
)

// resolve asks the servers, and goes on asking where an alias leads when a server did
// not do so by itself.
func (s *state) resolve(ctx context.Context, q question, now func() time.Time) result {
	if err := s.busy.Acquire(ctx, 1); err != nil {
		return unknown("too many lookups are under way", now())
	}
	defer s.busy.Release(1)
	secure, ttl := true, longest
	at := q
	for seen := []string{}; len(seen) <= aliases; {
		msg, err := s.askServers(ctx, at)
		if err != nil {
			return unknown(err.Error(), now())
		}
		got := digest(msg, at)
		secure, ttl = secure && msg.AuthenticatedData, min(ttl, got.ttl)
		if got.failure == nil || !got.alias {
			got.secure, got.expires = secure, now().Add(ttl)
			return got.result
		}
		if slices.Contains(seen, got.name) || got.name == at.name {
			return unknown("its aliases go in a circle", now())
		}
		seen = append(seen, at.name)
		at.name = got.name
	}
	return unknown("its aliases are too many", now())
}

func unknown(detail string, now time.Time) result {
	return result{failure: ErrTemporary, detail: detail, expires: now.Add(failureKept)}
}

// digested is what a message says of a question.
type digested struct {
	result
	alias bool // only where the name leads is known, nothing of that
	ttl   time.Duration
}

// digest picks from a message what answers a question.
func digest(msg *dns.Msg, q question) digested {
	d := digested{ttl: longest}
	name, seen := q.name, 0
	shorten := func(seconds uint32) {
		if seconds > 1<<31-1 { // RFC 2181 §8
			seconds = 0
		}
		d.ttl = min(d.ttl, time.Duration(seconds)*time.Second)
	}
	// Servers put the aliases in order; one that does not is followed all the same.
	for ; seen <= aliases; seen++ {
		to := ""
		for _, rr := range msg.Answer {
			if c, ok := rr.(*dns.CNAME); ok && q.kind != dns.TypeCNAME && strings.EqualFold(c.Hdr.Name, name) {
				to = strings.ToLower(c.Target)
				shorten(c.Hdr.Ttl)
				break
			}
		}
		if to == "" {
			break
		}
		name = to
	}
	d.name = name
	if seen > aliases {
		d.failure, d.detail, d.ttl = ErrTemporary, "its aliases go in a circle", failureKept
		return d
	}
	for _, rr := range msg.Answer {
		if h := rr.Header(); h.Rrtype == q.kind && h.Class == dns.ClassINET && strings.EqualFold(h.Name, name) {
			d.records = append(d.records, rr)
			d.size += 2 * dns.Len(rr) // as Go values they take about twice the room
			shorten(h.Ttl)
		}
	}
	switch {
	case len(d.records) > 0:
	case msg.Rcode == dns.RcodeNameError:
		d.failure = ErrNoName
		d.ttl = min(d.ttl, none(msg))
	default:
		d.failure = ErrNoData
		d.alias = seen > 0 && !hasSOA(msg)
		if !d.alias {
			d.ttl = min(d.ttl, none(msg))
		}
	}
	return d
}

func hasSOA(msg *dns.Msg) bool {
	return slices.ContainsFunc(msg.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
}

// none is how long it may be believed that there is nothing (RFC 2308 §5).
func none(msg *dns.Msg) time.Duration {
	for _, rr := range msg.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(time.Duration(min(soa.Hdr.Ttl, soa.Minttl))*time.Second, longestNone)
		}
	}
	return plainNone
}

// askServers asks one server after the other, first the one that answered last.
func (s *state) askServers(ctx context.Context, q question) (*dns.Msg, error) {
	var last error
	first := int(s.good.Load())
	for i := range rounds * len(s.servers) {
		n := (first + i) % len(s.servers)
		msg, err := s.askServer(ctx, s.servers[n], q)
		if err == nil {
			s.good.Store(uint32(n))
			return msg, nil
		}
		if ctx.Err() != nil {
			break
		}
		last = err
	}
	if last == nil {
		last = errors.New("no DNS server answered in time")
	}
	return nil, last
}

// askServer has one server answer, with and if need be without EDNS.
func (s *state) askServer(ctx context.Context, server netip.AddrPort, q question) (*dns.Msg, error) {
	for _, extended := range []bool{true, false} {
		msg, err := s.try(ctx, server, query(q, extended))
		if err != nil {
			return nil, err
		}
		switch msg.Rcode {
		case dns.RcodeSuccess, dns.RcodeNameError:
			return msg, nil
		case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers:
			if extended {
				continue
			}
		}
		return nil, fmt.Errorf("the DNS server %s answered %s", server, rcode(msg.Rcode))
	}
	panic("unreachable")
}

func rcode(code int) string {
	if name := dns.RcodeToString[code]; name != "" {
		return name
	}
	return fmt.Sprintf("with code %d", code)
}

func query(q question, extended bool) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	m.AuthenticatedData = true // asks for AD in the answer (RFC 6840 §5.7)
	if extended {
		m.SetEdns0(payload, false)
	}
	return m
}

// try asks by UDP, then by TCP when the answer did not fit.
func (s *state) try(ctx context.Context, server netip.AddrPort, m *dns.Msg) (*dns.Msg, error) {
	msg, err := s.exchange(ctx, "udp", server, m)
	if err == nil && msg.Truncated {
		msg, err = s.exchange(ctx, "tcp", server, m)
	}
	return msg, err
}

// exchange sends a question and waits for its answer.
func (s *state) exchange(ctx context.Context, network string, server netip.AddrPort, m *dns.Msg) (*dns.Msg, error) {
	packed, err := m.Pack()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.set.Timeout)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return nil, fmt.Errorf("the DNS server %s is not reached: %w", server, plain(err))
	}
	defer func() { _ = c.Close() }() // nothing was left to be sent
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		packed = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	}
	if _, err := c.Write(packed); err != nil {
		return nil, fmt.Errorf("asking the DNS server %s: %w", server, plain(err))
	}
	buf := make([]byte, 64<<10)
	garbage := false
	for {
		n, err := receive(c, network, buf)
		if err != nil {
			if garbage {
				return nil, fmt.Errorf("the DNS server %s answered something else than was asked", server)
			}
			return nil, fmt.Errorf("the DNS server %s did not answer: %w", server, plain(err))
		}
		msg := new(dns.Msg)
		if err := msg.Unpack(buf[:n]); err == nil && answers(msg, m) || msg.Truncated && answers(msg, m) {
			return msg, nil
		}
		// By UDP it may be somebody else who wants to be believed: the true answer can
		// still come.
		garbage = true
		if network == "tcp" {
			return nil, fmt.Errorf("the DNS server %s answered something else than was asked", server)
		}
	}
}

func receive(c net.Conn, network string, buf []byte) (int, error) {
	if network == "udp" {
		return c.Read(buf)
	}
	if _, err := io.ReadFull(c, buf[:2]); err != nil {
		return 0, err
	}
	return io.ReadFull(c, buf[:binary.BigEndian.Uint16(buf)])
}

// answers tells whether a message is the answer to m.
func answers(msg, m *dns.Msg) bool {
	if !msg.Response || msg.Id != m.Id || msg.Opcode != dns.OpcodeQuery {
		return false
	}
	if len(msg.Question) == 0 { // some leave it out when they refuse
		return msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError
	}
	a, b := msg.Question[0], m.Question[0]
	return len(msg.Question) == 1 && a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}

// plain is an error of the network without the addresses it repeats.
func plain(err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errors.New("the time is over")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
