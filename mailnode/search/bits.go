package search

import "math/bits"

// trailing is the number of the lowest bit that is set.
func trailing(b byte) int { return bits.TrailingZeros8(b) }

// set is a set of a segment's documents.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) add(doc int)      { s[doc/64] |= 1 << (doc % 64) }
func (s set) has(doc int) bool { return s[doc/64]&(1<<(doc%64)) != 0 }

// addDocs adds a list of documents of n.
func (s set) addDocs(b []byte, n int) {
	if len(b) == (n+7)/8 {
		for i, c := range b {
			s[i/8] |= uint64(c) << (i % 8 * 8)
		}
		return
	}
	for doc := range docsOf(b, n) {
		s.add(doc)
	}
}

func (s set) and(t set) {
	for i := range s {
		s[i] &= t[i]
	}
}

func (s set) or(t set) {
	for i := range s {
		s[i] |= t[i]
	}
}

func (s set) empty() bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}
