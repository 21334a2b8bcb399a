package message

import (
	"testing"
	"time"
)

// dates are what ParseDate makes of them; "" for no date.
var dates = []struct{ in, want string }{
	{"Mon, 2 Jan 2006 15:04:05 +0800", "2006-01-02T15:04:05+08:00"},
	{"2 Jan 2006 15:04:05 -0500", "2006-01-02T15:04:05-05:00"},
	{"Mon, 02 Jan 2006 15:04 GMT", "2006-01-02T15:04:00Z"},
	{"Mon, 2 Jan 06 15:04:05 EST", "2006-01-02T15:04:05-05:00"},
	{"Mon, 2 Jan 99 15:04:05 PDT", "1999-01-02T15:04:05-07:00"},
	{"Mon, 2 Jan 106 15:04:05 UT", "2006-01-02T15:04:05Z"},
	{"Mon,2 Jan 2006 15:04:05+0800", "2006-01-02T15:04:05+08:00"},
	{"Mon, 2 Jan 2006 15:04:05 +0800 (CST)", "2006-01-02T15:04:05+08:00"},
	{"Mon, 2 Jan 2006 15:04:05 (comment) +0100", "2006-01-02T15:04:05+01:00"},
	{"Mon, 2 Jan 2006 15:04:05 +08:00", "2006-01-02T15:04:05+08:00"},
	{"Mon, 2 Jan 2006 15:04:05 GMT+0800", "2006-01-02T15:04:05+08:00"},
	{"Mon, 2 Jan 2006 15:04:05 Z", "2006-01-02T15:04:05Z"},
	{"Mon, 2 Jan 2006 15:04:05 A", "2006-01-02T15:04:05Z"},
	{"Mon, 2 Jan 2006 15:04:05", "2006-01-02T15:04:05Z"},
	{"Mon, 2 Jan 2006", "2006-01-02T00:00:00Z"},
	{"Mon Jan  2 15:04:05 2006", "2006-01-02T15:04:05Z"},
	{"Mon Jan  2 15:04:05 PST 2006", "2006-01-02T15:04:05-08:00"},
	{"Monday, January 2, 2006 3:04:05 PM", "2006-01-02T15:04:05Z"},
	{"2006-01-02T15:04:05Z", "2006-01-02T15:04:05Z"},
	{"2006-01-02T15:04:05+08:00", "2006-01-02T15:04:05+08:00"},
	{"2006-01-02 15:04:05 +0800", "2006-01-02T15:04:05+08:00"},
	{"02-Jan-2006 15:04:05 +0800", "2006-01-02T15:04:05+08:00"},
	{"Mon, 2 Jan 2006 15.04.05 +0800", "2006-01-02T15:04:05+08:00"},
	{"Mon, 2 Jan 2006 23:59:60 +0000", "2006-01-02T23:59:59Z"},
	{"Mon, 2 Jan 2006 12:04:05 am", "2006-01-02T00:04:05Z"},
	{"\t Mon,\t2 Jan 2006 15:04:05 +0800 ", "2006-01-02T15:04:05+08:00"},
	{"31 Feb 2006 15:04:05 +0000", ""},
	{"2 Jan 2006 25:04:05 +0000", ""},
	{"15:04:05", ""},
	{"Jan 2006", ""},
	{"yesterday", ""},
	{"", ""},
}

func TestDatesOfAllKinds(t *testing.T) {
	for _, tc := range dates {
		got, ok := ParseDate([]byte(tc.in))
		if s := got.Format(time.RFC3339); ok != (tc.want != "") || ok && s != tc.want {
			t.Errorf("%q: %s %v, want %s", tc.in, s, ok, tc.want)
		}
	}
}

func TestBaseSubjects(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		reply    bool
	}{
		{"Hello", "Hello", false},
		{"Re: Hello", "Hello", true},
		{"RE: re:  Hello  world ", "Hello world", true},
		{"Fwd: Hello", "Hello", true},
		{"fw: Hello (fwd)", "Hello", true},
		{"Re [2]: Hello", "Hello", true},
		{"[list] Re: Hello", "Hello", true},
		{"[list] Hello", "Hello", false},
		{"[list] [more] Re: [x] Hello", "Hello", true},
		{"[fwd: [list] Hello]", "Hello", true},
		{"[Fwd: Re: Hello] (fwd)", "Hello", true},
		{"[only a blob]", "[only a blob]", false},
		{"Re:", "", true},
		{"Re: [blob]", "[blob]", true},
		{"Regarding: x", "Regarding: x", false},
		{"回复: x", "回复: x", false},
		{"", "", false},
	} {
		if got, reply := BaseSubject(tc.in); got != tc.want || reply != tc.reply {
			t.Errorf("%q: %q %v, want %q %v", tc.in, got, reply, tc.want, tc.reply)
		}
	}
}
