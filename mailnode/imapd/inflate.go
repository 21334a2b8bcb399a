package imapd

import (
	"errors"
	"io"
)

// inflater reads a DEFLATE stream (RFC 1951). Unlike compress/flate it gives out what is
// decoded as soon as there is no more input at hand, whatever kind of flush the peer
// made: RFC 4978 leaves that to it, and zlib's partial flush ends no byte.
type inflater struct {
	src  *prefixed
	bits uint64 // not used yet, the next one lowest
	n    uint   // how many

	step   step
	final  bool // the last block
	stored uint // bytes left of a stored block
	lit    huffman
	dist   huffman

	// While a dynamic block's codes are read.
	counts  [3]int // literal/length, distance and code length codes
	lengths [320]byte
	have    int

	window [windowSize]byte
	wrote  uint64 // bytes decoded
	read   uint64 // bytes given out
}

const windowSize = 32 << 10

type step byte

const (
	blockHeader step = iota
	storedHeader
	storedBytes
	dynamicCounts
	dynamicOrder
	dynamicLengths
	symbols
	ended
)

var (
	errInflate = errors.New("imapd: what comes is not compressed as it should be")
	errInput   = errors.New("imapd: more bits are needed")
)

// Read implements io.Reader.
func (z *inflater) Read(p []byte) (int, error) {
	for {
		err := z.decode()
		if pending := z.wrote - z.read; pending > 0 {
			start := int(z.read % windowSize)
			n := copy(p, z.window[start:min(windowSize, start+int(pending))])
			z.read += uint64(n)
			return n, nil
		}
		if !errors.Is(err, errInput) {
			return 0, err
		}
		c, err := z.src.ReadByte() // waits
		if err != nil {
			return 0, err
		}
		z.bits |= uint64(c) << z.n
		z.n += 8
	}
}

// decode decodes until much is pending, or there is no input at hand.
func (z *inflater) decode() error {
	for z.wrote-z.read < windowSize/2 {
		for z.n <= 56 && len(z.src.head) > 0 {
			z.bits |= uint64(z.src.head[0]) << z.n
			z.src.head = z.src.head[1:]
			z.n += 8
		}
		if err := z.next(); err != nil {
			return err
		}
	}
	return nil
}

// next takes one step. It uses no bits unless it has all that it needs.
func (z *inflater) next() error {
	switch z.step {
	case blockHeader:
		return z.header()
	case storedHeader:
		skip := z.n % 8
		if z.n-skip < 32 {
			return errInput
		}
		z.take(skip)
		size, inverse := z.take(16), z.take(16)
		if size != ^inverse&0xffff {
			return errInflate
		}
		z.stored, z.step = size, storedBytes
	case storedBytes:
		if z.stored == 0 {
			z.endBlock()
			return nil
		}
		if z.n < 8 {
			return errInput
		}
		z.put(byte(z.take(8)))
		z.stored--
	case dynamicCounts, dynamicOrder, dynamicLengths:
		return z.dynamic()
	case symbols:
		return z.symbol()
	case ended:
		return io.EOF
	}
	return nil
}

// take uses n bits, which are there.
func (z *inflater) take(n uint) uint {
	v := uint(z.bits & (1<<n - 1))
	z.bits >>= n
	z.n -= n
	return v
}

func (z *inflater) put(c byte) {
	z.window[z.wrote%windowSize] = c
	z.wrote++
}

func (z *inflater) endBlock() {
	z.step = blockHeader
	if z.final {
		z.step = ended
	}
}

func (z *inflater) header() error {
	if z.n < 3 {
		return errInput
	}
	z.final = z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.step = storedHeader
	case 1:
		z.step = symbols
		for i := range 288 {
			z.lengths[i] = fixedLength(i)
		}
		z.lit.build(z.lengths[:288])
		for i := range 30 {
			z.lengths[i] = 5
		}
		z.dist.build(z.lengths[:30])
	case 2:
		z.step = dynamicCounts
	default:
		return errInflate
	}
	return nil
}

// fixedLength is RFC 1951 §3.2.6.
func fixedLength(i int) byte {
	switch {
	case i < 144:
		return 8
	case i < 256:
		return 9
	case i < 280:
		return 7
	}
	return 8
}

// codeOrder is RFC 1951 §3.2.7.
var codeOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the codes of a block that has its own.
func (z *inflater) dynamic() error {
	switch z.step {
	case dynamicCounts:
		if z.n < 14 {
			return errInput
		}
		z.counts = [3]int{int(z.take(5)) + 257, int(z.take(5)) + 1, int(z.take(4)) + 4}
		if z.counts[0] > 286 || z.counts[1] > 30 {
			return errInflate
		}
		z.lengths, z.have, z.step = [320]byte{}, 0, dynamicOrder
	case dynamicOrder:
		if z.n < 3 {
			return errInput
		}
		z.lengths[codeOrder[z.have]] = byte(z.take(3))
		if z.have++; z.have == z.counts[2] {
			if !z.lit.build(z.lengths[:19]) {
				return errInflate
			}
			z.lengths, z.have, z.step = [320]byte{}, 0, dynamicLengths
		}
	default:
		return z.codeLength()
	}
	return nil
}

// codeLength reads one code length, or a run of them.
func (z *inflater) codeLength() error {
	symbol, used, err := z.lit.decode(z.bits, z.n)
	if err != nil {
		return err
	}
	value, repeat := byte(symbol), 1
	if symbol >= 16 {
		extra := [3]uint{2, 3, 7}[symbol-16]
		if z.n < used+extra {
			return errInput
		}
		z.take(used)
		repeat = [3]int{3, 3, 11}[symbol-16] + int(z.take(extra))
		if value = 0; symbol == 16 {
			if z.have == 0 {
				return errInflate
			}
			value = z.lengths[z.have-1]
		}
	} else {
		z.take(used)
	}
	total := z.counts[0] + z.counts[1]
	if z.have+repeat > total {
		return errInflate
	}
	for range repeat {
		z.lengths[z.have] = value
		z.have++
	}
	if z.have < total {
		return nil
	}
	if z.lengths[256] == 0 || !z.lit.build(z.lengths[:z.counts[0]]) || !z.dist.build(z.lengths[z.counts[0]:total]) {
		return errInflate
	}
	z.step = symbols
	return nil
}

// RFC 1951 §3.2.5.
var (
	lengthBase  = [29]uint{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase    = [30]uint{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
)

func distExtra(i int) uint { return uint(max(0, i/2-1)) }

// symbol decodes a literal, the end of the block, or a copy of what came before: at
// most 48 bits.
func (z *inflater) symbol() error {
	symbol, used, err := z.lit.decode(z.bits, z.n)
	switch {
	case err != nil:
		return err
	case symbol < 256:
		z.take(used)
		z.put(byte(symbol))
		return nil
	case symbol == 256:
		z.take(used)
		z.endBlock()
		return nil
	}
	if symbol -= 257; symbol >= len(lengthBase) {
		return errInflate
	}
	at := used + lengthExtra[symbol]
	if z.n < at {
		return errInput
	}
	far, more, err := z.dist.decode(z.bits>>at, z.n-at)
	if err != nil {
		return err
	}
	if far >= len(distBase) {
		return errInflate
	}
	if z.n < at+more+distExtra(far) {
		return errInput
	}
	z.take(used)
	length := lengthBase[symbol] + z.take(lengthExtra[symbol])
	z.take(more)
	distance := uint64(distBase[far] + z.take(distExtra(far)))
	if distance > z.wrote {
		return errInflate
	}
	for range length {
		z.put(z.window[(z.wrote-distance)%windowSize])
	}
	return nil
}

// huffman is a canonical code.
type huffman struct {
	count  [16]uint16 // codes of each length
	symbol [288]uint16
}

// build makes the code of symbols' lengths; false when there is no such code.
func (h *huffman) build(lengths []byte) bool {
	h.count = [16]uint16{}
	for _, n := range lengths {
		h.count[n]++
	}
	left := 1
	for _, n := range h.count[1:] {
		if left = left<<1 - int(n); left < 0 {
			return false
		}
	}
	var at [16]uint16
	for n := 1; n < 15; n++ {
		at[n+1] = at[n] + h.count[n]
	}
	for i, n := range lengths {
		if n > 0 {
			h.symbol[at[n]] = uint16(i)
			at[n]++
		}
	}
	return true
}

// decode finds the symbol at the beginning of n bits, and how many it takes.
func (h *huffman) decode(bits uint64, n uint) (symbol int, used uint, err error) {
	code, first, index := 0, 0, 0
	for used = 1; used <= 15; used++ {
		if used > n {
			return 0, 0, errInput
		}
		code |= int(bits & 1)
		bits >>= 1
		count := int(h.count[used])
		if code-count < first {
			return int(h.symbol[index+code-first]), used, nil
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, 0, errInflate
}
