package dbstore

import (
	"reflect"
	"strings"
	"sync"

	"mailfleet/inventory"
)

// mostRemembered bounds, in bytes of their JSON, the records that are remembered.
const mostRemembered = 16 << 20

// memory holds records as they were last read or written, so that what is read
// again and again (a command to a fleet, by each of its agents' words; every
// server, by who judges them) is decoded once. A record is remembered by its
// text, so it does not matter which transaction wrote it, or whether that came
// to be.
type memory struct {
	mu   sync.Mutex
	held map[inventory.ID]remembered
	size int // of their texts
}

// remembered is a record and the row it is. Nobody changes it.
type remembered struct {
	row    row
	record any
}

func (r remembered) size() int { return len(r.row.Doc) + len(r.row.Secret) }

func newMemory() *memory { return &memory{held: make(map[inventory.ID]remembered)} }

// recall returns the record that a row is; nil when it is not remembered.
func (m *memory) recall(from row) any {
	m.mu.Lock()
	r := m.held[from.ID]
	m.mu.Unlock()
	if r.record == nil || r.row.Doc != from.Doc || r.row.Secret != from.Secret {
		return nil
	}
	return r.record
}

// remember keeps a record that nobody changes from then on. When there are too
// many some other goes.
func (m *memory) remember(r row, record any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := remembered{r, record}
	m.size += now.size() - m.held[r.ID].size()
	m.held[r.ID] = now
	for id, other := range m.held {
		if m.size <= mostRemembered {
			return
		}
		m.size -= other.size()
		delete(m.held, id)
	}
}

// forget drops a record.
func (m *memory) forget(id inventory.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.size -= m.held[id].size()
	delete(m.held, id)
}

// shared returns the record that a row is, which must not be changed.
func (t table[R]) shared(from row) (R, error) {
	if !t.remembers {
		return decode[R](from)
	}
	if r, ok := t.memory.recall(from).(R); ok {
		return r, nil
	}
	r, err := decode[R](from)
	if err == nil {
		t.memory.remember(from, r)
	}
	return r, err
}

// own returns the record that a row is, for the caller to do with as it likes.
func (t table[R]) own(from row) (R, error) {
	r, err := t.shared(from)
	if err != nil || !t.remembers {
		return r, err
	}
	return copied(r), nil
}

// copied is a copy of a record that shares nothing with it that can be changed.
func copied[R inventory.Record](r R) R {
	to := reflect.New(reflect.TypeFor[R]().Elem())
	to.Elem().Set(reflect.ValueOf(r).Elem())
	if part := partingOf(to.Elem().Type()); part != nil {
		part(to.Elem())
	}
	return to.Interface().(R)
}

// parting gives a copied value its own of all that it shares with what it was
// copied from. The value can be set.
type parting func(reflect.Value)

// partings are the partings by type; nil of a type whose values share nothing.
var partings sync.Map

func partingOf(t reflect.Type) parting {
	if known, ok := partings.Load(t); ok {
		return known.(parting)
	}
	made := maker{}.of(t)
	partings.Store(t, made)
	return made
}

// maker makes partings of types that JSON is read into, which may hold themselves: what
// it has of each type, nil before it is made.
type maker map[reflect.Type]*parting

func (m maker) of(t reflect.Type) parting {
	if begun := m[t]; begun != nil {
		return func(v reflect.Value) {
			if *begun != nil {
				(*begun)(v)
			}
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return partPointer(m.of(t.Elem()))
	case reflect.Slice:
		return partSlice(m.of(t.Elem()))
	case reflect.Map:
		return partMap(m.of(t.Elem()))
	case reflect.Struct:
		if !strings.HasPrefix(t.PkgPath(), "mailfleet/") { // a time, say: its values do not change
			return nil
		}
		made := new(parting)
		m[t] = made
		*made = m.fields(t)
		return *made
	case reflect.Array, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		panic("dbstore: a record holds a " + t.String() + ", which cannot be copied")
	default:
		return nil
	}
}

func partPointer(inner parting) parting {
	return func(v reflect.Value) {
		if v.IsNil() {
			return
		}
		to := reflect.New(v.Type().Elem())
		to.Elem().Set(v.Elem())
		if inner != nil {
			inner(to.Elem())
		}
		v.Set(to)
	}
}

func partSlice(inner parting) parting {
	return func(v reflect.Value) {
		if v.IsNil() {
			return
		}
		to := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(to, v)
		if inner != nil {
			for i := range to.Len() {
				inner(to.Index(i))
			}
		}
		v.Set(to)
	}
}

func partMap(inner parting) parting {
	return func(v reflect.Value) {
		if v.IsNil() {
			return
		}
		to := reflect.MakeMapWithSize(v.Type(), v.Len())
		for entries := v.MapRange(); entries.Next(); {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(entries.Value())
			if inner != nil {
				inner(value)
			}
			to.SetMapIndex(entries.Key(), value)
		}
		v.Set(to)
	}
}

// fields makes the parting of a struct.
func (m maker) fields(t reflect.Type) parting {
	inner := make(map[int]parting)
	var fields []int
	for i := range t.NumField() {
		if p := m.of(t.Field(i).Type); p != nil {
			inner[i] = p
			fields = append(fields, i)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return func(v reflect.Value) {
		for _, i := range fields {
			inner[i](v.Field(i))
		}
	}
}
