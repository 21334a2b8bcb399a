package inventory

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDurationJSON(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`30`: 30 * time.Second, `"30s"`: 30 * time.Second, `"1m30s"`: 90 * time.Second, `0`: 0, `"0s"`: 0,
		`1.5`: 1500 * time.Millisecond, `1e2`: 100 * time.Second, `"24h"`: 24 * time.Hour, `"1ns"`: 1, `1000000000`: 1e18,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s is %v, %v: want %v", text, time.Duration(d), err, want)
		}
	}
	for _, text := range []string{`-1`, `"-1s"`, `""`, `"30"`, `"x"`, `true`, `{}`, `[1]`, `1e10`, `1e999`} {
		d := Duration(7)
		if err := json.Unmarshal([]byte(text), &d); !Is(err, Invalid) || d != 7 {
			t.Errorf("%s is %v, %v", text, time.Duration(d), err)
		}
	}
	for d, want := range map[Duration]string{0: `"0s"`, Duration(90 * time.Second): `"1m30s"`, 1: `"1ns"`} {
		if got, err := json.Marshal(d); err != nil || string(got) != want {
			t.Errorf("%d is %s, %v: want %s", d, got, err, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{`30`, `"1m30s"`, `-0`, `"9223372036s"`, `null`, `1e-9`, `"1h1h"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var d Duration
		if json.Unmarshal(text, &d) != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%s is %v", text, time.Duration(d))
		}
		again := Duration(-1)
		written, err := json.Marshal(d)
		if err == nil {
			err = json.Unmarshal(written, &again)
		}
		if err != nil || again != d {
			t.Errorf("%s came back as %v, %v", written, time.Duration(again), err)
		}
	})
}
