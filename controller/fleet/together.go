package fleet

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"mailfleet/alerts"
	"mailfleet/alerts/sms"
	"mailfleet/inventory"
)

// When a region goes down, people get one text about it and not one for each server. So
// a text about a server that is down, or up again, waits in the queue a moment for others
// of its region. Those that came meanwhile are replaced by one when they are many, and
// leave as they are when they are few. If nothing looks at them any more, because the
// controller is killed meanwhile, each leaves by itself: none is ever lost.
const (
	// DefaultTogether servers of a region are told of in one text.
	DefaultTogether = 3

	gatherQuiet = 2 * time.Second  // after the last that went down, while others of the region are still up
	gatherDown  = 12 * time.Second // at most after the first: its text must leave
	gatherUp    = 30 * time.Second // the same of servers that come back, while others are still down
	gatherSlack = 10 * time.Second // in which the texts are looked at before they leave by themselves
)

// gathers tells how long a text about the alert waits for others.
func gathers(a *inventory.Alert) time.Duration {
	switch {
	case a.Metric != alerts.ServerUp:
		return 0
	case a.State == inventory.AlertResolved:
		return gatherUp + gatherSlack
	default:
		return gatherDown + gatherSlack
	}
}

// cluster names texts that may become one: what they say, of which region, to whom.
type cluster struct {
	rule   inventory.ID
	region string
	over   bool
	to     string
}

// waiting is a text that waits, and what it is about.
type waiting struct {
	text  *inventory.SMS
	alert *inventory.Alert
}

// gatherTexts lets texts about servers leave that have waited for others of their region
// long enough, many of them as one.
func (f *Fleet) gatherTexts(ctx context.Context, now time.Time) error {
	var due map[cluster][]waiting
	find := func(tx inventory.Tx) (err error) {
		due, err = gathered(tx, now)
		return err
	}
	if err := f.store.View(ctx, find); err != nil || len(due) == 0 {
		return err
	}
	return f.store.Update(ctx, func(tx inventory.Tx) error {
		if err := find(tx); err != nil {
			return err
		}
		for c, list := range due {
			if err := f.leave(tx, c, list, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// leave lets the texts of a cluster leave.
func (f *Fleet) leave(tx inventory.Tx, c cluster, list []waiting, now time.Time) error {
	if len(list) < cmp.Or(f.opts.Together, DefaultTogether) {
		for _, w := range list {
			w.text.Next = now.UTC()
			if err := tx.SMS().Update(w.text); err != nil {
				return err
			}
		}
		return nil
	}
	language, err := languageOf(tx, c.to)
	if err != nil {
		return err
	}
	first := list[0].alert
	one := alerts.Together{Severity: first.Severity, Region: c.region, Up: c.over, At: first.Fired}
	for _, w := range list {
		one.Servers = append(one.Servers, w.alert.ServerName)
		if c.over {
			one.At = w.alert.Resolved // of the last
		}
		if err := tx.SMS().Delete(w.text.ID); err != nil {
			return err
		}
	}
	m := sms.New(c.to, alerts.TogetherText(one, language), now.UTC())
	m.Alert, m.Key = first.ID, list[0].text.Key+"/together"
	return tx.SMS().Create(m)
}

// languageOf is the language of whoever has the phone.
func languageOf(tx inventory.Tx, phone string) (string, error) {
	people, _, err := tx.Contacts().List(inventory.Query{})
	for _, p := range people {
		if p.Phone == phone {
			return p.Language, err
		}
	}
	return alerts.Chinese, err
}

// gathered finds the texts that have waited long enough, the oldest of each cluster first.
func gathered(tx inventory.Tx, now time.Time) (map[cluster][]waiting, error) {
	queued, _, err := tx.SMS().List(inventory.Query{Where: map[string][]string{"state": {string(inventory.SMSQueued)}}})
	if err != nil {
		return nil, err
	}
	clusters := make(map[cluster][]waiting)
	var land *regions
	for _, m := range queued {
		if m.Alert == "" || m.Attempts > 0 || !m.Next.After(now) || strings.HasSuffix(m.Key, "/together") {
			continue
		}
		a, err := tx.Alerts().Get(m.Alert)
		if inventory.Is(err, inventory.NotFound) {
			continue // it leaves by itself
		}
		if err != nil {
			return nil, err
		}
		if a.Metric != alerts.ServerUp {
			continue
		}
		if land == nil {
			if land, err = regionsOf(tx); err != nil {
				return nil, err
			}
		}
		over := strings.Contains(m.Key, "/"+string(inventory.AlertResolved)+"/")
		c := cluster{rule: a.Rule, region: land.of[a.Server], over: over, to: m.To}
		clusters[c] = append(clusters[c], waiting{m, a})
	}
	maps.DeleteFunc(clusters, func(c cluster, list []waiting) bool { return !land.ripe(c, list, now) })
	return clusters, nil
}

// regions is what texts may wait for.
type regions struct {
	of      map[inventory.ID]string // of each server
	up      map[string]int          // servers of a region that are up
	falling map[string]int          // and that may soon be down
	down    map[string]int          // and that are
}

func regionsOf(tx inventory.Tx) (*regions, error) {
	servers, _, err := tx.Servers().List(inventory.Query{})
	if err != nil {
		return nil, err
	}
	r := &regions{of: map[inventory.ID]string{}, up: map[string]int{}, falling: map[string]int{}, down: map[string]int{}}
	for _, s := range servers {
		r.of[s.ID] = s.Region
		switch {
		case s.State == inventory.ServerUp:
			r.up[s.Region]++
		case s.State == inventory.ServerSuspect:
			r.falling[s.Region]++
		case s.State == inventory.ServerDown && !s.Off:
			r.down[s.Region]++
		}
	}
	return r, nil
}

// ripe reports whether a cluster has waited long enough: nothing more can come, or
// nothing more has for a while, or the first has waited as long as it may.
func (r *regions) ripe(c cluster, list []waiting, now time.Time) bool {
	slices.SortFunc(list, func(a, b waiting) int {
		return cmp.Or(a.text.Created.Compare(b.text.Created), cmp.Compare(a.text.ID, b.text.ID))
	})
	first, last := now.Sub(list[0].text.Created), now.Sub(list[len(list)-1].text.Created)
	if c.over {
		return r.down[c.region]+r.falling[c.region] == 0 || first >= gatherUp
	}
	switch {
	case first >= gatherDown:
		return true
	case r.falling[c.region] > 0:
		return false
	default:
		return r.up[c.region] == 0 || last >= gatherQuiet
	}
}
