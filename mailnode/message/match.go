package message

import (
	"bytes"
	"errors"
)

// Matcher looks for needles in folded text as it is written to it.
type Matcher struct {
	needles []needle
	left    int // needles not found yet
}

type needle struct {
	text  []byte
	tail  []byte // the last bytes written, fewer than text has
	found bool
}

// errMatched ends the writing of text in which all is found.
var errMatched = errors.New("message: all is found")

// NewMatcher is a matcher of needles, which it folds. An empty one is in any text.
func NewMatcher(needles ...string) *Matcher {
	x := &Matcher{}
	for _, s := range needles {
		n := needle{text: []byte(Fold(s))}
		n.found = len(n.text) == 0
		if !n.found {
			x.left++
		}
		x.needles = append(x.needles, n)
	}
	return x
}

// Write implements io.Writer. It fails when everything is found.
func (x *Matcher) Write(b []byte) (int, error) {
	for i := range x.needles {
		if n := &x.needles[i]; !n.found && n.write(b) {
			n.found = true
			x.left--
		}
	}
	if x.left == 0 {
		return 0, errMatched
	}
	return len(b), nil
}

// write looks at the junction with what came before, then at b.
func (n *needle) write(b []byte) bool {
	keep := len(n.text) - 1
	if len(n.tail) > 0 {
		n.tail = append(n.tail, b[:min(keep, len(b))]...)
		if bytes.Contains(n.tail, n.text) {
			return true
		}
	}
	if bytes.Contains(b, n.text) {
		return true
	}
	if len(b) >= keep {
		n.tail = append(n.tail[:0], b[len(b)-keep:]...)
	} else if len(n.tail) == 0 {
		n.tail = append(n.tail, b...)
	} else if extra := len(n.tail) - keep; extra > 0 {
		n.tail = n.tail[:copy(n.tail, n.tail[extra:])]
	}
	return false
}

// Found tells for each needle whether it was found.
func (x *Matcher) Found() []bool {
	found := make([]bool, len(x.needles))
	for i := range x.needles {
		found[i] = x.needles[i].found
	}
	return found
}
