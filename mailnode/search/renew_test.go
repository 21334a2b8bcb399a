package search

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"mailfleet/mailnode/message"
)

// age makes the index of a mailbox one of the first version: its head has another form.
func (m *memory) age(t *testing.T, p Place) {
	t.Helper()
	i, found := m.at(headKey(p))
	h, err := decodeHead(m.rows[i].Value)
	if !found || err != nil {
		t.Fatal(found, err)
	}
	b := []byte{1}
	for _, s := range h.segments {
		for _, n := range []uint32{s.id, s.first, s.last, s.docs, s.entries, s.blocks} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		b = binary.AppendUvarint(b, s.bytes)
	}
	m.rows[i].Value = b
}

// counted is a source that counts what is read.
type counted struct {
	*mailboxes
	read, most int
	fail       Place
}

func (c *counted) Documents(ctx context.Context, p Place, uids []uint32) iter.Seq2[Document, error] {
	c.read, c.most = c.read+len(uids), max(c.most, len(uids))
	if p == c.fail {
		return func(yield func(Document, error) bool) { yield(Document{}, errors.New("the disk is broken")) }
	}
	return c.mailboxes.Documents(ctx, p, uids)
}

// aged is an index that an older version made, which did not see the ends of texts: of
// several mailboxes, with count messages in the inbox.
func aged(t *testing.T, count int) (*counted, *memory) {
	t.Helper()
	src := &mailboxes{}
	x, rows := newIndex(src)
	places := []Place{inbox, {inbox.Account, 7}, {"0198c0de-0000-7000-8000-000000000002", 1}}
	each := func(put func(p Place, uid uint32, text string)) {
		for i, p := range places {
			n := count
			if i > 0 {
				n = newDocs
			}
			for uid := range uint32(n) {
				put(p, uid+1, fmt.Sprintf("Subject: x\r\n\r\nsubject no%d", uid+1))
			}
		}
	}
	each(func(p Place, uid uint32, text string) { src.put(p, uid, text) })
	for _, p := range places {
		if err := x.Update(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		rows.age(t, p)
	}
	each(func(p Place, uid uint32, text string) { src.put(p, uid, text+" ending"+fmt.Sprint(uid%10)) })
	return &counted{mailboxes: src}, rows
}

func indexOn(rows *memory, src Source) *Index {
	return New(rows, src, slog.New(slog.DiscardHandler))
}

// What an older version left out is found, before the index is made anew, while it is and
// after it; it is made anew in steps, and goes on where it was interrupted.
func TestAnOldIndexIsMadeAnew(t *testing.T) {
	const count = 20*newDocs + 10
	src, rows := aged(t, count)
	x := indexOn(rows, src)
	exact := func() {
		t.Helper()
		check(t, x, src.mailboxes, Query{message.BodyScope, "ending4"})
		check(t, x, src.mailboxes, Query{message.TextScope, "no77 "})
		check(t, x, src.mailboxes, Query{message.BodyScope, "nowhere"})
	}
	exact()
	a, err := x.Candidates(t.Context(), inbox, Query{message.BodyScope, "nowhere"})
	if err != nil || len(a.Maybe) != 20*newDocs || len(a.Sure) > 0 || a.Through != 20*newDocs {
		t.Errorf("an old index says %d sure, %d maybe up to %d, %v", len(a.Sure), len(a.Maybe), a.Through, err)
	}
	total := int64(22 * newDocs)
	if st, err := x.Totals(t.Context()); err != nil || st.Old != total || st.Messages != total || st.Mailboxes != 3 || st.Version != textVersion {
		t.Errorf("%+v, %v", st, err)
	}
	for uid := uint32(3); uid < count; uid += 5 { // some are gone by then, and some come
		delete(src.text[inbox], uid)
	}
	steps := 0
	for more := true; more; steps++ {
		x = indexOn(rows, src) // as if it had been interrupted
		before := rows.writes
		if more, err = x.renewStep(t.Context(), inbox); err != nil {
			t.Fatal(err)
		}
		if rows.writes > before+4 || src.most > newDocs {
			t.Errorf("a step writes %d times and reads %d messages", rows.writes-before, src.most)
		}
		if steps%4 == 1 {
			if err := x.Update(t.Context(), inbox); err != nil { // which has nothing to do with it
				t.Fatal(err)
			}
			exact()
		}
	}
	if left := len(src.text[inbox]); src.read > left+newDocs || src.read < left-newDocs {
		t.Errorf("%d messages were read in %d steps, there are %d", src.read, steps, left)
	}
	exact()
	a, err = x.Candidates(t.Context(), inbox, Query{message.BodyScope, "ending4"})
	if err != nil || len(a.Maybe) > 0 || len(a.Sure) < count/10*3/5 {
		t.Errorf("an index that was made anew says %d sure, %d maybe, %v", len(a.Sure), len(a.Maybe), err)
	}
	if st, err := x.Totals(t.Context()); err != nil || st.Old != 2*newDocs {
		t.Errorf("%+v, %v", st, err)
	}
	for _, row := range rows.rows { // of segments that are no more nothing is left
		if rest, ok := strings.CutPrefix(string(row.Key), string(append(mailboxKey(inbox), 's'))); ok {
			h, err := x.head(t.Context(), inbox)
			if id := binary.BigEndian.Uint32([]byte(rest)); err != nil || !slices.ContainsFunc(h.segments, func(s segment) bool { return s.id == id }) {
				t.Fatalf("a row of segment %d is left, %v", id, err)
			}
		}
	}
}

// An index that was made by an older version is made anew in the background, once.
func TestRunMakesAnOldIndexAnew(t *testing.T) {
	src, rows := aged(t, 5*newDocs)
	second := Place{inbox.Account, 7}
	run := func(until func(Totals) bool) (last Totals) {
		synctest.Test(t, func(t *testing.T) {
			x := indexOn(rows, src)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { x.Run(ctx); close(done) }()
			synctest.Wait() // until nothing is left to be done, as no time passes meanwhile
			st, err := x.Totals(t.Context())
			if err != nil || !until(st) {
				t.Errorf("%+v, %v", st, err)
			}
			last = st
			cancel()
			<-done
		})
		return last
	}
	src.fail = second
	run(func(st Totals) bool { return st.Old == newDocs && st.Messages == 7*newDocs })
	read := src.read
	src.fail = Place{}
	run(func(st Totals) bool { return st.Old == 0 && st.Messages == 7*newDocs })
	if src.read != read+newDocs {
		t.Errorf("after one mailbox had failed %d messages were read again", src.read-read)
	}
	read, writes := src.read, rows.writes
	run(func(st Totals) bool { return st.Old == 0 })
	if src.read != read || rows.writes != writes {
		t.Errorf("when all is new %d messages are read, %d changes made", src.read-read, rows.writes-writes)
	}
}

// What is noted of the renewal is read again; what another version noted, or nonsense, counts
// as nothing.
func TestRenewalIsNoted(t *testing.T) {
	x, rows := newIndex(&mailboxes{})
	for _, r := range []renewal{{texts: textVersion}, {texts: textVersion, next: []byte("abc\x00\x00\x00\x00\x07")}, {texts: textVersion, done: true}} {
		if err := x.note(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got, err := x.renewal(t.Context()); err != nil || fmt.Sprint(got) != fmt.Sprint(r) {
			t.Errorf("%+v was noted as %+v, %v", r, got, err)
		}
	}
	other := renewal{texts: textVersion + 1, done: true}
	for _, value := range [][]byte{{}, {9}, {headVersion}, {headVersion, textVersion}, other.encode()} {
		if err := rows.Write(t.Context(), []Row{{renewalKey, value}}); err != nil {
			t.Fatal(err)
		}
		if got, err := x.renewal(t.Context()); err != nil || got.done || len(got.next) > 0 {
			t.Errorf("%x is read as %+v, %v", value, got, err)
		}
	}
}
