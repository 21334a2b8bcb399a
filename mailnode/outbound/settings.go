package outbound

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	smtpPort  = 25
	httpsPort = 443
	smtpsPort = 465
)

func (s Settings) withDefaults() Settings {
	s.Port = cmp.Or(s.Port, smtpPort)
	s.HTTPSPort = cmp.Or(s.HTTPSPort, httpsPort)
	s.PerConnection = cmp.Or(s.PerConnection, 100)
	s.PerMessage = cmp.Or(s.PerMessage, 100)
	s.Idle = cmp.Or(s.Idle, 5*time.Second)
	s.IdleMost = cmp.Or(s.IdleMost, 200)
	s.HostsMost = cmp.Or(s.HostsMost, 8)
	t := &s.Timeouts
	t.Connect = cmp.Or(t.Connect, 30*time.Second)
	t.Greeting = cmp.Or(t.Greeting, 5*time.Minute)
	t.Command = cmp.Or(t.Command, 5*time.Minute)
	t.Data = cmp.Or(t.Data, 2*time.Minute)
	t.Block = cmp.Or(t.Block, 3*time.Minute)
	t.Final = cmp.Or(t.Final, 10*time.Minute)
	return s
}

// self tells whether a name is one of this server's.
func (s *Settings) self(host string) bool {
	return strings.EqualFold(host, s.Hostname) ||
		slices.ContainsFunc(s.Names, func(name string) bool { return strings.EqualFold(strings.TrimSuffix(name, "."), host) })
}
