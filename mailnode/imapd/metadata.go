package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

const (
	maxEntry       = 255      // bytes of an entry's name
	maxEntries     = 100      // entries of one command
	maxAnnotations = 1000     // entries at one place
	maxAnnotation  = 64 << 10 // bytes of a value
)

// Entries below /shared belong to the mailbox, those below /private to the user. The
// server's own entries ("") are those of the account (RFC 5464).

// getMetadata is RFC 5464 §4.2.
func (s *session) getMetadata(c *call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	var depth string
	maxSize := int64(-1)
	options := func() error {
		word, err := s.r.Word()
		if err != nil {
			return err
		}
		if err := s.r.Space(); err != nil {
			return err
		}
		switch word {
		case "MAXSIZE":
			n, err := s.r.Number64()
			maxSize = int64(n)
			return err
		case "DEPTH":
			if depth, err = s.r.Word(); err == nil && depth != "0" && depth != "1" && depth != "INFINITY" {
				err = wire.Bad("DEPTH is 0, 1 or infinity")
			}
			return err
		}
		return wire.Bad("GETMETADATA has no option %.40s", word)
	}
	given := s.r.Is('(')
	if given {
		if err := s.r.List(options); err != nil {
			return err
		}
		if err := s.r.Space(); err != nil {
			return err
		}
	}
	name, err := s.mailboxName()
	if err != nil {
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	var wanted []string
	if !given && s.r.Is('(') { // the options may come behind the mailbox too, as older clients put them
		return s.getMetadataEntries(c, name, depth, &maxSize, wanted, options)
	}
	if err := s.r.OneOrList(func() error { return s.readEntry(&wanted) }); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return s.tellMetadata(c, name, wanted, depth, maxSize)
}

// getMetadataEntries reads "(options) entries" or "(entries)".
func (s *session) getMetadataEntries(c *call, name, depth string, maxSize *int64, wanted []string, options func() error) error {
	if err := s.r.Want('('); err != nil {
		return err
	}
	isEntry := s.r.Is('/') || s.r.Is('"') || s.r.Is('{')
	for {
		var err error
		if isEntry {
			err = s.readEntry(&wanted)
		} else {
			err = options()
		}
		if err != nil {
			return err
		}
		if s.r.Take(')') {
			break
		}
		if err := s.r.Space(); err != nil {
			return err
		}
	}
	if !isEntry {
		if err := s.r.Space(); err != nil {
			return err
		}
		if err := s.r.OneOrList(func() error { return s.readEntry(&wanted) }); err != nil {
			return err
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	return s.tellMetadata(c, name, wanted, depth, *maxSize)
}

func (s *session) readEntry(into *[]string) error {
	entry, err := s.r.AString()
	if err != nil {
		return err
	}
	if len(*into) == maxEntries {
		return refuse(imap.ResponseCodeTooMany, "too many entries at once")
	}
	entry = strings.ToLower(entry)
	if err := checkEntry(entry); err != nil {
		return err
	}
	*into = append(*into, entry)
	return nil
}

// checkEntry is RFC 5464 §3.1.
func checkEntry(entry string) error {
	if len(entry) > maxEntry || !strings.HasPrefix(entry, "/private/") && entry != "/private" && !strings.HasPrefix(entry, "/shared/") && entry != "/shared" ||
		strings.HasSuffix(entry, "/") || strings.Contains(entry, "//") || strings.ContainsFunc(entry, func(c rune) bool { return c < ' ' || c >= 0x7f || c == '*' || c == '%' }) {
		return wire.Bad("%.60q is not the name of an entry", entry)
	}
	return nil
}

// annotated finds where the entries of a mailbox are; need is for those of another's.
func (s *session) annotated(name string, need rights) (store.Place, error) {
	if name == "" {
		return store.Place{Account: s.user.ID}, nil
	}
	t, err := s.find(s.srv.ctx, name)
	if err != nil {
		return store.Place{}, err
	}
	return t.place, t.rights.need(need)
}

func (s *session) annotations(p store.Place, shared bool) store.Annotations {
	if shared {
		return store.Annotations{Place: p}
	}
	return store.Annotations{Place: p, Owner: s.user.ID}
}

func (s *session) tellMetadata(c *call, name string, wanted []string, depth string, maxSize int64) error {
	p, err := s.annotated(name, "r")
	if err != nil {
		return err
	}
	found := map[string][]byte{}
	for _, shared := range []bool{false, true} {
		entries, err := s.srv.store.Annotations(s.srv.ctx, s.annotations(p, shared))
		if err != nil {
			return err
		}
		for entry, value := range entries {
			if slices.ContainsFunc(wanted, func(w string) bool { return within(entry, w, depth) }) {
				found[entry] = value
			}
		}
	}
	names := make([]string, 0, len(found))
	longest := int64(0)
	for entry, value := range found {
		if n := int64(len(value)); maxSize >= 0 && n > maxSize {
			longest = max(longest, n)
			continue
		}
		names = append(names, entry)
	}
	slices.Sort(names)
	if depth == "" || depth == "0" { // what was asked for and is not there has no value
		for _, w := range wanted {
			if _, ok := found[w]; !ok && !slices.Contains(names, w) {
				names = append(names, w)
			}
		}
	}
	if longest > 0 {
		c.code = "METADATA LONGENTRIES " + number(uint64(longest))
	}
	if len(names) == 0 {
		return nil
	}
	s.w.Raw("* METADATA ").Mailbox(name).Raw(" (")
	for i, entry := range names {
		if i > 0 {
			s.w.Space()
		}
		value, ok := found[entry]
		s.w.AString(entry).Space()
		if ok && strings.IndexByte(string(value), 0) >= 0 {
			s.w.Byte('~').Literal(int64(len(value))).Raw(string(value))
		} else {
			s.w.NString(string(value), ok)
		}
	}
	s.w.Raw(")\r\n")
	return nil
}

// within reports whether an entry is the one that is asked for, or as far below it
// as is asked for.
func within(entry, wanted, depth string) bool {
	if entry == wanted {
		return true
	}
	rest, below := strings.CutPrefix(entry, wanted+"/")
	return below && (depth == "INFINITY" || depth == "1" && !strings.Contains(rest, "/"))
}

// setMetadata is RFC 5464 §4.3.
func (s *session) setMetadata(*call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	change := map[string][]byte{}
	if err := s.r.List(func() error {
		var entry []string
		if err := s.readEntry(&entry); err != nil {
			return err
		}
		if err := s.r.Space(); err != nil {
			return err
		}
		value, ok, err := s.r.NString()
		if err != nil {
			return err
		}
		if len(change) == maxEntries {
			return refuse(imap.ResponseCodeTooMany, "too many entries at once")
		}
		if entry[0] == "/private" || entry[0] == "/shared" {
			return wire.Bad("%q has no value", entry[0])
		}
		change[entry[0]] = nil
		if ok {
			change[entry[0]] = append([]byte{}, value...)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return s.annotate(name, change)
}

func (s *session) annotate(name string, change map[string][]byte) error {
	private, shared := map[string][]byte{}, map[string][]byte{}
	for entry, value := range change {
		if len(value) > maxAnnotation {
			return refuse(imap.ResponseCode("METADATA MAXSIZE "+number(maxAnnotation)), "the value is too long")
		}
		if strings.HasPrefix(entry, "/shared/") {
			shared[entry] = value
		} else {
			private[entry] = value
		}
	}
	need := rights("r")
	if len(shared) > 0 {
		need = "rw"
	}
	p, err := s.annotated(name, need)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		entries map[string][]byte
		at      store.Annotations
	}{{private, s.annotations(p, false)}, {shared, s.annotations(p, true)}} {
		if len(part.entries) == 0 {
			continue
		}
		have, err := s.srv.store.Annotations(s.srv.ctx, part.at)
		if err != nil {
			return err
		}
		n := len(have)
		for entry, value := range part.entries {
			if _, ok := have[entry]; !ok && value != nil {
				n++
			}
		}
		if n > maxAnnotations {
			return refuse("METADATA TOOMANY", "there are too many entries")
		}
		if err := s.srv.store.Annotate(s.srv.ctx, part.at, part.entries); err != nil {
			return err
		}
	}
	return nil
}
