package milter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Message asks about a message that has come whole, and ends it.
func (s *Session) Message(ctx context.Context, m Message) Ruling {
	defer func() {
		for _, v := range s.visits {
			v.message, v.open = false, false
		}
	}()
	w := &work{fields: splitFields(m.Header), open: func() io.Reader { return bodyOf(m) }}
	r := s.each(func(v *visit) Ruling {
		if !v.want() {
			return Ruling{}
		}
		return v.wholeMessage(ctx, m.ID, w)
	})
	if r.Refusal == nil && !r.Discard {
		r.Changes = w.changes
	}
	return r
}

// bodyOf reads what follows the header and the empty line after it. A header that ends
// with a line that is none has no empty line.
func bodyOf(m Message) io.Reader {
	r := bufio.NewReader(m.Open())
	if _, err := r.Discard(len(m.Header)); err != nil {
		return strings.NewReader("")
	}
	if next, err := r.Peek(2); err == nil && string(next) == "\r\n" {
		_, _ = r.Discard(2) // they are there
	}
	return r
}

// work is the message as it is by now.
type work struct {
	fields  []string // whole, with their last line ends
	open    func() io.Reader
	changes Changes
}

// wholeMessage sends a message and takes the changes.
func (v *visit) wholeMessage(ctx context.Context, id string, w *work) Ruling {
	for _, step := range []func(context.Context, *work) (byte, []byte, error){v.data, v.header, v.body} {
		answer, text, err := step(ctx, w)
		if err != nil {
			return v.failed(ctx, err)
		}
		if answer != ansContinue {
			return v.ruling(ctx, false, cmdEnd, answer, text)
		}
	}
	defer v.link.within(ctx, v.MessageTimeout)()
	if err := v.link.macros(cmdEnd, "i", id); err != nil {
		return v.failed(ctx, err)
	}
	if err := v.link.send(cmdEnd); err != nil {
		return v.failed(ctx, err)
	}
	return v.take(ctx, w)
}

func (v *visit) data(ctx context.Context, _ *work) (byte, []byte, error) {
	if v.link.version < 4 || v.link.steps&noData != 0 {
		return ansContinue, nil, nil
	}
	return v.exchange(ctx, v.Timeout, noDataAnswer, cmdData)
}

func (v *visit) header(ctx context.Context, w *work) (byte, []byte, error) {
	if v.link.steps&noHeader == 0 {
		for _, f := range w.fields {
			name, value, ok := strings.Cut(f, ":")
			if !ok {
				continue
			}
			if v.link.steps&leadingSpace == 0 {
				value = strings.TrimPrefix(value, " ")
			}
			value = strings.ReplaceAll(strings.TrimSuffix(value, "\r\n"), "\r\n", "\n")
			answer, data, err := v.exchange(ctx, v.Timeout, noHeaderAnswer, cmdHeader, text(strings.TrimRight(name, " \t")), text(value))
			if err != nil || answer != ansContinue {
				return answer, data, err
			}
		}
	}
	if v.link.steps&noHeaderEnd != 0 {
		return ansContinue, nil, nil
	}
	return v.exchange(ctx, v.Timeout, noHeaderEndAnswer, cmdHeaderEnd)
}

func (v *visit) body(ctx context.Context, w *work) (byte, []byte, error) {
	if v.link.steps&noBody != 0 {
		return ansContinue, nil, nil
	}
	r := w.open()
	buf := make([]byte, maxChunk)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			answer, data, err := v.exchange(ctx, v.Timeout, noBodyAnswer, cmdBody, buf[:n])
			if err == nil && answer == ansSkip && v.link.steps&canSkip != 0 {
				return ansContinue, nil, nil
			}
			if err != nil || answer != ansContinue {
				return answer, data, err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return ansContinue, nil, nil
		}
		if err != nil {
			return 0, nil, fmt.Errorf("the message cannot be read: %w", err)
		}
	}
}

// take reads the changes and the last answer. A milter that is not accepted to its
// end has changed nothing.
func (v *visit) take(ctx context.Context, w *work) Ruling {
	var c Changes
	bytesLeft := maxHeaderText
	for range maxChanges {
		answer, data, err := v.link.receive()
		if err != nil {
			return v.failed(ctx, err)
		}
		if answer != ansBody {
			if bytesLeft -= len(data); bytesLeft < 0 {
				return v.failed(ctx, errors.New("it changes too much"))
			}
		} else if c.NewBody = true; len(c.Body)+len(data) > maxBody {
			return v.failed(ctx, errors.New("the body it sends is too large"))
		}
		known, err := c.note(answer, data)
		if err != nil {
			return v.failed(ctx, err)
		}
		if known {
			continue
		}
		r := v.ruling(ctx, false, cmdEnd, answer, data)
		if v.link != nil && r.Refusal == nil && !r.Discard {
			w.apply(c)
		}
		v.message, v.open = true, false
		return r
	}
	return v.failed(ctx, errors.New("it changes too much"))
}

// note takes a change; known is false when the answer is none.
func (c *Changes) note(answer byte, data []byte) (known bool, err error) {
	malformed := fmt.Errorf("its answer %q is malformed", answer)
	index := 0
	switch answer {
	case ansInsertField, ansChangeField:
		if len(data) < 4 {
			return true, malformed
		}
		n := binary.BigEndian.Uint32(data)
		if n > 1<<20 {
			n = 1 << 20
		}
		index, data = int(n), data[4:]
	}
	first, rest, ok := cutText(data)
	switch answer {
	case ansAddField, ansInsertField, ansChangeField:
		value, _, _ := cutText(rest)
		if !ok || !isFieldName(first) {
			return true, malformed
		}
		op := map[byte]HeaderOp{ansAddField: AppendField, ansInsertField: InsertField, ansChangeField: ReplaceField}[answer]
		if op == ReplaceField {
			index = max(index, 1)
		}
		c.Header = append(c.Header, HeaderChange{op, index, first, value})
	case ansAddRecipient, ansAddRecipientArgs:
		if first = path(first); first == "" {
			return true, malformed
		}
		c.Add = append(c.Add, first)
	case ansRemoveRecipient:
		c.Remove = append(c.Remove, path(first))
	case ansFrom:
		from := path(first)
		c.From = &from
	case ansBody:
		c.Body = append(c.Body, data...)
	case ansQuarantine:
		if c.Quarantine = first; first == "" {
			c.Quarantine = "a filter wants it"
		}
	default:
		return false, nil
	}
	return true, nil
}

func path(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") {
		s = s[1 : len(s)-1]
	}
	return s
}

func isFieldName(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == ':' {
			return false
		}
	}
	return s != ""
}

// apply makes the changes of one milter, for those that come after it.
func (w *work) apply(c Changes) {
	for _, h := range c.Header {
		w.change(h)
	}
	all := &w.changes
	all.Header = append(all.Header, c.Header...)
	all.Add = append(all.Add, c.Add...)
	all.Remove = append(all.Remove, c.Remove...)
	if c.Quarantine != "" {
		all.Quarantine = c.Quarantine
	}
	if c.From != nil {
		all.From = c.From
	}
	if c.NewBody {
		all.Body, all.NewBody = crlf(c.Body), true
		w.open = func() io.Reader { return bytes.NewReader(all.Body) }
	}
}

func (w *work) change(h HeaderChange) {
	field := h.Name + ": " + strings.ReplaceAll(strings.ReplaceAll(h.Value, "\r\n", "\n"), "\n", "\r\n") + "\r\n"
	at := len(w.fields)
	switch h.Op {
	case InsertField:
		at = min(h.Index, at)
	case ReplaceField:
		n := 0
		for i, f := range w.fields {
			name, _, _ := strings.Cut(f, ":")
			if !strings.EqualFold(strings.TrimRight(name, " \t"), h.Name) {
				continue
			}
			if n++; n == h.Index {
				if h.Value == "" {
					w.fields = append(w.fields[:i:i], w.fields[i+1:]...)
				} else {
					w.fields[i] = field
				}
				return
			}
		}
		if h.Value == "" {
			return
		}
	}
	w.fields = append(w.fields[:at:at], append([]string{field}, w.fields[at:]...)...)
}

// splitFields divides a header into its fields.
func splitFields(header []byte) (fields []string) {
	for line := range bytes.Lines(header) {
		if n := len(fields); n > 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[n-1] += string(line)
			continue
		}
		fields = append(fields, string(line))
	}
	return fields
}

// crlf gives each line the end that mail has: some milters write bare LF.
func crlf(b []byte) []byte {
	if bytes.Count(b, []byte("\n")) == bytes.Count(b, []byte("\r\n")) {
		return b
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}
