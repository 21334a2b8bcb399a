// Package milter asks milters, the filters of other programs that speak sendmail's
// protocol (version 6, and down to 2), what they think of sessions and messages. app
// makes a chain of them and gives it to smtpd.
//
// A chain asks its milters in order, and each sees the message as those before it have
// changed it. A milter that fails, hangs or answers nonsense is passed by or makes mail
// wait, as its settings say; it costs its time limit once and is then left alone for
// a while. Answers are bounded: what a milter may add to a message is limited, and no
// message is kept in memory but a body that a milter replaces.
package milter

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"mailfleet/mailnode/envelope"
)

// Settings of one milter.
type Settings struct {
	Name string // for operators
	// Address is unix:/path, tcp:host:port, or as others write it: inet:port@host,
	// inet:host:port, local:/path.
	Address string
	// Required makes mail wait when the milter fails; otherwise it is passed by.
	Required bool

	ConnectTimeout time.Duration // 0 is 5 s
	Timeout        time.Duration // of an answer; 0 is 20 s
	MessageTimeout time.Duration // of the answer to a whole message; 0 is 5 min
	Connections    int           // at once; 0 is 500
	Rest           time.Duration // it is left alone after a failure; 0 is 10 s
}

// Limits of what a milter changes of one message.
const (
	maxPacket     = 1 << 20
	maxChanges    = 1000
	maxHeaderText = 1 << 20
	maxBody       = 64 << 20
)

// Check tells what is wrong with the settings.
func (s Settings) Check() error {
	if s.Name == "" {
		return errors.New("a milter needs a name")
	}
	_, _, err := s.dial()
	return err
}

// dial is the network and address to connect to.
func (s Settings) dial() (network, address string, err error) {
	kind, rest, _ := strings.Cut(s.Address, ":")
	switch kind {
	case "unix", "local":
		if !strings.HasPrefix(rest, "/") {
			return "", "", fmt.Errorf("the milter %s needs the whole path of its socket", s.Name)
		}
		return "unix", rest, nil
	case "tcp", "inet", "inet6":
		if port, host, ok := strings.Cut(rest, "@"); ok {
			rest = host + ":" + port
			if strings.Contains(host, ":") {
				rest = "[" + strings.Trim(host, "[]") + "]:" + port
			}
		}
		if i := strings.LastIndexByte(rest, ':'); i <= 0 || i == len(rest)-1 {
			return "", "", fmt.Errorf("the address of the milter %s needs a host and a port", s.Name)
		}
		return "tcp", rest, nil
	}
	return "", "", fmt.Errorf("the address of the milter %s must begin with unix: or tcp:", s.Name)
}

func (s Settings) withDefaults() Settings {
	for _, d := range []struct {
		at *time.Duration
		to time.Duration
	}{
		{&s.ConnectTimeout, 5 * time.Second}, {&s.Timeout, 20 * time.Second},
		{&s.MessageTimeout, 5 * time.Minute}, {&s.Rest, 10 * time.Second},
	} {
		if *d.at <= 0 {
			*d.at = d.to
		}
	}
	if s.Connections <= 0 {
		s.Connections = 500
	}
	return s
}

// Peer is who is connected.
type Peer struct {
	Address netip.AddrPort // not valid for a local socket
	Name    string         // its reverse name; "" for none
	Helo    string
	TLS     string // version, such as TLSv1.3; "" for none
	Account string // that has signed in; "" for none
	Server  string // name of this server
}

// Message is a message that has come whole.
type Message struct {
	ID     string
	Header []byte           // its last line end included, without the empty line
	Open   func() io.Reader // reads the message, header included, as often as wanted
}

// Ruling is what the milters say. The zero Ruling goes on.
type Ruling struct {
	Refusal *envelope.Refusal
	Accept  bool // no milter wants to see more: of the session at Connect and Helo, else of the message
	Discard bool // say that it was taken and forget it
	Changes Changes
}

// Changes are what milters change of a message.
type Changes struct {
	Header     []HeaderChange // to be made in this order
	Quarantine string         // why it is to be kept apart; "" for not
	From       *string        // another reverse-path
	Add        []string       // further recipients
	Remove     []string       // recipients that do not get it
	Body       []byte         // another body
	NewBody    bool           // Body is to be used, be it empty
}

// HeaderChange changes one field.
type HeaderChange struct {
	Op    HeaderOp
	Index int
	Name  string
	Value string // may have line ends, which become folds
}

// HeaderOp is what a HeaderChange does.
type HeaderOp int

// What is done to a header.
const (
	AppendField  HeaderOp = iota // put a field at the end
	InsertField                  // put a field before the one with Index, from 0
	ReplaceField                 // change the Index-th field of its name, from 1; an empty value removes it
)
