package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func openJournal(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path, discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func order(id inventory.ID) api.Order {
	return api.Order{ID: id, Kind: inventory.OpServiceStop, Service: "mailnode"}
}

// idOf makes the n-th id of a moment.
func idOf(t *testing.T, made time.Time, n int) inventory.ID {
	t.Helper()
	ms := fmt.Sprintf("%012x", made.UnixMilli())
	id, err := inventory.ParseID(fmt.Sprintf("%s-%s-7000-8000-%012x", ms[:8], ms[8:], n))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func begin(t *testing.T, j *Journal, id inventory.ID) (fresh bool) {
	t.Helper()
	fresh, err := j.Begin(order(id), "boot", 7)
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

func finish(t *testing.T, j *Journal, id inventory.ID, s inventory.OperationState) {
	t.Helper()
	if err := j.Finish(id, s, inventory.Word("so it went")); err != nil {
		t.Fatal(err)
	}
}

func report(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Reported(j.Unreported()); err != nil {
		t.Fatal(err)
	}
}

func TestOrderIsFreshOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	id := inventory.NewID()
	if !begin(t, j, id) {
		t.Fatal("the first time is not fresh")
	}
	if begin(t, j, id) {
		t.Fatal("fresh twice, while it goes on")
	}
	finish(t, j, id, inventory.OpSucceeded)
	if begin(t, j, id) {
		t.Fatal("fresh twice, after its end")
	}
	report(t, j)
	if j = openJournal(t, path); begin(t, j, id) {
		t.Fatal("fresh twice, after a restart")
	}
}

func TestReportsAreRepeatedUntilTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	first, second := inventory.NewID(), inventory.NewID()
	begin(t, j, first)
	begin(t, j, second)
	running := j.Unreported()
	if len(running) != 2 || running[0].ID != first || running[0].State != inventory.OpRunning || running[0].Started.IsZero() {
		t.Fatalf("got %+v", running)
	}
	finish(t, j, first, inventory.OpFailed)
	// The answer to the older report arrives: it must not hide the end.
	if err := j.Reported(running); err != nil {
		t.Fatal(err)
	}
	got := j.Unreported()
	if len(got) != 1 || got[0].ID != first || got[0].State != inventory.OpFailed || got[0].Message != "so it went" || got[0].Ended.IsZero() {
		t.Fatalf("got %+v", got)
	}
	j = openJournal(t, path)
	if got := j.Unreported(); len(got) != 2 {
		t.Fatalf("after a restart: %+v", got)
	}
	report(t, j)
	if got := j.Unreported(); got != nil {
		t.Fatalf("after all were taken: %+v", got)
	}
	j = openJournal(t, path)
	if got := j.Unreported(); len(got) != 1 || got[0].ID != second || got[0].State != inventory.OpUnknown {
		t.Fatalf("an end that was taken is reported after a restart: %+v", got)
	}
}

func TestAskedAgainForATakenReportItIsRepeated(t *testing.T) {
	j := openJournal(t, filepath.Join(t.TempDir(), "journal"))
	id := inventory.NewID()
	begin(t, j, id)
	finish(t, j, id, inventory.OpSucceeded)
	report(t, j)
	if begin(t, j, id) {
		t.Fatal("fresh twice")
	}
	if got := j.Unreported(); len(got) != 1 || got[0].State != inventory.OpSucceeded {
		t.Fatalf("got %+v", got)
	}
}

func TestUnfinishedOrderIsUnknownAfterARestartAndCanBeSettled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	id := inventory.NewID()
	begin(t, openJournal(t, path), id)

	j := openJournal(t, path)
	unknown := j.Unsettled()
	if len(unknown) != 1 || unknown[0].Order.ID != id || unknown[0].Order.Service != "mailnode" || unknown[0].Report.Message == "" {
		t.Fatalf("got %+v", unknown)
	}
	report(t, j)
	finish(t, j, id, inventory.OpSucceeded)
	if got := j.Unreported(); len(got) != 1 || got[0].State != inventory.OpSucceeded {
		t.Fatalf("got %+v", got)
	}
	if j.Unsettled() != nil {
		t.Fatal("still unknown")
	}
}

func TestFinishRefusesWhatItCannotMean(t *testing.T) {
	j := openJournal(t, filepath.Join(t.TempDir(), "journal"))
	id := inventory.NewID()
	if err := j.Finish(id, inventory.OpFailed, inventory.Word("")); !inventory.Is(err, inventory.NotFound) {
		t.Fatalf("an order never taken: %v", err)
	}
	begin(t, j, id)
	finish(t, j, id, inventory.OpSucceeded)
	if err := j.Finish(id, inventory.OpFailed, inventory.Word("")); !inventory.Is(err, inventory.Conflict) {
		t.Fatalf("a second end: %v", err)
	}
}

func TestOrderThatCannotBeWrittenIsNotTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	id := inventory.NewID()
	if fresh, err := j.Begin(order(id), "boot", 7); fresh || !errors.Is(err, os.ErrClosed) {
		t.Fatalf("got %v, %v", fresh, err)
	}
	if got := j.Unreported(); got != nil {
		t.Fatalf("got %+v", got)
	}
	if j = openJournal(t, path); !begin(t, j, id) {
		t.Fatal("not fresh when the disk is back")
	}
}

func TestTornLastLineIsAnOrderNeverTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	kept, torn := inventory.NewID(), inventory.NewID()
	begin(t, j, kept)
	begin(t, j, torn)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.TrimRight(b, "\x00") // what is reserved
	if err := os.WriteFile(path, b[:len(b)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, path)
	if begin(t, j, kept) || !begin(t, j, torn) {
		t.Fatal("the wrong order is fresh")
	}
}

func TestDroppedOrdersAreNotFreshAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, path)
		start := time.Now()
		old, unreported, open := idOf(t, start, 1), idOf(t, start, 2), idOf(t, start, 3)
		for _, id := range []inventory.ID{old, unreported, open} {
			begin(t, j, id)
		}
		finish(t, j, old, inventory.OpSucceeded)
		report(t, j)
		finish(t, j, unreported, inventory.OpSucceeded)

		time.Sleep(keepSteps - time.Hour)
		young := idOf(t, time.Now(), 4)
		begin(t, j, young)
		finish(t, j, young, inventory.OpSucceeded)
		report := j.Unreported()
		if err := j.Reported(report[len(report)-1:]); err != nil {
			t.Fatal(err)
		}
		if j = openJournal(t, path); len(j.steps) != 4 {
			t.Fatalf("%d steps, a minute before the oldest may go", len(j.steps))
		}

		time.Sleep(2 * time.Hour)
		j = openJournal(t, path)
		if len(j.steps) != 3 || j.steps[old] != nil {
			t.Fatalf("%d steps are left", len(j.steps))
		}
		j = openJournal(t, path) // the floor outlives the dropped step
		for _, id := range []inventory.ID{old, unreported, open, young} {
			if begin(t, j, id) {
				t.Fatalf("%s is fresh again", id)
			}
		}
		if !begin(t, j, idOf(t, time.Now(), 5)) {
			t.Fatal("a new order is not fresh")
		}
	})
}

func TestNobodyWaitsForTheDiskForWhatTheControllerHas(t *testing.T) {
	j := openJournal(t, filepath.Join(t.TempDir(), "journal"))
	hurry := func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.syncing != nil
	}
	first, second := inventory.NewID(), inventory.NewID()
	begin(t, j, first)
	begin(t, j, second)
	if hurry() {
		t.Error("what was begun is on disk, and is to be synced")
	}
	finish(t, j, first, inventory.OpSucceeded)
	report(t, j)
	if !hurry() {
		t.Error("an end is not to be synced while another step goes on")
	}
	finish(t, j, second, inventory.OpFailed)
	if !hurry() {
		t.Error("an end that nobody knows of is not to be synced")
	}
	report(t, j)
	if hurry() {
		t.Error("what the controller has taken is to be synced")
	}
	if begin(t, j, first) || !slices.ContainsFunc(j.Unreported(), func(r api.StepReport) bool { return r.ID == first }) {
		t.Error("a step that was over is not reported again when it is asked for")
	}
}

func TestJournalStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	id := inventory.NewID()
	begin(t, j, id)
	finish(t, j, id, inventory.OpSucceeded)
	// What many rounds of orders would leave behind, without their syncs.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat(b, 2*compactAbove/len(b)), 0o600); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, path)
	if j.log.Size() > int64(len(b)) {
		t.Fatalf("%d bytes for one step", j.log.Size())
	}
	if begin(t, j, id) {
		t.Fatal("fresh again")
	}
	// And while it runs: each of these is written twice, at its end and when
	// that was reported.
	for range 2 {
		id := inventory.NewID()
		begin(t, j, id)
		if err := j.Finish(id, inventory.OpFailed, inventory.Word(strings.Repeat("x", compactAbove/4))); err != nil {
			t.Fatal(err)
		}
		report(t, j)
	}
	if j.log.Size() > compactAbove*3/4 {
		t.Fatalf("%d bytes, was not compacted", j.log.Size())
	}
}

// FuzzJournal opens a journal with any record: it never fails, and an order it
// shows as taken is not fresh.
func FuzzJournal(f *testing.F) {
	for _, r := range []record{
		{Step: &Step{Order: order("a"), Report: api.StepReport{ID: "a", State: inventory.OpRunning}}},
		{Step: &Step{Order: order("b"), Report: api.StepReport{ID: "b", State: inventory.OpFailed, Ended: now()}, Reported: true}},
		{Floor: new(now())},
	} {
		b, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "journal")
		l, err := durable.OpenLog(path, discard, func(json.RawMessage) {})
		if err != nil {
			t.Fatal(err)
		}
		if l.Append(content) != nil {
			t.Skip("not JSON")
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		j := openJournal(t, path)
		for _, r := range j.Unreported() {
			if begin(t, j, r.ID) {
				t.Fatalf("%s is fresh", r.ID)
			}
		}
	})
}

func TestAStepSetGoingStaysRunningOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, path)
	id := inventory.NewID()
	begin(t, j, id)
	if len(j.Unsettled()) != 0 {
		t.Error("an order in hand is to be settled")
	}
	j.Say(id, inventory.Word("going down"))
	report(t, j)
	j.Say(id, inventory.Word(strings.Repeat("é", maxLine)))
	if got := j.Unreported(); len(got) != 1 || len(got[0].Log) != 2 || len(got[0].Log[1].Text) > maxLine+3 {
		t.Errorf("a new line is not told: %+v", got)
	}
	finish(t, j, id, inventory.OpRunning)
	j = openJournal(t, path)
	got := j.Unsettled()
	if len(got) != 1 || got[0].Report.State != inventory.OpRunning || got[0].Boot != "boot" || len(got[0].Report.Log) != 2 {
		t.Fatalf("after a restart: %+v", got)
	}
	finish(t, j, id, inventory.OpSucceeded)
	if len(j.Unsettled()) != 0 {
		t.Error("it has ended and is to be settled")
	}
	for range 2 * maxLines {
		j.Say(id, inventory.Word("too late"))
	}
	if got := j.Unreported(); len(got[0].Log) != 2 {
		t.Errorf("a step that has ended goes on telling: %d lines", len(got[0].Log))
	}
}
