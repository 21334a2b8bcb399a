package inventory

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What a queue hands out on a filter goes from the mailnode to the controller as one
// stream: for each entry a line of JSON and then the octets of its message, unless that
// is the message of the entry before; after the last a line that says so. A stream
// without that line was cut off.

// exportHead is a line of the stream.
type exportHead struct {
	Entry *QueueEntry `json:"entry,omitempty"`
	Same  bool        `json:"same,omitempty"`  // the message is that of the entry before
	Bytes int64       `json:"bytes,omitempty"` // that follow
	End   bool        `json:"end,omitempty"`
}

// maxExportHead bounds a line: an entry has 100 recipients at most.
const maxExportHead = 256 << 10

// QueueExportWriter writes the stream.
type QueueExportWriter struct{ w *bufio.Writer }

// NewQueueExportWriter writes to w. The stream is whole after End.
func NewQueueExportWriter(w io.Writer) *QueueExportWriter {
	return &QueueExportWriter{bufio.NewWriterSize(w, 64<<10)}
}

// Entry writes an entry and its message of so many octets; nil when it is that of the
// entry before.
func (x *QueueExportWriter) Entry(e QueueEntry, message io.Reader, size int64) error {
	if err := x.head(exportHead{Entry: &e, Same: message == nil, Bytes: size}); err != nil || message == nil {
		return err
	}
	_, err := io.CopyN(x.w, message, size)
	return err
}

// End writes the last line.
func (x *QueueExportWriter) End() error {
	return errors.Join(x.head(exportHead{End: true}), x.w.Flush())
}

func (x *QueueExportWriter) head(h exportHead) error {
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = x.w.Write(append(line, '\n'))
	return err
}

// QueueExportReader reads the stream.
type QueueExportReader struct {
	r       *bufio.Reader
	message *io.LimitedReader // what is left of the last one
}

// NewQueueExportReader reads from r.
func NewQueueExportReader(r io.Reader) *QueueExportReader {
	return &QueueExportReader{r: bufio.NewReaderSize(r, maxExportHead), message: &io.LimitedReader{}}
}

// errCutOff tells of a stream without its last line.
var errCutOff = fmt.Errorf("the export of the queue was cut off: %w", io.ErrUnexpectedEOF)

// Next returns the next entry and its message, nil when it is that of the entry before;
// after the last io.EOF. What was not read of the message before is passed over.
func (x *QueueExportReader) Next() (e QueueEntry, message io.Reader, err error) {
	if _, err := io.Copy(io.Discard, x.message); err != nil {
		return e, nil, err
	}
	if x.message.N > 0 {
		return e, nil, errCutOff
	}
	line, err := x.r.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return e, nil, errCutOff
	case errors.Is(err, bufio.ErrBufferFull):
		return e, nil, Errorf(Invalid, "an entry of the export is longer than %d octets", maxExportHead)
	case err != nil:
		return e, nil, err
	}
	var h exportHead
	if err := json.Unmarshal(line, &h); err != nil {
		return e, nil, Errorf(Invalid, "the export of the queue is not well-formed: %s", err)
	}
	switch {
	case h.End:
		return e, nil, io.EOF
	case h.Entry == nil || h.Bytes < 0:
		return e, nil, Errorf(Invalid, "the export of the queue is not well-formed: an entry is missing")
	case h.Same:
		return *h.Entry, nil, nil
	}
	x.message = &io.LimitedReader{R: x.r, N: h.Bytes}
	return *h.Entry, x.message, nil
}
