package search

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"mailfleet/mailnode/message"
)

// memory is rows in memory.
type memory struct {
	mu     sync.Mutex
	rows   []Row // by key
	writes int
	fail   error
}

func (m *memory) at(key []byte) (int, bool) {
	return slices.BinarySearchFunc(m.rows, key, func(r Row, key []byte) int { return bytes.Compare(r.Key, key) })
}

func (m *memory) Get(_ context.Context, key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i, ok := m.at(key); ok {
		return m.rows[i].Value, nil
	}
	return nil, nil
}

func (m *memory) Scan(_ context.Context, from, to []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		m.mu.Lock()
		i, _ := m.at(from)
		j, _ := m.at(to)
		rows := slices.Clone(m.rows[i:max(i, j)])
		m.mu.Unlock()
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (m *memory) Write(_ context.Context, changes []Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.writes++
	latest := map[string]Row{}
	for _, r := range m.rows {
		latest[string(r.Key)] = r
	}
	for _, c := range changes {
		if c.Value == nil {
			delete(latest, string(c.Key))
		} else {
			latest[string(c.Key)] = c
		}
	}
	m.rows = m.rows[:0:0]
	for _, r := range latest {
		m.rows = append(m.rows, r)
	}
	slices.SortFunc(m.rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
	return nil
}

// mailboxes are messages in memory: text by UID.
type mailboxes struct {
	mu     sync.Mutex
	text   map[Place]map[uint32]string
	folded map[uint32][3]string // of the inbox, by scope, where has looked
}

func (m *mailboxes) put(p Place, uid uint32, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.text == nil {
		m.text = map[Place]map[uint32]string{}
	}
	if m.text[p] == nil {
		m.text[p] = map[uint32]string{}
	}
	m.text[p][uid] = text
}

func (m *mailboxes) UIDs(_ context.Context, p Place) (uids []uint32, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for uid := range m.text[p] {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids, nil
}

const prefix = "Return-Path: <sender@origin.test>\r\n"

func (m *mailboxes) open(p Place, uid uint32) *message.Message {
	m.mu.Lock()
	text, ok := m.text[p][uid]
	m.mu.Unlock()
	if !ok {
		return nil
	}
	d, err := message.Parse(strings.NewReader(text))
	if err != nil {
		panic(err)
	}
	return message.Open(strings.NewReader(text), d.Structure)
}

func (m *mailboxes) Documents(_ context.Context, p Place, uids []uint32) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, uid := range uids {
			if msg := m.open(p, uid); msg != nil && !yield(Document{uid, prefix, msg}, nil) {
				return
			}
		}
	}
}

// has looks into a message of the inbox itself.
func (m *mailboxes) has(t testing.TB, uid uint32, q Query) bool {
	t.Helper()
	texts, ok := m.folded[uid]
	if !ok {
		msg := m.open(inbox, uid)
		for scope := range texts {
			var b strings.Builder
			if err := msg.WriteFolded(&b, message.Scope(scope)); err != nil {
				t.Fatal(err)
			}
			if message.Scope(scope) != message.BodyScope {
				b.WriteString(message.Fold(prefix))
			}
			texts[scope] = b.String()
		}
		if m.folded == nil {
			m.folded = map[uint32][3]string{}
		}
		m.folded[uid] = texts
	}
	return strings.Contains(texts[q.Scope], message.Fold(q.Needle))
}

var inbox = Place{"0198c0de-0000-7000-8000-000000000001", 1}

func newIndex(src Source) (*Index, *memory) {
	rows := &memory{}
	return New(rows, src, slog.New(slog.DiscardHandler)), rows
}

// vocabulary makes messages in which chance finds the same words again.
type vocabulary struct{ *rand.Rand }

var (
	han   = []rune("天气会议记录明上午九点开请准时参加公司发票合同报价项目测试中国北京")
	latin = strings.Fields("invoice meeting the report Ünïcode résumé x ab abc ABCD order-1234 привет мир tests testing 2024 a@b.test naïve ー カナ かな")
)

func (v vocabulary) word() string {
	switch v.IntN(8) {
	case 0, 1, 2:
		var b strings.Builder
		for range 1 + v.IntN(6) {
			b.WriteRune(han[v.IntN(len(han))])
		}
		return b.String()
	case 3:
		var b strings.Builder
		for range 20 + v.IntN(30) {
			b.WriteByte("abcdef0123"[v.IntN(10)])
		}
		return b.String()
	}
	return latin[v.IntN(len(latin))]
}

func (v vocabulary) text(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(v.word())
		b.WriteString([]string{" ", "", ", ", "\r\n", "。"}[v.IntN(5)])
	}
	return b.String()
}

func (v vocabulary) message() string {
	return "Subject: " + strings.ReplaceAll(v.text(4), "\r\n", " ") + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + v.text(1+v.IntN(30))
}

// needle is a piece of a text: it need not begin nor end where a word does.
func (v vocabulary) needle(text string) string {
	runes := []rune(text)
	n := 1 + v.IntN(12)
	if v.IntN(6) == 0 {
		n = 33 + v.IntN(8)
	}
	from := v.IntN(max(1, len(runes)-n))
	return string(runes[from:min(len(runes), from+n)])
}

// check compares an answer with what looking into each message finds.
func check(t *testing.T, x *Index, src *mailboxes, q Query) {
	t.Helper()
	a, err := x.Candidates(t.Context(), inbox, q)
	if err != nil {
		t.Fatal(err)
	}
	uids, err := src.UIDs(t.Context(), inbox)
	if err != nil {
		t.Fatal(err)
	}
	for _, uid := range uids {
		_, sure := slices.BinarySearch(a.Sure, uid)
		_, maybe := slices.BinarySearch(a.Maybe, uid)
		has := src.has(t, uid, q)
		switch {
		case sure && maybe, uid > a.Through && (sure || maybe):
			t.Errorf("%d is named twice, or after %d", uid, a.Through)
		case sure && !has:
			t.Errorf("%d surely has %q, and has it not", uid, q.Needle)
		case uid <= a.Through && has && !sure && !maybe:
			t.Errorf("%d has %q (%q) and is left out", uid, q.Needle, message.Fold(q.Needle))
		}
	}
}

// TestNothingIsLeftOut looks for pieces of random texts, while messages come and go
// and segments are joined.
func TestNothingIsLeftOut(t *testing.T) {
	v := vocabulary{rand.New(rand.NewPCG(1, 2))}
	src := &mailboxes{}
	x, _ := newIndex(src)
	uid := uint32(0)
	for round := range 22 {
		for range newDocs + v.IntN(40) {
			uid += uint32(1 + v.IntN(3))
			src.put(inbox, uid, v.message())
		}
		for gone := range src.text[inbox] {
			if v.IntN(4) == 0 {
				delete(src.text[inbox], gone)
			}
		}
		if err := x.Update(t.Context(), inbox); err != nil {
			t.Fatal(err)
		}
		if round%3 != 0 {
			continue
		}
		for range 12 {
			uids, _ := src.UIDs(t.Context(), inbox)
			text := src.text[inbox][uids[v.IntN(len(uids))]]
			check(t, x, src, Query{message.Scope(v.IntN(3)), v.needle(text)})
		}
		for _, needle := range []string{"", "天", "天气", "a", "ab", "0", "。", "origin", "UBJECT: ", "abc def", "\xff"} {
			check(t, x, src, Query{message.Scope(v.IntN(3)), needle})
		}
	}
	st, err := x.Stat(t.Context(), inbox)
	if err != nil || st.Segments > joinFrom+2 {
		t.Errorf("%+v (%v)", st, err)
	}
}

func TestShortWordsOfChineseAreSure(t *testing.T) {
	src := &mailboxes{}
	x, _ := newIndex(src)
	for i := range uint32(newDocs) {
		text := "Content-Type: text/plain; charset=utf-8\r\n\r\n今天天气很好"
		if i%2 == 0 {
			text = "Subject: =?utf-8?B?5aSp5rCU?=\r\n\r\nWeather report for " + fmt.Sprint("order", i)
		}
		src.put(inbox, i+1, text)
	}
	if err := x.Update(t.Context(), inbox); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		scope       message.Scope
		needle      string
		sure, maybe int
	}{
		{message.BodyScope, "气", newDocs / 2, 0},
		{message.BodyScope, "天气", newDocs / 2, 0},
		{message.TextScope, "天气", newDocs, 0},
		{message.HeaderScope, "天气", newDocs / 2, 0},
		{message.BodyScope, "天气很好", 0, newDocs / 2},
		{message.BodyScope, "气天", 0, 0},
		{message.BodyScope, "eathe", newDocs / 2, 0},
		{message.BodyScope, "weather report", 0, newDocs / 2},
		{message.BodyScope, "weathe report", 0, 0},
		{message.BodyScope, "order100", 1, 0},
	} {
		a, err := x.Candidates(t.Context(), inbox, Query{tc.scope, tc.needle})
		if err != nil || len(a.Sure) != tc.sure || len(a.Maybe) != tc.maybe || a.Through != newDocs {
			t.Errorf("%q in scope %d: %d sure, %d maybe, through %d (%v)", tc.needle, tc.scope, len(a.Sure), len(a.Maybe), a.Through, err)
		}
	}
}

func TestMessagesAfterTheWatermarkAreTheCallers(t *testing.T) {
	src := &mailboxes{}
	x, rows := newIndex(src)
	for i := range uint32(newDocs - 1) {
		src.put(inbox, i+1, "\r\ntext")
	}
	if err := x.Update(t.Context(), inbox); err != nil || rows.writes != 0 {
		t.Fatalf("%d writes (%v)", rows.writes, err)
	}
	if a, err := x.Candidates(t.Context(), inbox, Query{Needle: "text"}); err != nil || a.Through != 0 || len(a.Sure) != 0 {
		t.Errorf("%+v (%v)", a, err)
	}
	src.put(inbox, newDocs+7, "\r\ntext")
	rows.fail = errors.New("the disk is full")
	if err := x.Update(t.Context(), inbox); !errors.Is(err, rows.fail) {
		t.Fatal(err)
	}
	rows.fail = nil
	if err := x.Update(t.Context(), inbox); err != nil {
		t.Fatal(err)
	}
	a, err := x.Candidates(t.Context(), inbox, Query{Needle: "text"})
	if err != nil || a.Through != newDocs+7 || len(a.Sure) != newDocs {
		t.Errorf("through %d, %d sure (%v)", a.Through, len(a.Sure), err)
	}
}

// TestADamagedIndexIsMadeAnew removes and spoils rows one by one.
func TestADamagedIndexIsMadeAnew(t *testing.T) {
	v := vocabulary{rand.New(rand.NewPCG(3, 4))}
	src := &mailboxes{}
	for i := range uint32(newDocs) {
		src.put(inbox, i+1, v.message())
	}
	x, rows := newIndex(src)
	if err := x.Update(t.Context(), inbox); err != nil {
		t.Fatal(err)
	}
	good := slices.Clone(rows.rows)
	for i := range good {
		for _, spoil := range []func([]Row) []Row{
			func(rows []Row) []Row { return slices.Delete(rows, i, i+1) },
			func(rows []Row) []Row { rows[i].Value = []byte{99}; return rows },
		} {
			rows.rows = spoil(slices.Clone(good))
			for _, needle := range []string{"天", "e", "abc", "0123", "report meeting"} {
				if _, err := x.Candidates(t.Context(), inbox, Query{message.TextScope, needle}); err != nil {
					t.Fatal(err)
				}
			}
			if err := x.Update(t.Context(), inbox); err != nil {
				t.Fatal(err)
			}
			check(t, x, src, Query{message.TextScope, "天"})
			check(t, x, src, Query{message.TextScope, "e"})
		}
	}
}

func TestAnEmptiedMailboxHasNoIndex(t *testing.T) {
	src := &mailboxes{}
	x, rows := newIndex(src)
	second := Place{inbox.Account, 2}
	for i := range uint32(newDocs) {
		src.put(inbox, i+1, "\r\ntext")
		src.put(second, i+1, "\r\ntext")
	}
	for _, p := range []Place{inbox, second} {
		if err := x.Update(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	clear(src.text[inbox])
	if err := x.Update(t.Context(), inbox); err != nil {
		t.Fatal(err)
	}
	if st, err := x.Stat(t.Context(), inbox); err != nil || st.Segments != 0 {
		t.Errorf("%+v (%v)", st, err)
	}
	if st, err := x.Stat(t.Context(), second); err != nil || st.Messages != newDocs {
		t.Errorf("the other mailbox: %+v (%v)", st, err)
	}
	if err := x.DropAccount(t.Context(), inbox.Account); err != nil || len(rows.rows) != 0 {
		t.Errorf("%d rows are left (%v)", len(rows.rows), err)
	}
}

// TestRunIndexesWhatIsTouched, several at once, with searches going on.
func TestRunIndexesWhatIsTouched(t *testing.T) {
	src := &mailboxes{}
	x, _ := newIndex(src)
	for i := range uint32(20 * newDocs) {
		src.put(inbox, i+1, "\r\ntext")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { x.Run(ctx) })
	x.Touch(inbox)
	for through := uint32(0); through < 20*newDocs; {
		a, err := x.Candidates(t.Context(), inbox, Query{Needle: "text"})
		if err != nil {
			t.Fatal(err)
		}
		if a.Through < through || uint32(len(a.Sure)) != a.Through {
			t.Fatalf("through %d after %d, %d sure", a.Through, through, len(a.Sure))
		}
		through = a.Through
	}
	cancel()
	wg.Wait()
}

// TestAMessageWithTooManyWordsIsInEveryAnswer: its list ends, not its text.
func TestAMessageWithTooManyWordsIsInEveryAnswer(t *testing.T) {
	src := &mailboxes{}
	x, _ := newIndex(src)
	var b strings.Builder
	for i := range 2 * maxEntries {
		fmt.Fprintf(&b, "w%d ", i)
	}
	src.put(inbox, 1, "\r\n"+b.String()+"last")
	for i := range uint32(newDocs) {
		src.put(inbox, i+2, "\r\ntext")
	}
	if err := x.Update(t.Context(), inbox); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		needle      string
		sure, maybe int
	}{{"last", 0, 1}, {"w1", 1, 0}, {"text", newDocs - 1, 1}} {
		a, err := x.Candidates(t.Context(), inbox, Query{Needle: tc.needle})
		if err != nil || len(a.Sure) != tc.sure || len(a.Maybe) != tc.maybe {
			t.Errorf("%q: %d sure, %d maybe (%v)", tc.needle, len(a.Sure), len(a.Maybe), err)
		}
	}
}

// FuzzText indexes any text and looks for any piece of it.
func FuzzText(f *testing.F) {
	f.Add("今天天气 is fine, résumé カタカナ", 3, 7)
	f.Add(strings.Repeat("x", 31)+"yz0 Ａ", 0, 5)
	f.Fuzz(func(t *testing.T, text string, from, n int) {
		folded := []byte(message.Fold(text))
		from = min(max(from, 0), len(folded))
		needle := folded[from:min(len(folded), from+min(max(n, 0), len(folded)))]
		b := newBuilder()
		doc := b.begin(7)
		s := scanner{emit: func(k kind, text []byte) { b.add(doc, inBody, k, text) }}
		for i := 0; i < len(folded); i += 3 {
			if _, err := s.Write(folded[i:min(i+3, len(folded))]); err != nil {
				t.Fatal(err)
			}
		}
		s.end()
		x, _ := newIndex(&mailboxes{})
		h := head{}
		if err := x.replace(t.Context(), inbox, &h, 0, 0, segment{first: 7, last: 7}, b); err != nil {
			t.Fatal(err)
		}
		a, err := x.Candidates(t.Context(), inbox, Query{message.BodyScope, string(needle)})
		if err != nil {
			t.Fatal(err)
		}
		// Folding a needle again must not change it: it was cut from folded text.
		if message.Fold(string(needle)) == string(needle) && len(a.Sure)+len(a.Maybe) != 1 {
			t.Errorf("%q is not found in %q", needle, folded)
		}
	})
}

// FuzzRows reads damaged rows.
func FuzzRows(f *testing.F) {
	b := newBuilder()
	for i := range 10 {
		doc := b.begin(uint32(i + 1))
		b.add(doc, inBody, words, []byte("WORD"))
		b.add(doc, inHeader, ideograms, []byte("天气"))
	}
	m, blocks := b.finish()
	f.Add(m.encode(), blocks[0], []byte("OR"))
	f.Fuzz(func(t *testing.T, metaRow, blockRow, pattern []byte) {
		m, err := decodeMeta(metaRow)
		if err == nil {
			m.within(inBody, words, pattern)
		}
		if _, err := decodeHead(metaRow); err == nil && metaRow != nil && len(metaRow) == 0 {
			t.Error("an empty head is good")
		}
		b, err := readBlock(blockRow)
		if err != nil || len(pattern) == 0 {
			return
		}
		n := cmp.Or(len(m.uids), 100)
		found := newSet(n)
		for docs := range b.find(pattern) {
			found.addDocs(docs, n)
			for doc := range docsOf(docs, n) {
				found.add(doc)
			}
		}
		for range b.all() {
		}
	})
}
