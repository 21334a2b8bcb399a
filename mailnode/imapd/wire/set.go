package wire

import (
	"slices"
	"strconv"
)

// Range is a range of message numbers or UIDs, both ends included. As a command
// gives it, 0 is "*" and the ends may come in either order.
type Range struct{ Start, Stop uint32 }

// Set is a sequence set as a command gives it, or the saved result of a search
// (RFC 9051 §6.4.4.1).
type Set struct {
	Ranges []Range
	Saved  bool // "$"
}

// Set reads a sequence set.
func (r *Reader) Set() (Set, error) {
	if r.Take('$') {
		return Set{Saved: true}, nil
	}
	var s Set
	for {
		a, err := r.setNumber()
		if err != nil {
			return Set{}, err
		}
		b := a
		if r.Take(':') {
			if b, err = r.setNumber(); err != nil {
				return Set{}, err
			}
		}
		if err := r.remember(8); err != nil {
			return Set{}, err
		}
		s.Ranges = append(s.Ranges, Range{a, b})
		if !r.Take(',') {
			return s, nil
		}
	}
}

func (r *Reader) setNumber() (uint32, error) {
	if r.Take('*') {
		return 0, nil
	}
	n, err := r.Number()
	if err == nil && n == 0 {
		err = Bad("a message number is never 0")
	}
	return n, err
}

// Resolve puts the largest number in use for "*" and returns the ranges in order,
// apart from each other. With largest 0 there is nothing "*" can mean, and ranges
// that name it are left out.
func (s Set) Resolve(largest uint32) Ranges {
	var out Ranges
	for _, r := range s.Ranges {
		if r.Start == 0 {
			r.Start = largest
		}
		if r.Stop == 0 {
			r.Stop = largest
		}
		if r.Start > r.Stop {
			r.Start, r.Stop = r.Stop, r.Start
		}
		if r.Start != 0 {
			out = append(out, r)
		}
	}
	return Normalize(out)
}

// Ranges are ranges in order that neither touch nor overlap.
type Ranges []Range

// Normalize puts ranges, each with Start ≤ Stop, in order and joins them, in place.
func Normalize(rs []Range) Ranges {
	if len(rs) < 2 {
		return rs
	}
	if !slices.IsSortedFunc(rs, compareRanges) {
		slices.SortFunc(rs, compareRanges)
	}
	out := rs[:1]
	for _, r := range rs[1:] {
		last := &out[len(out)-1]
		if uint64(r.Start) <= uint64(last.Stop)+1 {
			last.Stop = max(last.Stop, r.Stop)
		} else {
			out = append(out, r)
		}
	}
	return out
}

func compareRanges(a, b Range) int {
	switch {
	case a.Start < b.Start:
		return -1
	case a.Start > b.Start:
		return 1
	}
	return 0
}

// Add appends a number that is larger than all in the set.
func (rs *Ranges) Add(n uint32) {
	if last := len(*rs) - 1; last >= 0 && (*rs)[last].Stop+1 == n {
		(*rs)[last].Stop = n
		return
	}
	*rs = append(*rs, Range{n, n})
}

// Contains reports whether n is in the set.
func (rs Ranges) Contains(n uint32) bool {
	_, found := slices.BinarySearchFunc(rs, n, func(r Range, n uint32) int {
		switch {
		case r.Stop < n:
			return -1
		case r.Start > n:
			return 1
		}
		return 0
	})
	return found
}

// Len is how many numbers are in the set.
func (rs Ranges) Len() (n int) {
	for _, r := range rs {
		n += int(r.Stop-r.Start) + 1
	}
	return n
}

// All yields the numbers in order.
func (rs Ranges) All(yield func(uint32) bool) {
	for _, r := range rs {
		for n := uint64(r.Start); n <= uint64(r.Stop); n++ {
			if !yield(uint32(n)) {
				return
			}
		}
	}
}

// Append appends the set as IMAP writes it.
func (rs Ranges) Append(b []byte) []byte {
	for i, r := range rs {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.Start), 10)
		if r.Stop != r.Start {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(r.Stop), 10)
		}
	}
	return b
}

func (rs Ranges) String() string { return string(rs.Append(nil)) }
