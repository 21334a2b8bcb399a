package store

import "strings"

// Flags is a set of a message's flags: the system flags below (RFC 9051 §2.3.2) and,
// from bit FirstKeyword on, the keywords of its mailbox in the order of
// Mailbox.Keywords.
type Flags uint64

// The system flags.
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

const (
	// FirstKeyword is the bit of a mailbox's first keyword.
	FirstKeyword = 5
	// MaxKeywords is how many different keywords a mailbox can have in use.
	MaxKeywords = 64 - FirstKeyword
	// MaxKeyword is how long a keyword may be, in bytes.
	MaxKeyword = 255
	// SystemFlags are all of them.
	SystemFlags = Seen | Answered | Flagged | Deleted | Draft
)

// Has tells whether all flags of f are set.
func (s Flags) Has(f Flags) bool { return s&f == f }

// Keywords lists the keywords of the set; table is its Mailbox's Keywords.
func (s Flags) Keywords(table []string) []string {
	var list []string
	for i, word := range table {
		if word != "" && s&keywordBit(i) != 0 {
			list = append(list, word)
		}
	}
	return list
}

func keywordBit(slot int) Flags { return 1 << (FirstKeyword + slot) }

// keywordSlot finds a keyword in a mailbox's table. Case does not matter
// (RFC 9051 §2.3.2).
func keywordSlot(table []string, word string) int {
	for i, w := range table {
		if strings.EqualFold(w, word) {
			return i
		}
	}
	return -1
}

// KeywordFlag is the bit of a keyword in a mailbox's table, 0 when the mailbox
// does not have it.
func KeywordFlag(table []string, word string) Flags {
	if word == "" {
		return 0
	}
	if i := keywordSlot(table, word); i >= 0 {
		return keywordBit(i)
	}
	return 0
}
