package link

import (
	"encoding/binary"
	"net"
)

// headerSize is the length of a yamux header: version, type, flags, stream and length.
const headerSize = 12

// dataType is the type of a frame that carries data.
const dataType = 0

// whole writes each frame of yamux in one piece, though yamux writes header and data
// one after the other: one TLS record, and the other end wakes once. yamux writes
// from one goroutine.
type whole struct {
	net.Conn
	frame  []byte // a header whose data comes next
	last   *heard // notes each word of the other end
	broken func() // is called before the session learns that the connection is
}

// Read implements net.Conn.
func (w *whole) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.last.now()
	}
	if err != nil {
		w.broken()
	}
	return n, err
}

// Close implements net.Conn.
func (w *whole) Close() error {
	w.broken()
	return w.Conn.Close()
}

// largeData is data that is not worth copying.
const largeData = 16 << 10

// Write implements net.Conn.
func (w *whole) Write(p []byte) (int, error) {
	if len(w.frame) == 0 {
		if dataFollows(p) {
			w.frame = append(w.frame, p...)
			return len(p), nil
		}
		return w.Conn.Write(p)
	}
	if len(p) > largeData {
		head := w.frame
		w.frame = w.frame[:0]
		if _, err := w.Conn.Write(head); err != nil {
			return 0, err
		}
		return w.Conn.Write(p)
	}
	w.frame = append(w.frame, p...)
	n, err := w.Conn.Write(w.frame)
	w.frame = w.frame[:0]
	return max(0, n-headerSize), err
}

// dataFollows reports whether p is the header of a frame with data.
func dataFollows(p []byte) bool {
	return len(p) == headerSize && p[1] == dataType && binary.BigEndian.Uint32(p[8:]) > 0
}
