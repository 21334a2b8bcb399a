package imapd

import (
	"slices"
	"strconv"
	"strings"

	"mailfleet/mailnode/imapd/wire"
)

// offered is what can be used by everybody.
var offered = []string{
	"IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE",
}

// offeredUsers is what can be used after sign-in.
var offeredUsers = []string{
	"IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN", "SPECIAL-USE", "CREATE-SPECIAL-USE",
	"LIST-EXTENDED", "LIST-STATUS", "STATUS=SIZE", "ESEARCH", "SEARCHRES", "SORT", "SORT=DISPLAY", "ESORT",
	"THREAD=REFERENCES", "THREAD=ORDEREDSUBJECT", "CONDSTORE", "QRESYNC", "QUOTA", "QUOTA=RES-STORAGE",
	"QUOTA=RES-MESSAGE", "ACL", "RIGHTS=ektx", "LIST-MYRIGHTS", "METADATA", "BINARY", "CATENATE", "MULTIAPPEND",
	"NOTIFY", "OBJECTID", "PREVIEW", "REPLACE", "SAVEDATE", "WITHIN", "PARTIAL", "UTF8=ACCEPT",
	"UNAUTHENTICATE", "INPROGRESS",
}

// capabilityList is RFC 9051 §7.2.2.
func (s *session) capabilityList() string {
	caps := slices.Clone(offered)
	if s.user != nil {
		caps = append(caps, offeredUsers...)
		if most := s.messageBytes(); most > 0 {
			caps = append(caps, "APPENDLIMIT="+strconv.FormatInt(most, 10))
		}
		if !s.compressed {
			caps = append(caps, "COMPRESS=DEFLATE")
		}
		return strings.Join(caps, " ")
	}
	if s.set.TLS != nil && !s.secure {
		caps = append(caps, "STARTTLS")
	}
	if !s.mayAuthenticate() {
		caps = append(caps, "LOGINDISABLED")
	}
	for _, name := range s.srv.auth.Mechanisms(s.who()) {
		caps = append(caps, "AUTH="+name)
	}
	return strings.Join(caps, " ")
}

func (s *session) capabilities() { s.w.Raw(s.capabilityList()) }

func (s *session) capability(*call) error {
	if err := s.end(); err != nil {
		return err
	}
	s.w.Raw("* CAPABILITY ")
	s.capabilities()
	s.w.CRLF()
	return nil
}

// noop is NOOP and CHECK: who asks whether something has happened is told, also of a mailbox
// that must be read for that.
func (s *session) noop(*call) error {
	if err := s.end(); err != nil {
		return err
	}
	return s.ready()
}

func (s *session) logout(c *call) error {
	if err := s.end(); err != nil {
		return err
	}
	s.bye("", "good-bye")
	s.tagged(c, "OK", "", "")
	return errAnswered
}

// maxIDPairs is RFC 2971 §3.3's bound.
const maxIDPairs = 30

// id is RFC 2971. What the client says of itself is logged, no more.
func (s *session) id(*call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	var said []any
	if s.r.Is('(') {
		key := ""
		n := 0
		err := s.r.List(func() error {
			if n++; n > 2*maxIDPairs {
				return wire.Bad("ID takes %d pairs", maxIDPairs)
			}
			value, _, err := s.r.NString()
			if n%2 == 1 {
				key = value
			} else if len(key) <= 30 && len(value) <= 1024 {
				said = append(said, "id_"+strings.ToLower(key), value)
			}
			return err
		})
		if err != nil {
			return err
		}
	} else if _, _, err := s.r.NString(); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if len(said) > 0 {
		s.log().Debug("the client says who it is", said...)
	}
	s.w.Raw("* ID (\"name\" \"Mailfleet\" \"vendor\" \"Mailfleet\")\r\n")
	return nil
}

// enable is RFC 5161.
func (s *session) enable(*call) error {
	var on []string
	for {
		if err := s.r.Space(); err != nil {
			return err
		}
		word, err := s.r.Word()
		if err != nil {
			return err
		}
		switch word {
		case "CONDSTORE":
			s.condstore = true
		case "QRESYNC": // RFC 7162 §3.2.3
			s.condstore, s.qresync = true, true
		case "IMAP4REV2":
			word = "IMAP4rev2"
			s.rev2, s.w.UTF8 = true, true
		case "UTF8=ACCEPT":
			s.utf8, s.w.UTF8 = true, true
		default:
			word = ""
		}
		if word != "" && !slices.Contains(on, word) {
			on = append(on, word)
		}
		if s.r.AtEnd() {
			break
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	s.w.Raw("* ENABLED")
	for _, word := range on {
		s.w.Space().Raw(word)
	}
	s.w.CRLF()
	return nil
}
