package app

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"time"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/imapd"
	"mailfleet/mailnode/pop3d"
	"mailfleet/mailnode/smtpd"
)

// settings are a configuration in the words of the faces.
type settings struct {
	smtp smtpd.Settings
	pop3 pop3d.Settings
	imap imapd.Settings
}

// maxHold is how long users may have a message sent later.
const maxHold = 366 * 24 * time.Hour

func settingsOf(c *api.Config) (settings, error) {
	var secure *tls.Config
	if c.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return settings{}, fmt.Errorf("the certificate: %w", err)
		}
		secure = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	size := cmp.Or(c.Mail.MessageSize, c.Limits.MessageBytes)
	limits := gate.Limits{Connections: c.Limits.Connections, PerAddress: c.Limits.ConnectionsPerAddress, Drained: c.Drained}
	return settings{
		smtp: smtpd.Settings{
			Hostname: c.Hostname, TLS: secure, MessageBytes: size, Transactions: c.Mail.MailMax,
			Recipients: c.Limits.Recipients, MaxHold: maxHold, Limits: limits, Receiving: c.Mail.Receiving.Connections,
		},
		pop3: pop3d.Settings{Hostname: c.Hostname, TLS: secure, Limits: limits},
		imap: imapd.Settings{Hostname: c.Hostname, TLS: secure, MessageBytes: size, Limits: limits},
	}, nil
}

func tableOf(c *api.Config) *directory.Table {
	accounts := make([]directory.Account, 0, len(c.Accounts))
	for _, a := range c.Accounts {
		accounts = append(accounts, directory.Account(a))
	}
	return directory.TableOf(directory.Content{
		Domains: c.Domains, Accounts: accounts, Groups: c.Groups, Away: c.Away, Partial: c.AwayPartial, Postmaster: c.Postmaster,
	})
}
