package imapd

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

func inflate(r io.Reader) ([]byte, error) { return io.ReadAll(&inflater{src: &prefixed{rest: r}}) }

func deflate(t testing.TB, level int, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err == nil {
		_, err = w.Write(text)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestInflate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	for _, text := range [][]byte{nil, []byte("x"), []byte(strings.Repeat("a", 70_000)), noise, []byte(strings.Repeat("0123456789 hello IMAP\r\n", 9000))} {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			b := deflate(t, level, text)
			if got, err := inflate(bytes.NewReader(b)); !bytes.Equal(got, text) || err != nil {
				t.Fatalf("level %d: %d bytes of %d, %v", level, len(got), len(text), err)
			}
			if got, err := inflate(iotest.OneByteReader(bytes.NewReader(b))); !bytes.Equal(got, text) || err != nil {
				t.Fatalf("level %d bytewise: %d bytes of %d, %v", level, len(got), len(text), err)
			}
		}
	}
}

// zlib's partial flush ends with an empty block that ends no byte: what stands before it
// is given out all the same.
func TestInflateGivesOutWhatItHas(t *testing.T) {
	// "a NOOP\r\n" in a fixed block, then an empty fixed block, as zlib flushes partially.
	partial := []byte{0x4a, 0x54, 0xf0, 0xf3, 0xf7, 0x0f, 0xe0, 0xe5, 0x02, 0x08}
	r, w := io.Pipe()
	go func() { _, _ = w.Write(partial) }()
	z := &inflater{src: &prefixed{rest: r}}
	got := make([]byte, 8)
	if _, err := io.ReadFull(z, got); string(got) != "a NOOP\r\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_ = w.Close()
}

func FuzzInflate(f *testing.F) {
	f.Add(deflate(f, 6, []byte("hello hello hello")))
	f.Add(deflate(f, 0, []byte("hello")))
	f.Fuzz(func(t *testing.T, b []byte) {
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), 1<<20))
		got, err := io.ReadAll(io.LimitReader(&inflater{src: &prefixed{rest: bytes.NewReader(b)}}, 1<<20))
		if wantErr == nil && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%x: %d bytes, %v, want %d", b, len(got), err, len(want))
		}
	})
}
