package app

import (
	"os"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/smtpd"
)

// Status implements control.Node.
func (a *App) Status() api.Status {
	connections := map[api.Protocol]int{}
	for protocol, g := range a.gates() {
		connections[protocol] = g.Open()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	listeners := make([]api.Listener, 0, len(a.listeners.list))
	for _, l := range a.listeners.list {
		if l.config.Socket() == "" {
			l.config.Address = l.open.Addr().String()
		}
		listeners = append(listeners, l.config)
	}
	held, released := a.holds().status()
	return api.Status{
		PID:         os.Getpid(),
		Started:     a.started,
		Version:     a.opts.Version,
		ConfigIndex: a.config.Index,
		Listeners:   listeners,
		Accounts:    len(a.config.Accounts),
		Connections: connections,
		Counters:    a.Counters(),
		Held:        held,
		Released:    released,
	}
}

// Counters implements control.Node.
func (a *App) Counters() api.Counters {
	in, out := &a.smtpd.Counters, &a.pop3d.Counters
	queued := &a.flow.queue.Counters
	imap := &a.imapd.Counters
	counters := api.Counters{
		api.SMTPAccepted:      float64(in.Accepted.Load()),
		api.SMTPRejected:      float64(in.Rejected.Load()),
		api.SMTPRefused:       float64(a.smtpd.Gate(smtpd.Receiving).Refused() + a.smtpd.Gate(smtpd.Submission).Refused() + a.smtpd.Gate(smtpd.LMTP).Refused()),
		api.MessagesDelivered: float64(a.flow.deliver.Counters.Delivered.Load() + queued.Delivered.Load()),
		api.BytesDelivered:    float64(a.flow.deliver.Counters.Bytes.Load()),
		api.MailQueued:        float64(a.flow.deliver.Counters.Queued.Load()),
		api.MailSent:          float64(queued.Sent.Load()),
		api.MailDeferred:      float64(queued.Deferred.Load()),
		api.MailFailed:        float64(queued.Failed.Load()),
		api.POP3Retrieved:     float64(out.Retrieved.Load()),
		api.POP3Deleted:       float64(out.Deleted.Load()),
		api.POP3Refused:       float64(a.pop3d.Gate.Refused()),
		api.IMAPFetched:       float64(imap.Fetched.Load()),
		api.IMAPAppended:      float64(imap.Appended.Load()),
		api.IMAPExpunged:      float64(imap.Expunged.Load()),
		api.IMAPRefused:       float64(a.imapd.Gate.Refused()),
	}
	for _, face := range []struct {
		protocol     api.Protocol
		good, failed string
	}{
		{api.Submission, api.SMTPLogins, api.SMTPLoginFailures}, {api.POP3, api.POP3Logins, api.POP3LoginFailures},
		{api.IMAP, api.IMAPLogins, api.IMAPLoginFailures},
	} {
		n := a.auth.Counts(face.protocol)
		counters[face.good], counters[face.failed] = float64(n.OK), float64(n.Failed)
		for _, cause := range api.LoginFailureCauses {
			counters[face.failed+"_"+cause] = float64(n.Why[cause])
		}
	}
	return counters
}
