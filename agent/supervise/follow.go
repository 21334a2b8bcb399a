package supervise

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

const (
	// followPause lies between two looks for more output.
	followPause = 250 * time.Millisecond
	// followChunk is how much output is read at once, in bytes.
	followChunk = 256 << 10
	// maxBehind is how far a reader may be behind, in bytes: then it is taken
	// to where keptBehind are left.
	maxBehind  = 1 << 20
	keptBehind = 64 << 10
	// maxLine is the longest line that is shown; longer ones come in pieces.
	maxLine = 16 << 10
)

// Line is a line of a service's output.
type Line struct {
	Text    string
	Skipped int64 // bytes before it that are not shown: the reader was too slow, or they were lost
}

// follow gives emit the last lines, and then those that are written, until ctx
// ends or emit fails.
func (o *output) follow(ctx context.Context, lines int, emit func(Line) error) error {
	last, at, err := o.begin(lines)
	if err != nil {
		return err
	}
	for _, text := range last {
		if err := emit(Line{Text: text}); err != nil {
			return err
		}
	}
	for {
		text, skipped, next, err := o.readFrom(at)
		if err != nil {
			return err
		}
		n := whole(text)
		if n == 0 {
			if pause(ctx, cmp.Or(o.look, followPause)) != nil {
				return ctx.Err()
			}
			continue
		}
		for _, line := range splitLines(text[:n]) {
			if err := emit(Line{line, skipped}); err != nil {
				return err
			}
			skipped = 0
		}
		at = next + int64(n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// begin returns the last whole lines, and where what follows them begins:
// counted, as all positions are, from the first byte written since the
// supervisor began.
func (o *output) begin(lines int) (last []string, at int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size, err := o.length()
	if err != nil {
		return nil, 0, err
	}
	text, _, err := readEnd(o.path, maxLine, size)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 { // the last line is still being written
		size -= int64(len(text) - i - 1)
	}
	last, err = o.tailTo(lines, size)
	return last, o.cut + size, err
}

// length is the size of the file written to.
func (o *output) length() (int64, error) {
	info, err := os.Stat(o.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// readFrom returns some of what was written after at, and where it begins.
func (o *output) readFrom(at int64) (text []byte, skipped, from int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size, err := o.length()
	if err != nil {
		return nil, 0, at, err
	}
	from = max(at, o.cut)
	if o.cut+size-from > maxBehind {
		from = o.cut + size - keptBehind
	}
	from = min(from, o.cut+size)
	if size == 0 || from == o.cut+size {
		return nil, from - at, from, nil
	}
	f, err := os.Open(o.path)
	if err != nil {
		return nil, 0, at, err
	}
	defer func() { _ = f.Close() }()
	text, err = io.ReadAll(io.NewSectionReader(f, from-o.cut, min(followChunk, o.cut+size-from)))
	if i := bytes.IndexByte(text, '\n'); from > at && i >= 0 { // to the begin of a line
		text, from = text[i+1:], from+int64(i+1)
	}
	return text, from - at, from, err
}

// whole returns how much of text are whole lines, or a piece of a line that is
// too long to wait for its end.
func whole(text []byte) int {
	if n := bytes.LastIndexByte(text, '\n') + 1; n > 0 || len(text) < maxLine {
		return n
	}
	return len(text)
}

// splitLines cuts text into lines, and long ones into pieces.
func splitLines(text []byte) []string {
	var lines []string
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		for len(line) > maxLine {
			lines = append(lines, valid(line[:maxLine]))
			line = line[maxLine:]
		}
		lines = append(lines, valid(line))
	}
	return lines
}

func valid(line []byte) string { return strings.ToValidUTF8(string(line), "\uFFFD") }
