package durable

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// MaxRecord is the longest a record may be as JSON, in bytes.
const MaxRecord = 4 << 20

// overhead is what a line has around its JSON: checksum, space and line feed.
const overhead = 8 + 1 + 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Log is an append-only file of records, one a line: the CRC-32C of the JSON
// in hexadecimal, a space, the JSON. It can be read by eye, and a damaged line
// costs one record, not those behind it. A line without its line feed is a
// write that was cut short: nobody was told it was stored, and it goes when
// the file is opened, as do the zeros that are reserved behind the last.
//
// Its owner sees to it that one goroutine uses it at a time.
type Log[T any] struct {
	path string
	f    *os.File
	size int64 // of what is known to be good; the next record goes here
	room int64 // where the file ends; what is behind size is zero
	step int64 // by how much the file grows when there is no room; 0: by what is written
}

// Reserve has the file grow by step bytes at a time. Most appends then change
// nothing of it but its content, and the disk writes once for each instead of
// twice. What was reserved goes when the file is closed, or opened.
func (l *Log[T]) Reserve(step int64) { l.step = step }

// span is where in the file a line lies.
type span struct {
	offset int64
	length int
}

// OpenLog opens or creates the file at path and gives every record in it to
// replay, in order. Damaged records are skipped and counted in one log line.
func OpenLog[T any](path string, log *slog.Logger, replay func(T)) (*Log[T], error) {
	return openLog(path, log, func(r T, _ span) { replay(r) })
}

func openLog[T any](path string, log *slog.Logger, replay func(T, span)) (*Log[T], error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &Log[T]{path: path, f: f}
	damaged, err := l.load(replay)
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if damaged > 0 {
		log.Warn("damaged records were skipped", "file", path, "records", damaged)
	}
	return l, nil
}

// load replays the file and cuts off an unfinished last line.
func (l *Log[T]) load(replay func(T, span)) (damaged int, err error) {
	l.size, err = eachLine(l.f, func(offset int64, line []byte) {
		r, err := decode[T](line)
		if err != nil {
			damaged++
			return
		}
		replay(r, span{offset, len(line)})
	})
	if err != nil {
		return damaged, err
	}
	info, err := l.f.Stat()
	if err != nil {
		return damaged, err
	}
	if l.room = info.Size(); l.room == l.size {
		return damaged, nil
	}
	return damaged, l.cut()
}

// Append stores records. After an error none of them is in the file.
func (l *Log[T]) Append(records ...T) error {
	lines, err := encodeAll(records)
	if err != nil {
		return err
	}
	_, err = l.write(lines)
	return err
}

// Note is Append for what a power cut may take: it is in the file, and durable with
// the next Append or Sync.
func (l *Log[T]) Note(records ...T) error {
	lines, err := encodeAll(records)
	if err != nil {
		return err
	}
	_, err = l.put(lines)
	return err
}

// Sync makes durable what was noted.
func (l *Log[T]) Sync() error {
	raw, err := l.f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		for failed = unix.EINTR; errors.Is(failed, unix.EINTR); {
			failed = unix.Fdatasync(int(fd)) // with its length, when that has changed
		}
	}); err != nil {
		return err
	}
	return failed
}

// cut takes from the file what is behind the good records.
func (l *Log[T]) cut() error {
	err := l.f.Truncate(l.size)
	if err == nil {
		l.room = l.size
	}
	return err
}

// write stores encoded lines and tells where each lies.
func (l *Log[T]) write(lines [][]byte) ([]span, error) {
	before := l.size
	spans, err := l.put(lines)
	if err != nil {
		return nil, err
	}
	if err := l.Sync(); err != nil {
		l.size = before
		_ = l.cut() // the kernel may have given up on pages of it
		return nil, fmt.Errorf("append to %s: %w", l.path, err)
	}
	return spans, nil
}

// put writes encoded lines and tells where each lies.
func (l *Log[T]) put(lines [][]byte) ([]span, error) {
	spans := make([]span, len(lines))
	at := l.size
	for i, line := range lines {
		spans[i] = span{at, len(line)}
		at += int64(len(line))
	}
	text := bytes.Join(lines, nil)
	if at > l.room && l.step > 0 {
		text = append(text, make([]byte, l.step)...)
	}
	if _, err := l.f.WriteAt(text, l.size); err != nil {
		// What is there now may be half a line. Without it the next write
		// starts on firm ground.
		_ = l.cut()
		return nil, fmt.Errorf("append to %s: %w", l.path, err)
	}
	l.room = max(l.room, l.size+int64(len(text)))
	l.size = at
	return spans, nil
}

// read returns the record at s.
func (l *Log[T]) read(s span) (r T, err error) {
	line := make([]byte, s.length)
	if _, err := l.f.ReadAt(line, s.offset); err != nil {
		return r, fmt.Errorf("read %s: %w", l.path, err)
	}
	r, err = decode[T](line)
	if err != nil {
		return r, fmt.Errorf("read %s at %d: %w", l.path, s.offset, err)
	}
	return r, nil
}

// Rewrite replaces all records, at once: after an error, or a kill in the
// middle, the file has either the old ones or the new.
func (l *Log[T]) Rewrite(records iter.Seq[T]) error {
	var b bytes.Buffer
	for r := range records {
		line, err := encode(r)
		if err != nil {
			return err
		}
		b.Write(line)
	}
	err := WriteFile(l.path, b.Bytes())
	return errors.Join(err, l.reopen())
}

// reopen turns to the file that now has the path. If there is none to be had,
// later appends fail: they must not go to a file without a name.
func (l *Log[T]) reopen() error {
	_ = l.f.Close()
	f, err := os.OpenFile(l.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	l.f, l.size, l.room = f, info.Size(), info.Size()
	return nil
}

// Size is the length of the file in bytes, without what is reserved.
func (l *Log[T]) Size() int64 { return l.size }

// Close closes the file. What was appended is durable already.
func (l *Log[T]) Close() error {
	var err error
	if info, serr := l.f.Stat(); serr == nil && l.room > l.size && info.Size() == l.room {
		err = l.cut()
	}
	return errors.Join(err, l.f.Close())
}

func encodeAll[T any](records []T) ([][]byte, error) {
	lines := make([][]byte, len(records))
	for i, r := range records {
		line, err := encode(r)
		if err != nil {
			return nil, err
		}
		lines[i] = line
	}
	return lines, nil
}

// encode makes the line of a record.
func encode[T any](r T) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxRecord {
		return nil, fmt.Errorf("a record of %d bytes is above the limit of %d", len(b), MaxRecord)
	}
	line := make([]byte, 0, len(b)+overhead)
	line = fmt.Appendf(line, "%08x ", crc32.Checksum(b, castagnoli))
	line = append(line, b...)
	return append(line, '\n'), nil
}

var errDamaged = errors.New("the record is damaged")

// decode reads the record of a line, with its line feed.
func decode[T any](line []byte) (r T, err error) {
	if len(line) < overhead || line[8] != ' ' {
		return r, errDamaged
	}
	b := line[9 : len(line)-1]
	var sum [4]byte
	if _, err := hex.Decode(sum[:], line[:8]); err != nil {
		return r, errDamaged
	}
	want := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	if crc32.Checksum(b, castagnoli) != want || json.Unmarshal(b, &r) != nil {
		return r, errDamaged
	}
	return r, nil
}

// eachLine calls fn with every line of r that has its line feed, and with
// nothing in place of one that is too long to be a record. It returns where
// the last of them ends. The line is fn's until it returns.
func eachLine(r io.Reader, fn func(offset int64, line []byte)) (end int64, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	var length int64
	for {
		part, err := br.ReadSlice('\n')
		length += int64(len(part))
		if length <= MaxRecord+overhead {
			line = append(line, part...)
		} else {
			line = nil
		}
		switch {
		case err == nil:
			fn(end, line)
			end += length
			line, length = line[:0], 0
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return end, nil
		default:
			return end, err
		}
	}
}
