package search

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

const account = "0198c0de-0000-7000-8000-000000000001"

// digest is what app has the store keep of a message.
func digest(r *io.SectionReader) (store.Digest, error) {
	d, err := message.Parse(r)
	if err != nil {
		return store.Digest{}, err
	}
	return store.Digest{Data: d.Encode()}, nil
}

// stored is an index over a store of its own.
func stored(t testing.TB) (*Index, *store.Store) {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	rows, source := Stored(s)
	return New(rows, source, slog.New(slog.DiscardHandler)), s
}

func deliver(t testing.TB, s *store.Store, texts ...string) {
	t.Helper()
	for some := range slices.Chunk(texts, 500) {
		var list []store.Delivery
		for _, text := range some {
			list = append(list, store.Delivery{
				Accounts: []string{account}, Body: strings.NewReader(text), Size: int64(len(text)), Prefix: []byte(prefix),
			})
		}
		if _, err := s.Append(t.Context(), list...); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheIndexOfAStoreOutlivesIt indexes, expunges, opens anew and goes on.
func TestTheIndexOfAStoreOutlivesIt(t *testing.T) {
	x, s := stored(t)
	var texts []string
	for i := range newDocs {
		texts = append(texts, fmt.Sprintf("Subject: x\r\n\r\nmessage no%d\r\n", i+1))
	}
	deliver(t, s, texts...)
	place := store.Place{Account: account, Mailbox: store.Inbox}
	if err := x.Update(t.Context(), inbox); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expunge(t.Context(), place, []uint32{7}); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, texts...)
	rows, source := Stored(s)
	x = New(rows, source, slog.New(slog.DiscardHandler))
	if err := x.Update(t.Context(), inbox); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		query Query
		want  []uint32
	}{
		{Query{message.BodyScope, "no100"}, []uint32{100, newDocs + 100}},
		{Query{message.TextScope, "origin"}, nil},
		{Query{message.BodyScope, "origin"}, []uint32{}},
	} {
		a, err := x.Candidates(t.Context(), inbox, tc.query)
		if err != nil {
			t.Fatal(err)
		}
		if tc.want == nil {
			if len(a.Sure) != 2*newDocs {
				t.Errorf("%q: %d messages", tc.query.Needle, len(a.Sure))
			}
			continue
		}
		if !slices.Equal(a.Sure, tc.want) || len(a.Maybe) > 0 || a.Through != 2*newDocs {
			t.Errorf("%q: %+v, want %v", tc.query.Needle, a, tc.want)
		}
	}
}

// TestAMailboxThatIsDeletedLosesItsIndex.
func TestAMailboxThatIsDeletedLosesItsIndex(t *testing.T) {
	x, s := stored(t)
	if err := s.CreateAccount(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	box, err := s.CreateMailbox(t.Context(), account, "Work", "")
	if err != nil {
		t.Fatal(err)
	}
	p := Place{account, uint32(box.ID)}
	var list []store.Delivery
	for range newDocs {
		list = append(list, store.Delivery{Places: []store.Place{{Account: account, Mailbox: box.ID}}, Body: strings.NewReader("\r\ntext"), Size: 6})
	}
	if _, err := s.Append(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
	if err := x.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if st, err := x.Stat(t.Context(), p); err != nil || st.Messages != newDocs {
		t.Fatalf("%+v (%v)", st, err)
	}
	if err := s.DeleteMailbox(t.Context(), account, "Work"); err != nil {
		t.Fatal(err)
	}
	if err := x.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if st, err := x.Stat(t.Context(), p); err != nil || st.Segments != 0 {
		t.Errorf("%+v (%v)", st, err)
	}
}

var benchMessages = flag.Int("messages", 100_000, "messages in the mailbox that is searched")

// letters are messages as they are: a header with its hosts, ids and signature, and a
// text in Chinese and English whose words are as frequent as words are.
func letters(n int) []string {
	random := rand.New(rand.NewPCG(5, 6))
	zipf := rand.NewZipf(random, 1.1, 20, 40_000)
	han := rand.NewZipf(random, 1.1, 20, 4000)
	chinese := make([]string, 20_000)
	for i := range chinese {
		var b strings.Builder
		for range 1 + (i+3)%4 {
			b.WriteRune(rune(0x4e00 + han.Uint64()*5%20000))
		}
		chinese[i] = b.String()
	}
	common := rand.NewZipf(random, 1.1, 10, uint64(len(chinese)-1))
	list := make([]string, n)
	for i := range list {
		var b strings.Builder
		fmt.Fprintf(&b, "Received: from mx%d.example.test (mx%[1]d.example.test [192.0.2.%d])\r\n\tby mail.example.test with ESMTPS id %x;\r\n\tMon, 2 Jan 2006 15:04:05 +0800\r\n", random.IntN(50), random.IntN(250), random.Uint64())
		signature := make([]byte, 344)
		for j := range signature {
			signature[j] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random.IntN(64)]
		}
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=s1;\r\n\tb=%s\r\n", signature)
		fmt.Fprintf(&b, "From: user%d@example.test\r\nTo: me@example.test\r\nMessage-ID: <%x.%x@mx.example.test>\r\nDate: Mon, 2 Jan 2006 15:04:05 +0800\r\nSubject: ", zipf.Uint64()%2000, random.Uint64(), random.Uint32())
		words := func(n int) {
			for range n {
				if random.IntN(2) == 0 {
					for range 1 + random.IntN(4) {
						b.WriteString(chinese[common.Uint64()])
					}
					b.WriteString("，")
				} else {
					fmt.Fprintf(&b, "w%x ", zipf.Uint64()*2654435761%1048576)
				}
			}
		}
		words(5)
		b.WriteString("\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
		for range 8 {
			words(25)
			b.WriteString("\r\n")
		}
		list[i] = b.String()
	}
	return list
}

// BenchmarkSearch searches a mailbox, with the messages that may have the needle
// looked into as an IMAP server does.
func BenchmarkSearch(b *testing.B) {
	x, s := stored(b)
	start := time.Now()
	texts := letters(*benchMessages)
	b.Logf("made in %v", time.Since(start))
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	start = time.Now()
	deliver(b, s, texts...)
	b.Logf("delivered in %v", time.Since(start))
	start = time.Now()
	if err := x.Update(b.Context(), inbox); err != nil {
		b.Fatal(err)
	}
	st, err := x.Stat(b.Context(), inbox)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d messages of %d bytes indexed in %v: %d bytes a message, %d segments, %d entries",
		st.Messages, size/len(texts), time.Since(start), st.Bytes/int64(max(1, st.Messages)), st.Segments, st.Entries)
	text := []rune(texts[len(texts)/2][len(texts[len(texts)/2])/2:])
	var phrase string
	for i := range text {
		if i+4 < len(text) && !strings.ContainsFunc(string(text[i:i+4]), func(r rune) bool { return r < 0x4e00 || r > 0x9fff }) {
			phrase = string(text[i : i+4])
			break
		}
	}
	for _, tc := range []struct{ name, needle string }{
		{"one frequent character", "一"},
		{"one character", string(rune(0x4e00 + 1000*5))},
		{"two characters", phrase[:6]},
		{"four characters", phrase},
		{"a frequent word", "w1"},
		{"within words", "5b4"},
		{"a host", "mx17.example"},
		{"nothing", "nosuchword"},
	} {
		b.Run(strings.ReplaceAll(tc.name, " ", "-"), func(b *testing.B) {
			var a Answer
			var hits int
			for b.Loop() {
				var err error
				if a, err = x.Candidates(b.Context(), inbox, Query{message.TextScope, tc.needle}); err != nil {
					b.Fatal(err)
				}
				hits = len(a.Sure)
				for d, err := range x.source.Documents(b.Context(), inbox, a.Maybe) {
					if err != nil {
						b.Fatal(err)
					}
					found, err := d.Message.Contains(message.TextScope, tc.needle)
					if err != nil {
						b.Fatal(err)
					}
					if found[0] {
						hits++
					}
				}
			}
			b.ReportMetric(float64(len(a.Sure)), "sure")
			b.ReportMetric(float64(len(a.Maybe)), "maybe")
			b.ReportMetric(float64(hits), "hits")
		})
	}
}
