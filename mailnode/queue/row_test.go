package queue

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"mailfleet/mailnode/envelope"
)

// fill gives every field that is kept a value of its own, so that one that is forgotten in
// a row is missed.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 31, 12, 0, *n, 789, time.UTC)))
		return
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", *n))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("value %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int64:
		v.SetInt(-int64(*n))
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(uint64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(t, v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(t, v.Field(i), n)
			}
		}
	default:
		t.Fatalf("it is not known how to fill a %s", v.Type())
	}
}

func TestRowsKeepEverything(t *testing.T) {
	n := 0
	m, p := letter{}, part{}
	fill(t, reflect.ValueOf(&m).Elem(), &n)
	fill(t, reflect.ValueOf(&p).Elem(), &n)
	m.Envelope.Recipients = nil // they are in the parts
	m.prefix = []byte("Received: x\r\n")
	for _, m := range []letter{m, {prefix: []byte{}}} {
		if got, err := decodeMessage(m.encode()); err != nil || !reflect.DeepEqual(*got, m) {
			t.Errorf("the message %+v is read as %+v, %v", m, got, err)
		}
	}
	for _, p := range []part{p, {}} {
		if got, err := decodePart(p.encode()); err != nil || !reflect.DeepEqual(*got, p) {
			t.Errorf("the part %+v is read as %+v, %v", p, got, err)
		}
	}
}

// encode1 makes rows of version 1.
func encode1(t testing.TB, m *letter, p *part) (message, recipients []byte) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	message = append(append(binary.AppendUvarint([]byte{1}, uint64(len(text))), text...), m.prefix...)
	if text, err = json.Marshal(p); err != nil {
		t.Fatal(err)
	}
	return message, append([]byte{1}, text...)
}

func TestRowsOfVersion1(t *testing.T) {
	n := 0
	m, p := letter{prefix: []byte("x")}, part{}
	fill(t, reflect.ValueOf(&m).Elem(), &n)
	fill(t, reflect.ValueOf(&p).Elem(), &n)
	message, recipients := encode1(t, &m, &p)
	if got, err := decodeMessage(message); err != nil || !reflect.DeepEqual(*got, m) {
		t.Errorf("the message %+v is read as %+v, %v", m, got, err)
	}
	if got, err := decodePart(recipients); err != nil || !reflect.DeepEqual(*got, p) {
		t.Errorf("the part %+v is read as %+v, %v", p, got, err)
	}
	// As an earlier server wrote it.
	old := `{"sender":"acc","priority":0,"destination":"far.test","origin":"here.test","to":[{"Address":"x@far.test","Original":"","Notify":0}],"changes":1,"attempts":1,"next":"2026-01-31T13:00:00+01:00","last":{"at":"2026-01-31T12:00:00Z","code":451,"enhanced":"4.3.0","host":"mx","text":"not now"}}`
	got, err := decodePart(append([]byte{1}, old...))
	if err != nil || got.To[0].Address != "x@far.test" || got.Last.Code != 451 || !got.Next.Equal(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("a row of version 1 is read as %+v, %v", got, err)
	}
}

func FuzzRecords(f *testing.F) {
	m := letter{Envelope: from("a@b.test"), Received: time.Unix(1, 1), prefix: []byte("x")}
	p := part{Sender: "a", Last: &last{Text: "x"}, To: []envelope.Recipient{rcpt("x@far.test")}}
	f.Add(m.encode())
	f.Add(p.encode())
	message, recipients := encode1(f, &m, &p)
	f.Add(message)
	f.Add(recipients)
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMessage(b); err == nil {
			if !bytes.HasSuffix(b, m.prefix) {
				t.Fatalf("%q has the prefix %q", b, m.prefix)
			}
			if again, err := decodeMessage(m.encode()); err != nil || !again.Received.Equal(m.Received) || again.Envelope.ID != m.Envelope.ID {
				t.Fatalf("%+v becomes %+v, %v", m, again, err)
			}
		}
		if p, err := decodePart(b); err == nil {
			if again, err := decodePart(p.encode()); err != nil || len(again.To) != len(p.To) {
				t.Fatalf("%+v becomes %+v, %v", p, again, err)
			}
		}
	})
}

func BenchmarkRows(b *testing.B) {
	m := letter{Envelope: from("a@b.test"), Received: time.Now(), Expires: time.Now(), Parts: 1, Next: 1, prefix: bytes.Repeat([]byte("x"), 300)}
	p := part{Sender: "acc", Destination: "far.test", Origin: "b.test", To: []envelope.Recipient{rcpt("x@far.test")}, Next: time.Now()}
	message, recipients := m.encode(), p.encode()
	for b.Loop() {
		_, err := decodeMessage(message)
		_, otherErr := decodePart(recipients)
		if err != nil || otherErr != nil {
			b.Fatal(err, otherErr)
		}
	}
}
