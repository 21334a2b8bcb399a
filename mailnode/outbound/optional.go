package outbound

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// prefersDelivery tells that the sender wants the message delivered rather than private:
// its header says TLS-Required: No (RFC 8689 §3). Who asked for REQUIRETLS did not mean it.
func (m *Message) prefersDelivery() bool {
	return !m.RequireTLS && tlsNotRequired(m.Open())
}

// relax takes back what the recipient's domain wants (RFC 8689 §5), which is then not
// counted either: TLS is used where it works.
func (p *policy) relax() {
	*p = policy{mode: Opportunistic, names: p.names[:1], relaxed: true}
}

// tlsNotRequired looks for TLS-Required in the header of a message. More than one of them
// say nothing.
func tlsNotRequired(r io.Reader) bool {
	const most = 1 << 20
	in := bufio.NewReaderSize(io.LimitReader(r, most), replyLine)
	found, whole, value := 0, true, ""
	for {
		line, err := in.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		switch {
		case whole && len(bytes.TrimRight(line, "\r\n")) == 0, err != nil && !full:
			return found == 1 && strings.EqualFold(strings.TrimSpace(value), "no")
		case whole:
			if name, v, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("TLS-Required")) {
				found, value = found+1, string(v)
			}
		}
		whole = !full
	}
}
