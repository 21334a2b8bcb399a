package imapd

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
)

// messageURL names a message, or a part of one, on this server (RFC 5092).
type messageURL struct {
	mailbox     string // "" is the selected one
	uidValidity uint32 // 0 when it is not said
	uid         uint32
	section     string // as in BODY[section]
	partial     *imap.SectionPartial
}

// parseURL reads "/mailbox;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.100", a
// relative URL of a message, with or without "imap://user@host" before it.
func parseURL(s string) (messageURL, bool) {
	var u messageURL
	if rest, ok := cutPrefixFold(s, "imap://"); ok {
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return u, false
		}
		s = rest[slash:]
	}
	if strings.Contains(s, "://") {
		return u, false
	}
	at := indexFold(s, "/;UID=")
	switch {
	case at >= 0:
		if !u.parseMailbox(strings.TrimPrefix(s[:at], "/")) {
			return u, false
		}
		s = s[at+len("/;UID="):]
	default:
		rest, ok := cutPrefixFold(s, ";UID=")
		if !ok {
			return u, false
		}
		s = rest
	}
	parts := strings.Split(s, "/;")
	n, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil || n == 0 {
		return u, false
	}
	u.uid = uint32(n)
	for _, part := range parts[1:] {
		if !u.parsePart(part) {
			return u, false
		}
	}
	return u, true
}

func (u *messageURL) parseMailbox(s string) bool {
	name, validity, found := s, "", false
	if at := indexFold(s, ";UIDVALIDITY="); at >= 0 {
		name, validity, found = s[:at], s[at+len(";UIDVALIDITY="):], true
	}
	if found {
		n, err := strconv.ParseUint(validity, 10, 32)
		if err != nil || n == 0 {
			return false
		}
		u.uidValidity = uint32(n)
	}
	var err error
	u.mailbox, err = url.PathUnescape(name)
	return err == nil && (u.mailbox != "" || !found)
}

func (u *messageURL) parsePart(s string) bool {
	if rest, ok := cutPrefixFold(s, "SECTION="); ok {
		section, err := url.PathUnescape(rest)
		u.section = section
		return err == nil
	}
	rest, ok := cutPrefixFold(s, "PARTIAL=")
	if !ok {
		return false
	}
	from, size, bounded := strings.Cut(rest, ".")
	offset, err := strconv.ParseUint(from, 10, 63)
	u.partial = &imap.SectionPartial{Offset: int64(offset), Size: 1<<63 - 1 - int64(offset)}
	if err == nil && bounded {
		var n uint64
		n, err = strconv.ParseUint(size, 10, 63)
		u.partial.Size = int64(n)
	}
	return err == nil
}

// item is the URL's part of the message as FETCH asks for it.
func (u messageURL) item() (*imap.FetchItemBodySection, bool) {
	r := wire.NewReader(strings.NewReader("BODY.PEEK[" + u.section + "]\r\n"))
	r.Limits = strangerLimits
	f, err := r.Fetch()
	if err != nil || len(f.Sections) != 1 || r.End() != nil {
		return nil, false
	}
	item := f.Sections[0].Body
	item.Partial = u.partial
	return item, true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func indexFold(s, part string) int {
	return strings.Index(strings.ToUpper(s), part)
}
