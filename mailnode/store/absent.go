package store

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// sieveKeys is how many keys a sieve is made for; it takes two bytes for each.
	sieveKeys = 1 << 17
	// sieveBlock is how many words of a sieve one key is looked for in: a line of the
	// processor's cache.
	sieveBlock = 8
	sieveWords = sieveKeys * 16 / 64
	// tablesLife is for how long an iterator is used, and keeps files that Pebble could
	// remove otherwise.
	tablesLife = 2 * time.Second
)

// absent tells that a key is nowhere in the database, without a look at what Pebble holds
// in memory, which takes long: there the keys and values lie where they came, and every
// step of a search is to another page. Most of what is looked for when a message comes, its
// hash and its Message-ID, is nowhere.
//
// What is in memory was written not long ago, and the keys of that are in a sieve. So
// what is neither there nor in a table is nowhere. When the sieve is full another takes
// its place, and it goes when Pebble has written into tables what was in memory then.
//
// Keys get in by Tx.index. Whoever writes some past it flushes the database before they
// are looked for.
type absent struct {
	db   *pebble.DB
	most int // keys in a sieve; tests take fewer

	mu         sync.Mutex
	young, old *sieve           // of keys that may not be in tables; old may be nil
	tables     *pebble.Iterator // over tables that have all keys of sieves that have gone; nil: to be made
}

// start begins, with a database that has nothing in memory.
func (a *absent) start(db *pebble.DB) {
	a.db, a.most, a.young = db, sieveKeys, newSieve()
}

// sure reports that a key is not in the database. false says nothing.
func (a *absent) sure(key []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.young.has(key) || a.old != nil && a.old.has(key) {
		return false
	}
	if a.tables == nil {
		it, err := a.db.NewIter(&pebble.IterOptions{OnlyReadGuaranteedDurable: true, UseL6Filters: true})
		if err != nil {
			return false // whoever then looks the key up meets the error again
		}
		a.tables = it
		time.AfterFunc(tablesLife, a.release)
	}
	return !a.tables.SeekPrefixGE(key) && a.tables.Error() == nil
}

// release gives the tables free.
func (a *absent) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tables != nil {
		_ = a.tables.Close() // its errors were seen
		a.tables = nil
	}
}

// note takes up a key that is about to be written.
func (a *absent) note(key []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.young.add(key)
}

// turn begins a new sieve if the one in use is full and the one before has gone. What was
// noted must have been applied.
func (a *absent) turn() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.young.keys < a.most || a.old != nil {
		return false
	}
	a.old, a.young = a.young, newSieve()
	return true
}

// turned lets the old sieve go, whose keys are in tables now.
func (a *absent) turned() {
	a.release()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.old = nil
}

// sieve is a set of keys that tells sometimes that it has a key which it does not have: a
// Bloom filter with four bits for a key, all in one block.
type sieve struct {
	seed maphash.Seed // nobody outside can aim at it
	bits [sieveWords]uint64
	keys int
}

func newSieve() *sieve { return &sieve{seed: maphash.MakeSeed()} }

// place is where a key's bits are: a block, and nine bits for each of them.
func (s *sieve) place(key []byte) (block []uint64, bits uint64) {
	h := maphash.Bytes(s.seed, key)
	from := h % (sieveWords / sieveBlock) * sieveBlock
	return s.bits[from : from+sieveBlock], h >> 28
}

func (s *sieve) add(key []byte) {
	block, bits := s.place(key)
	for range 4 {
		block[bits>>6%sieveBlock] |= 1 << (bits & 63)
		bits >>= 9
	}
	s.keys++
}

func (s *sieve) has(key []byte) bool {
	block, bits := s.place(key)
	for range 4 {
		if block[bits>>6%sieveBlock]&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}
