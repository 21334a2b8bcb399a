package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxTail is how much of the output a tail looks at, in bytes.
const maxTail = 1 << 20

// collapseUnit is what parts cut from the head of a file are multiples of, in
// bytes; file systems want whole blocks.
const collapseUnit = 4096

// output is the file a service writes to, and the older ones path.1, path.2…
//
// The service holds the file itself, opened for appending, so it can write
// whether an agent lives or not. To rotate it, its head is copied and then cut
// off, which loses nothing: the service goes on at what is now the end. Where
// the file system cannot do that (ext4 and XFS can) the whole file is copied
// and cut to nothing, and what the service writes between both is lost. While
// no agent runs the file grows without bound.
type output struct {
	path  string
	size  int64
	files int
	look  time.Duration // between two looks of a follower; 0: followPause

	mu  sync.Mutex // held while the file is rotated, or read with its position
	cut int64      // bytes cut from its head since the supervisor began
}

func (o *output) open() (*os.File, error) {
	return os.OpenFile(o.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// older is the path of the n-th older file; 0 is the one written to.
func (o *output) older(n int) string {
	if n == 0 {
		return o.path
	}
	return fmt.Sprintf("%s.%d", o.path, n)
}

// rotate cuts the file short when it is longer than size. The newest older file
// gets what is cut off, but for what exceeds twice the size: a service that
// floods its output does not flood the disk.
func (o *output) rotate() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	info, err := os.Stat(o.path) // most looks find nothing to do, and opening it costs eight calls of the kernel
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Size() <= o.size {
		return err
	}
	f, err := os.OpenFile(o.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil {
		return err
	}
	for n := o.files - 1; n > 0; n-- {
		if err := os.Rename(o.older(n), o.older(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	head := (info.Size() - 1) / collapseUnit * collapseUnit // not all of it: that cannot be cut off
	err = o.copyEnd(f, head)
	if err == nil && head > 0 && unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, head) == nil {
		o.cut += head
		return nil
	}
	err = o.copyEnd(f, info.Size())
	o.cut += info.Size()
	// Even if nothing could be copied: the disk may be full of this very file.
	return errors.Join(err, f.Truncate(0))
}

// copyEnd makes what f has before end the newest older file.
func (o *output) copyEnd(f *os.File, end int64) error {
	dst, err := os.OpenFile(o.older(1), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	n := min(end, 2*o.size)
	_, err = io.Copy(dst, io.NewSectionReader(f, end-n, n))
	return errors.Join(err, dst.Close())
}

// tail returns the last lines, oldest first, from the older files too. Lines
// that are too long come in pieces.
func (o *output) tail(lines int) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size, err := o.length()
	if err != nil {
		return nil, err
	}
	return o.tailTo(lines, size)
}

// tailTo is tail of what comes before end in the file that is written to.
func (o *output) tailTo(lines int, end int64) ([]string, error) {
	var text []byte
	for n := 0; n <= o.files; n++ {
		part, whole, err := readEnd(o.older(n), maxTail-len(text), end)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		text = append(part, text...)
		if !whole || bytes.Count(text, []byte("\n")) > lines {
			break
		}
		end = -1
	}
	all := splitLines(text)
	return slices.Clone(all[max(0, len(all)-lines):]), nil
}

// readEnd returns the last n bytes of a file before end (-1: its own) from the
// start of a line on, and whether that is all of it.
func readEnd(path string, n int, end int64) (b []byte, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = f.Close() }()
	if end < 0 {
		info, err := f.Stat()
		if err != nil {
			return nil, true, err
		}
		end = info.Size()
	}
	skip := end - int64(n)
	if skip <= 0 {
		b, err = io.ReadAll(io.LimitReader(f, end))
		return b, true, err
	}
	b, err = io.ReadAll(io.NewSectionReader(f, skip, int64(n)))
	if i := bytes.IndexByte(b, '\n'); i >= 0 && i+1 < len(b) {
		b = b[i+1:]
	}
	return b, false, err
}
