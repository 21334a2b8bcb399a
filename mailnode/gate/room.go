package gate

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
	"time"
	"unsafe"
)

// Settle is how long a peer must have been silent before it is worth giving back the
// room that TLS keeps for it.
const Settle = time.Second

// roomKept is how much room for what comes is left to a TLS connection.
const roomKept = 2 << 10

// crypto/tls reads each record, of up to 16 KB and something, into a buffer that grows and
// is never given back while the connection lasts: 18 to 37 KB for each peer that has once
// sent a large record, be it idle for hours. Nothing of its interface lets go of it, so
// the buffers are found by their names. A version of Go that names them otherwise, or makes
// them otherwise, has its connections left as they are; a test tells.
var (
	rawInput = bufferOf("rawInput") // what came from the network
	hand     = bufferOf("hand")     // messages of handshakes
	input    = fieldOf("input", reflect.TypeFor[bytes.Reader]())
)

// bufferOf is where in a tls.Conn a buffer is; 0 when it has none of that name.
func bufferOf(name string) uintptr { return fieldOf(name, reflect.TypeFor[bytes.Buffer]()) }

func fieldOf(name string, kind reflect.Type) uintptr {
	f, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
	if !ok || f.Type != kind {
		return 0
	}
	return f.Offset
}

// buffer is the buffer at an offset of a connection.
func buffer(c *tls.Conn, offset uintptr) *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), offset))
}

// bulky are the buffers with room to be given back. What has something in it is none.
func bulky(c *tls.Conn) (list []*bytes.Buffer) {
	if rawInput == 0 || hand == 0 || input == 0 || (*bytes.Reader)(unsafe.Add(unsafe.Pointer(c), input)).Len() > 0 {
		return nil
	}
	for _, offset := range []uintptr{rawInput, hand} {
		if b := buffer(c, offset); b.Len() == 0 && b.Cap() > roomKept {
			list = append(list, b)
		}
	}
	return list
}

// Bulky reports whether TLS keeps much room for what comes over a connection. It, and Slim, are
// for whoever reads from the connection, between two reads.
func Bulky(c net.Conn) bool {
	private, ok := c.(*tls.Conn)
	return ok && len(bulky(private)) > 0
}

// Slim gives the room back. The next read takes as much as it needs.
func Slim(c net.Conn) {
	if private, ok := c.(*tls.Conn); ok {
		for _, b := range bulky(private) {
			*b = bytes.Buffer{}
		}
	}
}
