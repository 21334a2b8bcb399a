package imapd

import (
	"cmp"
	"slices"
	"time"

	"mailfleet/mailnode/imapd/wire"
)

// threaded is what threading needs to know of a message.
type threaded struct {
	number     uint32 // as it is answered: a sequence number or a UID
	id         string // Message-ID
	references []string
	subject    string // base subject
	reply      bool   // the subject says that it is one
	date       time.Time
}

// node is a message in a thread, or one that is not there but is referred to.
type node struct {
	message  *threaded
	parent   *node
	children []*node
}

func (n *node) date() time.Time {
	switch {
	case n.message != nil:
		return n.message.date
	case len(n.children) > 0:
		return n.children[0].date()
	}
	return time.Time{}
}

func (n *node) number() uint32 {
	switch {
	case n.message != nil:
		return n.message.number
	case len(n.children) > 0:
		return n.children[0].number()
	}
	return 0
}

func byDate(a, b *node) int {
	if c := a.date().Compare(b.date()); c != 0 {
		return c
	}
	return cmp.Compare(a.number(), b.number())
}

// orderedSubject threads by subject alone (RFC 5256 §3, ORDEREDSUBJECT).
func orderedSubject(messages []threaded) []*node {
	slices.SortStableFunc(messages, func(a, b threaded) int {
		if c := a.date.Compare(b.date); c != 0 {
			return c
		}
		return cmp.Compare(a.number, b.number)
	})
	first := map[string]*node{}
	var roots []*node
	for i := range messages {
		m := &messages[i]
		n := &node{message: m}
		if root, ok := first[m.subject]; ok {
			root.children = append(root.children, n)
			continue
		}
		first[m.subject] = n
		roots = append(roots, n)
	}
	return roots
}

// references threads by who refers to whom (RFC 5256 §3, REFERENCES).
func references(messages []threaded) []*node {
	t := threader{byID: make(map[string]*node, len(messages))}
	for i := range messages {
		t.link(&messages[i])
	}
	roots := t.prune()
	sortSiblings(roots)
	roots = mergeSubjects(roots)
	sortSiblings(roots)
	return roots
}

type threader struct {
	byID map[string]*node
	all  []*node
}

func (t *threader) node(id string) *node {
	n, ok := t.byID[id]
	if !ok {
		n = &node{}
		t.byID[id] = n
		t.all = append(t.all, n)
	}
	return n
}

// link is step 1: the message under what it refers to.
func (t *threader) link(m *threaded) {
	var n *node
	if m.id != "" {
		n = t.node(m.id)
	}
	if n == nil || n.message != nil { // no id, or one that another has
		n = &node{}
		t.all = append(t.all, n)
	}
	n.message = m
	var parent *node
	for _, id := range m.references {
		child := t.node(id)
		if parent != nil && child.parent == nil && child != n && !below(parent, child) {
			t.adopt(parent, child)
		}
		parent = child
	}
	if n.parent != nil {
		t.disown(n)
	}
	if parent != nil && !below(parent, n) {
		t.adopt(parent, n)
	}
}

func (t *threader) adopt(parent, child *node) { child.parent = parent }
func (t *threader) disown(child *node)        { child.parent = nil }

// maxDepth bounds how far up the ancestors of a message are followed, so that
// references made to be costly cost no more than that each.
const maxDepth = 1000

// below reports whether n is root or below it, or too deep to tell.
func below(n, root *node) bool {
	for range maxDepth {
		if n == root {
			return true
		}
		if n = n.parent; n == nil {
			return false
		}
	}
	return true
}

// prune is steps 2 to 4: children get to their parents, messages that are not
// there give way to their children.
func (t *threader) prune() (roots []*node) {
	for _, n := range t.all {
		if n.parent != nil {
			n.parent.children = append(n.parent.children, n)
		}
	}
	for _, n := range t.all {
		if n.parent == nil {
			roots = append(roots, n)
		}
	}
	var kept []*node
	for _, n := range roots {
		n.children = lift(n.children)
		switch {
		case n.message != nil, len(n.children) > 1:
			kept = append(kept, n)
		case len(n.children) == 1:
			kept = append(kept, n.children[0])
		}
	}
	return kept
}

// lift puts the children of messages that are not there in their place.
func lift(children []*node) []*node {
	out := children[:0:0]
	for _, n := range children {
		n.children = lift(n.children)
		if n.message != nil {
			out = append(out, n)
		} else {
			out = append(out, n.children...)
		}
	}
	return out
}

// sortSiblings is step 6, from the leaves up.
func sortSiblings(nodes []*node) {
	for _, n := range nodes {
		sortSiblings(n.children)
	}
	slices.SortStableFunc(nodes, byDate)
}

// head is the message whose subject a thread has.
func (n *node) head() *threaded {
	if n.message == nil && len(n.children) > 0 {
		return n.children[0].message
	}
	return n.message
}

// mergeSubjects is step 5: threads of one subject become one.
func mergeSubjects(roots []*node) []*node {
	table := map[string]*node{}
	for _, n := range roots {
		h := n.head()
		if h == nil || h.subject == "" {
			continue
		}
		old, ok := table[h.subject]
		if !ok || old.message != nil && (n.message == nil || old.message.reply && !n.message.reply) {
			table[h.subject] = n
		}
	}
	out := roots[:0:0]
	replaced := map[*node]*node{}
	for _, n := range roots {
		h := n.head()
		if h == nil || h.subject == "" || table[h.subject] == n {
			out = append(out, n)
			continue
		}
		base := table[h.subject]
		if r, ok := replaced[base]; ok {
			base = r
		}
		switch {
		case base.message == nil && n.message == nil:
			base.children = append(base.children, n.children...)
		case base.message == nil, n.message != nil && n.message.reply && !base.message.reply:
			base.children = append(base.children, n)
		default: // both are of one rank: siblings below one that is not there
			both := &node{children: []*node{base, n}}
			replaced[table[h.subject]] = both
		}
	}
	for i, n := range out {
		if both, ok := replaced[n]; ok {
			out[i] = both
		}
	}
	return out
}

// writeThreads is RFC 5256 §4's thread-list.
func writeThreads(w *wire.Writer, roots []*node) {
	for _, n := range roots {
		w.Byte('(')
		writeThread(w, n)
		w.Byte(')')
	}
}

// writeThread writes a node and, below each other, those with one child.
func writeThread(w *wire.Writer, n *node) {
	for first := true; ; first = false {
		if n.message != nil {
			if !first {
				w.Space()
			}
			w.Num(uint64(n.message.number))
		}
		switch {
		case len(n.children) == 0:
			return
		case len(n.children) == 1 && n.message != nil:
			n = n.children[0]
			continue
		}
		if n.message != nil {
			w.Space()
		}
		writeThreads(w, n.children)
		return
	}
}
