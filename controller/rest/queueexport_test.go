package rest

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// ordered is an export of a and b that waits to be fetched.
func ordered(t *testing.T, f *fixture, filter inventory.QueueFilter) *inventory.Operation {
	t.Helper()
	ask := api.NewOperation{
		Kind: inventory.OpQueueExport, Targets: []api.NewTarget{{Server: "a"}, {Server: "b"}},
		Params: api.NewParams{Queue: &inventory.QueueOrder{Filter: filter}},
	}
	impact, err := f.client.PreviewOperation(t.Context(), ask)
	if err != nil || impact.Queued != 6 || impact.Confirm != "" {
		t.Errorf("the count is not shown first: %+v, %v", impact, err)
	}
	op, err := f.client.CreateOperation(t.Context(), "", ask)
	f.ok(err)
	if op.State != inventory.OpQueued {
		t.Errorf("nobody has fetched it and it is %s", op.State)
	}
	return &op
}

// ended waits for an operation's end.
func (f *fixture) ended(t *testing.T, id inventory.ID) inventory.Operation {
	t.Helper()
	op, err := f.client.Operation(t.Context(), id, 20*time.Second)
	f.ok(err)
	return op
}

// fetch unpacks an archive.
func fetch(t *testing.T, c *api.Client, id inventory.ID) map[string]string {
	t.Helper()
	r, err := c.ExportQueue(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, file := range z.File {
		in, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[file.Name] = string(text)
	}
	return files
}

func TestQueuedMailOfTheFleetIsExportedOnAFilter(t *testing.T) {
	f := start(t)
	a := f.upServer("a")
	f.upServer("b")
	op := ordered(t, f, inventory.QueueFilter{Destination: "a.test"})
	files := fetch(t, f.client, op.ID)
	if len(files) != 2*3+1 || files["a/"+strings.Repeat("0", 40)+".eml"] != "Subject: m0\r\n\r\n" {
		t.Errorf("got %q", files)
	}
	var servers []string
	for line := range strings.Lines(files["messages.jsonl"]) {
		var e struct {
			Server, File, Destination, Last string
		}
		f.ok(json.Unmarshal([]byte(line), &e))
		if servers = append(servers, e.Server); files[e.File] == "" || e.Destination != "a.test" || e.Last != "450 later" {
			t.Errorf("got %s", line)
		}
	}
	if !slices.Equal(servers, []string{"a", "a", "a", "b", "b", "b"}) {
		t.Errorf("the lines are of %v", servers)
	}
	if got := f.ended(t, op.ID); got.State != inventory.OpSucceeded || got.Steps[0].Message != "3 entries of the queue handed out, 3 messages" {
		t.Errorf("got %+v", got)
	}
	_, err := f.client.ExportQueue(t.Context(), op.ID)
	if p := problem(t, err); p.Status != http.StatusConflict {
		t.Errorf("it was handed out twice: %v", err)
	}
	page, _, err := api.Audit.Wait(t.Context(), f.client, map[string][]string{"action": {"queue.export"}}, 0, 0)
	if err != nil || len(page.Items) != 1 || page.Items[0].Target != string(op.ID) {
		t.Errorf("the export is not in the audit log: %+v, %v", page.Items, err)
	}
	f.mail.cutOff = map[inventory.ID]bool{a.ID: true}
	op = ordered(t, f, inventory.QueueFilter{Destination: "a.test"})
	files = fetch(t, f.client, op.ID)
	if got := f.ended(t, op.ID); got.State != inventory.OpFailed || got.Steps[1].State != inventory.OpSucceeded || !strings.HasPrefix(files["incomplete.txt"], "The mail of a is not here, or not all of it: ") {
		t.Errorf("got %+v and %q", got, files["incomplete.txt"])
	}
}

func TestAnExportIsCancelledCleanly(t *testing.T) {
	f := start(t)
	f.upServer("a")
	f.upServer("b")
	f.mail.endless = true
	for name, end := range map[string]func(op *inventory.Operation, hangUp func()){
		"its operation is cancelled": func(op *inventory.Operation, _ func()) {
			_, err := f.client.CancelOperation(t.Context(), op.ID)
			f.ok(err)
		},
		"the client hangs up": func(_ *inventory.Operation, hangUp func()) { hangUp() },
	} {
		op := ordered(t, f, inventory.QueueFilter{Destination: "a.test"})
		ctx, hangUp := context.WithCancel(t.Context())
		r, err := f.client.ExportQueue(ctx, op.ID)
		f.ok(err)
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		go end(op, hangUp)
		if n, err := io.Copy(io.Discard, r); err == nil {
			t.Errorf("%s: %d octets look like the whole", name, n)
		}
		hangUp()
		_ = r.Close()
		if got := f.ended(t, op.ID); got.State != inventory.OpCancelled {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTwoExportsAtOnceAndNoMore(t *testing.T) {
	f := start(t)
	f.upServer("a")
	f.upServer("b")
	f.mail.endless = true
	for range maxExports {
		r, err := f.client.ExportQueue(t.Context(), ordered(t, f, inventory.QueueFilter{Destination: "a.test"}).ID)
		f.ok(err)
		defer func() { _ = r.Close() }()
	}
	op := ordered(t, f, inventory.QueueFilter{Destination: "a.test"})
	_, err := f.client.ExportQueue(t.Context(), op.ID)
	if p := problem(t, err); p.Status != http.StatusTooManyRequests {
		t.Errorf("got %v", err)
	}
	if got, err := f.client.Operation(t.Context(), op.ID, 0); err != nil || got.State != inventory.OpQueued {
		t.Errorf("it can be fetched later: %+v, %v", got, err)
	}
}
