package message

import (
	"strconv"
	"strings"
	"time"
)

// ParseDate reads a date as mail has them: RFC 5322 §3.3 with its obsolete forms,
// asctime's, ISO 8601, and with parts missing (no time: midnight; no zone: UTC).
// Without day, month and year it is no date, and ok is false.
func ParseDate(value []byte) (t time.Time, ok bool) {
	d := dateParser{day: -1, month: -1, year: -1}
	words := strings.FieldsFunc(string(value[:min(len(value), 200)]), func(r rune) bool {
		return r == ' ' || r == '\t' || r == ',' || r == '\r' || r == '\n'
	})
	for _, w := range words {
		if w[0] == '(' && d.zoned {
			break
		}
		d.word(strings.Trim(w, "();"))
	}
	return d.time()
}

type dateParser struct {
	day, month, year  int
	hour, minute, sec int
	timed, zoned      bool
	offset            int // seconds east of UTC
}

func (d *dateParser) time() (time.Time, bool) {
	if d.day < 1 || d.month < 1 || d.year < 0 || d.hour > 23 || d.minute > 59 || d.sec > 60 {
		return time.Time{}, false
	}
	zone := time.UTC
	if d.offset != 0 {
		zone = time.FixedZone("", d.offset)
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, min(d.sec, 59), 0, zone)
	return t, t.Day() == d.day
}

// word takes one word of the date.
func (d *dateParser) word(w string) {
	switch {
	case w == "":
	case w[0] == '+' || w[0] == '-' && d.timed:
		d.zone(w)
	case len(w) > 10 && w[4] == '-' && (w[10] == 'T' || w[10] == 't'): // ISO 8601
		d.number(w[:10])
		d.clock(w[11:])
	case strings.ContainsRune(w, ':') || !d.timed && d.year >= 0 && strings.Count(w, ".") == 2:
		d.clock(w)
	case w[0] >= '0' && w[0] <= '9':
		d.number(w)
	default:
		d.name(w)
	}
}

// number takes a day, a year, or a date written with dashes.
func (d *dateParser) number(w string) {
	if a, b, ok := strings.Cut(w, "-"); ok {
		b, c, _ := strings.Cut(b, "-")
		if len(a) == 4 { // 2006-01-02
			a, c = c, a
		}
		d.day, d.year = digits(a), fullYear(c)
		if d.month = digits(b); d.month < 0 {
			d.month = monthOf(b)
		}
		return
	}
	n := digits(w)
	switch {
	case n < 0:
	case d.day < 0 && len(w) <= 2:
		d.day = n
	case d.year < 0:
		d.year = fullYear(w)
	}
}

// fullYear completes a year of two or three digits (RFC 5322 §4.3).
func fullYear(w string) int {
	y := digits(w)
	switch {
	case y < 0 || len(w) > 4 || len(w) < 2:
		return -1
	case len(w) == 2 && y < 50:
		return y + 2000
	case len(w) <= 3:
		return y + 1900
	}
	return y
}

// digits is a number of at most 9 digits, -1 when w is none.
func digits(w string) int {
	n, err := strconv.ParseUint(w, 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}

// clock takes a time of day, with a zone after it or not.
func (d *dateParser) clock(w string) {
	if i := strings.IndexAny(w, "+-Zz"); i > 0 {
		d.clock(w[:i])
		d.zone(w[i:])
		return
	}
	if d.timed {
		return
	}
	w, _, _ = strings.Cut(strings.ReplaceAll(w, ".", ":"), ",")
	parts := strings.SplitN(w, ":", 4)
	values := [3]int{}
	for i := range min(3, len(parts)) {
		if values[i] = digits(parts[i]); values[i] < 0 {
			return
		}
	}
	d.hour, d.minute, d.sec, d.timed = values[0], values[1], values[2], true
}

// zone takes a numeric zone: +hhmm, +hh:mm, +hh.
func (d *dateParser) zone(w string) {
	if d.zoned {
		return
	}
	if w == "Z" || w == "z" {
		d.zoned = true
		return
	}
	n := strings.ReplaceAll(w[1:], ":", "")
	if len(n) <= 2 {
		n += "00"
	}
	v := digits(n)
	if v < 0 || v%100 > 59 || v/100 > 24 {
		return
	}
	d.offset, d.zoned = (v/100*60+v%100)*60, true
	if w[0] == '-' {
		d.offset = -d.offset
	}
}

// zones are the obsolete names (RFC 5322 §4.3) and some that are used; in hours.
var zones = map[string]int{
	"ut": 0, "utc": 0, "gmt": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5,
	"mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "cet": 1, "cest": 2, "met": 1, "mest": 2,
	"eet": 2, "eest": 3, "wet": 0, "west": 1, "bst": 1, "msk": 3, "hkt": 8, "jst": 9, "kst": 9,
}

// name takes a month, a zone, a half of the day; week days say nothing.
func (d *dateParser) name(w string) {
	if m := monthOf(w); m > 0 && d.month < 0 {
		d.month = m
		return
	}
	w = strings.ToLower(w)
	switch {
	case !d.timed:
	case w == "pm" && d.hour < 12:
		d.hour += 12
	case w == "am" && d.hour == 12:
		d.hour = 0
	}
	base, sign := w, ""
	if i := strings.IndexAny(w, "+-"); i > 0 {
		base, sign = w[:i], w[i:]
	}
	if h, ok := zones[base]; ok && !d.zoned && d.timed {
		if sign != "" {
			d.zone(sign)
			return
		}
		d.offset, d.zoned = h*3600, true
	}
}

// monthOf is the number of a month's English name, 0 when it is none.
func monthOf(w string) int {
	if len(w) < 3 {
		return 0
	}
	i := strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(w[:3]))
	if i < 0 || i%3 != 0 {
		return 0
	}
	return i/3 + 1
}
