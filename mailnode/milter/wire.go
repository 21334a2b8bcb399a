package milter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Commands of the mail server.
const (
	cmdAbort     = 'A'
	cmdBody      = 'B'
	cmdConnect   = 'C'
	cmdMacro     = 'D'
	cmdEnd       = 'E'
	cmdHelo      = 'H'
	cmdHeader    = 'L'
	cmdMail      = 'M'
	cmdHeaderEnd = 'N'
	cmdNegotiate = 'O'
	cmdQuit      = 'Q'
	cmdRecipient = 'R'
	cmdData      = 'T'
)

// Answers of the milter.
const (
	ansAddRecipient     = '+'
	ansRemoveRecipient  = '-'
	ansAddRecipientArgs = '2'
	ansShutdown         = '4'
	ansAccept           = 'a'
	ansBody             = 'b'
	ansContinue         = 'c'
	ansDiscard          = 'd'
	ansFrom             = 'e'
	ansConnectionFails  = 'f'
	ansAddField         = 'h'
	ansInsertField      = 'i'
	ansChangeField      = 'm'
	ansProgress         = 'p'
	ansQuarantine       = 'q'
	ansReject           = 'r'
	ansSkip             = 's'
	ansDefer            = 't'
	ansReply            = 'y'
)

// What this side can do: all changes (the lowest eight bits), without lists of macros.
const (
	version = 6
	actions = 0xff
)

// Steps that a milter may do without, and answers it may spare.
const (
	noConnect = 1 << iota
	noHelo
	noMail
	noRecipient
	noBody
	noHeader
	noHeaderEnd
	noHeaderAnswer
	noUnknown
	noData
	canSkip
	rejectedRecipients // not offered: a milter is not told of recipients that were refused
	noConnectAnswer
	noHeloAnswer
	noMailAnswer
	noRecipientAnswer
	noDataAnswer
	noUnknownAnswer
	noHeaderEndAnswer
	noBodyAnswer
	leadingSpace
)

const steps = 1<<21 - 1 - rejectedRecipients

// maxChunk is how much of a body goes into a packet.
const maxChunk = 65535

// link is a connection to a milter.
type link struct {
	conn    net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	version uint32
	actions uint32 // it may do
	steps   uint32 // as negotiated
}

// within bounds what is done with the link until stop is called.
func (l *link) within(ctx context.Context, d time.Duration) (stop func()) {
	_ = l.conn.SetDeadline(time.Now().Add(d)) // fails for a closed connection, as all that follows does
	undo := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { undo() }
}

// send writes a packet.
func (l *link) send(cmd byte, data ...[]byte) error {
	n := 1
	for _, d := range data {
		n += len(d)
	}
	var head [5]byte
	binary.BigEndian.PutUint32(head[:], uint32(n))
	head[4] = cmd
	_, err := l.w.Write(head[:])
	for _, d := range data {
		if err == nil {
			_, err = l.w.Write(d)
		}
	}
	return err
}

// receive sends what is to be sent and reads a packet; those that only say that the
// milter lives are passed over.
func (l *link) receive() (answer byte, data []byte, err error) {
	if err := l.w.Flush(); err != nil {
		return 0, nil, err
	}
	for {
		var head [5]byte
		if _, err := io.ReadFull(l.r, head[:]); err != nil {
			return 0, nil, err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n < 1 || n > maxPacket {
			return 0, nil, fmt.Errorf("it sent a packet of %d bytes", n)
		}
		data := make([]byte, n-1)
		if _, err := io.ReadFull(l.r, data); err != nil {
			return 0, nil, err
		}
		if head[4] != ansProgress {
			return head[4], data, nil
		}
	}
}

// negotiate agrees on what the milter sees and may do.
func (l *link) negotiate() error {
	offer := binary.BigEndian.AppendUint32(nil, version)
	offer = binary.BigEndian.AppendUint32(offer, actions)
	offer = binary.BigEndian.AppendUint32(offer, steps)
	if err := l.send(cmdNegotiate, offer); err != nil {
		return err
	}
	answer, data, err := l.receive()
	if err != nil {
		return err
	}
	if answer != cmdNegotiate || len(data) < 12 {
		return errors.New("it does not speak the milter protocol")
	}
	l.version = binary.BigEndian.Uint32(data)
	l.actions = binary.BigEndian.Uint32(data[4:])
	l.steps = binary.BigEndian.Uint32(data[8:])
	switch {
	case l.version < 2 || l.version > version:
		return fmt.Errorf("it speaks version %d of the protocol", l.version)
	case l.steps&^steps != 0 || l.actions&^actions != 0:
		return errors.New("it wants what this server cannot do")
	}
	return nil
}

// text is a string as the protocol has it; a NUL ends it.
func text(s string) []byte {
	b := append([]byte(s), 0)
	return b[:bytes.IndexByte(b, 0)+1]
}

// cutText takes a string from the front.
func cutText(b []byte) (s string, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return string(b), nil, len(b) > 0
	}
	return string(b[:i]), b[i+1:], true
}

// macros tells values for a command.
func (l *link) macros(cmd byte, pairs ...string) error {
	data := [][]byte{{cmd}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			data = append(data, text(pairs[i]), text(pairs[i+1]))
		}
	}
	if len(data) == 1 {
		return nil
	}
	return l.send(cmdMacro, data...)
}
