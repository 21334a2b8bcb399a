package wire

import (
	"strings"
	"time"
)

// DateTime reads a date with time and zone, quoted: "17-Jul-1996 02:44:25 -0700".
func (r *Reader) DateTime() (time.Time, error) {
	s, err := r.quoted()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", s)
	if err != nil || len(s) > 26 || t.Year() < 1 {
		return time.Time{}, Bad("%q is not a date with time", shorten(s))
	}
	return t, nil
}

// Date reads a date, quoted or not: 17-Jul-1996. Its time is midnight UTC.
func (r *Reader) Date() (time.Time, error) {
	s, err := r.AString()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse("2-Jan-2006", strings.TrimPrefix(s, "0"))
	if err != nil {
		return time.Time{}, Bad("%q is not a date", shorten(s))
	}
	return t, nil
}

// AppendDateTime appends t as IMAP writes it, in quotes.
func AppendDateTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.AppendFormat(b, "02-Jan-2006 15:04:05 -0700")
	return append(b, '"')
}

// shorten bounds what of a peer's words is repeated in an answer.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
