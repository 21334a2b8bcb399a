package fleet

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/ops"
	"mailfleet/inventory"
	"mailfleet/inventory/identity"
	"mailfleet/inventory/link"
)

const (
	maxWait   = 60 * time.Second
	maxReport = 8 << 20 // octets of a report or alert list
)

// caller is who is at the other end of a link, kept in its requests' contexts.
type caller struct {
	id   inventory.ID
	name string
}

type callerKey struct{}

// ServerOf returns the name of the server whose link a request came up.
func ServerOf(ctx context.Context) (name string, ok bool) {
	c, ok := ctx.Value(callerKey{}).(caller)
	return c.name, ok
}

// ServeLink keeps the link of one agent until it breaks, another takes its
// place or ctx ends. The peer is who its verified certificate says.
func (f *Fleet) ServeLink(ctx context.Context, conn net.Conn, peer identity.Peer) {
	who := caller{id: inventory.ID(peer.ID), name: peer.Name}
	log := f.log.With("server", who.name)
	base := func(ctx context.Context) context.Context { return context.WithValue(ctx, callerKey{}, who) }
	l, err := link.New(conn, link.Accepted, f.mux, base, log)
	if err != nil {
		log.Warn("link refused", "err", err)
		return
	}
	f.mu.Lock()
	p := f.presence(who.id)
	if p.link != nil {
		p.link.Close() // the agent came back before its old link was found dead
	}
	p.link, p.client, p.seen, p.lost = l, l.Client(), time.Now(), time.Time{}
	p.reported = [32]byte{} // store its next report whatever it says
	f.serving.Add(1)
	f.mu.Unlock()
	defer f.serving.Done()
	log.Info("link up", "address", conn.RemoteAddr().String())

	err = l.Serve(ctx)

	f.mu.Lock()
	if p.link == l {
		p.link, p.client, p.lost = nil, nil, time.Now()
		p.missing = nil
	}
	f.mu.Unlock()
	log.Info("link down", "err", err)
}

// routes are the paths agents ask for.
func (f *Fleet) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /agent/v1/desired", f.handle(f.desired))
	mux.HandleFunc("POST /agent/v1/report", f.handle(take(f.report)))
	mux.HandleFunc("POST /agent/v1/preflight", f.handle(take(f.takePreflight)))
	mux.HandleFunc("POST /agent/v1/alerts", f.handle(take(f.takeAlerts)))
	mux.HandleFunc("POST /agent/v1/certificates", f.handle(func(w http.ResponseWriter, r *http.Request, who caller) error {
		var req api.CertificateRequest
		if err := decode(w, r, &req); err != nil {
			return err
		}
		out, err := f.certify(r.Context(), who, req)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(out)
	}))
	mux.HandleFunc("GET /agent/v1/orders/{id}/secret", f.handle(f.orderSecret))
	mux.HandleFunc("GET /agent/v1/releases/{id}", f.handle(f.showRelease))
	mux.HandleFunc("GET /agent/v1/releases/{id}/content", f.handle(f.sendRelease))
	mux.HandleFunc("GET /agent/v1/release-keys", f.handle(f.showKeys))
	mux.Handle("POST /api/v2/write", f.opts.Write)
	return mux
}

// handle gives a handler its caller and writes its error as a problem.
func (f *Fleet) handle(h func(http.ResponseWriter, *http.Request, caller) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, ok := r.Context().Value(callerKey{}).(caller)
		if !ok {
			http.Error(w, "not a link", http.StatusForbidden)
			return
		}
		f.mu.Lock()
		f.presence(who.id).seen = time.Now()
		f.mu.Unlock()
		err := h(w, r, who)
		if err == nil || r.Context().Err() != nil {
			return
		}
		p := api.Problem{Title: "request refused", Status: http.StatusInternalServerError, Code: inventory.CodeOf(err), Detail: err.Error()}
		switch p.Code {
		case inventory.Invalid:
			p.Status = http.StatusUnprocessableEntity
		case inventory.NotFound:
			p.Status = http.StatusNotFound
		case inventory.Forbidden:
			p.Status = http.StatusForbidden
		case inventory.Unavailable:
			p.Status = http.StatusServiceUnavailable
		default:
			f.log.Error("agent request failed", "server", who.name, "path", r.URL.Path, "err", err)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.Status)
		_ = json.NewEncoder(w).Encode(p)
	}
}

// take is a handler that reads one JSON body and answers 204.
func take[T any](fn func(context.Context, caller, T) error) func(http.ResponseWriter, *http.Request, caller) error {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		var in T
		if err := decode(w, r, &in); err != nil {
			return err
		}
		if err := fn(r.Context(), who, in); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReport)).Decode(into); err != nil {
		return inventory.Wrap(inventory.Invalid, err, "the request is not the JSON expected")
	}
	return nil
}

// desired answers the long poll. Steps are marked delivered before they leave,
// and the document sent is one that knows of it.
func (f *Fleet) desired(w http.ResponseWriter, r *http.Request, who caller) error {
	after, err := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	if err != nil {
		return inventory.FieldErrorf("index", "index must be a number")
	}
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil || wait < 0 || wait > maxWait {
		return inventory.FieldErrorf("wait", "wait must be a duration up to %s", maxWait)
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	d, settled, err := f.board.next(ctx, who.id, after)
	if err != nil {
		return inventory.Wrap(inventory.Forbidden, err, "not in the fleet")
	}
	if d.Index == 0 {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if f.board.undelivered(who.id) {
		if d, settled, err = f.deliver(r.Context(), who.id); err != nil {
			return err
		}
	}
	if r.URL.Query().Has("only") && 0 < settled && settled <= after && after <= d.Index {
		d = api.Desired{Index: d.Index, Only: true, Orders: d.Orders}
	}
	body, err := encode(d, time.Now())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(body)
	return err
}

// deliver marks the server's queued steps and returns the document after that.
func (f *Fleet) deliver(ctx context.Context, id inventory.ID) (d api.Desired, settled uint64, err error) {
	if err := f.deliveries.Do(ctx, id); err != nil {
		return d, 0, err
	}
	if err := f.board.wait(ctx, f.store.Wait(ctx, 0, watched...)); err != nil {
		return d, 0, err
	}
	return f.board.next(ctx, id, 0)
}

func deliverTo(tx inventory.Tx, servers []inventory.ID) error {
	to := make(map[inventory.ID]bool, len(servers))
	for _, id := range servers {
		to[id] = true
	}
	return ops.Deliver(tx, to, time.Now())
}
