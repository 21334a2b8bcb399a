package rest

import (
	"archive/zip"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"mailfleet/controller/auth"
	"mailfleet/controller/ops"
	"mailfleet/inventory"
)

// Limits of exports of queued mail.
const (
	maxExported      = 100_000  // entries in one
	maxExportedBytes = 20 << 30 // of messages in one
	maxExports       = 2        // that this controller hands out at once
)

func (s *Server) queueExportRoute() {
	add(s, operation{"export-queue", http.MethodGet, "/operations/{id}/export", "Fetch the mail of a queue.export operation", auth.Queued, auth.Read, 0,
		"A ZIP archive: each message as SERVER/ENTRY.eml, and messages.jsonl with a line of JSON for each entry of the queue. It can be fetched once, before the operation expires; the operation tells how far it is. " +
			"Cancelling the operation, or hanging up, ends it. What a server could not give is said in incomplete.txt, and the operation has failed then."}, s.exportQueue)
	o := s.api.OpenAPI()
	o.Paths["/api/v1/operations/{id}/export"].Get.Responses["200"].Content = map[string]*huma.MediaType{
		"application/zip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}
}

func (s *Server) exportQueue(ctx context.Context, in *Named) (*huma.StreamResponse, error) {
	select {
	case s.exports <- struct{}{}:
	default:
		return nil, inventory.Errorf(inventory.TooMany, "%d exports are being fetched from this controller: wait until one has ended", maxExports)
	}
	x, err := s.beginExport(ctx, inventory.ID(in.ID))
	if err != nil {
		<-s.exports
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer func() { <-s.exports }()
		g := humagin.Unwrap(hc)
		x.call = callOf(g.Request.Context())
		g.Header("Content-Type", "application/zip")
		g.Header("Content-Disposition", `attachment; filename="queue-`+string(x.op.ID)+`.zip"`)
		if err := x.run(g.Request.Context(), g.Writer); err != nil {
			s.Logger.Warn("export of queued mail ended early", "cid", x.call.id, "operation", string(x.op.ID), "err", err)
			panic(http.ErrAbortHandler) // a part must not look whole
		}
	}}, nil
}

// queueExport hands the queued mail of an operation out.
type queueExport struct {
	s       *Server
	call    *call
	op      *inventory.Operation
	servers map[inventory.ID]*inventory.Server
	sums    map[inventory.ID]inventory.QueueTotal // of those that answered
	zip     *zip.Writer
	lines   *os.File // of messages.jsonl, which comes last
	missing []string // what could not be had, a sentence each
}

// beginExport makes an operation's export this request's, and counts what it takes.
func (s *Server) beginExport(ctx context.Context, id inventory.ID) (*queueExport, error) {
	op, err := s.Operations.BeginExport(ctx, actorOf(ctx), id)
	if err != nil {
		return nil, err
	}
	x := &queueExport{s: s, op: op, servers: map[inventory.ID]*inventory.Server{}, sums: map[inventory.ID]inventory.QueueTotal{}}
	var refs []string
	for _, t := range op.Targets {
		refs = append(refs, string(t.Server))
	}
	var servers []*inventory.Server
	err = s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		servers, err = s.mailServers(tx, refs)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, x.end(ctx, inventory.OpFailed, inventory.Say("%s", err)))
	}
	total := inventory.QueueTotal{}
	answers := s.sums(ctx, queueScope{filter: op.Params.Queue.Filter, servers: servers})
	for _, a := range answers.given {
		x.sums[a.server.ID] = a.answer.Total
		total.Add(a.answer.Total)
	}
	for _, at := range servers {
		x.servers[at.ID] = at
	}
	if total.Entries > maxExported || total.Bytes > maxExportedBytes {
		err := inventory.FieldErrorf("filter", "the filter picks %d entries of %d MB, and an export takes %d and %d MB at most: narrow it",
			total.Entries, total.Bytes>>20, maxExported, maxExportedBytes>>20)
		return nil, errors.Join(err, x.end(ctx, inventory.OpFailed, inventory.Say("%s", err)))
	}
	return x, nil
}

// end ends all that goes on of the operation in the same way.
func (x *queueExport) end(ctx context.Context, state inventory.OperationState, message inventory.Sentence) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout) // the client may have gone
	defer cancel()
	for _, t := range x.op.Targets {
		_, told := x.s.Operations.TellExport(ctx, x.op.ID, t.Server, state, message)
		err = errors.Join(err, told)
	}
	return err
}

// What ends an export early.
var (
	errCancelled = inventory.Fail("the operation was cancelled")
	errHungUp    = inventory.Fail("whoever fetched it hung up")
)

// run writes the archive.
func (x *queueExport) run(ctx context.Context, w io.Writer) (err error) {
	client := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); x.watch(ctx, cancel) }()
	defer func() {
		cancel(nil)
		<-watched
		switch cause := context.Cause(ctx); {
		case err != nil && client.Err() != nil:
			err = errHungUp
		case err != nil && !errors.Is(cause, context.Canceled):
			err = cause
		}
		if err != nil {
			err = errors.Join(err, x.end(ctx, inventory.OpCancelled, inventory.Say("it ended before all was fetched: %s", err)))
		}
	}()
	if x.lines, err = os.CreateTemp("", "queue-export-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.lines.Close(), os.Remove(x.lines.Name())) }()
	x.zip = zip.NewWriter(w)
	x.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, t := range x.op.Targets {
		if err := x.server(ctx, t.Server); err != nil {
			return err
		}
	}
	return x.close()
}

// watch ends the export when its operation was cancelled, or this server closes.
func (x *queueExport) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	stop := context.AfterFunc(x.s.closing, func() { cancel(inventory.Fail("the controller stops")) })
	defer stop()
	for beat := time.Now(); ctx.Err() == nil; {
		index, going := uint64(0), true
		err := x.s.Store.View(ctx, func(tx inventory.Tx) error {
			op, err := tx.Operations().Get(x.op.ID)
			index, going = tx.Index(), err == nil && op.Stopped == ""
			return err
		})
		if err == nil && !going {
			cancel(errCancelled)
			return
		}
		if time.Since(beat) >= ops.ExportBeat {
			beat = time.Now()
			x.beat(ctx)
		}
		waiting, done := context.WithTimeout(ctx, ops.ExportBeat)
		x.s.Store.Wait(waiting, index, inventory.Operations)
		done()
	}
}

// beat tells that the export goes on, however slowly.
func (x *queueExport) beat(ctx context.Context) {
	for _, t := range x.op.Targets {
		if going, err := x.s.Operations.TellExport(ctx, x.op.ID, t.Server, inventory.OpRunning, inventory.Sentence{}); going || err != nil {
			return // one word is enough; without any it counts as given up
		}
	}
}

// server writes what one server has. What it cannot give fails its step and is told in the
// archive; an error ends the export.
func (x *queueExport) server(ctx context.Context, id inventory.ID) error {
	name := string(id)
	if at := x.servers[id]; at != nil {
		name = at.Name
	}
	stream, err := x.s.Mailnodes.ExportQueue(ctx, id, x.op.Params.Queue.Filter)
	if err != nil {
		return x.lack(ctx, id, name, err)
	}
	defer func() { _ = stream.Close() }()
	file, entries, messages := "", 0, 0
	for next, told := inventory.NewQueueExportReader(stream), time.Now(); ; {
		x.call.extend(exportTime)
		e, message, err := next.Next()
		switch {
		case errors.Is(err, io.EOF):
			return x.tell(ctx, id, inventory.OpSucceeded, inventory.Say("%d entries of the queue handed out, %d messages", entries, messages))
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return x.lack(ctx, id, name, err)
		case entries >= maxExported:
			return x.lack(ctx, id, name, inventory.Fail("more than %d entries came meanwhile", maxExported))
		}
		if message != nil {
			file = name + "/" + plainName(e.ID) + ".eml"
			messages++
			if err := x.message(file, e, message); err != nil {
				return err
			}
		}
		entries++
		if err := x.line(e, name, file); err != nil {
			return err
		}
		if time.Since(told) >= time.Second {
			told = time.Now()
			if err := x.tell(ctx, id, inventory.OpRunning, inventory.Say("%d of %d entries of the queue handed out", entries, max(x.sums[id].Entries, entries))); err != nil {
				return err
			}
		}
	}
}

// tell keeps how far a server's part is.
func (x *queueExport) tell(ctx context.Context, id inventory.ID, state inventory.OperationState, message inventory.Sentence) error {
	going, err := x.s.Operations.TellExport(ctx, x.op.ID, id, state, message)
	if err == nil && !going {
		err = errCancelled
	}
	return err
}

// lack notes what a server could not give.
func (x *queueExport) lack(ctx context.Context, id inventory.ID, name string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	x.s.Logger.Warn("a server did not hand its queued mail out whole", "server", name, "operation", string(x.op.ID), "err", err)
	x.missing = append(x.missing, fmt.Sprintf("The mail of %s is not here, or not all of it: %s.", name, err))
	return x.tell(ctx, id, inventory.OpFailed, inventory.Say("%s", err))
}

func (x *queueExport) message(file string, e inventory.QueueEntry, message io.Reader) error {
	w, err := x.zip.CreateHeader(&zip.FileHeader{Name: file, Method: zip.Deflate, Modified: e.Received})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, &patient{message, x.call})
	return err
}

// patient gives an answer more time with each octet that comes.
type patient struct {
	io.Reader
	call *call
}

func (p *patient) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.call.extend(exportTime)
	return n, err
}

// exportedLine is a line of messages.jsonl.
type exportedLine struct {
	Server string `json:"server"`
	File   string `json:"file"`
	inventory.QueueEntry
}

func (x *queueExport) line(e inventory.QueueEntry, server, file string) error {
	b, err := json.Marshal(exportedLine{server, file, e})
	if err == nil {
		_, err = x.lines.Write(append(b, '\n'))
	}
	return err
}

// close writes what comes last.
func (x *queueExport) close() error {
	if _, err := x.lines.Seek(0, io.SeekStart); err != nil {
		return err
	}
	files := map[string]io.Reader{"messages.jsonl": x.lines}
	if len(x.missing) > 0 {
		files["incomplete.txt"] = strings.NewReader(strings.Join(x.missing, "\r\n") + "\r\n")
	}
	for name, from := range files {
		w, err := x.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Now()})
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, from); err != nil {
			return err
		}
	}
	x.call.extend(exportTime)
	return x.zip.Close()
}

// plainName is a text from a server as the name of a file.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, s)
}
