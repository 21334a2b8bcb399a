package imapd

import (
	"github.com/emersion/go-imap/v2"
)

// Quotas are those of an account: one root for each, named by the owner's address,
// "" for one's own (RFC 9208). They are set from the console, not here.

// getQuota is RFC 9208 §4.1.1.
func (s *session) getQuota(*call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	root, err := s.r.AString()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if root != "" {
		return refuse(imap.ResponseCodeNonExistent, "there is no such quota root")
	}
	return s.tellQuota("", s.user.ID)
}

// getQuotaRoot is RFC 9208 §4.1.2.
func (s *session) getQuotaRoot(*call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	t, err := s.find(s.srv.ctx, name)
	if err != nil {
		return err
	}
	root := ""
	if t.place.Account != s.user.ID {
		if !t.rights.has("r") {
			return t.rights.need("r")
		}
		owner, _ := s.srv.accounts.ByID(t.place.Account)
		root = owner.Address
	}
	s.w.Raw("* QUOTAROOT ").Mailbox(name).Space().AString(root).CRLF()
	return s.tellQuota(root, t.place.Account)
}

// tellQuota writes a QUOTA response. Storage is counted in units of 1,024 bytes.
func (s *session) tellQuota(root, account string) error {
	a, err := s.srv.store.Account(s.srv.ctx, account)
	if err != nil {
		return err
	}
	limit := s.srv.store.QuotaOf(account)
	s.w.Raw("* QUOTA ").AString(root).Raw(" (")
	if limit.Bytes > 0 {
		s.w.Raw("STORAGE ").Num(uint64(a.Usage.Bytes+1023) / 1024).Space().Num(uint64(limit.Bytes) / 1024)
	}
	if limit.Messages > 0 {
		if limit.Bytes > 0 {
			s.w.Space()
		}
		s.w.Raw("MESSAGE ").Num(uint64(a.Usage.Messages)).Space().Num(uint64(limit.Messages))
	}
	s.w.Raw(")\r\n")
	return nil
}

// setQuota is RFC 9208 §4.1.3, which nobody may here.
func (s *session) setQuota(*call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	if _, err := s.r.AString(); err != nil {
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	if err := s.r.List(func() error {
		_, err := s.r.AString()
		return err
	}); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return refuse(imap.ResponseCodeNoPerm, "quotas are set by the administrator")
}
