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
	return append([]collect.Sample{{Measurement: "mailnode", Fields: fields}}, bursts(status)...), nil
}

// bursts has a series for each account whose mail is held, so that an alert names it;
// one that was let go is at 0 for a while, so that the alert ends.
func bursts(status *mailnodeapi.Status) (samples []collect.Sample) {
	add := func(address string, recipients int) {
		samples = append(samples, collect.Sample{
			Measurement: "mailnode", Tags: map[string]string{mailnodeapi.AccountTag: address},
			Fields: map[string]float64{mailnodeapi.AccountBurst: float64(recipients)},
		})
	}
	for _, h := range status.Held {
		add(h.Address, max(h.Sent, 1))
	}
	for _, address := range status.Released {
		add(address, 0)
	}
	return samples
}
