package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Encoding is how a message's characters are sent.
type Encoding string

// The encodings.
const (
	GSM7 Encoding = "gsm7" // the GSM 7-bit default alphabet and its extension (3GPP TS 23.038 §6.2.1)
	UCS2 Encoding = "ucs2" // UTF-16, big endian (3GPP TS 23.038 §6.2.3)
)

// MaxParts is the most parts a message is sent in: 1,530 septets or 670 units.
const MaxParts = 10

// The GSM 7-bit alphabet. A character of the extension takes two septets, the
// escape and itself.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ" +
		" !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// cost is how many septets or units a character takes.
func (e Encoding) cost(r rune) int {
	if e == GSM7 && strings.ContainsRune(gsmExtension, r) || e == UCS2 && r > 0xffff {
		return 2
	}
	return 1
}

// Encode returns the encoding a text needs and the number of parts it is sent
// in. An empty text is one part. No part ends within a character: an escape is
// not parted from what it escapes, nor one half of a surrogate pair from the other.
func Encode(text string) (Encoding, int) {
	e := encodingOf(text)
	l := layout{encoding: e}
	for _, r := range text {
		l.add(r)
	}
	return e, l.parts()
}

// Truncate cuts a text that needs more parts than limit after the last
// character that leaves room for an ellipsis: "…" in UCS-2, "..." in GSM 7-bit.
func Truncate(text string, limit int) string {
	e := encodingOf(text)
	ellipsis := "…"
	if e == GSM7 {
		ellipsis = "..."
	}
	l, end := layout{encoding: e}, 0
	for i, r := range text {
		cut := l
		for _, dot := range ellipsis {
			cut.add(dot)
		}
		if cut.parts() <= limit {
			end = i
		}
		if l.add(r); l.parts() > limit {
			return text[:end] + ellipsis
		}
	}
	return text
}

// layout is a text laid out in parts, as far as it has been added.
type layout struct {
	encoding   Encoding
	total      int // septets or units in all
	full, used int // parts before the last, septets or units in the last
}

func (l *layout) add(r rune) {
	_, part := l.encoding.room()
	cost := l.encoding.cost(r)
	l.total += cost
	if l.used+cost > part {
		l.full, l.used = l.full+1, 0
	}
	l.used += cost
}

func (l *layout) parts() int {
	if single, _ := l.encoding.room(); l.total <= single {
		return 1
	}
	return l.full + 1
}

// room is what one message, and each part of a longer one, holds: a concatenated
// part gives six octets to its header (3GPP TS 23.040 §9.2.3.24.1).
func (e Encoding) room() (single, part int) {
	if e == GSM7 {
		return 160, 153
	}
	return 70, 67
}

func encodingOf(text string) Encoding {
	for _, r := range text {
		if !strings.ContainsRune(gsmBasic, r) && !strings.ContainsRune(gsmExtension, r) {
			return UCS2
		}
	}
	return GSM7
}

// Clean makes a text fit to be sent: line ends become \n, what is neither
// printable nor a line end becomes a space, and blanks at both ends go.
func Clean(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return ' '
	}, text))
}
