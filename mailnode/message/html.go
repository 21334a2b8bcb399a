package message

import (
	"bytes"
	"html"
)

// htmlStage makes text of HTML: tags go, blocks become lines, character references
// characters; scripts and styles are no text. It is forgiving, as browsers are: what
// is no tag is text.
type htmlStage struct {
	state htmlState
	name  []byte // of the tag, lower case, as much of it as matters
	quote byte   // that the attribute's value ends with
	match int    // bytes matched of what ends a comment or a script
	until string // what ends a script, "</script"
	ref   []byte // a character reference, from its &
}

type htmlState int

const (
	htmlText    htmlState = iota
	htmlOpen              // after <
	htmlName              // in a tag's name
	htmlTag               // in the rest of a tag
	htmlComment           // until -->
	htmlRaw               // in a script or style
	htmlRef               // in a character reference
)

const (
	maxTagName   = 16
	maxReference = 32
)

func (h *htmlStage) decode(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch h.state {
		case htmlText:
			n := bytes.IndexAny(src[i:], "<&")
			if n < 0 {
				return append(dst, src[i:]...)
			}
			dst = append(dst, src[i:i+n]...)
			i += n
			if src[i] == '<' {
				h.state, h.name = htmlOpen, h.name[:0]
			} else {
				h.state, h.ref = htmlRef, append(h.ref[:0], '&')
			}
		case htmlOpen:
			if lower(c) < 'a' || lower(c) > 'z' {
				if c != '/' && c != '!' && c != '?' {
					dst = append(dst, '<')
					h.state = htmlText
					i--
					continue
				}
			}
			h.state = htmlName
			i--
		case htmlName:
			i = h.tagName(src, i)
			if h.state == htmlText {
				dst = h.tag(dst)
			}
		case htmlTag:
			if h.quote != 0 {
				if n := bytes.IndexByte(src[i:], h.quote); n >= 0 {
					i += n
					h.quote = 0
				} else {
					i = len(src)
				}
				continue
			}
			switch c {
			case '"', '\'':
				h.quote = c
			case '>':
				dst = h.tag(dst)
			}
		case htmlComment:
			h.match = advance("-->", h.match, c)
			if h.match == len("-->") {
				h.state = htmlText
			}
		case htmlRaw:
			h.match = advance(h.until, h.match, lower(c))
			if h.match == len(h.until) {
				h.state, h.name = htmlTag, append(h.name[:0], '/')
			}
		case htmlRef:
			if refByte(c) && len(h.ref) < maxReference {
				h.ref = append(h.ref, c)
				continue
			}
			dst = h.reference(dst, c == ';')
			if c != ';' {
				i--
			}
		}
	}
	return dst
}

func (h *htmlStage) finish(dst []byte) []byte {
	if h.state == htmlRef {
		dst = h.reference(dst, false)
	}
	if h.state == htmlOpen {
		dst = append(dst, '<')
	}
	return dst
}

// tagName collects a tag's name. It returns the last byte it took.
func (h *htmlStage) tagName(src []byte, i int) int {
	c := lower(src[i])
	if c == '>' {
		h.state = htmlText
		return i
	}
	if c <= ' ' || c == '/' && len(h.name) > 0 {
		h.state, h.quote = htmlTag, 0
		return i
	}
	if len(h.name) < maxTagName {
		h.name = append(h.name, c)
	}
	if string(h.name) == "!--" {
		h.state, h.match = htmlComment, 2 // <!--> is a comment
	}
	return i
}

// tag ends a tag.
func (h *htmlStage) tag(dst []byte) []byte {
	h.state = htmlText
	name := h.name
	if len(name) > 0 && name[0] == '/' {
		name = name[1:]
	} else if s := string(name); s == "script" || s == "style" || s == "title" {
		h.state, h.until, h.match = htmlRaw, "</"+s, 0
	}
	switch string(name) {
	case "address", "blockquote", "br", "center", "dd", "div", "dl", "dt", "form", "h1", "h2", "h3", "h4", "h5", "h6",
		"hr", "li", "ol", "option", "p", "pre", "table", "tr", "ul", "body", "section", "article", "header", "footer":
		return append(dst, '\n')
	case "td", "th", "img":
		return append(dst, ' ')
	}
	return dst
}

// reference ends a character reference.
func (h *htmlStage) reference(dst []byte, ended bool) []byte {
	h.state = htmlText
	if ended {
		h.ref = append(h.ref, ';')
	}
	if string(h.ref) == "&nbsp;" {
		return append(dst, ' ')
	}
	return append(dst, html.UnescapeString(string(h.ref))...)
}

func refByte(c byte) bool {
	return c == '#' || '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'z'
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// advance is how much of the word is matched after one more byte. The words it is
// used with begin again only with their first byte, or have it twice.
func advance(word string, n int, c byte) int {
	for {
		if word[n] == c {
			return n + 1
		}
		switch {
		case n == 0:
			return 0
		case word == "-->" && n == 2 && c == '-':
			return 2
		default:
			n = 0
		}
	}
}
