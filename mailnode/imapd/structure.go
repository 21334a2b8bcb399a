package imapd

import (
	"strings"

	"mailfleet/mailnode/message"
)

// bytesOrNil writes a string as it stands in a header, NIL for one that is absent.
func (s *session) bytesOrNil(b []byte) { s.w.NBytes(b) }

// writeEnvelope is RFC 9051 §7.5.2's ENVELOPE.
func (s *session) writeEnvelope(e *message.Envelope) {
	s.w.Byte('(')
	s.bytesOrNil(e.Date)
	s.w.Space()
	s.bytesOrNil(e.Subject)
	for _, list := range [][]message.Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		s.w.Space()
		s.writeAddresses(list)
	}
	s.w.Space()
	s.bytesOrNil(e.InReplyTo)
	s.w.Space()
	s.bytesOrNil(e.MessageID)
	s.w.Byte(')')
}

func (s *session) writeAddresses(list []message.Address) {
	if len(list) == 0 {
		s.w.Raw("NIL")
		return
	}
	s.w.Byte('(')
	for i := range list {
		a := &list[i]
		s.w.Byte('(')
		s.bytesOrNil(a.Name)
		s.w.Space()
		s.bytesOrNil(a.Route)
		s.w.Space()
		s.bytesOrNil(a.Mailbox)
		s.w.Space()
		s.bytesOrNil(a.Host)
		s.w.Byte(')')
	}
	s.w.Byte(')')
}

// writeStructure is RFC 9051 §7.5.2's BODYSTRUCTURE, and BODY, which has no extension
// data.
func (s *session) writeStructure(p *message.Part, extended bool) {
	s.w.Byte('(')
	if p.Multipart() {
		for _, part := range p.Parts {
			s.writeStructure(part, extended)
		}
		s.w.Space().String(p.Subtype)
		if extended {
			s.w.Space()
			s.writeParams(p.Params)
			s.writeExtension(p)
		}
	} else {
		s.writeLeaf(p, extended)
	}
	s.w.Byte(')')
}

func (s *session) writeLeaf(p *message.Part, extended bool) {
	s.w.String(p.Type).Space().String(p.Subtype).Space()
	s.writeParams(p.Params)
	s.w.Space()
	s.bytesOrNil(p.ID)
	s.w.Space()
	s.bytesOrNil(p.Description)
	s.w.Space().String(p.Encoding).Space().Num(uint64(p.Size()))
	switch {
	case p.Message != nil && p.Envelope != nil:
		s.w.Space()
		s.writeEnvelope(p.Envelope)
		s.w.Space()
		s.writeStructure(p.Message, extended)
		s.w.Space().Num(uint64(p.Lines))
	case strings.EqualFold(p.Type, "text"):
		s.w.Space().Num(uint64(p.Lines))
	}
	if extended {
		s.w.Space()
		s.bytesOrNil(p.MD5)
		s.writeExtension(p)
	}
}

func (s *session) writeParams(params []message.Param) {
	if len(params) == 0 {
		s.w.Raw("NIL")
		return
	}
	s.w.Byte('(')
	for i, p := range params {
		if i > 0 {
			s.w.Space()
		}
		s.w.String(p.Name).Space().String(p.Value)
	}
	s.w.Byte(')')
}

// writeExtension writes disposition, languages and location.
func (s *session) writeExtension(p *message.Part) {
	s.w.Space()
	if p.Disposition == "" {
		s.w.Raw("NIL")
	} else {
		s.w.Byte('(').String(p.Disposition).Space()
		s.writeParams(p.DispositionParams)
		s.w.Byte(')')
	}
	s.w.Space()
	switch len(p.Language) {
	case 0:
		s.w.Raw("NIL")
	case 1:
		s.w.String(p.Language[0])
	default:
		s.w.Byte('(')
		for i, l := range p.Language {
			if i > 0 {
				s.w.Space()
			}
			s.w.String(l)
		}
		s.w.Byte(')')
	}
	s.w.Space()
	s.bytesOrNil(p.Location)
}
