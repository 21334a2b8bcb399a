package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/store"
)

// BenchmarkLedgerPage reads pages as the console does, of a month of 100 domains with 334
// accounts each: a million rows, of four counters each.
func BenchmarkLedgerPage(b *testing.B) {
	const days, domains, accounts = 30, 100, 334
	w := newWaiting(b)
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for d := range days {
		for domain := range domains {
			if err := w.store.Update(b.Context(), nil, func(tx *store.Tx) error {
				for a := range accounts {
					id := fmt.Sprintf("0198c0de-0000-7000-8000-%06d%06d", domain, a)
					for _, name := range []string{queue.CountIn, queue.CountInBytes, queue.CountOut, queue.CountOutBytes} {
						if err := tx.Count(queue.Counts(first.AddDate(0, 0, d), fmt.Sprintf("d%03d.test", domain), id, name, 1)); err != nil {
							return err
						}
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
	}
	pages := func(b *testing.B) {
		for _, by := range [][]string{nil, {"day"}, {"domain"}, {"account"}, {"domain", "account"}, {"day", "domain"}} {
			b.Run("by "+strings.Join(by, " and "), func(b *testing.B) {
				q := inventory.LedgerQuery{From: "2026-01-01", To: "2026-01-30", By: by, Limit: 400}
				for b.Loop() {
					page, err := w.Ledger(b.Context(), q)
					if err != nil || len(page.Rows) == 0 {
						b.Fatalf("%d rows, %v", len(page.Rows), err)
					}
					q.After = page.Next
				}
			})
		}
	}
	b.Run("counters", pages)
	if err := w.sums.sum(b.Context(), time.Now()); err != nil {
		b.Fatal(err)
	}
	b.Run("sums", pages)
}
