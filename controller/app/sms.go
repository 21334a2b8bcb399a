package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailfleet/alerts/sms"
	"mailfleet/alerts/sms/kannel"
	"mailfleet/alerts/sms/spool"
	"mailfleet/inventory"
)

// queue keeps the outbox's messages in the inventory.
type queue struct{ store inventory.Store }

// Queued returns the queued messages with their alerts' severities.
func (q queue) Queued(ctx context.Context) (entries []sms.Entry, err error) {
	err = q.store.View(ctx, func(tx inventory.Tx) error {
		list, _, err := tx.SMS().List(inventory.Query{Where: map[string][]string{"state": {string(inventory.SMSQueued)}}})
		if err != nil {
			return err
		}
		entries = make([]sms.Entry, 0, len(list))
		for _, m := range list {
			e := sms.Entry{SMS: m}
			if m.Alert != "" {
				a, err := tx.Alerts().Get(m.Alert)
				if err == nil {
					e.Severity = a.Severity
				} else if !inventory.Is(err, inventory.NotFound) {
					return err
				}
			}
			entries = append(entries, e)
		}
		return nil
	})
	return entries, err
}

// Update changes one message in a transaction.
func (q queue) Update(ctx context.Context, id inventory.ID, change func(*inventory.SMS) error) error {
	return q.store.Update(ctx, func(tx inventory.Tx) error {
		m, err := tx.SMS().Get(id)
		if err != nil {
			return err
		}
		if err := change(m); err != nil {
			return err
		}
		return tx.SMS().Update(m)
	})
}

// Wait blocks until messages change.
func (q queue) Wait(ctx context.Context, after uint64) uint64 {
	return q.store.Wait(ctx, after, inventory.SMSes)
}

// reportPath is where Kannel brings its delivery reports.
const reportPath = "/sms/report"

// gateway is the configured way out.
func (a *App) gateway(ctx context.Context) (sms.Gateway, error) {
	c := a.config.SMS
	if c.Gateway != "kannel" {
		spooler, err := spool.New(filepath.Join(a.config.Dir, "sms.spool"))
		if err != nil {
			return nil, fmt.Errorf("open the spool of text messages: %w", err)
		}
		a.onStop("spool of text messages", spooler.Close)
		return spooler, nil
	}
	password, err := os.ReadFile(c.Kannel.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("read sms.kannel.password_file: %w", err)
	}
	secret, err := a.setting(ctx, "kannel_secret", rand.Text)
	if err != nil {
		return nil, fmt.Errorf("read the secret of Kannel's reports: %w", err)
	}
	report := c.Kannel.ReportURL
	if report == "" {
		report = a.config.URL + reportPath
	}
	gateway, err := kannel.New(kannel.Options{
		URL: c.Kannel.URL, User: c.Kannel.User, Password: strings.TrimSpace(string(password)), From: c.Kannel.From,
		ReportURL: report, Secret: []byte(secret),
	})
	if err != nil {
		return nil, fmt.Errorf("sms.kannel: %w", err)
	}
	a.reports = func(w http.ResponseWriter, r *http.Request) { a.takeReport(gateway, w, r) }
	return gateway, nil
}

// takeReport notes a delivery report on its message. The token in it tells
// that it is Kannel's.
func (a *App) takeReport(gateway *kannel.Gateway, w http.ResponseWriter, r *http.Request) {
	report, err := gateway.ParseReport(r)
	if err == nil {
		err = queue{a.store}.Update(r.Context(), report.ID, func(m *inventory.SMS) error {
			report.Apply(m, time.Now().UTC())
			return nil
		})
	}
	switch inventory.CodeOf(err) {
	case inventory.Internal, inventory.Unavailable:
		if err != nil { // Kannel tries again
			a.log.Error("delivery report not stored", "err", err)
			http.Error(w, "not stored", http.StatusServiceUnavailable)
		}
	default:
		http.Error(w, "not a report", http.StatusForbidden)
	}
}
