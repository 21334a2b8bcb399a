package rest

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) queueRoutes() {
	add(s, operation{"list-queue", http.MethodGet, "/queue", "Mail that waits to be delivered", auth.Queue, auth.Read, 0,
		"Of one server after the other, the oldest first. When some do not answer the list is partial. Who looks after domains sees what those send, and what waits for their users, without the recipients of other domains. What is done with queued mail is an operation, queue.hold and others, on a filter."}, s.listQueue)
	add(s, operation{"sum-queue", http.MethodGet, "/queue/summary", "Waiting mail by destination and server", auth.Queue, auth.Read, 0, ""}, s.sumQueue)
	add(s, operation{"act-on-queue", http.MethodPost, "/queue/acts", "Hold, release or delete what one's domains send or wait for", auth.Queue, auth.Suspend, http.StatusOK,
		"On all servers that have some of it, as an operation that is recorded; with wait the answer comes when it has ended, or as it stands after that time. Of mail to one's domains what comes from outside can be held and released, and all of it deleted, for one's own recipients. Deleting wants queue:delete, and the number of entries confirmed that the summary showed."}, s.actOnQueue)
	add(s, operation{"export-queued", http.MethodGet, "/queue/{id}/message", "A waiting message as it would be sent", auth.Queued, auth.Read, 0,
		"Who reads other people's mail is in the audit log."}, s.exportQueued)
	s.queueExportRoute()
	o := s.api.OpenAPI()
	o.Paths["/api/v1/queue/{id}/message"].Get.Responses["200"].Content = map[string]*huma.MediaType{
		"message/rfc822": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}
}

// QueuePick is the input that picks queued mail.
type QueuePick struct {
	inventory.QueueFilter
	Older   Span     `query:"older" doc:"At least so long in the queue, as 1h30m"`
	Younger Span     `query:"younger" doc:"At most so long in the queue"`
	Server  []string `query:"server" doc:"Id or name"`
}

func (p *QueuePick) filter() inventory.QueueFilter {
	f := p.QueueFilter
	f.Older, f.Younger = inventory.Duration(p.Older.Duration), inventory.Duration(p.Younger.Duration)
	return f
}

// queueScope is which servers to ask for what, within the caller's reach.
type queueScope struct {
	filter  inventory.QueueFilter
	servers []*inventory.Server // none: nothing lies in reach
	reach   *auth.Reach
}

// queueScope works out a filter: who looks after domains sees what those send and wait for.
func (s *Server) queueScope(ctx context.Context, f inventory.QueueFilter, refs []string) (q queueScope, err error) {
	if err := f.Check(); err != nil {
		return q, err
	}
	q.filter = f
	err = s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		if q.reach, err = reachOf(ctx, tx); err != nil {
			return err
		}
		if !q.reach.Fleet() {
			domains := q.reach.Domains()
			for _, name := range f.Within {
				if !slices.Contains(domains, name) {
					return inventory.FieldErrorf("filter.within", "there is no domain %q", name)
				}
			}
			if len(f.Within) == 0 {
				q.filter.Within = domains
			}
			if len(q.filter.Within) == 0 {
				return nil
			}
		}
		if len(q.filter.Values().Encode()) > inventory.MaxMailSessionQuery {
			return inventory.FieldErrorf("filter.within", "you look after too many domains to ask about at once: name one")
		}
		q.servers, err = s.mailServers(tx, refs)
		return err
	})
	return q, err
}

type queueInput struct {
	QueuePick
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Most items in the answer"`
	Cursor string `query:"cursor" maxLength:"100" doc:"next of the page before"`
}

type queueOutput struct {
	Body api.Queue
}

func (s *Server) listQueue(ctx context.Context, in *queueInput) (*queueOutput, error) {
	scope, err := s.queueScope(ctx, in.filter(), in.Server)
	if err != nil {
		return nil, err
	}
	servers := scope.servers
	from, after, _ := strings.Cut(in.Cursor, ".")
	servers = slices.DeleteFunc(servers, func(at *inventory.Server) bool { return string(at.ID) < from })
	answers := askAll(ctx, s, servers, func(ctx context.Context, at *inventory.Server) (inventory.QueuePage, error) {
		q := inventory.QueueQuery{QueueFilter: scope.filter, Limit: in.Limit}
		if string(at.ID) == from {
			q.After = after
		}
		return s.Mailnodes.Queue(ctx, at.ID, q)
	})
	out := &queueOutput{api.Queue{Items: []api.QueuedMail{}, Silent: answers.told(scope.reach), Partial: len(answers.silent) > 0}}
	more := false
	for _, a := range answers.given {
		for i, e := range a.answer.Entries {
			if len(out.Body.Items) == in.Limit {
				more = true
				break
			}
			more = i == len(a.answer.Entries)-1 && a.answer.Next != ""
			item := api.QueuedMail{QueueEntry: e, Entry: e.ID, Server: a.server.Name, ServerID: a.server.ID}
			item.ID = string(a.server.ID) + "." + e.ID
			out.Body.Items = append(out.Body.Items, item)
		}
		if more {
			break
		}
	}
	if more {
		out.Body.Next = out.Body.Items[len(out.Body.Items)-1].ID
	}
	return out, nil
}

type queueSummaryInput struct {
	QueuePick
}

type queueSummaryOutput struct {
	Body api.QueueSummary
}

// sums asks the servers how much there is.
func (s *Server) sums(ctx context.Context, q queueScope) answers[inventory.QueueSummary] {
	return askAll(ctx, s, q.servers, func(ctx context.Context, at *inventory.Server) (inventory.QueueSummary, error) {
		return s.Mailnodes.QueueSummary(ctx, at.ID, q.filter)
	})
}

// maxDestinations bounds a summary.
const maxDestinations = 1000

func (s *Server) sumQueue(ctx context.Context, in *queueSummaryInput) (*queueSummaryOutput, error) {
	scope, err := s.queueScope(ctx, in.filter(), in.Server)
	if err != nil {
		return nil, err
	}
	answers := s.sums(ctx, scope)
	out := &queueSummaryOutput{api.QueueSummary{
		Servers: []api.QueueServer{}, Destinations: []inventory.QueueDestination{},
		Silent: answers.told(scope.reach), Partial: len(answers.silent) > 0,
	}}
	sums := make(map[string]*inventory.QueueDestination)
	for _, a := range answers.given {
		out.Body.Total.Add(a.answer.Total)
		if scope.reach.Fleet() { // which servers there are is the fleet's
			out.Body.Servers = append(out.Body.Servers, api.QueueServer{Server: a.server.Name, QueueTotal: a.answer.Total})
		}
		for _, d := range a.answer.Destinations {
			sum := sums[d.Name]
			if sum == nil {
				sum = &inventory.QueueDestination{Name: d.Name}
				sums[d.Name] = sum
			}
			sum.Add(d.QueueTotal)
			sum.Active += d.Active
			sum.Last = cmp.Or(sum.Last, d.Last)
			if d.Rests.After(sum.Rests) {
				sum.Rests = d.Rests
			}
		}
	}
	for _, d := range sums {
		out.Body.Destinations = append(out.Body.Destinations, *d)
	}
	slices.SortFunc(out.Body.Destinations, func(a, b inventory.QueueDestination) int {
		return cmp.Or(cmp.Compare(b.Recipients, a.Recipients), cmp.Compare(a.Name, b.Name))
	})
	out.Body.Destinations = out.Body.Destinations[:min(len(out.Body.Destinations), maxDestinations)]
	return out, nil
}

type queuedInput struct {
	ID string `path:"id" maxLength:"120" doc:"Id of the entry, as the list has it"`
}

// exportTime is how long a message may take to be sent on.
const exportTime = 5 * time.Minute

func (s *Server) exportQueued(ctx context.Context, in *queuedInput) (*huma.StreamResponse, error) {
	server, entry, ok := strings.Cut(in.ID, ".")
	id, err := inventory.ParseID(server)
	if !ok || err != nil {
		return nil, inventory.Errorf(inventory.NotFound, "there is no entry %q", in.ID)
	}
	message, size, err := s.Mailnodes.QueuedMessage(ctx, id, entry)
	if err != nil {
		return nil, err
	}
	err = s.Store.Update(ctx, func(tx inventory.Tx) error {
		return tx.Audit().Append(actorOf(ctx).Entry("queue.export", auth.Queued, in.ID))
	})
	if err != nil {
		_ = message.Close()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer func() { _ = message.Close() }()
		g := humagin.Unwrap(hc)
		g.Header("Content-Type", "message/rfc822")
		g.Header("Content-Length", strconv.FormatInt(size, 10))
		g.Header("Content-Disposition", `attachment; filename="`+entry+`.eml"`)
		c := callOf(g.Request.Context())
		c.extend(exportTime)
		if _, err := io.CopyN(g.Writer, message, size); err != nil {
			s.Logger.Warn("export of a queued message ended early", "cid", c.id, "err", err)
			panic(http.ErrAbortHandler)
		}
	}}, nil
}
