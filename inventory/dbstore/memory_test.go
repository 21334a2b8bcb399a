package dbstore

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

// fillAll sets all of a value to what n makes of it; nothing of it stays empty but what
// lies very deep, in values that hold themselves.
func fillAll(v reflect.Value, n int) { fillTo(v, n, 12) }

func fillTo(v reflect.Value, n, depth int) {
	if depth == 0 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillTo(v.Elem(), n, depth-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillTo(v.Index(i), n, depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillTo(key, n, depth-1)
		fillTo(value, n, depth-1)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(n), 0).UTC()))
			return
		}
		for i := range v.NumField() {
			fillTo(v.Field(i), n, depth-1)
		}
	case reflect.String:
		v.SetString(fmt.Sprint(n))
	case reflect.Bool:
		v.SetBool(n%2 == 0)
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(n))
	default:
		v.SetInt(int64(n))
	}
}

// change changes, in place, all that can be reached from a value.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			change(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			change(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			change(value)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			fillAll(v, 8)
			return
		}
		for i := range v.NumField() {
			change(v.Field(i))
		}
	default:
		fillAll(v, 8)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testCopy[R inventory.Record](t *testing.T) {
	r := reflect.New(reflect.TypeFor[R]().Elem()).Interface().(R)
	if c := copied(r); !reflect.DeepEqual(c, r) {
		t.Errorf("an empty %T was copied as %+v", r, c)
	}
	fillAll(reflect.ValueOf(r).Elem(), 7)
	was, err := encode(r)
	if err != nil {
		t.Fatal(err)
	}
	c := copied(r)
	if !reflect.DeepEqual(c, r) {
		t.Errorf("a %T was copied as another", r)
	}
	change(reflect.ValueOf(c).Elem())
	if reflect.DeepEqual(c, r) {
		t.Fatalf("a copy of %T was not changed", r)
	}
	now, err := encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if now != was {
		t.Errorf("a %T shares something with its copy:\n%s\n%s", r, was.Doc, now.Doc)
	}
}

func TestCopiesShareNothing(t *testing.T) {
	t.Run("server", testCopy[*inventory.Server])
	t.Run("service", testCopy[*inventory.Service])
	t.Run("operation", testCopy[*inventory.Operation])
}

func TestWhatReadersChangeIsTheirOwn(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "own.db"))
	op := &inventory.Operation{State: inventory.OpRunning, Steps: []inventory.Step{{State: inventory.OpRunning}}}
	must(t, s.Update(t.Context(), func(tx inventory.Tx) error { return tx.Operations().Create(op) }))
	op.Steps[0].State = inventory.OpFailed // the writer's own
	spoil := map[string]func(inventory.Tx) (*inventory.Operation, error){
		"Get": func(tx inventory.Tx) (*inventory.Operation, error) { return tx.Operations().Get(op.ID) },
		"List": func(tx inventory.Tx) (*inventory.Operation, error) {
			list, _, err := tx.Operations().List(inventory.Query{})
			return list[0], err
		},
	}
	for range 2 {
		for name, read := range spoil {
			must(t, s.View(t.Context(), func(tx inventory.Tx) error {
				got, err := read(tx)
				if err == nil && got.Steps[0].State != inventory.OpRunning {
					t.Errorf("%s gives what another reader changed", name)
				}
				got.Steps[0].State = inventory.OpUnknown
				return err
			}))
		}
	}
}

// What an Update wrote that was taken back is not what the next one reads, though
// it has the same version.
func TestWhatWasTakenBackIsNotRemembered(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "back.db"))
	server := &inventory.Server{Name: "mail1"}
	must(t, s.Update(t.Context(), func(tx inventory.Tx) error { return tx.Servers().Create(server) }))
	write := func(region string, fail error) error {
		return s.Update(t.Context(), func(tx inventory.Tx) error {
			got, err := tx.Servers().Get(server.ID)
			if err != nil {
				return err
			}
			got.Region = region
			if err := tx.Servers().Update(got); err != nil {
				return err
			}
			return fail
		})
	}
	if err := write("lost", inventory.Errorf(inventory.Conflict, "no")); err == nil {
		t.Fatal("it was not taken back")
	}
	region := func() (region string) {
		must(t, s.View(t.Context(), func(tx inventory.Tx) error {
			got, err := tx.Servers().Find("name", "mail1")
			if err == nil {
				region = got.Region
			}
			return err
		}))
		return region
	}
	if got := region(); got != "" {
		t.Errorf("what was taken back is read: region %q", got)
	}
	must(t, write("hk", nil))
	if got := region(); got != "hk" {
		t.Errorf("region %q instead of hk", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	text := strings.Repeat("x", mostRemembered/10)
	for i := range 50 {
		m.remember(row{ID: inventory.ID(fmt.Sprint(i)), Doc: text}, &inventory.Server{})
		m.remember(row{ID: "one", Doc: text}, &inventory.Server{})
	}
	size := 0
	for _, r := range m.held {
		size += r.size()
	}
	if size > mostRemembered || size != m.size || len(m.held) < 5 {
		t.Errorf("%d records of %d bytes are remembered, which is held to be %d", len(m.held), size, m.size)
	}
	for id := range m.held {
		m.forget(id)
	}
	m.forget("another")
	if m.size != 0 {
		t.Errorf("%d bytes are held to be there when there is nothing", m.size)
	}
}

// BenchmarkOneStep measures one step of an operation on 200 servers that ends:
// it is read, changed and read by those who follow it.
func BenchmarkOneStep(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "bench.db"))
	op := &inventory.Operation{State: inventory.OpRunning}
	for range 200 {
		id := inventory.NewID()
		op.Targets = append(op.Targets, inventory.Target{Server: id, Service: "task"})
		op.Steps = append(op.Steps, inventory.Step{ID: inventory.NewID(), Target: inventory.Target{Server: id, Service: "task"}, State: inventory.OpRunning, Turn: time.Now(), Started: time.Now()})
	}
	must(b, s.Update(b.Context(), func(tx inventory.Tx) error { return tx.Operations().Create(op) }))
	text, _ := json.Marshal(op)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		must(b, s.Update(b.Context(), func(tx inventory.Tx) error {
			got, err := tx.Operations().Get(op.ID)
			if err != nil {
				return err
			}
			got.Steps[0].Batch++
			return tx.Operations().Update(got)
		}))
		for range 3 {
			must(b, s.View(b.Context(), func(tx inventory.Tx) error {
				_, err := tx.Operations().Get(op.ID)
				return err
			}))
		}
	}
}
