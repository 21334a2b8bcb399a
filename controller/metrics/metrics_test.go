package metrics

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestPointIsASecondAndAValueInJSON(t *testing.T) {
	for _, c := range []struct {
		point Point
		want  string
	}{
		{Point{time.Unix(1_700_000_000, 0), 1.5}, "[1700000000,1.5]"},
		{Point{time.UnixMilli(1_700_000_000_250), -3}, "[1700000000.25,-3]"},
		{Point{time.Unix(-5, 0), 1e300}, "[-5,1e+300]"},
		{Point{time.Unix(0, 0), math.Inf(1)}, "[0,null]"},
		{Point{time.Unix(0, 0), math.NaN()}, "[0,null]"},
	} {
		got, err := json.Marshal(c.point)
		if err != nil || string(got) != c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
	}
}

func TestFloorRoundsDownBefore1970Too(t *testing.T) {
	for _, c := range [][3]int64{{0, 60, 0}, {59, 60, 0}, {60, 60, 60}, {-1, 60, -60}, {-60, 60, -60}, {-61, 60, -120}, {7, 1, 7}} {
		if got := floor(c[0], c[1]); got != c[2] {
			t.Errorf("floor(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
