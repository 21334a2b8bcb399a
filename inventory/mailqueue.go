package inventory

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// QueueState says how an entry of a queue is.
type QueueState string

// The states.
const (
	QueueHeld    QueueState = "held"    // until an operator releases it
	QueueFuture  QueueState = "future"  // its sender wants it to go later
	QueueActive  QueueState = "active"  // it is being tried
	QueueWaiting QueueState = "waiting" // for its first or next attempt
)

// QueueStates lists them all.
var QueueStates = []QueueState{QueueHeld, QueueFuture, QueueActive, QueueWaiting}

// QueueEntry is a message in a server's queue with recipients who share a destination.
type QueueEntry struct {
	ID          string     `json:"id"`      // unique on its server
	Message     string     `json:"message"` // as in Received fields and logs
	From        string     `json:"from"`    // empty: a report
	Account     ID         `json:"account,omitempty"`
	Destination string     `json:"destination"` // domain, or local
	Route       string     `json:"route,omitempty"`
	Recipients  []string   `json:"recipients"`
	Hidden      int        `json:"hidden,omitempty" doc:"Recipients that are not shown: they are of domains that are not asked about"`
	Inbound     bool       `json:"inbound,omitempty" doc:"Of the domains asked about are recipients only"`
	Size        int64      `json:"size"`
	Priority    int        `json:"priority"`
	Received    time.Time  `json:"received"`
	Expires     time.Time  `json:"expires"`
	Next        time.Time  `json:"next"`
	Attempts    int        `json:"attempts"`
	State       QueueState `json:"state"`
	Last        string     `json:"last,omitempty"` // how the last attempt ended
	LastCode    int        `json:"last_code,omitempty"`
	LastHost    string     `json:"last_host,omitempty"`
	LastAt      time.Time  `json:"last_at,omitzero"`
}

// QueueFilter picks entries: those that fit all it names. Texts are compared without case.
type QueueFilter struct {
	IDs         []string   `json:"ids,omitempty" query:"ids" maxItems:"1000" doc:"Of entries, on their servers"`
	Message     string     `json:"message,omitempty" query:"message" maxLength:"200" doc:"As in Received fields and logs"`
	Destination string     `json:"destination,omitempty" query:"destination" maxLength:"253" doc:"Domain, or local"`
	Sender      string     `json:"sender,omitempty" query:"sender" maxLength:"320" doc:"Address, or @domain, or the id of an account"`
	Recipient   string     `json:"recipient,omitempty" query:"recipient" maxLength:"320" doc:"Address, or a part of one"`
	State       QueueState `json:"state,omitempty" query:"state" enum:"held,future,active,waiting"`
	Last        string     `json:"last,omitempty" query:"last" maxLength:"200" doc:"A part of how the last attempt ended"`
	Older       Duration   `json:"older,omitempty" doc:"At least so long in the queue"`
	Younger     Duration   `json:"younger,omitempty" doc:"At most so long in the queue"`
	Within      []string   `json:"within,omitempty" maxItems:"1000" doc:"Domains, one of which the sender or a recipient is of; of mail that others send, other recipients are hidden"`
	Act         QueueAct   `json:"act,omitempty" query:"act" enum:"hold,release,retry,delete,reroute,export" doc:"With within: only what those who look after these domains may do this with"`
}

// All reports whether the filter picks everything.
func (f *QueueFilter) All() bool { return len(f.Values()) == 0 }

// Check says what is wrong with a filter.
func (f *QueueFilter) Check() error {
	switch {
	case f.State != "" && !slices.Contains(QueueStates, f.State):
		return FieldErrorf("state", "%q is not one of %v", f.State, QueueStates)
	case f.Act != "" && !slices.Contains(QueueActs, f.Act):
		return FieldErrorf("act", "%q is not one of %v", f.Act, QueueActs)
	case f.Older < 0 || f.Younger < 0:
		return FieldErrorf("older", "an age must not be negative")
	}
	return nil
}

// Values is the filter in a URL.
func (f *QueueFilter) Values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"message": f.Message, "destination": f.Destination, "sender": f.Sender, "recipient": f.Recipient, "state": string(f.State), "last": f.Last, "act": string(f.Act),
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, age := range map[string]Duration{"older": f.Older, "younger": f.Younger} {
		if age != 0 {
			v.Set(name, time.Duration(age).String())
		}
	}
	for name, list := range map[string][]string{"ids": f.IDs, "within": f.Within} {
		if len(list) > 0 {
			v.Set(name, strings.Join(list, ","))
		}
	}
	return v
}

// QueueQuery chooses a page of what a filter picks.
type QueueQuery struct {
	QueueFilter
	After string // id of the last entry of the page before
	Limit int    // 0: MaxQueueEntries
}

// MaxQueueEntries bounds a page.
const MaxQueueEntries = 1000

// Values is the query in a URL.
func (q *QueueQuery) Values() url.Values {
	v := q.QueueFilter.Values()
	if q.After != "" {
		v.Set("after", q.After)
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// ParseQueueQuery reads Values.
func ParseQueueQuery(v url.Values) (q QueueQuery, err error) {
	q = QueueQuery{QueueFilter: QueueFilter{
		Message: v.Get("message"), Destination: v.Get("destination"), Sender: v.Get("sender"), Recipient: v.Get("recipient"),
		State: QueueState(v.Get("state")), Last: v.Get("last"), Act: QueueAct(v.Get("act")),
	}, After: v.Get("after"), Limit: MaxQueueEntries}
	for name, list := range map[string]*[]string{"ids": &q.IDs, "within": &q.Within} {
		if text := v.Get(name); text != "" {
			*list = strings.Split(text, ",")
		}
	}
	for name, age := range map[string]*Duration{"older": &q.Older, "younger": &q.Younger} {
		if text := v.Get(name); text != "" {
			d, err := time.ParseDuration(text)
			if err != nil {
				return q, FieldErrorf(name, "%q is not a duration: write 90s or 1h30m", text)
			}
			*age = Duration(d)
		}
	}
	if limit := v.Get("limit"); limit != "" {
		if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 1 || q.Limit > MaxQueueEntries {
			return q, FieldErrorf("limit", "limit must be between 1 and %d", MaxQueueEntries)
		}
	}
	return q, q.Check()
}

// QueuePage is some of the entries, the oldest first.
type QueuePage struct {
	Entries []QueueEntry `json:"entries"`
	Next    string       `json:"next,omitempty"` // After of the next page; empty: there is none
}

// QueueTotal is how much a filter picks.
type QueueTotal struct {
	Entries    int       `json:"entries"`
	Recipients int       `json:"recipients"`
	Bytes      int64     `json:"bytes"`
	Oldest     time.Time `json:"oldest,omitzero"`
}

// Add adds what another queue has.
func (t *QueueTotal) Add(o QueueTotal) {
	t.Entries += o.Entries
	t.Recipients += o.Recipients
	t.Bytes += o.Bytes
	if t.Oldest.IsZero() || !o.Oldest.IsZero() && o.Oldest.Before(t.Oldest) {
		t.Oldest = o.Oldest
	}
}

// QueueDestination sums up what waits for a destination.
type QueueDestination struct {
	Name string `json:"name"`
	QueueTotal
	Active int       `json:"active"`         // attempts under way
	Rests  time.Time `json:"rests,omitzero"` // it is left alone until then
	Last   string    `json:"last,omitempty"` // how an attempt ended
}

// QueueSummary sums up what a filter picks, by destination.
type QueueSummary struct {
	Total        QueueTotal         `json:"total"`
	Destinations []QueueDestination `json:"destinations"`
}

// QueueAct is what is done with entries of a queue.
type QueueAct string

// The acts.
const (
	ActHold    QueueAct = "hold"
	ActRelease QueueAct = "release"
	ActRetry   QueueAct = "retry"
	ActDelete  QueueAct = "delete"
	ActReroute QueueAct = "reroute"
	ActExport  QueueAct = "export" // nothing becomes of them
)

// QueueActs lists them all.
var QueueActs = []QueueAct{ActHold, ActRelease, ActRetry, ActDelete, ActReroute, ActExport}

// QueueOrder is an act on what a filter picks.
type QueueOrder struct {
	Filter QueueFilter `json:"filter,omitzero" doc:"Which entries; empty: all"`
	Route  *Route      `json:"route,omitempty" doc:"reroute: where to; absent: to where they go by themselves"`
	Report bool        `json:"report,omitempty" doc:"delete: tell the senders"`
}

// Check says what is wrong with an order.
func (o *QueueOrder) Check(act QueueAct) error {
	if err := under("filter", o.Filter.Check()); err != nil {
		return err
	}
	switch {
	case !slices.Contains(QueueActs, act):
		return FieldErrorf("act", "%q is not one of %v", act, QueueActs)
	case o.Route != nil && act != ActReroute:
		return FieldErrorf("route", "a route is for reroute")
	case o.Route != nil && o.Route.User != "":
		return FieldErrorf("route.user", "mail can be rerouted only to a host that takes it without signing in")
	case o.Route != nil:
		return o.Route.check()
	}
	return nil
}

// QueueDone tells of how many entries something was done with.
type QueueDone struct {
	Entries int `json:"entries"`
}
