package imapd

import (
	"context"
	"errors"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/store"
)

// answers are the store's errors in the words of RFC 9051 §7.1 (and RFC 9208 for
// OVERQUOTA).
var answers = []struct {
	err  error
	code imap.ResponseCode
	text string
}{
	{store.ErrQuota, imap.ResponseCodeOverQuota, "the quota is reached"},
	{store.ErrNoMailbox, imap.ResponseCodeNonExistent, "there is no such mailbox"},
	{store.ErrNoAccount, imap.ResponseCodeNonExistent, "there is no such account"},
	{store.ErrNoMessage, imap.ResponseCodeNonExistent, "there is no such message"},
	{store.ErrExists, imap.ResponseCodeAlreadyExists, "there is such a mailbox already"},
	{store.ErrName, imap.ResponseCodeCannot, "this cannot be the name of a mailbox"},
	{store.ErrUse, "USEATTR", "that special use cannot be given"},
	{store.ErrKeyword, imap.ResponseCodeLimit, "the mailbox takes no further keyword"},
	{store.ErrTooMany, imap.ResponseCodeLimit, "there are too many of them"},
	{store.ErrExhausted, imap.ResponseCodeLimit, "the mailbox has no UID left"},
	{store.ErrFull, imap.ResponseCodeUnavailable, "there is not enough disk space now, try again later"},
	{store.ErrDamaged, imap.ResponseCodeCorruption, "the message is damaged on disk"},
	{context.Canceled, imap.ResponseCodeUnavailable, "the server is stopping, try again later"},
}

// explain says why a command failed that was in order. What the peer cannot know
// by itself goes into the log.
func (s *session) explain(c *call, err error) (code, text string) {
	for _, a := range answers {
		if errors.Is(err, a.err) {
			if errors.Is(err, store.ErrDamaged) {
				s.log().Error("a message is damaged", "command", c.name, "error", err)
			}
			return string(a.code), a.text
		}
	}
	s.log().Error("a command failed", "command", c.name, "error", err)
	return string(imap.ResponseCodeServerBug), "the server has a problem, try again later"
}
