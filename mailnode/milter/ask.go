package milter

import (
	"context"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"time"

	"mailfleet/mailnode/envelope"
)

// exchange sends a command with its macros and returns the answer; ansContinue when
// the milter wants none.
func (v *visit) exchange(ctx context.Context, d time.Duration, spared uint32, cmd byte, data ...[]byte) (answer byte, text []byte, err error) {
	defer v.link.within(ctx, d)()
	if err := v.link.send(cmd, data...); err != nil {
		return 0, nil, err
	}
	if spared != 0 && v.link.steps&spared != 0 {
		return ansContinue, nil, nil
	}
	return v.link.receive()
}

// step is exchange with a ruling. whole tells that an acceptance is one of the session.
func (v *visit) step(ctx context.Context, whole bool, spared uint32, cmd byte, data ...[]byte) Ruling {
	answer, text, err := v.exchange(ctx, v.Timeout, spared, cmd, data...)
	if err != nil {
		return v.failed(ctx, err)
	}
	return v.ruling(ctx, whole, cmd, answer, text)
}

// ruling makes a ruling of an answer that changes nothing.
func (v *visit) ruling(ctx context.Context, whole bool, cmd, answer byte, data []byte) Ruling {
	// A recipient that is refused leaves the message as it is.
	ends := func() {
		if cmd != cmdRecipient {
			v.message, v.open = true, false
		}
	}
	switch answer {
	case ansContinue:
		return Ruling{}
	case ansAccept:
		v.message, v.open = true, false
		v.session = v.session || whole
		return Ruling{}
	case ansDiscard:
		v.message, v.open = true, false
		return Ruling{Discard: true}
	case ansReject:
		ends()
		return Ruling{Refusal: &envelope.Refusal{Code: 550, Enhanced: "5.7.1", Text: "a filter of this server refuses this"}}
	case ansDefer:
		ends()
		return Ruling{Refusal: &envelope.Refusal{Code: 451, Enhanced: "4.7.1", Text: "a filter of this server wants this later: try again"}}
	case ansShutdown, ansConnectionFails:
		v.session = true
		return Ruling{Refusal: &envelope.Refusal{Code: 421, Enhanced: "4.7.1", Text: "a filter of this server ends the connection: try again later"}}
	case ansReply:
		if r := reply(data); r != nil {
			ends()
			return Ruling{Refusal: r}
		}
	}
	return v.failed(ctx, fmt.Errorf("it answered %q to %q", answer, cmd))
}

var replyLine = regexp.MustCompile(`^([45]\d\d)[ -](?:([45]\.\d{1,3}\.\d{1,3}) ?)?(.*)$`)

// reply reads a reply of the milter's own, of one or more lines; nil when it is none.
func reply(data []byte) *envelope.Refusal {
	s, _, _ := cutText(data)
	r := &envelope.Refusal{}
	var words []string
	for i, line := range strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
		m := replyLine.FindStringSubmatch(line)
		if m == nil {
			return nil
		}
		if i == 0 {
			r.Code = int(m[1][0]-'0')*100 + int(m[1][1]-'0')*10 + int(m[1][2]-'0')
			r.Enhanced = m[2]
		}
		words = append(words, strings.Fields(printable(m[3]))...)
	}
	if r.Enhanced == "" || r.Enhanced[0] != s[0] {
		r.Enhanced = string(s[0]) + ".7.1"
	}
	r.Text = strings.TrimSuffix(strings.Join(words, " "), ".")
	r.Text = r.Text[:min(len(r.Text), 400)]
	if r.Text == "" {
		r.Text = "a filter of this server refuses this"
	}
	if !r.Valid() {
		return nil
	}
	return r
}

// printable replaces what may not stand in a reply.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case c < ' ' || c > '~':
			return '?'
		}
		return c
	}, s)
}

// connect opens the link and tells who is there.
func (v *visit) connect(ctx context.Context, p Peer) Ruling {
	l, err := v.milter.open(ctx)
	if err != nil {
		return v.failed(ctx, err)
	}
	v.link = l
	if err := l.macros(cmdConnect, "j", p.Server, "{daemon_name}", "mailfleet", "{client_addr}", client(p), "{client_name}", p.Name); err != nil {
		return v.failed(ctx, err)
	}
	if l.steps&noConnect != 0 {
		return Ruling{}
	}
	return v.step(ctx, true, noConnectAnswer, cmdConnect, connectData(p)...)
}

func client(p Peer) string {
	if !p.Address.IsValid() {
		return ""
	}
	return p.Address.Addr().Unmap().String()
}

func connectData(p Peer) [][]byte {
	name := p.Name
	if !p.Address.IsValid() {
		if name == "" {
			name = "localhost"
		}
		return [][]byte{text(name), {'U'}}
	}
	a := p.Address.Addr().Unmap().WithZone("")
	if name == "" {
		name = "[" + a.String() + "]"
	}
	family := byte('4')
	if a.Is6() {
		family = '6'
	}
	port := binary.BigEndian.AppendUint16(nil, p.Address.Port())
	return [][]byte{text(name), {family}, port, text(a.String())}
}

func (v *visit) helo(ctx context.Context, p Peer) Ruling {
	if err := v.link.macros(cmdHelo, "{tls_version}", p.TLS); err != nil {
		return v.failed(ctx, err)
	}
	if v.link.steps&noHelo != 0 || p.Helo == "" {
		return Ruling{}
	}
	return v.step(ctx, true, noHeloAnswer, cmdHelo, text(p.Helo))
}

// address is a path with its parameters.
func address(path string, params []envelope.Param) [][]byte {
	data := [][]byte{text("<" + path + ">")}
	for _, p := range params {
		s := p.Key
		if p.Value != "" {
			s += "=" + p.Value
		}
		data = append(data, text(s))
	}
	return data
}

func (v *visit) mail(ctx context.Context, p Peer, from string, params []envelope.Param) Ruling {
	v.open = true
	_, host, _ := strings.Cut(from, "@")
	if err := v.link.macros(cmdMail, "{auth_authen}", p.Account, "{mail_addr}", from, "{mail_host}", host); err != nil {
		return v.failed(ctx, err)
	}
	if v.link.steps&noMail != 0 {
		return Ruling{}
	}
	return v.step(ctx, false, noMailAnswer, cmdMail, address(from, params)...)
}

func (v *visit) recipient(ctx context.Context, to string, params []envelope.Param) Ruling {
	if !v.want() {
		return Ruling{}
	}
	if err := v.link.macros(cmdRecipient, "{rcpt_addr}", to); err != nil {
		return v.failed(ctx, err)
	}
	if v.link.steps&noRecipient != 0 {
		return Ruling{}
	}
	return v.step(ctx, false, noRecipientAnswer, cmdRecipient, address(to, params)...)
}

// abort ends a message that is under way.
func (v *visit) abort(ctx context.Context) {
	v.message = false
	if v.link == nil || !v.open {
		return
	}
	v.open = false
	defer v.link.within(ctx, v.Timeout)()
	if err := v.link.send(cmdAbort); err != nil || v.link.w.Flush() != nil {
		v.close()
	}
}
