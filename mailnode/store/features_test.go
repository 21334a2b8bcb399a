package store

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func names(t *testing.T, s *Store) (list []string) {
	t.Helper()
	all, err := s.Mailboxes(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		name := m.Name + m.Use
		if m.NoSelect {
			name += "!"
		}
		list = append(list, name)
	}
	return list
}

func TestMailboxesAreMadeRenamedAndDeleted(t *testing.T) {
	s := open(t, "/s", Options{FS: vfs.NewMem(), Mailboxes: map[string]string{"Sent": `\Sent`}})
	defer shut(t, s)
	make := func(name string) func() error {
		return func() error { _, err := s.CreateMailbox(t.Context(), alice, name, ""); return err }
	}
	rename := func(from, to string) func() error {
		return func() error { return s.RenameMailbox(t.Context(), alice, from, to) }
	}
	remove := func(name string) func() error {
		return func() error { return s.DeleteMailbox(t.Context(), alice, name) }
	}
	for _, step := range []struct {
		name string
		do   func() error
		err  error
		want string // the mailboxes then; "" as before
	}{
		{"the first change makes the account", make("日本語/a"), nil, `[INBOX Sent\Sent 日本語 日本語/a]`},
		{"a name twice", make("日本語/a"), ErrExists, ""},
		{"INBOX in any case", make("iNboX"), ErrExists, ""},
		{"below INBOX", make("inbox/x"), nil, `[INBOX INBOX/x Sent\Sent 日本語 日本語/a]`},
		{"an empty level", make("a//b"), ErrName, ""},
		{"a separator at the end", make("a/"), ErrName, ""},
		{"a wildcard", make("a*"), ErrName, ""},
		{"a control character", make("a\x01"), ErrName, ""},
		{"bytes that are not UTF-8", make("\xff"), ErrName, ""},
		{"too deep", make(strings.Repeat("x/", 40) + "x"), ErrName, ""},
		{"decomposed letters are composed", make("e\u0301"), nil, `[INBOX INBOX/x Sent\Sent ` + "\u00e9" + ` 日本語 日本語/a]`},
		{"that is the same name", make("\u00e9"), ErrExists, ""},
		{"to what is there", rename("日本語", "Sent"), ErrExists, ""},
		{"below itself", rename("日本語", "日本語/b"), ErrName, ""},
		{"what is not there", rename("nothing", "b"), ErrNoMailbox, ""},
		{"with those below it, to a new parent", rename("日本語", "new/中文"), nil, `[INBOX INBOX/x Sent\Sent new new/中文 new/中文/a ` + "\u00e9]"},
		{"a parent leaves its name", remove("new/中文"), nil, `[INBOX INBOX/x Sent\Sent new new/中文! new/中文/a ` + "\u00e9]"},
		{"a name alone cannot be deleted", remove("new/中文"), ErrNoMailbox, ""},
		{"it can be made again", make("new/中文"), nil, `[INBOX INBOX/x Sent\Sent new new/中文 new/中文/a ` + "\u00e9]"},
		{"and go again", remove("new/中文"), nil, `[INBOX INBOX/x Sent\Sent new new/中文! new/中文/a ` + "\u00e9]"},
		{"and with its last child", remove("new/中文/a"), nil, `[INBOX INBOX/x Sent\Sent new ` + "\u00e9]"},
		{"INBOX stays", remove("INBOX"), ErrName, ""},
	} {
		before := fmt.Sprint(names(t, s))
		if err := step.do(); !errors.Is(err, step.err) {
			t.Fatalf("%s: %v, want %v", step.name, err, step.err)
		}
		if step.want == "" {
			step.want = before
		}
		if got := fmt.Sprint(names(t, s)); got != step.want {
			t.Fatalf("%s: there are %s, want %s", step.name, got, step.want)
		}
	}
	if _, err := s.CreateMailbox(t.Context(), alice, "Outbox", `\Sent`); !errors.Is(err, ErrUse) {
		t.Errorf("a special use twice: %v", err)
	}
	if _, err := s.CreateMailbox(t.Context(), alice, "Outbox", `\Nonsense`); !errors.Is(err, ErrUse) {
		t.Errorf("a special use that is none: %v", err)
	}
	sound(t, s)
	sameReplayed(t, s)
}

func TestRenamingKeepsWhatAMailboxIs(t *testing.T) {
	s := openMem(t)
	made, err := s.CreateMailbox(t.Context(), alice, "a", "")
	if err != nil {
		t.Fatal(err)
	}
	p := Place{alice, made.ID}
	if _, err := s.Append(t.Context(), Delivery{Places: []Place{p}, Body: strings.NewReader("x"), Size: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.RenameMailbox(t.Context(), alice, "a", "b"); err != nil {
		t.Fatal(err)
	}
	m, err := s.Find(t.Context(), alice, "b")
	if err != nil || m.ID != made.ID || m.Object != made.Object || m.UIDValidity != made.UIDValidity || m.Messages != 1 {
		t.Errorf("it was %+v and is %+v, %v", made, m, err)
	}
	again, err := s.CreateMailbox(t.Context(), alice, "a", "")
	if err != nil || again.UIDValidity <= m.UIDValidity || again.Object == m.Object {
		t.Errorf("the new mailbox of the old name is %+v, %v", again, err)
	}
}

func TestRenamingINBOXMovesItsMessages(t *testing.T) {
	s := openMem(t)
	deliver(t, s, "one", alice)
	deliver(t, s, "two", alice)
	if err := s.RenameMailbox(t.Context(), alice, "inbox", "old/mail"); err != nil {
		t.Fatal(err)
	}
	m, err := s.Find(t.Context(), alice, "old/mail")
	if err != nil || m.Messages != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	if v := view(t, s, Place{alice, Inbox}); v.Len() != 0 || v.Mailbox.UIDNext != 3 {
		t.Errorf("INBOX is %+v", v.Mailbox)
	}
	sound(t, s)
}

func TestDeletedMailboxGivesItsSpaceBack(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, "/s", Options{FS: fs})
	m, err := s.CreateMailbox(t.Context(), alice, "big", "")
	if err != nil {
		t.Fatal(err)
	}
	p := Place{alice, m.ID}
	var list []Delivery
	for i := range sweepStep + 10 {
		text := fmt.Sprint("text ", i)
		list = append(list, Delivery{Places: []Place{p}, Body: strings.NewReader(text), Size: int64(len(text))})
	}
	if _, err := s.Append(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
	b, err := s.Select(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := s.SetGrant(t.Context(), p, Grant{bob, "lr"}); err != nil {
		t.Fatal(err)
	}
	// The removal is cut short after its first change.
	if err := s.update(mailboxes, func(tx *Tx) error {
		tree, err := tx.tree(alice)
		if err != nil {
			return err
		}
		big := tree["big"]
		return errors.Join(tx.dropName(tree, big), tx.doom(big))
	}); err != nil {
		t.Fatal(err)
	}
	if !b.Gone() {
		t.Error("who has it open is not told")
	}
	a, err := s.Account(t.Context(), alice)
	if err != nil || a.Usage != (Usage{}) {
		t.Errorf("the account still holds %+v, %v", a.Usage, err)
	}
	if n := keys(t, s, "b"); n != 2*len(list) {
		t.Errorf("%d keys of bodies are there before the removal", n)
	}
	shut(t, s)
	s = open(t, "/s", Options{FS: fs})
	defer shut(t, s)
	s.tidying.Wait()
	for _, space := range []string{"b", "h", "z", "g"} {
		if n := keys(t, s, space); n != 0 {
			t.Errorf("%d keys are left in %s", n, space)
		}
	}
	sound(t, s)
}

func TestDeletedAccountLeavesNothing(t *testing.T) {
	s := openMem(t)
	deliver(t, s, "to both", alice, bob)
	deliver(t, s, "to alice", alice)
	w := s.Watch(alice)
	defer w.Close()
	for range 2 {
		if err := s.DeleteAccount(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
	}
	if n := keys(t, s, "a"+alice); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	if n := keys(t, s, "b"); n != 2 {
		t.Errorf("%d keys of bodies, want bob's two", n)
	}
	if events, _ := w.Take(); len(events) == 0 || events[len(events)-1].Kind != AccountDeleted {
		t.Errorf("events %+v", events)
	}
	sound(t, s)
	deliver(t, s, "again", alice)
	var ids []string
	for id, err := range s.Accounts(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if !slices.Equal(ids, []string{alice, bob}) {
		t.Errorf("accounts %v", ids)
	}
	sound(t, s)
}

func TestFlagsChangeOnlyWhatIsUnchangedSince(t *testing.T) {
	s := openMem(t)
	for i := range 4 {
		deliver(t, s, fmt.Sprint(i), alice)
	}
	p := Place{alice, Inbox}
	change := func(c FlagChange) FlagResult {
		t.Helper()
		r, err := s.StoreFlags(t.Context(), p, c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := change(FlagChange{UIDs: []uint32{3, 1, 3, 99}, Op: AddFlags, Flags: Seen, Keywords: []string{"$Junk"}})
	if len(r.Changed) != 2 || r.Changed[0].UID != 1 || r.ModSeq != 5 || fmt.Sprint(r.Changed[1].Flags.Keywords(r.Keywords)) != "[$Junk]" {
		t.Errorf("%+v", r)
	}
	r = change(FlagChange{UIDs: []uint32{1, 2, 3, 4}, Op: SetFlags, Flags: Flagged, Conditional: true, UnchangedSince: 3})
	if !slices.Equal(r.Modified, []uint32{1, 3, 4}) || len(r.Changed) != 1 || r.ModSeq != 6 {
		t.Errorf("%+v", r)
	}
	r = change(FlagChange{UIDs: []uint32{1}, Op: AddFlags, Flags: Seen, Keywords: []string{"$JUNK"}})
	if len(r.Changed) != 0 || r.ModSeq != 6 {
		t.Errorf("a change that changes nothing: %+v", r)
	}
	m := view(t, s, p).Mailbox
	if m.Unseen != 2 || m.HighestModSeq != 6 || fmt.Sprint(m.Keywords) != "[$Junk]" {
		t.Errorf("%+v", m)
	}
	for _, bad := range []string{"", "a b", "a(b", `\Seen`, "ü", strings.Repeat("x", 256)} {
		if _, err := s.StoreFlags(t.Context(), p, FlagChange{UIDs: []uint32{1}, Op: AddFlags, Keywords: []string{bad}}); !errors.Is(err, ErrKeyword) {
			t.Errorf("keyword %q: %v", bad, err)
		}
	}
}

func TestKeywordsNobodyUsesMakeRoom(t *testing.T) {
	s := openMem(t)
	deliver(t, s, "x", alice)
	p := Place{alice, Inbox}
	for i := range 3 * MaxKeywords {
		c := FlagChange{UIDs: []uint32{1}, Op: SetFlags, Keywords: []string{fmt.Sprint("word", i)}}
		if _, err := s.StoreFlags(t.Context(), p, c); err != nil {
			t.Fatalf("keyword %d: %v", i, err)
		}
	}
	v := view(t, s, p)
	if got := fmt.Sprint(v.At(0).Flags.Keywords(v.Mailbox.Keywords)); got != fmt.Sprintf("[word%d]", 3*MaxKeywords-1) {
		t.Errorf("the message has %s", got)
	}
	var all []string
	for i := range MaxKeywords + 1 {
		all = append(all, fmt.Sprint("all", i))
	}
	if _, err := s.StoreFlags(t.Context(), p, FlagChange{UIDs: []uint32{1}, Op: SetFlags, Keywords: all}); !errors.Is(err, ErrKeyword) {
		t.Errorf("more keywords than there is room for: %v", err)
	}
	if _, err := s.StoreFlags(t.Context(), p, FlagChange{UIDs: []uint32{1}, Op: SetFlags, Keywords: all[2:]}); err != nil {
		t.Errorf("as many as there is room for beside the one in use: %v", err)
	}
}

func TestQuotaIsKept(t *testing.T) {
	s := open(t, "/s", Options{FS: vfs.NewMem(), Quota: func(account string) Quota {
		if account == alice {
			return Quota{Bytes: 10, Messages: 3}
		}
		return Quota{}
	}})
	defer shut(t, s)
	put := func(text string, accounts ...string) error {
		_, err := s.Deliver(t.Context(), Delivery{Accounts: accounts, Body: strings.NewReader(text), Size: int64(len(text))})
		return err
	}
	if err := put("123456", alice, bob); err != nil {
		t.Fatal(err)
	}
	if err := s.CanTake(alice, 1, 5); !errors.Is(err, ErrQuota) {
		t.Errorf("room for too much: %v", err)
	}
	if err := put("12345", alice, bob); !errors.Is(err, ErrQuota) {
		t.Errorf("too many bytes: %v", err)
	}
	if v := view(t, s, Place{bob, Inbox}); v.Len() != 1 {
		t.Error("a refused delivery went to bob")
	}
	if err := errors.Join(put("1", alice), put("2", alice)); err != nil {
		t.Fatal(err)
	}
	if err := put("3", alice); !errors.Is(err, ErrQuota) {
		t.Errorf("too many messages: %v", err)
	}
	if _, err := s.Copy(t.Context(), Place{bob, Inbox}, []uint32{1}, Place{alice, Inbox}); !errors.Is(err, ErrQuota) {
		t.Errorf("copying too much: %v", err)
	}
	if _, err := s.StoreFlags(t.Context(), Place{alice, Inbox}, FlagChange{UIDs: []uint32{1}, Flags: Seen}); err != nil {
		t.Errorf("flags at the quota: %v", err)
	}
	if _, err := s.Expunge(t.Context(), Place{alice, Inbox}, []uint32{1}); err != nil {
		t.Fatal(err)
	}
	if err := put("12345678", alice); err != nil {
		t.Errorf("with room again: %v", err)
	}
	sound(t, s)
}

func TestWatchTellsInOrderAndSaysWhenItLost(t *testing.T) {
	s := openMem(t)
	w := s.Watch(alice)
	defer w.Close()
	deliver(t, s, "1", alice, bob)
	deliver(t, s, "2", alice)
	p := Place{alice, Inbox}
	if _, err := s.StoreFlags(t.Context(), p, FlagChange{UIDs: []uint32{2, 1}, Flags: Seen}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expunge(t.Context(), p, []uint32{1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Subscribe(t.Context(), alice, "Other Users/bob", true); err != nil {
		t.Fatal(err)
	}
	<-w.Ready()
	events, lost := w.Take()
	want := fmt.Sprint([]Event{
		{Kind: MessagesAdded, Mailbox: Inbox, UIDs: []uint32{1}, ModSeq: 1},
		{Kind: MessagesAdded, Mailbox: Inbox, UIDs: []uint32{2}, ModSeq: 2},
		{Kind: FlagsChanged, Mailbox: Inbox, UIDs: []uint32{1, 2}, ModSeq: 3},
		{Kind: MessagesExpunged, Mailbox: Inbox, UIDs: []uint32{1}, ModSeq: 4},
		{Kind: SubscriptionsChanged, Name: "Other Users/bob", ModSeq: 5},
	})
	if fmt.Sprint(events) != want || lost {
		t.Errorf("events %v, lost %t, want %s", events, lost, want)
	}
	for range watchLimit + 1 {
		deliver(t, s, "more", alice)
	}
	if events, lost := w.Take(); len(events) != 0 || !lost {
		t.Errorf("%d events, lost %t, after more than it holds", len(events), lost)
	}
	deliver(t, s, "after", alice)
	if events, lost := w.Take(); len(events) != 1 || lost {
		t.Errorf("%d events, lost %t, afterwards", len(events), lost)
	}
}

func TestThreadsJoinByMessageIDs(t *testing.T) {
	s := open(t, "/s", Options{FS: vfs.NewMem(), Digest: func(r *io.SectionReader) (Digest, error) {
		text, err := io.ReadAll(r)
		return Digest{Thread: strings.Fields(string(text))}, err
	}})
	defer shut(t, s)
	for _, text := range []string{"a", "b a", "x", "c unknown b", "d unknown", "e x"} {
		deliver(t, s, text, alice)
	}
	thread := func() (list []string) {
		_, messages := snapshot(t, s, alice)
		for _, m := range messages {
			list = append(list, m.Thread.String())
		}
		return list
	}
	got := thread()
	if got[1] != got[0] || got[3] != got[0] || got[4] != got[0] || got[2] == got[0] || got[5] != got[2] {
		t.Errorf("threads %v", got)
	}
	if _, err := s.Expunge(t.Context(), Place{alice, Inbox}, []uint32{1, 2, 3, 4, 5, 6}); err != nil {
		t.Fatal(err)
	}
	if n := keys(t, s, "a"+alice+"\x00r"); n != 0 {
		t.Errorf("%d Message-IDs are known of no message", n)
	}
}

func TestReplacingIsOneChange(t *testing.T) {
	s := openMem(t)
	deliver(t, s, "draft", alice)
	p := Place{alice, Inbox}
	replace := func(uid uint32) error {
		_, err := s.Append(t.Context(), Delivery{Places: []Place{p}, Body: strings.NewReader("final"), Size: 5, Replaces: Replaced{p, uid}})
		return err
	}
	if err := replace(7); !errors.Is(err, ErrNoMessage) {
		t.Errorf("replacing what is not there: %v", err)
	}
	if err := replace(1); err != nil {
		t.Fatal(err)
	}
	v := view(t, s, p)
	if uidList(v) != "[2]" || v.Mailbox.HighestModSeq != 2 {
		t.Errorf("%s, %+v", uidList(v), v.Mailbox)
	}
	sound(t, s)
}

func TestRightsAnnotationsAndCounters(t *testing.T) {
	s := openMem(t)
	m, err := s.CreateMailbox(t.Context(), alice, "shared", "")
	if err != nil {
		t.Fatal(err)
	}
	p := Place{alice, m.ID}
	for _, g := range []Grant{{bob, "rl"}, {"anyone", "l"}, {"-" + bob, "t"}, {"anyone", ""}} {
		if err := s.SetGrant(t.Context(), p, g); err != nil {
			t.Fatal(err)
		}
	}
	grants, err := s.Grants(t.Context(), p)
	if err != nil || fmt.Sprint(grants) != fmt.Sprintf("[{-%s t} {%s lr}]", bob, bob) {
		t.Errorf("grants %v, %v", grants, err)
	}
	shares, err := s.Shares(t.Context(), bob)
	if err != nil || len(shares) != 1 || shares[0].Place != p || shares[0].Rights != "lr" {
		t.Errorf("shares %v, %v", shares, err)
	}
	for _, at := range []Annotations{{}, {Place: Place{Account: alice}}, {Place: p}, {Place: p, Owner: bob}} {
		name := fmt.Sprintf("/shared/%v", at)
		if err := s.Annotate(t.Context(), at, map[string][]byte{name: []byte("v"), "/shared/empty": {}}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Annotations(t.Context(), at)
		if err != nil || len(got) != 2 || string(got[name]) != "v" {
			t.Errorf("%v has %q, %v", at, got, err)
		}
		if err := s.Annotate(t.Context(), at, map[string][]byte{"/shared/empty": nil}); err != nil {
			t.Fatal(err)
		}
		if got, err = s.Annotations(t.Context(), at); err != nil || len(got) != 1 {
			t.Errorf("%v has %q, %v", at, got, err)
		}
	}
	if _, err := s.Append(t.Context(), Delivery{Accounts: []string{alice}, Body: strings.NewReader("x"), Size: 1, Counts: []Count{{"20250101/a/in", 2}, {"20250101/a/in", 1}, {"20250102/a/in", 5}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), nil, func(tx *Tx) error { return tx.Count(Count{"20250101/a/in", -1}, Count{"20250101/a/out", -1}) }); err != nil {
		t.Fatal(err)
	}
	var got []Count
	for c, err := range s.Counts(t.Context(), "20250101/", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	if fmt.Sprint(got) != "[{20250101/a/in 2} {20250101/a/out 0}]" {
		t.Errorf("counters %v", got)
	}
	sound(t, s)
	sameReplayed(t, s)
}

func TestTablesHoldBodiesUntilTheyAreReleased(t *testing.T) {
	s := openMem(t)
	queue := s.Table("queue")
	text := strings.Repeat("q", chunkSize+1)
	staged, err := s.Stage(t.Context(), strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), staged, func(tx *Tx) error {
		_, err := tx.Hold(queue, []byte("1"), staged)
		return errors.Join(err, tx.Set(queue, []byte("a"), []byte("entry")))
	}); err != nil {
		t.Fatal(err)
	}
	staged.Close()
	sound(t, s)
	h, err := queue.Held([]byte("1"))
	if err != nil || text[10:20] != textOf(t, s, h, 10, 10) {
		t.Errorf("held %+v, %v", h, err)
	}
	v, err := queue.Get(t.Context(), []byte("a"))
	if err != nil || string(v) != "entry" {
		t.Errorf("entry %q, %v", v, err)
	}
	// It is filed and leaves the queue in one change.
	if err := s.Update(t.Context(), nil, func(tx *Tx) error {
		_, err := tx.FileHeld(Delivery{Accounts: []string{alice}}, h)
		return errors.Join(err, tx.Release(queue, []byte("1")), tx.Delete(queue, []byte("a")))
	}); err != nil {
		t.Fatal(err)
	}
	for r, err := range queue.Scan(t.Context(), nil, nil) {
		t.Errorf("there is still %q, %v", r.Key, err)
	}
	_, messages := snapshot(t, s, alice)
	if got := body(t, s, messages[0]); got != text {
		t.Error("the message is not what was held")
	}
	sound(t, s)
	sameReplayed(t, s)
	if _, err := s.Expunge(t.Context(), Place{alice, Inbox}, []uint32{1}); err != nil {
		t.Fatal(err)
	}
	if n := keys(t, s, "b"); n != 0 {
		t.Errorf("%d keys of bodies are left", n)
	}
}

func textOf(t *testing.T, s *Store, h Held, offset, n int64) string {
	t.Helper()
	return text(t, s.HeldSection(h, offset, n))
}

func TestOldRemovalsAreForgotten(t *testing.T) {
	s := openMem(t)
	p := Place{alice, Inbox}
	n := tombKeep + tombKeep/8 + 2
	fill(t, s, n, func(int64) []byte { return []byte("x") })
	uids := make(chan uint32)
	var all sync.WaitGroup
	for range 64 { // which wait for the disk together
		all.Go(func() {
			for uid := range uids {
				if _, err := s.Expunge(t.Context(), p, []uint32{uid}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		uids <- uint32(i + 1)
	}
	close(uids)
	all.Wait()
	if _, complete, err := s.Vanished(t.Context(), p, 0); err != nil || complete {
		t.Errorf("what was forgotten is said to be complete: %v", err)
	}
	m, err := s.Status(t.Context(), p)
	if err != nil || m.Floor == 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	gone, complete, err := s.Vanished(t.Context(), p, m.Floor)
	if err != nil || !complete || len(gone) < tombKeep || gone[len(gone)-1] != uint32(n) {
		t.Errorf("%d vanished since the floor, complete %t, %v", len(gone), complete, err)
	}
}
