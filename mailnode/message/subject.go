package message

import "strings"

// BaseSubject is a subject without what replies and forwards add to it, and whether
// there was such (RFC 5256 §2.1). The subject is decoded.
func BaseSubject(subject string) (base string, reply bool) {
	s := strings.Join(strings.Fields(subject), " ")
	for {
		for {
			t, ok := cutTrailer(s)
			if !ok {
				break
			}
			s, reply = t, true
		}
		for {
			t, isReply, ok := cutLeader(s)
			if !ok {
				break
			}
			s, reply = t, reply || isReply
		}
		inner, ok := cutForward(s)
		if !ok {
			return s, reply
		}
		s, reply = inner, true
	}
}

// cutTrailer removes "(fwd)" at the end.
func cutTrailer(s string) (string, bool) {
	t := strings.TrimRight(s, " ")
	if n := len(t) - 5; n >= 0 && strings.EqualFold(t[n:], "(fwd)") {
		return strings.TrimRight(t[:n], " "), true
	}
	return s, false
}

// cutForward takes the inside of "[fwd: …]".
func cutForward(s string) (string, bool) {
	if len(s) >= 6 && strings.EqualFold(s[:5], "[fwd:") && s[len(s)-1] == ']' {
		return strings.TrimSpace(s[5 : len(s)-1]), true
	}
	return s, false
}

// cutLeader removes "re:", "fw[blob]:" or, when something remains after it, "[blob]"
// at the beginning.
func cutLeader(s string) (rest string, reply, ok bool) {
	s = strings.TrimLeft(s, " ")
	t := s
	for {
		after, isBlob := cutBlob(t)
		if !isBlob {
			break
		}
		t = after
	}
	for _, word := range []string{"re", "fwd", "fw"} {
		if len(t) < len(word) || !strings.EqualFold(t[:len(word)], word) {
			continue
		}
		after := strings.TrimLeft(t[len(word):], " ")
		if inner, isBlob := cutBlob(after); isBlob {
			after = inner
		}
		if after, isReply := strings.CutPrefix(after, ":"); isReply {
			return strings.TrimLeft(after, " "), true, true
		}
	}
	if after, isBlob := cutBlob(s); isBlob && after != "" {
		return after, false, true
	}
	return s, false, false
}

// cutBlob removes "[…]" and the blanks after it.
func cutBlob(s string) (string, bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	i := strings.IndexAny(s[1:], "[]")
	if i < 0 || s[1+i] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[i+2:], " "), true
}
