package members

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// maxName bounds names and ids, so that tags and events stay below the
// library's limits of 512 bytes.
const maxName = 128

// Config describes the local member.
type Config struct {
	// Name is unique in the pool: 1 to 128 letters, digits, dashes and dots.
	Name string
	ID   string // the server's id; of a controller its name; same form as Name
	Role Role
	// Bind is the exact address and port to listen on, UDP and TCP.
	Bind netip.AddrPort
	// Advertise is where others reach this member. Zero: Bind, which then
	// must not be an unspecified address.
	Advertise netip.AddrPort
	// Key is the pool's secret as NewKey makes it, base64 of 32 bytes.
	Key string
	// Join lists members to begin with, as host or host:port. Those that are
	// not in the pool are looked for as long as it runs.
	Join []string
	// Snapshot is a file for what is known of the pool, so that after a
	// restart it is found again without Join. Empty: none.
	Snapshot string
	Logger   *slog.Logger
}

// NewKey makes a random secret for a new pool.
func NewKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// parseKey decodes the pool's secret. Its errors do not repeat it.
func parseKey(s string) ([]byte, error) {
	if s == "" {
		return nil, errors.New("the gossip key is missing: the pool is always encrypted")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(key) != 32 {
		return nil, errors.New("the gossip key is not 32 bytes in base64")
	}
	return key, nil
}

// serfConfig checks c and translates it for the library.
func serfConfig(c Config, t timing, events chan<- serf.Event, logger *log.Logger) (*serf.Config, error) {
	key, err := parseKey(c.Key)
	if err != nil {
		return nil, err
	}
	if !isName(c.Name) || !isName(c.ID) {
		return nil, fmt.Errorf("gossip name %q or id %q: must be 1 to %d letters, digits, dashes and dots", c.Name, c.ID, maxName)
	}
	if c.Role != RoleAgent && c.Role != RoleController {
		return nil, fmt.Errorf("unknown gossip role %q", c.Role)
	}
	if !c.Bind.IsValid() {
		return nil, errors.New("the gossip address to bind is missing")
	}
	if c.Bind.Addr().IsUnspecified() && !c.Advertise.IsValid() {
		return nil, fmt.Errorf("gossip binds %v, so the address that others reach must be given", c.Bind)
	}

	m := memberlist.DefaultLANConfig()
	m.BindAddr, m.BindPort = c.Bind.Addr().Unmap().String(), int(c.Bind.Port())
	if c.Advertise.IsValid() {
		m.AdvertiseAddr, m.AdvertisePort = c.Advertise.Addr().Unmap().String(), int(c.Advertise.Port())
	}
	m.SecretKey = key
	m.EnableCompression = false // saves little on small packets and costs time
	m.Logger = logger

	s := serf.DefaultConfig()
	s.NodeName = c.Name
	s.ValidateNodeNames = true
	s.Tags = map[string]string{"id": c.ID, "role": string(c.Role)}
	s.EventCh = events
	s.SnapshotPath = c.Snapshot
	s.RejoinAfterLeave = true
	// Resolution would end the loser of a vote, possibly a server that
	// has just moved. The pool keeps the newcomer out without it.
	s.EnableNameConflictResolution = false
	s.MemberlistConfig = m
	s.Logger = logger
	t.apply(s, m)
	return s, nil
}

// isName tells whether s can name a member.
func isName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-')
	})
}
