package auth

import "container/list"

// recent is a map that holds the most recently used entries only, so that
// hostile keys cannot fill memory. It is not safe for concurrent use.
type recent[K comparable, V any] struct {
	max     int
	order   *list.List // of *entry, most recent first
	entries map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](maximum int) *recent[K, V] {
	return &recent[K, V]{max: maximum, order: list.New(), entries: map[K]*list.Element{}}
}

// get returns the place of key's value, or nil.
func (r *recent[K, V]) get(key K) *V {
	el, ok := r.entries[key]
	if !ok {
		return nil
	}
	r.order.MoveToFront(el)
	return &el.Value.(*entry[K, V]).value
}

// at returns the place of key's value, made zero when there is none.
func (r *recent[K, V]) at(key K) *V {
	if v := r.get(key); v != nil {
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
