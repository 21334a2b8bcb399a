package store

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// model is what a few mailboxes should hold.
type model struct {
	boxes map[Place]*modelBox
}

type modelBox struct {
	next     uint32
	messages map[uint32]modelMessage
}

type modelMessage struct {
	text     string
	flags    Flags
	keywords string
}

// digestOf is a digest as a test can check it.
func digestOf(r *io.SectionReader) (Digest, error) {
	head := make([]byte, 16)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return Digest{}, err
	}
	return Digest{Data: append([]byte("1 "), head[:n]...), Thread: []string{string(head[:min(n, 3)])}}, nil
}

// Many random changes, some while mailboxes are in memory and some not, leave what a
// simple model of mailboxes says, in memory, in the database, and in a database on which
// the log was replayed.
func TestStoreAgreesWithASimpleModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, seed))
			fs := vfs.NewMem()
			opts := Options{FS: fs, Digest: digestOf, Mailboxes: map[string]string{"Sent": `\Sent`}}
			s := open(t, "/s", opts)
			s.absent.most = 20 // a few times full
			w := &modelRun{t: t, s: s, r: r, model: model{map[Place]*modelBox{}}}
			for _, account := range []string{alice, bob} {
				for id := range MailboxID(2) {
					w.boxes[Place{account, Inbox + id}] = &modelBox{next: 1, messages: map[uint32]modelMessage{}}
				}
				if err := s.CreateAccount(t.Context(), account); err != nil {
					t.Fatal(err)
				}
			}
			for range 300 {
				w.step()
			}
			w.check()
			sound(t, s)
			sameReplayed(t, s)
			shut(t, s)
			s = open(t, "/s", opts)
			defer shut(t, s)
			w.s = s
			w.check()
			sound(t, s)
		})
	}
}

type modelRun struct {
	model
	t    *testing.T
	s    *Store
	r    *rand.Rand
	open []*Box
}

func (w *modelRun) place() Place {
	places := slices.SortedFunc(maps.Keys(w.boxes), func(a, b Place) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	return places[w.r.IntN(len(places))]
}

// some picks UIDs, of messages that are there and that are not.
func (w *modelRun) some(p Place) (uids []uint32) {
	for range 1 + w.r.IntN(8) {
		uids = append(uids, 1+w.r.Uint32N(w.boxes[p].next))
	}
	return uids
}

func (w *modelRun) step() {
	p := w.place()
	switch w.r.IntN(9) {
	case 0, 1, 2:
		w.append(p)
	case 3:
		w.flag(p)
	case 4:
		w.transfer(p, w.place(), w.r.IntN(2) == 0)
	case 5:
		w.expunge(p)
	case 6: // keep one in memory, or let one go
		if len(w.open) < 2 {
			b, err := w.s.Select(w.t.Context(), p)
			if err != nil {
				w.t.Fatal(err)
			}
			w.open = append(w.open, b)
		} else {
			w.open[0].Close()
			w.open = w.open[1:]
		}
	case 7: // forget what nobody has open
		w.s.mu.Lock()
		for w.s.idle.Len() > 0 {
			b := w.s.idle.Remove(w.s.idle.Front()).(*box)
			w.s.idleItems -= b.applied.Len()
			b.idle = nil
			delete(w.s.boxes, b.place)
		}
		if w.s.idleItems != 0 {
			w.t.Errorf("%d messages of no mailbox are in memory", w.s.idleItems)
		}
		w.s.mu.Unlock()
	case 8:
		w.checkBox(p)
	}
}

func (w *modelRun) append(p Place) {
	var list []Delivery
	for range 1 + w.r.IntN(3) {
		text := strings.Repeat(fmt.Sprint(w.r.IntN(20)), 1+w.r.IntN(20))
		m := modelMessage{flags: Flags(w.r.IntN(32))}
		d := Delivery{Places: []Place{p}, Body: strings.NewReader(text), Size: int64(len(text)), Flags: m.flags}
		if w.r.IntN(2) == 0 {
			d.Prefix = []byte("Delivered-To: " + p.Account + "\r\n")
		}
		if w.r.IntN(3) == 0 {
			m.keywords = fmt.Sprintf("word%d", w.r.IntN(5))
			d.Keywords = []string{m.keywords}
		}
		m.text = string(d.Prefix) + text
		list = append(list, d)
		b := w.boxes[p]
		b.messages[b.next] = m
		b.next++
	}
	receipts, err := w.s.Append(w.t.Context(), list...)
	if err != nil {
		w.t.Fatal(err)
	}
	if last := receipts[len(receipts)-1]; last.UID != w.boxes[p].next-1 {
		w.t.Fatalf("the last message has UID %d, want %d", last.UID, w.boxes[p].next-1)
	}
}

func (w *modelRun) flag(p Place) {
	c := FlagChange{UIDs: w.some(p), Op: FlagOp(w.r.IntN(3)), Flags: Flags(w.r.IntN(32))}
	if w.r.IntN(3) == 0 {
		c.Keywords = []string{fmt.Sprintf("word%d", w.r.IntN(5))}
	}
	if _, err := w.s.StoreFlags(w.t.Context(), p, c); err != nil {
		w.t.Fatal(err)
	}
	for _, uid := range c.UIDs {
		m, ok := w.boxes[p].messages[uid]
		if !ok {
			continue
		}
		m.flags = c.Op.apply(m.flags, c.Flags)
		words := strings.Fields(m.keywords)
		words = slices.DeleteFunc(words, func(s string) bool { return c.Op == SetFlags || slices.Contains(c.Keywords, s) })
		if c.Op != RemoveFlags {
			words = append(words, c.Keywords...)
		}
		slices.Sort(words)
		m.keywords = strings.Join(words, " ")
		w.boxes[p].messages[uid] = m
	}
}

func (w *modelRun) transfer(from, to Place, move bool) {
	do := w.s.Copy
	if move {
		do = w.s.Move
	}
	done, err := do(w.t.Context(), from, w.some(from), to)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, uid := range done.From {
		m, ok := w.boxes[from].messages[uid]
		b := w.boxes[to]
		if !ok || done.To[i] != b.next {
			w.t.Fatalf("message %d (there: %t) went to %d, want %d", uid, ok, done.To[i], b.next)
		}
		b.messages[b.next] = m
		b.next++
		if move {
			delete(w.boxes[from].messages, uid)
		}
	}
}

func (w *modelRun) expunge(p Place) {
	before := view(w.t, w.s, p).Mailbox.HighestModSeq
	uids := w.some(p)
	done, err := w.s.Expunge(w.t.Context(), p, uids)
	if err != nil {
		w.t.Fatal(err)
	}
	var want []uint32
	for _, uid := range slices.Compact(slices.Sorted(slices.Values(uids))) {
		if _, ok := w.boxes[p].messages[uid]; ok {
			want = append(want, uid)
			delete(w.boxes[p].messages, uid)
		}
	}
	gone, complete, err := w.s.Vanished(w.t.Context(), p, before)
	if err != nil || !complete || !slices.Equal(done.UIDs, want) || !slices.Equal(gone, want) {
		w.t.Fatalf("expunged %v, vanished %v (%t, %v), want %v", done.UIDs, gone, complete, err, want)
	}
}

func (w *modelRun) check() {
	for _, b := range w.open {
		w.checkBox(b.box.place)
		b.Close()
	}
	w.open = nil
	for p := range w.boxes {
		w.checkBox(p)
	}
}

func (w *modelRun) checkBox(p Place) {
	b := w.boxes[p]
	v := view(w.t, w.s, p)
	want := slices.Sorted(maps.Keys(b.messages))
	if got := uidsOf(v); !slices.Equal(got, want) || v.Mailbox.UIDNext != b.next || v.Len() != int(v.Mailbox.Messages) {
		w.t.Fatalf("%v has %v, UIDNEXT %d, want %v, %d", p, got, v.Mailbox.UIDNext, want, b.next)
	}
	status, err := w.s.Status(w.t.Context(), p)
	if err != nil || fmt.Sprint(status) != fmt.Sprint(v.Mailbox) {
		w.t.Fatalf("the mailbox is %+v in the database (%v) and %+v in memory", status, err, v.Mailbox)
	}
	n := 0
	for m, err := range w.s.Messages(w.t.Context(), p, want, true) {
		if err != nil {
			w.t.Fatal(err)
		}
		is := b.messages[m.UID]
		words := m.Flags.Keywords(v.Mailbox.Keywords)
		slices.Sort(words)
		body := is.text[m.Prefix:]
		digest, _ := digestOf(io.NewSectionReader(strings.NewReader(body), 0, int64(len(body))))
		if got := text(w.t, w.s.Body(m)); got != is.text || m.Flags&SystemFlags != is.flags || strings.Join(words, " ") != is.keywords ||
			string(m.Digest) != string(digest.Data) || *v.At(n) != *v.At(mustFind(w.t, v, m.UID)) {
			w.t.Fatalf("message %d is %q %b %v %q, want %+v", m.UID, got, m.Flags, words, m.Digest, is)
		}
		from, size := w.r.Int64N(m.Size+1), w.r.Int64N(m.Size+1)
		if got := text(w.t, w.s.Section(m, from, size)); got != is.text[from:min(from+size, m.Size)] {
			w.t.Fatalf("%d bytes from %d are %q of %q", size, from, got, is.text)
		}
		part := make([]byte, size)
		if n, err := w.s.ReaderAt(m).ReadAt(part, from); string(part[:n]) != is.text[from:min(from+size, m.Size)] || err != nil && !errors.Is(err, io.EOF) {
			w.t.Fatalf("%d bytes at %d are %q of %q", size, from, part[:n], is.text)
		}
		n++
	}
	if n != len(want) {
		w.t.Fatalf("%d of %d messages were read", n, len(want))
	}
}

func mustFind(t testing.TB, v *View, uid uint32) int {
	t.Helper()
	i, ok := v.Search(uid)
	if !ok {
		t.Fatalf("UID %d is not found", uid)
	}
	return i
}
