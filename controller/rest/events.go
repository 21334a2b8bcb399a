package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// Times of a stream.
const (
	heartbeat  = 15 * time.Second
	streamTime = 10 * time.Second // for a reader to take an event
	comeBack   = 2 * time.Second  // after which a broken stream is opened again
)

func (s *Server) eventRoutes() {
	add(s, operation{"stream-events", http.MethodGet, "/events", "What changes, as it does", auth.Events, auth.Read, 0,
		"Server-sent events (WHATWG HTML §9.2): change holds an Event, samples holds FreshSamples, reset means that the changes since the id to resume from are no longer kept: read everything afresh. " +
			"Changes have ids: send the last one as Last-Event-ID, or as index, and nothing is missed. The stream ends with the session or token that opened it."}, s.events)
	o := s.api.OpenAPI()
	schemas := o.Components.Schemas
	o.Paths["/api/v1/events"].Get.Responses["200"].Content = map[string]*huma.MediaType{
		"text/event-stream": {Schema: &huma.Schema{OneOf: []*huma.Schema{
			schemas.Schema(reflect.TypeFor[api.Event](), true, ""),
			schemas.Schema(reflect.TypeFor[api.FreshSamples](), true, ""),
		}}},
	}
}

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"20"`
	Index       uint64 `query:"index" doc:"As Last-Event-ID, which goes before"`
}

func (s *Server) events(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	last := in.Index
	if in.LastEventID != "" {
		var err error
		if last, err = strconv.ParseUint(in.LastEventID, 10, 64); err != nil {
			return nil, inventory.FieldErrorf("header.Last-Event-ID", "Last-Event-ID %q is not an id of this stream", in.LastEventID)
		}
	}
	r, index, err := s.feed.join(ctx, callOf(ctx).principal)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer s.feed.leave(r)
		g := humagin.Unwrap(hc)
		g.Header("Content-Type", "text/event-stream")
		st := &stream{s: s, reader: r, call: callOf(g.Request.Context()), to: g.Writer}
		if err := st.run(g.Request.Context(), last, index); err != nil {
			s.Logger.Debug("event stream ended", "cid", st.call.id, "err", err)
		}
	}}, nil
}

// stream writes to one reader.
type stream struct {
	s      *Server
	reader *reader
	call   *call
	to     http.ResponseWriter
}

// run writes what happened after last (0: nothing) up to index, then what
// comes, until somebody ends it.
func (st *stream) run(ctx context.Context, last, index uint64) error {
	if err := st.write("retry: %d\n\n", comeBack.Milliseconds()); err != nil {
		return err
	}
	if err := st.catchUp(ctx, last, index); err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-st.s.closing.Done():
			return nil
		case it, ok := <-st.reader.news:
			if !ok {
				return inventory.Errorf(inventory.TooMany, "the reader is too slow")
			}
			if err := st.item(it); err != nil {
				return err
			}
		case <-st.reader.recheck:
			if err := st.s.Auth.Still(ctx, st.reader.principal); err != nil {
				return err
			}
		case <-beat.C:
			if err := st.s.Auth.Still(ctx, st.reader.principal); err != nil {
				return err
			}
			if err := st.beat(); err != nil {
				return err
			}
		}
	}
}

// catchUp writes the changes after last that were handed out before the reader
// joined.
func (st *stream) catchUp(ctx context.Context, last, index uint64) error {
	if last == 0 {
		return st.write("id: %d\n\n", index)
	}
	for last < index {
		events, ok, err := st.s.Store.Events(ctx, last, feedBatch)
		if err != nil {
			return err
		}
		if !ok {
			return st.item(resetItem(index))
		}
		for i, e := range events {
			if e.Index > index { // the rest is in the queue
				events = events[:i]
				break
			}
		}
		if len(events) == 0 {
			return nil
		}
		items, err := st.s.items(ctx, events)
		if err != nil {
			return err
		}
		for _, it := range items {
			if !st.s.feed.sees(st.reader, it) {
				continue
			}
			if err := st.item(it); err != nil {
				return err
			}
		}
		last = events[len(events)-1].Index
	}
	if last > index { // from another history: a backup put back, say
		return st.item(resetItem(index))
	}
	return nil
}

// beat keeps the connection alive and tells where to resume after changes the
// reader may not see.
func (st *stream) beat() error {
	if index, ok := st.s.feed.position(st.reader); ok {
		return st.write(": beat\nid: %d\n\n", index)
	}
	return st.write(": beat\n\n")
}

func (st *stream) item(it item) error {
	if it.id == 0 {
		return st.write("event: %s\ndata: %s\n\n", it.event, it.data)
	}
	return st.write("event: %s\nid: %d\ndata: %s\n\n", it.event, it.id, it.data)
}

func (st *stream) write(format string, args ...any) error {
	st.call.extend(streamTime)
	if _, err := fmt.Fprintf(st.to, format, args...); err != nil {
		return err
	}
	return http.NewResponseController(st.to).Flush()
}

func resetItem(index uint64) item {
	return item{event: "reset", id: index, data: fmt.Appendf(nil, `{"index":%d}`, index)}
}

// items are the events of the stream for changes; those nobody may see have none.
func (s *Server) items(ctx context.Context, events []inventory.Event) ([]item, error) {
	var items []item
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		items = items[:0]
		show := shower{s: s, tx: tx}
		for _, e := range events {
			if !auth.Known(e.Kind) {
				continue
			}
			change, it := api.Event{Event: e}, item{event: "change", id: e.Index, kind: e.Kind}
			var err error
			if e.Verb != inventory.Deleted {
				if change.Resource, err = show.resource(e); err != nil {
					return err
				}
				it.thing = change.Resource
			}
			if it.thing == nil {
				if it.scope, err = show.lay(e); err != nil {
					return err
				}
			}
			if it.data, err = json.Marshal(change); err != nil {
				return err
			}
			items = append(items, it)
		}
		return nil
	})
	return items, err
}
