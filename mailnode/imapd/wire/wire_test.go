package wire

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/emersion/go-imap/v2"
)

var limits = Limits{Line: 64 << 10, Literal: 1 << 10, Memory: 64 << 10, Discard: 1 << 20}

// reader reads text, whole or one byte at a time, and gives leave for every literal.
func reader(t testing.TB, text string, bytewise bool) *Reader {
	t.Helper()
	var src io.Reader = strings.NewReader(text)
	if bytewise {
		src = iotest.OneByteReader(src)
	}
	r := NewReader(src)
	r.Limits, r.Proceed = limits, func() error { return nil }
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	return r
}

// each runs a parser on text both ways.
func each(t *testing.T, text string, f func(t *testing.T, r *Reader)) {
	t.Helper()
	for _, bytewise := range []bool{false, true} {
		f(t, reader(t, text+"\r\n", bytewise))
	}
}

func TestStrings(t *testing.T) {
	for text, want := range map[string]string{
		"atom": "atom", "at]om": "at]om", `""`: "", `"a \"b\" \\"`: `a "b" \`, "{3}\r\na\r\n": "a\r\n", "{0}\r\n": "",
		"{3+}\r\na)b": "a)b", "~{3}\r\na\x00b": "a\x00b", `"中文"`: "中文", "~x": "~x",
	} {
		each(t, text, func(t *testing.T, r *Reader) {
			got, err := r.AString()
			if err == nil {
				err = r.End()
			}
			if got != want || err != nil {
				t.Errorf("%q: %q, %v", text, got, err)
			}
		})
	}
	for _, text := range []string{"", "(", `"a`, `"\a"`, "\"a\x00\"", "{}", "{x}", "{3", "{99999999999999999999}", "{-1}", "{+}", "{3}\r\na\x00b", "\"\xff\"", " a"} {
		each(t, text, func(t *testing.T, r *Reader) {
			got, err := r.AString()
			if err == nil {
				err = r.End()
			}
			if e, ok := errors.AsType[*Error](err); !ok || e.Type != imap.StatusResponseTypeBad {
				t.Errorf("%q: %q, %v", text, got, err)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	for text, good := range map[string]bool{"0": true, "4294967295": true, "4294967296": false, "x": false, "-1": false, "00000000000000000000000": false} {
		each(t, text, func(t *testing.T, r *Reader) {
			if _, err := r.Number(); (err == nil) != good {
				t.Errorf("%q: %v", text, err)
			}
		})
	}
	each(t, "9223372036854775807", func(t *testing.T, r *Reader) {
		if n, err := r.Number64(); n != 1<<63-1 || err != nil {
			t.Error(n, err)
		}
	})
}

func TestSets(t *testing.T) {
	for text, want := range map[string]string{
		"1": "1", "3:1": "1:3", "5,1:2,2:3": "1:3,5", "*": "9", "7:*": "7:9", "*:7": "7:9", "12:*": "9:12", "1,2,3,4": "1:4", "4294967295,4294967294": "4294967294:4294967295",
	} {
		each(t, text, func(t *testing.T, r *Reader) {
			set, err := r.Set()
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if got := set.Resolve(9).String(); got != want {
				t.Errorf("%q: %q", text, got)
			}
		})
	}
	for _, text := range []string{"0", "1:", ",1", "1,", "1:0", "a", ""} {
		each(t, text, func(t *testing.T, r *Reader) {
			if set, err := r.Set(); err == nil {
				t.Errorf("%q: %v", text, set)
			}
		})
	}
	each(t, "$", func(t *testing.T, r *Reader) {
		if set, err := r.Set(); !set.Saved || err != nil {
			t.Error(set, err)
		}
	})
	if got := (Set{Ranges: []Range{{0, 0}}}).Resolve(0); len(got) != 0 {
		t.Errorf("* of an empty mailbox is %v", got)
	}
}

// A set that is given in the worst order takes no more than sorting it.
func TestLongSetIsReadInOrderlyTime(t *testing.T) {
	var set Set
	for n := uint32(400_000); n > 0; n -= 2 {
		set.Ranges = append(set.Ranges, Range{n, n})
	}
	start := time.Now()
	if got := set.Resolve(1); len(got) != 200_000 || time.Since(start) > 15*time.Second {
		t.Errorf("%d ranges after %v", len(got), time.Since(start))
	}
}

func TestRanges(t *testing.T) {
	var rs Ranges
	for _, n := range []uint32{1, 2, 3, 7, 9, 10} {
		rs.Add(n)
	}
	if rs.String() != "1:3,7,9:10" || rs.Len() != 6 || !rs.Contains(7) || rs.Contains(8) || rs.Contains(11) {
		t.Errorf("%v", rs)
	}
	var all []uint32
	for n := range rs.All {
		all = append(all, n)
	}
	if !reflect.DeepEqual(all, []uint32{1, 2, 3, 7, 9, 10}) {
		t.Errorf("%v", all)
	}
}

func TestDates(t *testing.T) {
	for text, want := range map[string]string{
		`"17-Jul-1996 02:44:25 -0700"`: "1996-07-17T09:44:25Z", `" 7-Jul-1996 02:44:25 +0800"`: "1996-07-06T18:44:25Z",
	} {
		each(t, text, func(t *testing.T, r *Reader) {
			got, err := r.DateTime()
			if err != nil || got.UTC().Format(time.RFC3339) != want {
				t.Errorf("%q: %v, %v", text, got, err)
			}
		})
	}
	for _, text := range []string{`"17-Jul-1996"`, `"32-Jul-1996 02:44:25 -0700"`, `"17-Foo-1996 02:44:25 -0700"`, `17-Jul-1996`} {
		each(t, text, func(t *testing.T, r *Reader) {
			if got, err := r.DateTime(); err == nil {
				t.Errorf("%q: %v", text, got)
			}
		})
	}
	for _, text := range []string{"1-Feb-2024", "01-Feb-2024", `"1-Feb-2024"`, "1-feb-2024"} {
		each(t, text, func(t *testing.T, r *Reader) {
			if got, err := r.Date(); err != nil || !got.Equal(time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%q: %v, %v", text, got, err)
			}
		})
	}
	at := time.Date(2024, 2, 1, 3, 4, 5, 0, time.UTC)
	if got := string(AppendDateTime(nil, at)); got != `"01-Feb-2024 03:04:05 +0000"` {
		t.Error(got)
	}
}

func TestModifiedUTF7(t *testing.T) {
	for name, coded := range map[string]string{
		"INBOX": "INBOX", "A&B": "A&-B", "台北": "&U,BTFw-", "a/日本語/b": "a/&ZeVnLIqe-/b", "Entwürfe": "Entw&APw-rfe", "😀": "&2D3eAA-", "": "",
	} {
		if got := EncodeUTF7(name); got != coded {
			t.Errorf("%q: %q", name, got)
		}
		if got, ok := DecodeUTF7(coded); got != name || !ok {
			t.Errorf("%q: %q, %v", coded, got, ok)
		}
	}
	for _, coded := range []string{"&", "&AP", "&AP-", "&Jjo", "&Jjo!-", "&2D0-", "a\xc3", "&AGE-", "&U,BTFw-&ZeVnLIqe-", "\x07", "&AAAA-"} {
		if got, ok := DecodeUTF7(coded); ok && EncodeUTF7(got) != coded || coded == "&AGE-" && ok {
			t.Errorf("%q: %q", coded, got)
		}
	}
}

// A command that is refused is read to its end with the literals in it, and what
// follows is the next command.
func TestRefusedCommandIsReadToItsEnd(t *testing.T) {
	big := strings.Repeat("B2 LOGOUT\r\n", 1000)
	for name, text := range map[string]string{
		"in the line":              "nonsense here",
		"a literal without leave":  "nonsense {11000+}\r\n" + big + " and more",
		"two literals":             "nonsense {11000+}\r\n" + big + " {11000+}\r\n" + big,
		"a literal8":               "nonsense ~{11000+}\r\n" + big + ")",
		"one that waits for leave": "nonsense {11000}",
		"an argument too large":    "{11000+}\r\n" + big + " rest",
		"it waits, too large":      "{11000}",
		"ends like a literal":      "nonsense {x+}",
	} {
		each(t, text+"\r\nA2 NOOP", func(t *testing.T, r *Reader) {
			if _, err := r.AString(); err == nil {
				err = r.End()
				if err == nil {
					t.Fatalf("%s: it was taken", name)
				}
			}
			if err := r.Discard(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := r.Begin(); err != nil {
				t.Fatal(err)
			}
			if tag, err := r.Tag(); tag != "A2" || err != nil {
				t.Errorf("%s: next is %q, %v", name, tag, err)
			}
		})
	}
}

func TestTooMuchIsNotReadAtAll(t *testing.T) {
	r := reader(t, "x {99999999999+}\r\nA2 LOGOUT\r\n", false)
	if err := r.Discard(); !errors.Is(err, ErrFlood) {
		t.Errorf("a literal: %v", err)
	}
	r = reader(t, strings.Repeat("x", 2<<20), false)
	if _, err := r.AString(); !errors.Is(err, errLine) {
		t.Errorf("a line: %v", err)
	}
	if err := r.Discard(); !errors.Is(err, ErrFlood) {
		t.Errorf("a line: %v", err)
	}
	r = reader(t, `"`+strings.Repeat("x", 70<<10)+"\"\r\n", false)
	if _, err := r.AString(); !errors.Is(err, errLine) {
		t.Errorf("a quoted string: %v", err)
	}
	r = reader(t, strings.Repeat("{1000+}\r\n"+strings.Repeat("x", 1000)+" ", 100), false)
	var err error
	for err == nil {
		if _, err = r.AString(); err == nil {
			err = r.Space()
		}
	}
	if !errors.Is(err, errMemory) {
		t.Errorf("literals: %v", err)
	}
}

func TestLiteralIsStreamed(t *testing.T) {
	text := strings.Repeat("0123456789", 10_000)
	each(t, "(~{100000}\r\n"+text+")", func(t *testing.T, r *Reader) {
		asked := 0
		r.Proceed = func() error { asked++; return nil }
		if err := r.Want('('); err != nil {
			t.Fatal(err)
		}
		l, err := r.LiteralHead()
		if err != nil || l.Size != 100_000 || !l.Binary || asked != 0 {
			t.Fatal(l, err, asked)
		}
		body, err := r.Body(l)
		if err != nil || asked != 1 {
			t.Fatal(err, asked)
		}
		if got, err := io.ReadAll(body); string(got) != text || err != nil {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if err := errors.Join(r.Want(')'), r.End()); err != nil {
			t.Error(err)
		}
	})
	r := reader(t, "{10}\r\n01234", false)
	if _, err := r.literalString(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a literal cut short: %v", err)
	}
}

func TestAnIdleReaderHoldsNoBuffer(t *testing.T) {
	r := reader(t, "A "+strings.Repeat("x", 1000)+"\r\n", false)
	if _, err := r.Tag(); err != nil {
		t.Fatal(err)
	}
	if err := r.Discard(); err != nil || r.large == nil {
		t.Fatal("the long line needed no buffer", err)
	}
	if err := r.Begin(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if r.large != nil {
		t.Error("a buffer is held")
	}
}

func TestFetchItems(t *testing.T) {
	for text, want := range map[string]string{
		"FLAGS": "", "ALL": "", "(UID FLAGS)": "", "(body BODY[])": "BODY[]", "BODY.PEEK[1.2.MIME]": "BODY[1.2.MIME]",
		"BODY[HEADER.FIELDS (From \"To\")]<5.100>": "BODY[HEADER.FIELDS (From To)]<5>", "BODY[header]": "BODY[HEADER]", "BODY[2.TEXT]": "BODY[2.TEXT]",
		"(RFC822.SIZE RFC822.HEADER RFC822 RFC822.TEXT)": "RFC822.HEADER RFC822 RFC822.TEXT", "BINARY.PEEK[1]<0.5>": "BINARY[1]<0>", "BINARY.SIZE[2.1]": "BINARY.SIZE[2.1]",
		"(PREVIEW (LAZY) UID)": "", "(PREVIEW UID)": "", "PREVIEW": "", "BINARY[]": "BINARY[]",
	} {
		each(t, text, func(t *testing.T, r *Reader) {
			f, err := r.Fetch()
			if err == nil {
				err = r.End()
			}
			var names []string
			for _, s := range f.Sections {
				names = append(names, s.Name)
			}
			if err != nil || strings.Join(names, " ") != want {
				t.Errorf("%q: %q, %v", text, names, err)
			}
		})
	}
	for _, text := range []string{
		"", "(", "FOO", "BODY[", "BODY[1.]", "BODY[0]", "BODY[MIME]", "BODY[FOO]", "BODY[]<1>", "BODY[]<1.0>", "BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]",
		"BINARY[TEXT]", "BINARY[1.TEXT]", "PREVIEW (EAGER)", "BODY[HEADER.FIELDS (\"a b\")]", "BODY[" + strings.Repeat("1.", 200) + "1]",
		"(" + strings.Repeat("BODY[] ", 300) + "UID)",
	} {
		each(t, text, func(t *testing.T, r *Reader) {
			f, err := r.Fetch()
			if err == nil {
				err = r.End()
			}
			if err == nil {
				t.Errorf("%q: %+v", text, f)
			}
		})
	}
	each(t, "(FLAGS) (CHANGEDSINCE 12 VANISHED PARTIAL -1:-10)", func(t *testing.T, r *Reader) {
		f, err := r.Fetch()
		if err == nil {
			err = errors.Join(r.FetchModifiers(f), r.End())
		}
		if err != nil || f.ChangedSince != 12 || !f.Vanished || *f.Partial != (Partial{-1, -10}) || f.Items != ItemFlags|ItemModSeq || f.Marks() {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

func TestSearchKeys(t *testing.T) {
	for text, want := range map[string]Op{
		"ALL": OpAll, "1:5": OpSeq, "UID 7": OpUID, "SEEN": OpFlag, "UNSEEN": OpNot, "NEW": OpAnd, "KEYWORD $Junk": OpFlag, "FROM x": OpHeader,
		"HEADER X-A \"b c\"": OpHeader, "NOT NOT ALL": OpNot, "OR SEEN (DELETED 1)": OpOr, "SEEN DRAFT": OpAnd, "(SEEN)": OpFlag, "BEFORE 1-Feb-2024": OpBefore,
		"CHARSET UTF-8 TEXT {6}\r\n中文": OpText, "RETURN (MIN COUNT) ALL": OpAll, "RETURN () CHARSET US-ASCII ALL": OpAll, "MODSEQ 5": OpModSeq,
		"MODSEQ \"/flags/\\\\draft\" all 5": OpModSeq, "YOUNGER 60": OpYounger, "LARGER 100": OpLarger, "EMAILID abc": OpEmailID, "$": OpSeq, "* 2": OpAnd, "SAVEDON 1-Feb-2024": OpSavedOn,
	} {
		each(t, text, func(t *testing.T, r *Reader) {
			s, err := r.Search()
			if err == nil {
				err = r.End()
			}
			if err != nil || s.Key.Op != want {
				t.Errorf("%q: %+v, %v", text, s, err)
			}
		})
	}
	for _, text := range []string{
		"", "FOO", "(", "()", "OR SEEN", "NOT", "FROM", "UID", "BEFORE x", "KEYWORD", "RETURN ALL", "RETURN (FOO) ALL", "RETURN (ALL PARTIAL 1:2) ALL", "CHARSET ALL", "MODSEQ x", "ALL ",
		strings.Repeat("NOT ", 100) + "ALL", strings.Repeat("(", 100) + "ALL" + strings.Repeat(")", 100), strings.Repeat("ALL ", 5000) + "ALL",
	} {
		each(t, text, func(t *testing.T, r *Reader) {
			s, err := r.Search()
			if err == nil {
				err = r.End()
			}
			if err == nil {
				t.Errorf("%.60q: %+v", text, s)
			}
		})
	}
}

func TestSortAndThread(t *testing.T) {
	each(t, "RETURN (COUNT) (REVERSE DATE subject) UTF-8 ALL", func(t *testing.T, r *Reader) {
		keys, s, err := r.Sort()
		if err != nil || len(keys) != 2 || keys[0] != (SortKey{"DATE", true}) || keys[1] != (SortKey{"SUBJECT", false}) || !s.Return.Count || s.Return.All || s.Charset != "UTF-8" {
			t.Error(keys, s, err)
		}
	})
	for _, text := range []string{"() UTF-8 ALL", "(FOO) UTF-8 ALL", "(REVERSE) UTF-8 ALL", "(DATE) ALL", "DATE UTF-8 ALL", "(DATE) UTF-8"} {
		each(t, text, func(t *testing.T, r *Reader) {
			if keys, _, err := r.Sort(); err == nil {
				t.Errorf("%q: %v", text, keys)
			}
		})
	}
	each(t, "references UTF-8 SEEN", func(t *testing.T, r *Reader) {
		if algorithm, s, err := r.Thread(); algorithm != "REFERENCES" || s.Key.Op != OpFlag || err != nil {
			t.Error(algorithm, s, err)
		}
	})
}

func TestWriter(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		write func(*Writer)
		want  string
	}{
		{func(w *Writer) { w.String(`a "b" \`) }, `"a \"b\" \\"`},
		{func(w *Writer) { w.String("中") }, "{3}\r\n中"},
		{func(w *Writer) { w.UTF8 = true; w.String("中") }, `"中"`},
		{func(w *Writer) { w.String("a\r\nb") }, "{4}\r\na\r\nb"},
		{func(w *Writer) { w.String("") }, `""`},
		{func(w *Writer) { w.String(long) }, "{5000}\r\n" + long},
		{func(w *Writer) { w.NString("", false).Space().NString("x", true) }, `NIL "x"`},
		{func(w *Writer) { w.AString("a]b").Space().AString("a b").Space().AString("NIL") }, `a]b "a b" "NIL"`},
		{func(w *Writer) { w.Mailbox("台北").Space().Mailbox("a b").Space().Mailbox("50%") }, `&U,BTFw- "a b" "50%"`},
		{func(w *Writer) { w.List([]string{"a", "b"}).Num(7).CRLF() }, "(a b)7\r\n"},
		{func(w *Writer) { w.Ranges(Ranges{{1, 2}, {4, 4}}) }, "1:2,4"},
	} {
		var b strings.Builder
		w := NewWriter(&b)
		c.write(w)
		if err := w.Flush(); err != nil || b.String() != c.want {
			t.Errorf("%q, want %q, %v", b.String(), c.want, err)
		}
		if w.mem != nil {
			t.Error("a flushed writer holds a buffer")
		}
	}
}

func TestWriterKeepsItsFirstError(t *testing.T) {
	r, end := io.Pipe()
	_ = r.Close()
	w := NewWriter(end)
	for range 100 {
		w.Raw(strings.Repeat("x", 1<<20))
	}
	if err := w.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}
