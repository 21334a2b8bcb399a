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
	return api.Status{
		PID:         os.Getpid(),
		Started:     a.started,
		Version:     a.opts.Version,
		ConfigIndex: a.config.Index,
		Listeners:   listeners,
		Accounts:    len(a.config.Accounts),
		Connections: connections,
		Counters:    a.Counters(),
		Held:        a.flow.brake.AllHeld(),
	}
}

// Counters implements control.Node.
func (a *App) Counters() api.Counters {
	in, out := &a.smtpd.Counters, &a.pop3d.Counters
	queued := &a.flow.queue.Counters
	pop3 := a.auth.Counts(api.POP3)
	imap, imapSignIns := &a.imapd.Counters, a.auth.Counts(api.IMAP)
	return api.Counters{
		api.SMTPAccepted:      float64(in.Accepted.Load()),
		api.SMTPRejected:      float64(in.Rejected.Load()),
		api.SMTPRefused:       float64(a.smtpd.Gate(smtpd.Receiving).Refused() + a.smtpd.Gate(smtpd.Submission).Refused() + a.smtpd.Gate(smtpd.LMTP).Refused()),
		api.MessagesDelivered: float64(a.flow.deliver.Counters.Delivered.Load() + queued.Delivered.Load()),
		api.BytesDelivered:    float64(a.flow.deliver.Counters.Bytes.Load()),
		api.MailQueued:        float64(a.flow.deliver.Counters.Queued.Load()),
		api.MailSent:          float64(queued.Sent.Load()),
		api.MailDeferred:      float64(queued.Deferred.Load()),
		api.MailFailed:        float64(queued.Failed.Load()),
		api.POP3Logins:        float64(pop3.OK),
		api.POP3LoginFailures: float64(pop3.Failed),
		api.POP3Retrieved:     float64(out.Retrieved.Load()),
		api.POP3Deleted:       float64(out.Deleted.Load()),
		api.POP3Refused:       float64(a.pop3d.Gate.Refused()),
		api.IMAPLogins:        float64(imapSignIns.OK),
		api.IMAPLoginFailures: float64(imapSignIns.Failed),
		api.IMAPFetched:       float64(imap.Fetched.Load()),
		api.IMAPAppended:      float64(imap.Appended.Load()),
		api.IMAPExpunged:      float64(imap.Expunged.Load()),
		api.IMAPRefused:       float64(a.imapd.Gate.Refused()),
	}
}
