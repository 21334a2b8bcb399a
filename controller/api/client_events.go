package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// StreamEvent is one item of the stream /api/v1/events. One of the pointers is
// set; neither when everything must be read afresh.
type StreamEvent struct {
	ID      uint64 // to resume from: of the last change so far
	Change  *Change
	Samples *FreshSamples
}

// Change is an Event whose Resource is still to be decoded.
type Change struct {
	Event
	Resource json.RawMessage `json:"resource,omitempty"`
}

// maxEvent bounds one event of a stream.
const maxEvent = 16 << 20

// Events reads what happens, from after the change that has the id (0: from
// now), until the stream ends; it then yields the reason as an error.
func (c *Client) Events(ctx context.Context, after uint64) iter.Seq2[StreamEvent, error] {
	return func(yield func(StreamEvent, error) bool) {
		header := []string{"Accept", "text/event-stream"}
		if after > 0 {
			header = append(header, "Last-Event-ID", strconv.FormatUint(after, 10))
		}
		res, err := c.do(ctx, http.MethodGet, path("events"), nil, header...)
		if err != nil {
			yield(StreamEvent{}, err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
			yield(StreamEvent{}, problem(res, b))
			return
		}
		if err := readEvents(res.Body, after, func(e StreamEvent) bool { return yield(e, nil) }); err != nil {
			yield(StreamEvent{}, err)
		}
	}
}

// errStopped says that the reader of the stream has had enough.
var errStopped = errors.New("stopped")

// readEvents cuts a stream into events (WHATWG HTML §9.2.6) and hands on those
// it knows. It returns nil only when yield wanted no more.
func readEvents(r io.Reader, id uint64, yield func(StreamEvent) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	var event string
	var data []byte
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			event = value
		case "id":
			if n, err := strconv.ParseUint(value, 10, 64); err == nil {
				id = n
			}
		case "data":
			if len(data)+len(value) > maxEvent {
				return fmt.Errorf("an event of the stream is longer than %d octets", maxEvent)
			}
			data = append(append(data, value...), '\n')
		case "":
			if value != "" || strings.HasPrefix(lines.Text(), ":") {
				continue // a comment
			}
			if err := dispatch(event, id, data, yield); err != nil {
				if errors.Is(err, errStopped) {
					return nil
				}
				return err
			}
			event, data = "", nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the event stream: %w", err)
	}
	return io.ErrUnexpectedEOF
}

func dispatch(event string, id uint64, data []byte, yield func(StreamEvent) bool) error {
	e := StreamEvent{ID: id}
	switch event {
	case "change":
		e.Change = &Change{}
		if err := json.Unmarshal(data, e.Change); err != nil {
			return fmt.Errorf("decode a change: %w", err)
		}
	case "samples":
		e.Samples = &FreshSamples{}
		if err := json.Unmarshal(data, e.Samples); err != nil {
			return fmt.Errorf("decode samples: %w", err)
		}
	case "reset":
	default:
		return nil
	}
	if !yield(e) {
		return errStopped
	}
	return nil
}
