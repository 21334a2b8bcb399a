package guard

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mailfleet/inventory/throttle"
	"mailfleet/mailnode/envelope"
)

// greyEntry is what is known of a network and a sender, or of a network alone: version,
// first and last time in seconds, and how often it passed.
type greyEntry []byte

const greyLength = 1 + 8 + 8 + 4

func newGreyEntry(first, last time.Time, passed uint32) greyEntry {
	b := append(make(greyEntry, 0, greyLength), 1)
	b = binary.BigEndian.AppendUint64(b, uint64(first.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(last.Unix()))
	return binary.BigEndian.AppendUint32(b, passed)
}

func (e greyEntry) valid() bool      { return len(e) == greyLength && e[0] == 1 }
func (e greyEntry) first() time.Time { return time.Unix(int64(binary.BigEndian.Uint64(e[1:])), 0) }
func (e greyEntry) last() time.Time  { return time.Unix(int64(binary.BigEndian.Uint64(e[9:])), 0) }
func (e greyEntry) passed() uint32   { return binary.BigEndian.Uint32(e[17:]) }

// expired tells whether it is of no more use.
func (e greyEntry) expired(g Greylist, now time.Time) bool {
	switch {
	case !e.valid():
		return true
	case e.passed() == 0:
		return now.Sub(e.first()) > g.Window
	}
	return now.Sub(e.last()) > g.Keep
}

// greyKey names a row: 't' for a network with a sender and a domain, 'n' for a network.
func greyKey(kind byte, parts ...string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return append([]byte{kind}, sum[:16]...)
}

// steady is a sender without the numbers that some put into it for each message.
func steady(from string) string {
	local, domain, _ := strings.Cut(strings.ToLower(from), "@")
	var b strings.Builder
	digits := false
	for _, c := range []byte(local) {
		if digit := c >= '0' && c <= '9'; !digit {
			b.WriteByte(c)
			digits = false
		} else if !digits {
			b.WriteByte('#')
			digits = true
		}
	}
	return b.String() + "@" + domain
}

// greylist makes a stranger wait. It lets pass when nothing can be remembered.
func (g *Guard) greylist(ctx context.Context, set Greylist, address netip.Addr, a Attempt, domain string) *envelope.Refusal {
	now := g.memo.now()
	network := greyNetwork(address)
	nkey := greyKey('n', network)
	if e, ok := g.known(ctx, set, nkey, now); !ok || e != nil && e.passed() >= uint32(set.Trusted) {
		return nil
	}
	key := greyKey('t', network, steady(a.From), domain)
	e, ok := g.known(ctx, set, key, now)
	switch {
	case !ok:
		return nil
	case e == nil:
		if a.SPF != nil && a.SPF(ctx) || !g.memo.added(set.Entries) {
			return nil
		}
		if g.memo.set(key, newGreyEntry(now, now, 0)) == nil {
			return greyRefusal(set.Delay)
		}
		return nil
	case e.passed() == 0 && now.Sub(e.first()) < set.Delay:
		return greyRefusal(set.Delay - now.Sub(e.first()))
	}
	if e.passed() == 0 || now.Sub(e.last()) > time.Hour { // else it is written down well enough
		_ = g.memo.set(key, newGreyEntry(e.first(), now, e.passed()+1)) // or it waits once more
	}
	if e.passed() == 0 {
		g.trust(ctx, set, nkey, now)
	}
	return nil
}

// trust counts a sender that has passed for its network.
func (g *Guard) trust(ctx context.Context, set Greylist, nkey []byte, now time.Time) {
	e, ok := g.known(ctx, set, nkey, now)
	if !ok {
		return
	}
	passed := uint32(1)
	if e != nil {
		passed += e.passed()
	} else if !g.memo.added(set.Entries) {
		return
	}
	_ = g.memo.set(nkey, newGreyEntry(now, now, passed)) // or it waits once more
}

// known returns an entry that is of use, or nil. ok is false when the list cannot be
// read.
func (g *Guard) known(ctx context.Context, set Greylist, key []byte, now time.Time) (e greyEntry, ok bool) {
	v, err := g.memo.get(ctx, key)
	if err != nil {
		g.log.Warn("the greylist cannot be read: nobody has to wait", "error", err)
		return nil, false
	}
	if e := greyEntry(v); v != nil && !e.expired(set, now) {
		return e, true
	}
	return nil, true
}

// greyNetwork is whom an attempt is held against: large senders try again from
// another address of theirs.
func greyNetwork(a netip.Addr) string {
	if a.Is4() {
		return throttle.Neighbourhood(a.String())
	}
	return throttle.Customer(a.String())
}

func greyRefusal(wait time.Duration) *envelope.Refusal {
	return &envelope.Refusal{
		Code: 451, Enhanced: "4.7.1",
		Text: fmt.Sprintf("this server does not know you yet: try again in %s and your mail is taken", throttle.RoundUp(wait)),
	}
}
