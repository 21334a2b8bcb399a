package steward

import (
	"context"
	"errors"
	"net"

	"mailfleet/agent/collect"
	mailnodeapi "mailfleet/mailnode/api"
)

// MailSocket is the path of the mailnode's control socket.
func (s *Steward) MailSocket() string { return s.mailnode.socket() }

// counters is the mailnode's counters as a source of samples.
type counters struct{ client *mailnodeapi.Client }

// Counters gives what the mailnode counts, and how many connections each protocol
// has now, as measurement "mailnode".
func (s *Steward) Counters() collect.Source {
	return counters{mailnodeapi.Dial(s.mailnode.socket())}
}

func (c counters) Name() string { return "mailnode" }

// Collect asks the mailnode; one that is not running has no counters.
func (c counters) Collect(ctx context.Context) ([]collect.Sample, error) {
	status, err := c.client.Status(ctx)
	if _, away := errors.AsType[*net.OpError](err); away {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fields := map[string]float64(status.Counters)
	fields[mailnodeapi.AccountsHeld] = float64(len(status.Held))
	for protocol, open := range status.Connections {
		fields[string(protocol)+mailnodeapi.ConnectionsSuffix] = float64(open)
	}
	return []collect.Sample{{Measurement: "mailnode", Fields: fields}}, nil
}
