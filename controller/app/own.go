package app

import (
	"log/slog"
	"net"
	"net/netip"

	"mailfleet/inventory"
)

// here tells whether a server is the machine this controller runs on: whether
// its address is one of this machine's.
func here(log *slog.Logger) func(*inventory.Server) bool {
	return func(s *inventory.Server) bool {
		want, err := netip.ParseAddr(s.Address)
		if err != nil {
			return false
		}
		addresses, err := net.InterfaceAddrs() // asked each time: they come and go
		if err != nil {
			log.Warn("this machine's addresses cannot be read", "err", err)
			return false
		}
		for _, a := range addresses {
			if own, err := netip.ParsePrefix(a.String()); err == nil && own.Addr().Unmap() == want.Unmap() {
				return true
			}
		}
		return false
	}
}
