// Package spool is the text message gateway of fleets without one: it appends
// each message to a file, for an operator to read and for other programs to send
// from. Only the controller's app and tests import it.
//
// Each line is a JSON object with time, id, to, text, encoding and parts. A
// message is taken when its line is on the disk. When the file has grown to
// MaxSize it is renamed to end in .1, .1 to .2 and so on; Keep old files stay.
package spool

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mailfleet/alerts/sms"
	"mailfleet/inventory"
)

// Sizes of a spool.
const (
	MaxSize = 10 << 20 // bytes a file grows to
	Keep    = 4        // old files that stay
)

// Name is the gateway's name.
const Name = "spool"

// Line is one message in the file.
type Line struct {
	Time     time.Time    `json:"time"`
	ID       inventory.ID `json:"id"`
	To       string       `json:"to"`
	Text     string       `json:"text"`
	Encoding sms.Encoding `json:"encoding"`
	Parts    int          `json:"parts"`
}

// Spool is a gateway that writes to a file. It is safe for concurrent use.
type Spool struct {
	path    string
	maxSize int64

	mu   sync.Mutex
	file *os.File
}

// New opens the spool at path and makes it where there is none. The file can
// be read by its owner only. A last line that a crash cut off is taken away.
func New(path string) (*Spool, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	return &Spool{path: path, maxSize: MaxSize, file: f}, nil
}

// Close closes the file.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Close()
}

// Name returns "spool".
func (s *Spool) Name() string { return Name }

// Send appends m and syncs. A second attempt finds the line of the first, if
// that was written, and adds none.
func (s *Spool) Send(_ context.Context, m sms.Message) (sms.Receipt, error) {
	line, err := json.Marshal(Line{Time: time.Now().UTC(), ID: m.ID, To: m.To, Text: m.Text, Encoding: m.Encoding, Parts: m.Parts})
	if err != nil {
		return sms.Receipt{}, sms.Permanent(inventory.Fail("the text message cannot be written to the spool: %v", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Attempt > 1 {
		known, err := s.has(m.ID)
		if err != nil {
			return sms.Receipt{}, inventory.Fail("the spool cannot be searched for the text message: %v", err)
		}
		if known {
			return sms.Receipt{Answer: "in the spool already"}, nil
		}
	}
	if err := s.append(append(line, '\n')); err != nil {
		return sms.Receipt{}, inventory.Fail("the text message cannot be written to the spool: %v", err)
	}
	return sms.Receipt{Answer: "in the spool"}, nil
}

// append adds a line, wholly or not at all.
func (s *Spool) append(line []byte) error {
	size, err := s.current()
	if err == nil && size > 0 && size+int64(len(line)) > s.maxSize {
		if err = s.shift(); err == nil {
			size, err = s.current()
		}
	}
	if err != nil {
		return err
	}
	if _, err = s.file.Write(line); err == nil {
		err = s.file.Sync()
	}
	if err == nil {
		return nil
	}
	if torn := s.file.Truncate(size); torn != nil {
		return fmt.Errorf("%w; what was written of it could not be taken away: %w", err, torn)
	}
	return err
}

// current makes sure that the open file is the one at path, which an operator
// or shift may have moved away, and returns its size.
func (s *Spool) current() (int64, error) {
	mine, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	if there, err := os.Stat(s.path); err == nil && os.SameFile(mine, there) {
		return there.Size(), nil
	}
	f, err := open(s.path)
	if err != nil {
		return 0, err
	}
	if mine, err = f.Stat(); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	moved := s.file
	s.file = f
	return mine.Size(), moved.Close()
}

// shift renames the files, so that there is none at path.
func (s *Spool) shift() error {
	for n := Keep; n > 0; n-- {
		if err := os.Rename(s.old(n-1), s.old(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// open opens the file at path for appending, made if need be, and takes away
// what follows its last line end.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	size, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the spool: %w", err), f.Close())
	}
	return f, nil
}

// old is the path of the nth file before the current one.
func (s *Spool) old(n int) string {
	if n == 0 {
		return s.path
	}
	return fmt.Sprintf("%s.%d", s.path, n)
}

// has reports whether a message is in the current file or the one before it.
func (s *Spool) has(id inventory.ID) (bool, error) {
	for n := range 2 {
		b, err := os.ReadFile(s.old(n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		for line := range bytes.Lines(b) {
			var l Line
			if json.Unmarshal(line, &l) == nil && l.ID == id {
				return true, nil
			}
		}
	}
	return false, nil
}

// wholeLines returns the length of f up to and with its last line end.
func wholeLines(f io.Reader) (int64, error) {
	var size, whole int64
	r := bufio.NewReader(f)
	for {
		chunk, err := r.ReadSlice('\n')
		size += int64(len(chunk))
		switch {
		case err == nil:
			whole = size
		case errors.Is(err, io.EOF):
			return whole, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return 0, err
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
