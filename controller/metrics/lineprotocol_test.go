package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// describe writes samples as text, one a line, with the line each is from.
func describe(b Batch) string {
	var text strings.Builder
	for i, s := range b.Samples {
		fmt.Fprintf(&text, "%d: %s", b.Lines[i], s.Metric)
		for _, key := range slices.Sorted(maps.Keys(s.Tags)) {
			fmt.Fprintf(&text, " %s=%s", key, s.Tags[key])
		}
		fmt.Fprintf(&text, " %v @%d\n", s.Value, s.Time.UnixNano())
	}
	return text.String()
}

func numbers(errs []LineError) []int {
	lines := []int{}
	for _, e := range errs {
		lines = append(lines, e.Line)
	}
	return lines
}

func TestParseLineProtocol(t *testing.T) {
	for _, c := range []struct {
		name, body, precision string
		samples               string
		bad, skipped          []int
	}{
		{name: "empty", body: ""},
		{name: "blank lines and comments", body: "\n  \r\n# a \"comment\n\n", samples: ""},
		{
			name: "all kinds of numbers",
			body: "cpu,server=a user=1.5,n=-3i,u=7u,t=true,f=F 1000000001\n",
			samples: "1: cpu_user server=a 1.5 @1000000001\n1: cpu_n server=a -3 @1000000001\n1: cpu_u server=a 7 @1000000001\n" +
				"1: cpu_t server=a 1 @1000000001\n1: cpu_f server=a 0 @1000000001\n",
		},
		{name: "microseconds", body: "m v=1 5", precision: "us", samples: "1: m_v 1 @5000\n"},
		{name: "milliseconds", body: "m v=1 5", precision: "ms", samples: "1: m_v 1 @5000000\n"},
		{name: "seconds", body: "m v=1 5", precision: "s", samples: "1: m_v 1 @5000000000\n"},
		{name: "no time is now", body: "m v=1", samples: fmt.Sprintf("1: m_v 1 @%d\n", now.UnixNano())},
		{name: "escapes", body: `my\ m,a\,b=c\=d f\ g=1 1`, samples: "1: my m_f g a,b=c=d 1 @1\n"},
		{name: "windows line ends", body: "m v=1 1\r\nm v=2 2\r\n", samples: "1: m_v 1 @1\n2: m_v 2 @2\n"},
		{
			name:    "good lines around bad ones",
			body:    "m v=1 1\nnonsense\n\nm v=2 2\nm v=1,=2 3\nm v=x 4\nm v=1 x\nm,a=1,a=2 v=1\nm v=5 5",
			samples: "1: m_v 1 @1\n4: m_v 2 @2\n9: m_v 5 @5\n", bad: []int{2, 5, 6, 7, 8},
		},
		{name: "numbers out of range", body: "m v=1e999\nm v=99999999999999999999i\nm v=1 99999999999999999999\nm v=2 2", samples: "4: m_v 2 @2\n", bad: []int{1, 2, 3}},
		{name: "not a number", body: "m v=NaN 1\nm v=+Inf 1", bad: []int{1, 2}},
		{name: "reserved tag", body: "m,__name__=x v=1", bad: []int{1}},
		{name: "text is skipped", body: "m s=\"a\",v=1 1\nm s=\"b\"", samples: "1: m_v 1 @1\n", skipped: []int{1, 2}},
		{
			name:    "a newline in a text belongs to it",
			body:    "m s=\"a\nm v=66 6\nb\",v=1 1\nm v=2 2",
			samples: "1: m_v 1 @1\n4: m_v 2 @2\n", skipped: []int{1},
		},
		{name: "escaped quotes in a text", body: `m s="a\"b\\",v=1 1` + "\nm v=2 2", samples: "1: m_v 1 @1\n2: m_v 2 @2\n", skipped: []int{1}},
		{name: "an open text spoils its line only", body: "m v=1 1\nm s=\"a 2\nm v=3 3\n", samples: "1: m_v 1 @1\n3: m_v 3 @3\n", bad: []int{2}},
		{name: "a quote elsewhere is no text", body: "m\",t=\"x v=1 1\nm v=2 2\n", samples: "1: m\"_v t=\"x 1 @1\n2: m_v 2 @2\n"},
		{name: "invalid UTF-8", body: "m,t=\xff v=1\nm v=2 2", samples: "2: m_v 2 @2\n", bad: []int{1}},
		{name: "a line too long", body: "m " + strings.Repeat("x", maxLine) + "=1 1\nm v=2 2", samples: "2: m_v 2 @2\n", bad: []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			batch, err := ParseLineProtocol([]byte(c.body), c.precision, now)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(batch); got != c.samples {
				t.Errorf("got samples\n%swant\n%s", got, c.samples)
			}
			if !slices.Equal(numbers(batch.Bad), append([]int{}, c.bad...)) || !slices.Equal(numbers(batch.Skipped), append([]int{}, c.skipped...)) {
				t.Errorf("got bad lines %v, skipped %v; want %v, %v", batch.Bad, batch.Skipped, c.bad, c.skipped)
			}
			for _, e := range slices.Concat(batch.Bad, batch.Skipped) {
				if e.Reason == "" || len(e.Reason) > maxReason+10 {
					t.Errorf("line %d has the reason %q", e.Line, e.Reason)
				}
			}
		})
	}
}

func TestParseLineProtocolLimits(t *testing.T) {
	for name, c := range map[string]struct {
		body, precision string
		want            error
	}{
		"unknown precision": {"m v=1", "h", ErrInvalid},
		"too many lines":    {strings.Repeat("m v=1\n", maxLines+1), "", ErrTooLarge},
		"too many fields":   {strings.Repeat("m "+strings.Repeat("v=1,", 999)+"v=1\n", maxSamples/1000+1), "", ErrTooLarge},
	} {
		if _, err := ParseLineProtocol([]byte(c.body), c.precision, now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// reference parses with one decoder over the whole body, as the library means
// it; ok is false if the body has any syntax error.
func reference(body []byte) (batch Batch, ok bool) {
	decoder := lineprotocol.NewDecoderWithBytes(body)
	for decoder.Next() {
		if err := batch.decode(decoder, 0, lineprotocol.Nanosecond, now); err != nil {
			return Batch{}, false
		}
	}
	return batch, true
}

func FuzzParseLineProtocol(f *testing.F) {
	for _, seed := range []string{
		"cpu,server=a user=1.5,n=-3i,u=7u,t=true 1000000001\n", "m s=\"a\nm v=66 6\nb\",v=1 1\nm v=2 2", "m v=1 1\nm s=\"open\nm v=3 3",
		`my\ m,a\,b=c\=d f\ g=1 1`, "m s=\"\\\"\\\\\",v=1\r\n\r\n# c\n", "m,a=1,a=2 v=1\n =,\n\"\n", "  m   v=1   2  \n\tm v=1", "m f=x=\"\nm v=1",
		"m a=1 \"\nm v=1", "m\\", "m,a=b", "m a=\"x\"y=\"\nm v=1 1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		input := bytes.Clone(body)
		batch, err := ParseLineProtocol(body, "", now)
		if !bytes.Equal(input, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if !errors.Is(err, ErrTooLarge) {
				t.Fatal(err)
			}
			return
		}
		if len(batch.Lines) != len(batch.Samples) {
			t.Fatalf("%d lines of %d samples", len(batch.Lines), len(batch.Samples))
		}
		last := 1 + bytes.Count(body, []byte{'\n'})
		for _, list := range [][]int{batch.Lines, numbers(batch.Bad), numbers(batch.Skipped)} {
			if !slices.IsSorted(list) || len(list) > 0 && (list[0] < 1 || list[len(list)-1] > last) {
				t.Fatalf("line numbers %v are out of order or of range 1 to %d", list, last)
			}
		}
		for _, s := range batch.Samples {
			if s.Validate() != nil || math.IsNaN(s.Value) {
				t.Fatalf("invalid sample %+v", s)
			}
		}
		want, ok := reference(input)
		if !ok || len(batch.Bad) > 0 && tooLong(batch.Bad) {
			return
		}
		clear(batch.Lines)
		want.Lines = make([]int, len(want.Samples))
		if len(batch.Bad) > 0 || describe(batch) != describe(want) {
			t.Fatalf("got %s%v, the library reads\n%s", describe(batch), batch.Bad, describe(want))
		}
	})
}

func tooLong(bad []LineError) bool {
	return slices.ContainsFunc(bad, func(e LineError) bool { return strings.Contains(e.Reason, "longer") })
}

func BenchmarkParseLineProtocol(b *testing.B) {
	body := []byte(strings.Repeat("cpu,server=mail-0001,device=cpu0 user=12.5,system=3.25,nice=0,idle=84.25 1772366400000000000\n", 15))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if batch, err := ParseLineProtocol(body, "", now); err != nil || len(batch.Samples) != 60 {
			b.Fatal(len(batch.Samples), err)
		}
	}
	b.ReportMetric(float64(b.N*60)/b.Elapsed().Seconds(), "samples/s")
}
