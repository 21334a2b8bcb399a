package message

import (
	"reflect"
	"testing"
)

// Envelopes that are decoded one after the other are what each is alone, whatever was
// decoded before.
func TestEnvelopesShareTheirMemory(t *testing.T) {
	var all []Encoded
	for _, s := range corpus() {
		all = append(all, parse(t, s.text).Encode())
	}
	var r Envelopes
	for round := range 2 {
		for i := range all {
			n := i
			if round > 0 {
				n = len(all) - 1 - i
			}
			want, err := all[n].Envelope()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Decode(all[n]); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %+v, %v, want %+v", corpus()[n].name, got, err, want)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = r.Decode(all[0]) }); n > 0 {
		t.Errorf("it takes %v pieces of memory", n)
	}
}
