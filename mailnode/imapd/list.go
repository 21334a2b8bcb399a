package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/store"
)

// listing is a LIST (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154).
type listing struct {
	reference string
	patterns  []string
	imap.ListOptions
	extended bool
	status   statusItems
	rights   bool // RFC 8440
	lsub     bool
}

// entry is a mailbox to be listed, or a name.
type entry struct {
	name       string
	mailbox    *store.Mailbox // nil for a name without a mailbox
	rights     rights
	children   bool
	subscribed bool
	below      bool // something below it is subscribed
	above      bool // no mailbox, but the way to some
}

// list is RFC 9051 §6.3.9.
func (s *session) list(c *call) error {
	l, err := s.readList()
	if err != nil {
		return err
	}
	if !l.extended && l.patterns[0] == "" { // what is the delimiter?
		s.w.Raw("* LIST (\\Noselect) \"/\" \"\"\r\n")
		return nil
	}
	return s.doList(c, l)
}

// lsub is RFC 3501 §6.3.9.
func (s *session) lsub(c *call) error {
	l := &listing{lsub: true}
	l.SelectSubscribed = true
	if err := s.r.Space(); err != nil {
		return err
	}
	var err error
	if l.reference, err = s.mailboxName(); err != nil {
		return err
	}
	if err := s.r.Space(); err != nil {
		return err
	}
	if err := s.readPattern(l); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return s.doList(c, l)
}

func (s *session) readList() (*listing, error) {
	l := &listing{}
	if err := s.r.Space(); err != nil {
		return nil, err
	}
	if s.r.Is('(') {
		l.extended = true
		if err := s.listSelection(l); err != nil {
			return nil, err
		}
		if err := s.r.Space(); err != nil {
			return nil, err
		}
	}
	var err error
	if l.reference, err = s.mailboxName(); err != nil {
		return nil, err
	}
	if err := s.r.Space(); err != nil {
		return nil, err
	}
	if s.r.Is('(') {
		l.extended = true
	}
	if err := s.r.OneOrList(func() error { return s.readPattern(l) }); err != nil {
		return nil, err
	}
	if len(l.patterns) == 0 {
		return nil, wire.Bad("LIST needs a pattern")
	}
	if s.r.Take(' ') {
		l.extended = true
		if err := s.wantWord("RETURN"); err != nil {
			return nil, err
		}
		if err := s.r.Space(); err != nil {
			return nil, err
		}
		if err := s.listReturn(l); err != nil {
			return nil, err
		}
	}
	return l, s.end()
}

const maxPatterns = 100

func (s *session) readPattern(l *listing) error {
	p, err := s.r.ListMailbox()
	if err != nil {
		return err
	}
	if len(p) > 2000 || len(l.patterns) == maxPatterns {
		return refuse(imap.ResponseCodeLimit, "the pattern is too long")
	}
	if p, err = s.decodeName(p); err != nil {
		return err
	}
	l.patterns = append(l.patterns, p)
	return nil
}

func (s *session) listSelection(l *listing) error {
	err := s.r.List(func() error {
		word, err := s.r.Word()
		if err != nil {
			return err
		}
		switch word {
		case "SUBSCRIBED":
			l.SelectSubscribed, l.ReturnSubscribed = true, true
		case "REMOTE":
			l.SelectRemote = true
		case "RECURSIVEMATCH":
			l.SelectRecursiveMatch = true
		case "SPECIAL-USE":
			l.SelectSpecialUse, l.ReturnSpecialUse = true, true
		default:
			return wire.Bad("LIST has no selection option %.40s", word)
		}
		return nil
	})
	if err == nil && l.SelectRecursiveMatch && !l.SelectSubscribed && !l.SelectSpecialUse {
		err = wire.Bad("RECURSIVEMATCH needs another option")
	}
	return err
}

func (s *session) listReturn(l *listing) error {
	return s.r.List(func() error {
		word, err := s.r.Word()
		if err != nil {
			return err
		}
		switch word {
		case "SUBSCRIBED":
			l.ReturnSubscribed = true
		case "CHILDREN":
			l.ReturnChildren = true
		case "SPECIAL-USE":
			l.ReturnSpecialUse = true
		case "MYRIGHTS":
			l.rights = true
		case "STATUS":
			if err := s.r.Space(); err != nil {
				return err
			}
			l.status, err = s.readStatusItems()
			return err
		default:
			return wire.Bad("LIST has no return option %.40s", word)
		}
		return nil
	})
}

// doList lists. Names in the answer come in the order of the store, own ones first.
func (s *session) doList(c *call, l *listing) error {
	all, err := s.entries(l)
	if err != nil {
		return err
	}
	patterns := make([]pattern, 0, len(l.patterns))
	for _, p := range l.patterns {
		patterns = append(patterns, newPattern(l.reference, p))
	}
	matches := func(name string) bool {
		return slices.ContainsFunc(patterns, func(p pattern) bool { return p.match(name) })
	}
	if l.SelectRecursiveMatch || l.lsub {
		all = markBelow(all, l, matches)
	}
	for i := range all {
		e := &all[i]
		if !matches(e.name) || !l.selects(e) {
			continue
		}
		s.tellEntry(l, e)
	}
	return nil
}

// selects reports whether the selection options let an entry in.
func (l *listing) selects(e *entry) bool {
	if l.SelectSubscribed || l.SelectSpecialUse {
		return e.below || l.wanted(e)
	}
	return e.mailbox != nil || e.above
}

// wanted is selects without regard to what is below.
func (l *listing) wanted(e *entry) bool {
	return (!l.SelectSubscribed || e.subscribed) && (!l.SelectSpecialUse || e.mailbox != nil && e.mailbox.Use != "")
}

// markBelow marks the names that stand for something wanted below them. LSUB
// wants those only whose child does not match itself, and adds names of which there is
// nothing else (RFC 3501 §6.3.9).
func markBelow(all []entry, l *listing, matches func(string) bool) []entry {
	index := map[string]int{}
	for i, e := range all {
		index[e.name] = i
	}
	for _, e := range all {
		if !l.wanted(&e) || l.lsub && matches(e.name) {
			continue
		}
		for at := strings.LastIndexByte(e.name, delimiter); at > 0; at = strings.LastIndexByte(e.name[:at], delimiter) {
			parent := e.name[:at]
			if i, ok := index[parent]; ok {
				all[i].below = true
			} else if matches(parent) {
				index[parent] = len(all)
				all = append(all, entry{name: parent, below: true, children: true})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return all
}

// entries are all mailboxes the user may know of, and what is subscribed to.
func (s *session) entries(l *listing) ([]entry, error) {
	boxes, err := s.srv.store.Mailboxes(s.srv.ctx, s.user.ID)
	if err != nil {
		return nil, err
	}
	if len(boxes) == 0 {
		t, err := s.firstInbox(s.srv.ctx)
		if err != nil {
			return nil, err
		}
		boxes = append(boxes, t.Mailbox)
	}
	all := make([]entry, 0, len(boxes))
	for i := range boxes {
		all = append(all, entry{name: boxes[i].Name, mailbox: &boxes[i], rights: allRights})
	}
	shared, err := s.sharedEntries()
	if err != nil {
		return nil, err
	}
	all = append(append(all, parentsOf(shared)...), shared...)
	if l.SelectSubscribed || l.ReturnSubscribed {
		if all, err = s.markSubscribed(all); err != nil {
			return nil, err
		}
	}
	markChildren(all)
	return all, nil
}

// sharedEntries are the mailboxes of others in which the user has the right l.
func (s *session) sharedEntries() ([]entry, error) {
	var shares []store.Share
	for _, who := range []string{s.user.ID, anyone} {
		some, err := s.srv.store.Shares(s.srv.ctx, who)
		if err != nil {
			return nil, err
		}
		shares = append(shares, some...)
	}
	seen := map[store.Place]bool{}
	var all []entry
	for _, share := range shares {
		if share.Account == s.user.ID || seen[share.Place] {
			continue
		}
		seen[share.Place] = true
		owner, ok := s.srv.accounts.ByID(share.Account)
		if !ok {
			continue
		}
		have, err := s.rightsOf(s.srv.ctx, share.Place, s.user.ID)
		if err != nil {
			return nil, err
		}
		if !have.has("l") {
			continue
		}
		box, err := s.srv.store.Status(s.srv.ctx, share.Place)
		if err != nil {
			continue // it went meanwhile
		}
		all = append(all, entry{name: others + owner.Address + string(delimiter) + box.Name, mailbox: &box, rights: have})
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// parentsOf are the names above the mailboxes of others that are no mailboxes the user
// may know of: without them nobody would come down to these level by level.
func parentsOf(shared []entry) (parents []entry) {
	known := map[string]bool{}
	for _, e := range shared {
		known[e.name] = true
	}
	for _, e := range shared {
		for i := range len(e.name) {
			if e.name[i] == delimiter && !known[e.name[:i]] {
				known[e.name[:i]] = true
				parents = append(parents, entry{name: e.name[:i], above: true})
			}
		}
	}
	return parents
}

func (s *session) markSubscribed(all []entry) ([]entry, error) {
	names, err := s.srv.store.Subscriptions(s.srv.ctx, s.user.ID)
	if err != nil {
		return nil, err
	}
	index := map[string]int{}
	for i, e := range all {
		index[e.name] = i
	}
	for _, name := range names {
		if i, ok := index[name]; ok {
			all[i].subscribed = true
		} else {
			all = append(all, entry{name: name, subscribed: true})
		}
	}
	return all, nil
}

// markChildren marks what has mailboxes below it.
func markChildren(all []entry) {
	parents := map[string]bool{}
	for _, e := range all {
		if e.mailbox == nil {
			continue
		}
		for at := strings.LastIndexByte(e.name, delimiter); at > 0; at = strings.LastIndexByte(e.name[:at], delimiter) {
			if parents[e.name[:at]] {
				break
			}
			parents[e.name[:at]] = true
		}
	}
	for i := range all {
		all[i].children = all[i].children || parents[all[i].name]
	}
}

// tellEntry writes a LIST or LSUB response, and the STATUS that was asked for.
func (s *session) tellEntry(l *listing, e *entry) {
	word := "LIST"
	if l.lsub {
		word = "LSUB"
	}
	s.w.Raw("* ").Raw(word).Space().List(l.attributes(e)).Raw(` "/" `).Mailbox(e.name)
	if l.SelectRecursiveMatch && e.below && !l.lsub {
		s.w.Raw(` ("CHILDINFO" ("SUBSCRIBED"))`)
	}
	s.w.CRLF()
	if e.mailbox == nil || e.mailbox.NoSelect {
		return
	}
	if l.status != 0 && e.rights.has("r") {
		s.tellStatus(e.name, e.mailbox, l.status)
	}
	if l.rights {
		s.w.Raw("* MYRIGHTS ").Mailbox(e.name).Space().Raw(e.rights.shown()).CRLF()
	}
}

func (l *listing) attributes(e *entry) (attrs []string) {
	add := func(a imap.MailboxAttr) { attrs = append(attrs, string(a)) }
	if l.lsub {
		if !e.subscribed || e.mailbox != nil && e.mailbox.NoSelect {
			add(imap.MailboxAttrNoSelect)
		}
		return attrs
	}
	switch {
	case e.above, e.mailbox != nil && e.mailbox.NoSelect:
		add(imap.MailboxAttrNoSelect)
	case e.mailbox == nil:
		add(imap.MailboxAttrNonExistent)
	}
	if e.children {
		add(imap.MailboxAttrHasChildren)
	} else {
		add(imap.MailboxAttrHasNoChildren)
	}
	if e.subscribed && l.ReturnSubscribed {
		add(imap.MailboxAttrSubscribed)
	}
	if e.mailbox != nil && e.mailbox.Use != "" {
		attrs = append(attrs, e.mailbox.Use)
	}
	return attrs
}
