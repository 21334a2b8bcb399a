package members

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// seed is a member to begin with, as configured.
type seed struct {
	host string
	port uint16
}

func parseSeeds(list []string) ([]seed, error) {
	var seeds []seed
	for _, s := range list {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host, port = strings.Trim(s, "[]"), strconv.Itoa(Port)
		}
		_, notIP := netip.ParseAddr(host)
		if host == "" || strings.Contains(host, ":") && notIP != nil {
			return nil, fmt.Errorf("gossip member to join %q: not host or host:port", s)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("gossip member to join %q: bad port", s)
		}
		seeds = append(seeds, seed{host: host, port: uint16(n)})
	}
	return seeds, nil
}

// resolve returns the seed's addresses at this moment.
func (s seed) resolve(ctx context.Context) ([]netip.AddrPort, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", s.host)
	if err != nil {
		return nil, err
	}
	var list []netip.AddrPort
	for _, addr := range addrs {
		list = append(list, netip.AddrPortFrom(addr.Unmap(), s.port))
	}
	return list, nil
}

// keepJoined contacts the seeds that are not in the pool: often while this
// member is alone, now and then after that, so that pools which formed apart
// grow together. It logs only when being alone begins and ends.
func (p *Pool) keepJoined(ctx context.Context, seeds []seed) {
	if len(seeds) == 0 {
		return
	}
	pause, told := p.timing.joinFirst, false
	for {
		err := p.joinMissing(ctx, seeds)
		if ctx.Err() != nil {
			return
		}
		peers := p.peers()
		if len(peers) > 0 {
			if pause != p.timing.joinSettled {
				p.log.InfoContext(ctx, "joined the gossip pool", "peers", len(peers))
			}
			pause, told = p.timing.joinSettled, false
		} else {
			if !told {
				p.log.WarnContext(ctx, "alone in the gossip pool, will keep trying to join", "error", err)
			}
			pause, told = nextPause(pause, p.timing), true
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return
		}
	}
}

// nextPause doubles the pause of a lonely member up to the limit, and begins
// anew for one that has just become lonely.
func nextPause(pause time.Duration, t timing) time.Duration {
	if pause == t.joinSettled {
		return t.joinFirst
	}
	return min(2*pause, t.joinLast)
}

// peers returns the addresses of the other live members.
func (p *Pool) peers() map[netip.AddrPort]bool {
	peers := map[netip.AddrPort]bool{}
	for _, m := range p.members() {
		if m.Status == StatusAlive && m.Name != p.name {
			peers[m.Addr] = true
		}
	}
	return peers
}

// joinMissing contacts every seed that is neither a live member nor this one.
// Its error tells about all that could not be contacted.
func (p *Pool) joinMissing(ctx context.Context, seeds []seed) error {
	here := describe(p.serf.LocalMember()).Addr
	var errs []error
	for _, s := range seeds {
		addrs, err := s.resolve(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, addr := range addrs {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			// Looked up each time: joining one seed may bring the others.
			if addr == here || p.peers()[addr] {
				continue
			}
			if _, err := p.serf.Join([]string{addr.String()}, false); err != nil {
				errs = append(errs, errors.Unwrap(err)) // out of a list of one
			}
		}
	}
	return errors.Join(errs...)
}
