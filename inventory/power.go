package inventory

import "time"

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
	HasSecret bool      `json:"has_secret"`        // a password is kept; it is never shown
}

// PowerState is whether a server is under power.
type PowerState string

// The states of power.
const (
	PowerOn      PowerState = "on"
	PowerOff     PowerState = "off"
	PowerUnknown PowerState = "unknown" // the driver cannot tell (wol)
)
