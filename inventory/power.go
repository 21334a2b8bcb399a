package inventory

import (
	"encoding/hex"
	"net"
	"net/url"
	"path"
	"strings"
	"time"
)

// PowerKind names a way to switch a server's power.
type PowerKind string

// The kinds of power driver.
const (
	PowerNone    PowerKind = ""        // none: the server cannot be switched on from afar
	PowerIPMI    PowerKind = "ipmi"    // IPMI 2.0 over LAN
	PowerRedfish PowerKind = "redfish" // DMTF Redfish over HTTPS
	PowerWake    PowerKind = "wol"     // Wake-on-LAN: can switch on only
	PowerCommand PowerKind = "command" // a program on the agent that acts: called with on, off, cycle or status
	PowerDev     PowerKind = "dev"     // the dev fleet's: the server's own process tree
)

// Power is how one server's power is switched, by the agent of another server
// that can reach its management controller.
type Power struct {
	Meta
	Server    ID        `json:"server"` // unique
	Kind      PowerKind `json:"kind"`
	Address   string    `json:"address,omitempty"` // host or host:port of the management controller; URL for redfish
	User      string    `json:"user,omitempty"`
	Secret    []byte    `json:"-"`                 // password, sealed with the controller's key
	MAC       string    `json:"mac,omitempty"`     // wol
	Via       ID        `json:"via,omitempty"`     // server whose agent acts; empty: any of the same region that is up, then any
	Command   []string  `json:"command,omitempty"` // command: program and arguments
	TLSPin    string    `json:"tls_pin,omitempty"` // redfish: SHA-256 of the certificate, hexadecimal, instead of a CA
	Tested    time.Time `json:"tested"`            // zero: never
	Result    string    `json:"result,omitempty"`  // of the last test: on, off, or what went wrong
	Said      *Sentence `json:"said,omitempty" doc:"Result, for another language"`
	HasSecret bool      `json:"has_secret"` // a password is kept; it is never shown
}

// PowerState is whether a server is under power.
type PowerState string

// Said is the state in a sentence.
func (s PowerState) Said() Sentence { return Word(string(s)) }

// The states of power.
const (
	PowerOn      PowerState = "on"
	PowerOff     PowerState = "off"
	PowerUnknown PowerState = "unknown" // the driver cannot tell (wol)
)

// Check refuses settings that the kind of driver cannot work with; Invalid,
// with the field.
func (p *Power) Check() error {
	switch p.Kind {
	case PowerIPMI:
		if p.Address == "" || strings.ContainsAny(p.Address, "/ @") {
			return FieldErrorf("address", "address %q must be the management controller's host, or host:port", p.Address)
		}
	case PowerRedfish:
		address := p.Address
		if !strings.Contains(address, "://") {
			address = "https://" + address
		}
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return FieldErrorf("address", "address %q must look like https://host or https://host/redfish/v1/Systems/1", p.Address)
		}
	case PowerWake:
		if mac, err := net.ParseMAC(p.MAC); err != nil || len(mac) != 6 {
			return FieldErrorf("mac", "mac %q must look like 52:54:00:12:34:56", p.MAC)
		}
	case PowerCommand:
		if len(p.Command) == 0 || !path.IsAbs(p.Command[0]) {
			return FieldErrorf("command", "command must begin with the whole path of a program")
		}
	case PowerDev:
	default:
		return FieldErrorf("kind", "%q is not a power driver: write ipmi, redfish, wol, command or dev", p.Kind)
	}
	if pin, err := hex.DecodeString(strings.ReplaceAll(p.TLSPin, ":", "")); err != nil || p.TLSPin != "" && len(pin) != 32 {
		return FieldErrorf("tls_pin", "tls_pin must be 64 hexadecimal digits: a certificate's SHA-256")
	}
	return nil
}
