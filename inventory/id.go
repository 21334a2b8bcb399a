package inventory

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

// ID names one thing for ever: a UUIDv7 (RFC 9562 §5.7) in its text form. IDs
// made by one process sort by the order they were made in.
type ID string

var lastID struct {
	sync.Mutex
	ms  int64
	seq uint16
}

// NewID returns a fresh ID. The 12 bits after the time are a counter, so that
// IDs made within one millisecond keep their order (RFC 9562 §6.2 method 1).
func NewID() ID {
	lastID.Lock()
	ms := time.Now().UnixMilli()
	if ms <= lastID.ms {
		ms = lastID.ms
		lastID.seq++
		if lastID.seq > 0x0fff {
			ms++
			lastID.seq = 0
		}
	} else {
		lastID.seq = 0
	}
	lastID.ms = ms
	seq := lastID.seq
	lastID.Unlock()

	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(ms)<<16)
	binary.BigEndian.PutUint16(b[6:8], 0x7000|seq)
	_, _ = rand.Read(b[8:]) // never fails: crypto/rand aborts the program instead
	b[8] = b[8]&0x3f | 0x80

	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return ID(s[:])
}

// ParseID checks the text form of a UUID (any version) and returns it in lower case.
func ParseID(s string) (ID, error) {
	if len(s) != 36 {
		return "", Errorf(Invalid, "%q is not an id", s)
	}
	out := []byte(s)
	for i, c := range out {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", Errorf(Invalid, "%q is not an id", s)
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f':
		case 'A' <= c && c <= 'F':
			out[i] = c + 'a' - 'A'
		default:
			return "", Errorf(Invalid, "%q is not an id", s)
		}
	}
	return ID(out), nil
}

// Time returns the moment a UUIDv7 was made, to the millisecond; zero when id is none.
func (id ID) Time() time.Time {
	if len(id) != 36 || id[14] != '7' {
		return time.Time{}
	}
	b, err := hex.DecodeString(string(id[0:8]) + string(id[9:13]))
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, b...))))
}
