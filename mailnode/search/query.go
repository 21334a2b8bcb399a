package search

import (
	"context"
	"errors"
	"slices"
	"unicode/utf8"

	"mailfleet/mailnode/message"
)

// Query is what is looked for.
type Query struct {
	Scope  message.Scope // HeaderScope also for a single header field
	Needle string        // folded or not
}

// Answer says which messages can have the needle, by UID in ascending order. Those up
// to Through that are in neither list do not have it; of those after it nothing is
// known. Messages that are expunged may be named.
type Answer struct {
	Sure    []uint32 // these have it
	Maybe   []uint32 // these may have it
	Through uint32
}

// Candidates answers a query about a mailbox.
func (x *Index) Candidates(ctx context.Context, p Place, q Query) (Answer, error) {
	a, err := x.candidates(ctx, p, q)
	if errors.Is(err, errDamaged) {
		// The index says nothing, until it is made anew.
		x.log.Warn("an index is dropped", "account", p.Account, "mailbox", p.Mailbox, "err", err)
		err = x.Drop(ctx, p)
		x.Touch(p)
		return Answer{}, err
	}
	return a, err
}

func (x *Index) candidates(ctx context.Context, p Place, q Query) (a Answer, err error) {
	for range 3 {
		var h head
		if h, err = x.head(ctx, p); err != nil {
			return a, err
		}
		a = Answer{Through: h.through()}
		l := newLookup(q)
		for _, s := range h.segments {
			if err = x.look(ctx, p, s, l, &a); err != nil {
				break
			}
		}
		if !errors.Is(err, errDamaged) {
			return a, err
		}
		// Were segments joined meanwhile, a second look sees the new ones.
	}
	return Answer{}, err
}

// lookup is a query made ready.
type lookup struct {
	fields []field
	runs   []run
	whole  bool // the needle is one run
}

func newLookup(q Query) lookup {
	l := lookup{fields: []field{inBody, inHeader}}
	switch q.Scope {
	case message.BodyScope:
		l.fields = l.fields[:1]
	case message.HeaderScope:
		l.fields = l.fields[1:]
	}
	needle := []byte(message.Fold(q.Needle))
	if utf8.Valid(needle) {
		l.runs = runs(needle)
		l.whole = len(l.runs) == 1 && len(l.runs[0].text) == len(needle)
	}
	return l
}

// look asks one segment.
func (x *Index) look(ctx context.Context, p Place, s segment, l lookup, a *Answer) error {
	m, err := x.meta(ctx, p, s.id)
	if err != nil {
		return err
	}
	if s.old() {
		from, _ := slices.BinarySearch(m.uids, s.first)
		a.Maybe = append(a.Maybe, m.uids[from:]...)
		return nil
	}
	n := len(m.uids)
	sure, maybe := newSet(n), newSet(n)
	r := reader{x: x, ctx: ctx, p: p, segment: s, meta: &m, n: n}
	for _, f := range l.fields {
		if len(l.runs) == 0 {
			for doc := range n {
				maybe.add(doc)
			}
			break
		}
		// The needle stands in one field, so all its runs do.
		var all set
		for _, run := range l.runs {
			has, may := newSet(n), newSet(n)
			if err := r.run(f, run, has, may); err != nil {
				return err
			}
			if l.whole {
				sure.or(has)
				maybe.or(may)
				break
			}
			has.or(may)
			if all == nil {
				all = has
			} else {
				all.and(has)
			}
			if all.empty() {
				break
			}
		}
		if all != nil {
			maybe.or(all)
		}
	}
	for _, doc := range m.whole {
		maybe.add(int(doc))
	}
	for doc, uid := range m.uids {
		switch {
		case sure.has(doc):
			a.Sure = append(a.Sure, uid)
		case maybe.has(doc):
			a.Maybe = append(a.Maybe, uid)
		}
	}
	return nil
}

// reader looks into one segment.
type reader struct {
	x       *Index
	ctx     context.Context
	p       Place
	segment segment
	meta    *meta
	n       int
}

// run finds the documents of a field that have a run, and those that may have it.
func (r *reader) run(f field, run run, sure, maybe set) error {
	if run.class == ideogram {
		return r.ideograms(f, run.text, sure, maybe)
	}
	if len(run.text) <= maxWord {
		if err := r.words(f, run, sure); err != nil {
			return err
		}
		if !run.openLeft && !run.openRight {
			return nil // it is a word, and not a long one
		}
	}
	return r.trigrams(f, run.text, sure, maybe)
}

// words finds words that have the run in them, at the side where it ends.
func (r *reader) words(f field, run run, found set) error {
	pattern := slices.Clone(run.text)
	prefix := run.text
	if run.openLeft {
		prefix = nil
	} else {
		pattern = slices.Insert(pattern, 0, 0)
	}
	if !run.openRight {
		pattern = append(pattern, 0)
	}
	return r.find(f, words, prefix, pattern, found)
}

// ideograms finds texts that have all pairs of a run: the run itself when it is one
// or two characters.
func (r *reader) ideograms(f field, text []byte, sure, maybe set) error {
	var ends []int // of the characters
	for i := range string(text) {
		if i > 0 {
			ends = append(ends, i)
		}
	}
	ends = append(ends, len(text))
	if len(ends) <= 2 {
		return r.exact(f, ideograms, text, sure)
	}
	var pairs [][]byte
	from := 0
	for i := range len(ends) - 1 {
		pairs = append(pairs, text[from:ends[i+1]])
		from = ends[i]
	}
	return r.all(f, ideograms, pairs, maybe)
}

// trigrams finds long words that have all trigrams of a text.
func (r *reader) trigrams(f field, text []byte, sure, maybe set) error {
	switch {
	case len(text) < 3:
		return r.find(f, trigrams, nil, text, sure)
	case len(text) == 3:
		return r.exact(f, trigrams, text, sure)
	}
	var parts [][]byte
	for i := 0; i+3 <= len(text); i++ {
		parts = append(parts, text[i:i+3])
	}
	return r.all(f, trigrams, parts, maybe)
}

// all finds documents that have every one of the texts.
func (r *reader) all(f field, k kind, texts [][]byte, found set) error {
	var all set
	for _, text := range texts {
		one := newSet(r.n)
		if err := r.exact(f, k, text, one); err != nil {
			return err
		}
		if all == nil {
			all = one
		} else {
			all.and(one)
		}
		if all.empty() {
			return nil
		}
	}
	found.or(all)
	return nil
}

func (r *reader) exact(f field, k kind, text []byte, found set) error {
	pattern := make([]byte, 0, len(text)+2)
	pattern = append(append(append(pattern, 0), text...), 0)
	return r.find(f, k, text, pattern, found)
}

// find looks for a pattern in the blocks that can have texts which begin with prefix.
func (r *reader) find(f field, k kind, prefix, pattern []byte, found set) error {
	from, to := r.meta.within(f, k, prefix)
	return r.x.blocks(r.ctx, r.p, r.segment.id, from, to, func(b block) error {
		for docs := range b.find(pattern) {
			found.addDocs(docs, r.n)
		}
		return nil
	})
}
