package outbound

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailfleet/mailnode/resolve/resolvetest"
)

// list is a series for tests.
type list struct {
	t        *testing.T
	r        *remote
	next     []*Message
	under    []*Message
	outcomes []Outcome
}

func (l *list) Next() *Message {
	if len(l.next) == 0 {
		return nil
	}
	m := l.next[0]
	l.next, l.under = l.next[1:], append(l.under, m)
	return m
}

func (l *list) Done(m *Message, outcomes []Outcome) {
	if m != l.under[0] {
		l.t.Error("messages end in another order than they began in")
	}
	l.under = l.under[1:]
	l.outcomes = append(l.outcomes, outcomes...)
	if sent, ended := len(l.r.taken()), len(l.outcomes); sent > ended {
		l.t.Errorf("%d messages were sent when %d had ended", sent, ended)
	}
}

func TestSeries(t *testing.T) {
	d := resolvetest.New(t, "remote.test. 300 IN MX 10 mx.remote.test.", "mx.remote.test. 300 IN A 127.0.0.2")
	pipelining := []string{"PIPELINING", "ENHANCEDSTATUSCODES"}
	for _, x := range []struct {
		name           string
		remote         func(*remote)
		set            func(*Settings)
		messages       int
		taken          int // by the remote
		state          State
		grouped, conns int
	}{
		{"pipelining", func(r *remote) { r.extensions = pipelining }, nil, 5, 5, Sent, 4, 1},
		{"chunking", func(r *remote) { r.extensions = append(pipelining, "CHUNKING") }, nil, 5, 5, Sent, 4, 1},
		{"one by one", nil, nil, 3, 3, Sent, 0, 1},
		{"few on a connection", func(r *remote) { r.extensions = pipelining }, func(s *Settings) { s.PerConnection = 2 }, 5, 5, Sent, 2, 3},
		{"as few as the remote wants", func(r *remote) { r.extensions = append(pipelining, "LIMITS MAILMAX=2") }, nil, 4, 4, Sent, 2, 2},
		{"messages refused", func(r *remote) { r.extensions = pipelining; r.answers["."] = "554 5.7.1 spam" }, nil, 3, 0, Permanent, 2, 1},
		{"recipients refused", func(r *remote) { r.extensions = pipelining; r.answers["RCPT"] = "550 5.1.1 nobody" }, nil, 3, 0, Permanent, 0, 1},
		{"goes after each", func(r *remote) { r.extensions = pipelining; r.tired = "421 4.3.2 enough" }, nil, 3, 3, Sent, 2, 3},
		// It is seen once that groups do not work there, and then done without.
		{"closes after each", func(r *remote) { r.extensions = pipelining; r.tired = "CLOSE" }, nil, 4, 4, Sent, 1, 4},
		{"loses the group", func(r *remote) { r.extensions = pipelining; r.drops = true }, impatient, 4, 4, Sent, 1, 2},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := serve(t, "127.0.0.2", 0, x.remote)
			c := client(t, d, r.addr.Port(), x.set)
			s := &list{t: t, r: r}
			var want []string
			for i := range x.messages {
				body := fmt.Sprintf("Subject: %d\r\n\r\n.%s\r\n", i, strings.Repeat("text\r\n.\r\n", i/(x.messages-1)*9000))
				s.next = append(s.next, letter(body, fmt.Sprintf("u%d@remote.test", i)))
				want = append(want, body)
			}
			c.SendAll(t.Context(), "remote.test", nil, s)
			if len(s.outcomes) != x.messages {
				t.Fatalf("%d outcomes of %d messages", len(s.outcomes), x.messages)
			}
			for i, o := range s.outcomes {
				if o.State != x.state {
					t.Errorf("message %d: %+v", i, o)
				}
			}
			if got := r.taken(); !slices.Equal(got, want[:x.taken]) {
				t.Errorf("the remote took %d messages, and not as they were", len(got))
			}
			if r.grouped != x.grouped || r.conns != x.conns {
				t.Errorf("%d groups on %d connections, want %d on %d", r.grouped, r.conns, x.grouped, x.conns)
			}
		})
	}
}

// What a message wants of a connection it gets, whatever was sent before it.
func TestSeriesKeepsWhatEachWants(t *testing.T) {
	d := resolvetest.New(t, "remote.test. 300 IN MX 10 mx.remote.test.", "mx.remote.test. 300 IN A 127.0.0.2")
	r := serve(t, "127.0.0.2", 0, func(r *remote) { r.extensions = []string{"PIPELINING", "SMTPUTF8"} })
	s := &list{t: t, r: r}
	for i := range 4 {
		s.next = append(s.next, letter(text, "u@remote.test"))
		s.next[i].RequireTLS = i == 1 // there is none
	}
	s.next[2].To[0].Address = "<>@remote.test" // cannot be said
	client(t, d, r.addr.Port(), nil).SendAll(t.Context(), "remote.test", nil, s)
	var states []State
	for _, o := range s.outcomes {
		states = append(states, o.State)
	}
	if want := []State{Sent, Permanent, Permanent, Sent}; !slices.Equal(states, want) || len(r.taken()) != 2 {
		t.Errorf("%v, want %v; %d were taken", states, want, len(r.taken()))
	}
}
