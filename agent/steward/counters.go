package steward

import (
	"context"
	"errors"
	"net"

	"mailfleet/agent/collect"
	mailnodeapi "mailfleet/mailnode/api"
)

// counters is the mailnode's counters as a source of samples.
type counters struct{ client *mailnodeapi.Client }

// Counters gives what the mailnode counts, as measurement "mailnode".
func (s *Steward) Counters() collect.Source {
	return counters{mailnodeapi.Dial(s.mailnode.socket())}
}

func (c counters) Name() string { return "mailnode" }

// Collect asks the mailnode; one that is not running has no counters.
func (c counters) Collect(ctx context.Context) ([]collect.Sample, error) {
	fields, err := c.client.Counters(ctx)
	if _, away := errors.AsType[*net.OpError](err); away {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []collect.Sample{{Measurement: "mailnode", Fields: fields}}, nil
}
