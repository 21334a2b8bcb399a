package imapd

import (
	"context"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// rights are a set of rights (RFC 4314 §2.1), a letter each, in the order of allRights.
type rights string

// allRights are those an owner has: lookup, read, keep \Seen, write flags, insert,
// post, create below, delete the mailbox, delete messages, expunge, administer.
const allRights rights = "lrswipkxtea"

// newRights reads rights as a command gives them. The obsolete c and d stand for those
// that took their place (RFC 4314 §2.1.1).
func newRights(s string) (rights, error) {
	s = strings.NewReplacer("c", "k", "d", "xte").Replace(s)
	for _, r := range s {
		if !strings.ContainsRune(string(allRights), r) {
			return "", wire.Bad("there is no right %q", r)
		}
	}
	return normal(s), nil
}

// normal puts rights in order, each once.
func normal(s string) rights {
	var b strings.Builder
	for _, r := range allRights {
		if strings.ContainsRune(s, r) {
			b.WriteRune(r)
		}
	}
	return rights(b.String())
}

func (r rights) has(some rights) bool {
	return !strings.ContainsFunc(string(some), func(c rune) bool { return !strings.ContainsRune(string(r), c) })
}

func (r rights) with(more rights) rights { return normal(string(r + more)) }

func (r rights) without(some rights) rights {
	return rights(strings.Map(func(c rune) rune {
		if strings.ContainsRune(string(some), c) {
			return -1
		}
		return c
	}, string(r)))
}

// need fails with NOPERM where rights are missing.
func (r rights) need(some rights) error {
	if r.has(some) {
		return nil
	}
	return refuse(imap.ResponseCodeNoPerm, "you may not do that in this mailbox")
}

// shown is how old clients see the rights too (RFC 4314 §2.1.1).
func (r rights) shown() string {
	s := string(r)
	if r.has("k") {
		s += "c"
	}
	if strings.ContainsAny(s, "xte") {
		s += "d"
	}
	return s
}

const anyone = "anyone"

// rightsOf are the rights somebody was given in another's mailbox.
func (s *session) rightsOf(ctx context.Context, p store.Place, who string) (rights, error) {
	if who == p.Account {
		return allRights, nil
	}
	grants, err := s.srv.store.Grants(ctx, p)
	if err != nil {
		return "", err
	}
	var given, taken rights
	for _, g := range grants {
		switch g.Who {
		case who, anyone:
			given = given.with(rights(g.Rights))
		case "-" + who, "-" + anyone:
			taken = taken.with(rights(g.Rights))
		}
	}
	return given.without(taken), nil
}

// identifier turns what a command names into what the store keeps: an address into
// its account's id.
func (s *session) identifier(name string) (string, error) {
	bare, negative := strings.CutPrefix(name, "-")
	if bare != anyone {
		a, ok := s.srv.accounts.Account(bare)
		if !ok {
			return "", refuse(imap.ResponseCodeNonExistent, "there is no such user")
		}
		bare = a.ID
	}
	if negative {
		return "-" + bare, nil
	}
	return bare, nil
}

// identified is the other way; ok is false for an account that is no more.
func (s *session) identified(who string) (name string, ok bool) {
	bare, negative := strings.CutPrefix(who, "-")
	if bare != anyone {
		a, found := s.srv.accounts.ByID(bare)
		if !found {
			return "", false
		}
		bare = a.Address
	}
	if negative {
		bare = "-" + bare
	}
	return bare, true
}

// setACL is RFC 4314 §3.1.
func (s *session) setACL(*call) error {
	name, who, err := s.nameAndIdentifier()
	if err != nil {
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	word, err := s.r.AString()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	change := byte(0)
	if word != "" && (word[0] == '+' || word[0] == '-') {
		change, word = word[0], word[1:]
	}
	some, err := newRights(word)
	if err != nil {
		return err
	}
	return s.grant(name, who, func(old rights) rights {
		switch change {
		case '+':
			return old.with(some)
		case '-':
			return old.without(some)
		}
		return some
	})
}

// deleteACL is RFC 4314 §3.2.
func (s *session) deleteACL(*call) error {
	name, who, err := s.nameAndIdentifier()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return s.grant(name, who, func(rights) rights { return "" })
}

func (s *session) nameAndIdentifier() (name, who string, err error) {
	if name, err = s.spaceName(); err != nil {
		return "", "", err
	}
	if err := s.r.Space(); err != nil {
		return "", "", err
	}
	who, err = s.r.AString()
	return name, who, err
}

func (s *session) grant(name, who string, change func(rights) rights) error {
	t, err := s.findWith(s.srv.ctx, name, "a")
	if err != nil {
		return err
	}
	id, err := s.identifier(who)
	if err != nil {
		return err
	}
	if id == t.place.Account || id == "-"+t.place.Account {
		return refuse(imap.ResponseCodeCannot, "an owner's rights are what they are")
	}
	grants, err := s.srv.store.Grants(s.srv.ctx, t.place)
	if err != nil {
		return err
	}
	var old rights
	if i := slices.IndexFunc(grants, func(g store.Grant) bool { return g.Who == id }); i >= 0 {
		old = rights(grants[i].Rights)
	}
	sorted := []byte(change(old))
	slices.Sort(sorted)
	return s.srv.store.SetGrant(s.srv.ctx, t.place, store.Grant{Who: id, Rights: string(sorted)})
}

// getACL is RFC 4314 §3.3.
func (s *session) getACL(*call) error {
	name, err := s.spaceName()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	t, err := s.findWith(s.srv.ctx, name, "a")
	if err != nil {
		return err
	}
	grants, err := s.srv.store.Grants(s.srv.ctx, t.place)
	if err != nil {
		return err
	}
	s.w.Raw("* ACL ").Mailbox(name)
	if owner, ok := s.identified(t.place.Account); ok {
		s.w.Space().AString(owner).Space().Raw(allRights.shown())
	}
	for _, g := range grants {
		if who, ok := s.identified(g.Who); ok && g.Who != t.place.Account {
			s.w.Space().AString(who).Space().AString(normal(g.Rights).shown())
		}
	}
	s.w.CRLF()
	return nil
}

// listRights is RFC 4314 §3.4.
func (s *session) listRights(*call) error {
	name, who, err := s.nameAndIdentifier()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	t, err := s.findWith(s.srv.ctx, name, "a")
	if err != nil {
		return err
	}
	id, err := s.identifier(who)
	if err != nil {
		return err
	}
	s.w.Raw("* LISTRIGHTS ").Mailbox(name).Space().AString(who)
	if id == t.place.Account {
		s.w.Space().Raw(allRights.shown())
	} else {
		s.w.Raw(` "" l r s w i p k x t e a c d`)
	}
	s.w.CRLF()
	return nil
}

// myRights is RFC 4314 §3.5.
func (s *session) myRights(*call) error {
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
	s.w.Raw("* MYRIGHTS ").Mailbox(name).Space().Raw(t.rights.shown()).CRLF()
	return nil
}
