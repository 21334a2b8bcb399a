package smtpd

import (
	"net/netip"
	"strconv"
	"strings"

	"mailfleet/mailnode/envelope"
)

// client is whom a front speaks for; what it does not say is empty.
type client struct {
	address netip.AddrPort
	name    string // verified reverse name
	helo    string
}

// parseClient reads the attributes of XCLIENT. LOGIN is read and does not count: who
// sends as a user signs in here.
func parseClient(arg string) (c client, ok bool) {
	params, err := envelope.ParseParams(arg)
	if err != nil || len(params) == 0 {
		return client{}, false
	}
	var ip netip.Addr
	port := uint64(0)
	for _, p := range params {
		value, good := decodeClient(p)
		if !good {
			return client{}, false
		}
		if value == "" {
			continue
		}
		switch p.Key {
		case "ADDR":
			if prefix := "IPV6:"; len(value) > len(prefix) && strings.EqualFold(value[:len(prefix)], prefix) {
				value = value[len(prefix):]
			}
			if ip, err = netip.ParseAddr(value); err != nil || ip.Zone() != "" {
				return client{}, false
			}
		case "PORT":
			if port, err = strconv.ParseUint(value, 10, 16); err != nil {
				return client{}, false
			}
		case "NAME":
			if c.name, err = envelope.ParseDomain(value); err != nil {
				return client{}, false
			}
		case "HELO":
			c.helo = value
		case "LOGIN", "PROTO", "DESTADDR", "DESTPORT", "REVERSE_NAME":
		default:
			return client{}, false
		}
	}
	if ip.IsValid() {
		c.address = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return c, true
}

// unavailable is what a front says instead of what it does not know.
func unavailable(value string) bool {
	return strings.EqualFold(value, "[UNAVAILABLE]") || strings.EqualFold(value, "[TEMPUNAVAIL]")
}

// decodeClient reads the value of an attribute, "" for one that is not known.
func decodeClient(p envelope.Param) (string, bool) {
	value, err := envelope.DecodeXtext(p.Value)
	if err != nil || !p.Given || strings.ContainsFunc(value, isControl) || len(value) > 255 {
		return "", false
	}
	if unavailable(value) {
		return "", true
	}
	return value, true
}
