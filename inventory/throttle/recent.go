package throttle

import "container/list"

// Recent is a map that holds the most recently used entries only, so that
// hostile keys cannot fill memory. It is not safe for concurrent use.
type Recent[K comparable, V any] struct {
	max     int
	order   *list.List // of *entry, most recent first
	entries map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// NewRecent returns an empty map of at most maximum entries.
func NewRecent[K comparable, V any](maximum int) *Recent[K, V] {
	return &Recent[K, V]{max: maximum, order: list.New(), entries: map[K]*list.Element{}}
}

// Len is the number of entries.
func (r *Recent[K, V]) Len() int { return len(r.entries) }

// Get returns the place of key's value, or nil.
func (r *Recent[K, V]) Get(key K) *V {
	el, ok := r.entries[key]
	if !ok {
		return nil
	}
	r.order.MoveToFront(el)
	return &el.Value.(*entry[K, V]).value
}

// At returns the place of key's value, made zero when there is none.
func (r *Recent[K, V]) At(key K) *V {
	if v := r.Get(key); v != nil {
		return v
	}
	if len(r.entries) >= r.max {
		oldest := r.order.Back()
		delete(r.entries, oldest.Value.(*entry[K, V]).key)
		r.order.Remove(oldest)
	}
	e := &entry[K, V]{key: key}
	r.entries[key] = r.order.PushFront(e)
	return &e.value
}
