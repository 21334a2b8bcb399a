package imapd

import (
	"errors"
	"io"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// maxAppends bounds the messages of one APPEND.
const maxAppends = 1000

// arrival is a message that is being put into a mailbox.
type arrival struct {
	flags    store.Flags
	keywords []string
	date     time.Time
	offset   int64 // in the spool
	size     int64
}

// intake gathers the messages of an APPEND or REPLACE.
type intake struct {
	to    target
	spool spool
	list  []arrival
}

var errTooBig = refuse(imap.ResponseCodeTooBig, "the message is too large")

// append is APPEND (RFC 9051 §6.3.12) of one message or several (RFC 3502).
func (s *session) append(c *call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	in := &intake{spool: spool{dir: s.srv.spoolDir}}
	defer in.spool.close()
	if in.to, err = s.findTarget(s.srv.ctx, name); err != nil {
		return err
	}
	for {
		if len(in.list) == maxAppends {
			return refuse(imap.ResponseCodeLimit, "too many messages at once")
		}
		if err := s.arrive(in); err != nil {
			return err
		}
		if s.r.AtEnd() {
			break
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	receipts, err := s.srv.store.Append(s.srv.ctx, in.deliveries()...)
	if err != nil {
		return err
	}
	s.appended(c, receipts)
	return nil
}

// appended tells where messages went (RFC 9051 §7.1, APPENDUID).
func (s *session) appended(c *call, receipts []store.Receipt) {
	var uids wire.Ranges
	for _, r := range receipts {
		uids.Add(r.UID)
	}
	s.srv.Counters.Appended.Add(int64(len(receipts)))
	c.code = "APPENDUID " + number(uint64(receipts[0].UIDValidity)) + " " + uids.String()
}

func (in *intake) deliveries() []store.Delivery {
	all := make([]store.Delivery, 0, len(in.list))
	for _, a := range in.list {
		all = append(all, store.Delivery{
			Places: []store.Place{in.to.place}, Body: in.spool.section(a.offset, a.size), Size: a.size,
			Flags: a.flags, Keywords: a.keywords, Internal: a.date,
		})
	}
	return all
}

// arrive reads one message with what stands before it.
func (s *session) arrive(in *intake) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	a := arrival{offset: in.spool.size}
	var err error
	if s.r.Is('(') {
		if err := s.arriveFlags(in, &a); err != nil {
			return err
		}
		if err := s.r.Space(); err != nil {
			return err
		}
	}
	if s.r.Is('"') {
		if a.date, err = s.r.DateTime(); err != nil {
			return err
		}
		if err := s.r.Space(); err != nil {
			return err
		}
	}
	switch {
	case s.r.Is('{'), s.r.Is('~'):
		err = s.arriveLiteral(in)
	default:
		err = s.arriveParts(in)
	}
	if err != nil {
		return err
	}
	if a.size = in.spool.size - a.offset; a.size == 0 {
		return refuse("", "an empty message is not taken") // RFC 3502 §6.3.11
	}
	in.list = append(in.list, a)
	return nil
}

// arriveFlags reads flags and keeps those the user may give (RFC 4314 §4).
func (s *session) arriveFlags(in *intake, a *arrival) error {
	names, err := s.r.Flags(false)
	if err != nil {
		return err
	}
	if a.flags, a.keywords, err = parseFlags(names); err != nil {
		return err
	}
	may := (&box{target: in.to}).may()
	if a.flags &= may; !may.Has(store.Draft) {
		a.keywords = nil
	}
	return nil
}

// messageBytes is the largest message that the user may add; 0: any.
func (s *session) messageBytes() int64 {
	server, own := s.set.MessageBytes, s.user.MessageBytes
	if own > 0 && (server == 0 || own < server) {
		return own
	}
	return server
}

// mayTake fails when n bytes more would not be taken. It is asked before the peer
// gets leave to send them.
func (s *session) mayTake(in *intake, n int64) error {
	start := int64(0) // of the message that arrives now
	for _, a := range in.list {
		start = a.offset + a.size
	}
	if most := s.messageBytes(); most > 0 && n > most-(in.spool.size-start) {
		return errTooBig
	}
	total := in.spool.size + n
	if err := s.srv.store.Room(total); err != nil {
		return err
	}
	return s.srv.store.CanTake(in.to.place.Account, int64(len(in.list))+1, total)
}

func (s *session) arriveLiteral(in *intake) error {
	l, err := s.r.LiteralHead()
	if err != nil {
		return err
	}
	if err := s.mayTake(in, l.Size); err != nil {
		return err
	}
	from, err := s.r.Body(l)
	if err != nil {
		return err
	}
	_, err = in.spool.ReadFrom(from)
	return err
}

// arriveParts reads UTF8 (~{…}) (RFC 6855 §4) or CATENATE (…) (RFC 4469).
func (s *session) arriveParts(in *intake) error {
	word, err := s.r.Word()
	if err != nil {
		return err
	}
	if word != "UTF8" && word != "CATENATE" {
		return wire.Bad("a message is missing")
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	if word == "UTF8" {
		if err := s.r.Want('('); err != nil {
			return err
		}
		if err := s.arriveLiteral(in); err != nil {
			return err
		}
		return s.r.Want(')')
	}
	return s.r.List(func() error {
		word, err := s.r.Word()
		if err != nil {
			return err
		}
		if err := s.r.Space(); err != nil {
			return err
		}
		switch word {
		case "TEXT":
			return s.arriveLiteral(in)
		case "URL":
			url, err := s.r.AString()
			if err != nil {
				return err
			}
			return s.arriveURL(in, url)
		}
		return wire.Bad("CATENATE has no part %.40s", word)
	})
}

// arriveURL copies a part of a message that is there already.
func (s *session) arriveURL(in *intake, name string) error {
	part, size, err := s.openURL(name)
	if err != nil {
		return err
	}
	if err := s.mayTake(in, size); err != nil {
		return err
	}
	_, err = in.spool.ReadFrom(part)
	return err
}

// openURL opens what a URL names.
func (s *session) openURL(name string) (part io.Reader, size int64, err error) {
	bad := refuse(imap.ResponseCode("BADURL "+quoteURL(name)), "there is no such part")
	u, ok := parseURL(name)
	if !ok {
		return nil, 0, bad
	}
	item, ok := u.item()
	if !ok {
		return nil, 0, bad
	}
	var t target
	switch {
	case u.mailbox != "":
		mailbox, err := s.decodeName(u.mailbox)
		if err != nil {
			return nil, 0, bad
		}
		t, err = s.findWith(s.srv.ctx, mailbox, "r")
		if err != nil {
			return nil, 0, bad
		}
	case s.box != nil:
		t = s.box.target
	default:
		return nil, 0, bad
	}
	if u.uidValidity != 0 && u.uidValidity != t.UIDValidity {
		return nil, 0, bad
	}
	for m, err := range s.srv.store.Messages(s.srv.ctx, t.place, []uint32{u.uid}, true) {
		if err != nil {
			return nil, 0, err
		}
		part, size, err := openSection(s.srv.store.ReaderAt(m), &m, item)
		if errors.Is(err, errNoPart) {
			return nil, 0, bad
		}
		return part, size, err
	}
	return nil, 0, bad
}

// quoteURL repeats a URL in a response code, as far as it can be.
func quoteURL(name string) string {
	clean := make([]byte, 0, len(name))
	for i := range min(len(name), 200) {
		if c := name[i]; c > ' ' && c < 0x7f && c != ']' && c != '"' && c != '\\' {
			clean = append(clean, c)
		}
	}
	return `"` + string(clean) + `"`
}

// replace is RFC 8508: a message is put in the place of another, in one change.
func (s *session) replace(c *call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	n, err := s.r.Number()
	if err != nil {
		return err
	}
	seqs, err := s.seqs(s.box.told, wire.Set{Ranges: []wire.Range{{Start: n, Stop: n}}}, c.uid)
	if err != nil || n == 0 || len(seqs) == 0 {
		return refuse(imap.ResponseCodeNonExistent, "there is no such message")
	}
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	b := s.box
	if b.readOnly {
		return refuse(imap.ResponseCodeNoPerm, "the mailbox is open for reading only")
	}
	if err := b.rights.need("te"); err != nil {
		return err
	}
	in := &intake{spool: spool{dir: s.srv.spoolDir}}
	defer in.spool.close()
	if in.to, err = s.findTarget(s.srv.ctx, name); err != nil {
		return err
	}
	if err := s.arrive(in); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	d := in.deliveries()
	d[0].Replaces = store.Replaced{Place: b.place, UID: uidsOf(b.told, seqs)[0]}
	receipts, err := s.srv.store.Append(s.srv.ctx, d...)
	if err != nil {
		return err
	}
	s.appended(c, receipts)
	s.untagged(c.code, "replaced") // before the old one is told to be gone (RFC 8508 §3.3)
	s.srv.Counters.Expunged.Add(1)
	c.code = ""
	return nil
}
