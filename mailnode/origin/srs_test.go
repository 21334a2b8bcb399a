package origin

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var srsNow = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestSRSThereAndBack(t *testing.T) {
	first := SRS{Domain: "first.test", Keys: [][]byte{[]byte("one")}}
	second := SRS{Domain: "second.test", Keys: [][]byte{[]byte("two")}}
	third := SRS{Domain: "third.test", Keys: [][]byte{[]byte("three")}}
	for _, from := range []string{"ann@example.org", "ann+x=y@example.org", `"a b"@example.org`, `"a\"@b"@example.org`, "安@例子.test", "SRS@example.org", "srs0x@example.org"} {
		one, err := first.Forward(from, srsNow)
		if err != nil {
			t.Fatal(err)
		}
		two, err := second.Forward(one, srsNow)
		if err != nil {
			t.Fatal(err)
		}
		three, err := third.Forward(two, srsNow)
		if err != nil {
			t.Fatal(err)
		}
		// The third asks the first at once: SRS1 grows no more.
		if back, err := third.Reverse(three, srsNow); err != nil || back != one {
			t.Errorf("%s came back from the third as %s, %v", three, back, err)
		}
		if back, err := second.Reverse(two, srsNow); err != nil || back != one {
			t.Errorf("%s came back from the second as %s, %v", two, back, err)
		}
		if back, err := first.Reverse(one, srsNow.Add(20*24*time.Hour)); err != nil || back != from {
			t.Errorf("%s came back as %s, %v", one, back, err)
		}
		if back, err := first.Reverse(strings.ToLower(one), srsNow); err != nil || !strings.EqualFold(back, from) {
			t.Errorf("%s came back in lower case as %s, %v", one, back, err)
		}
		if back, err := first.Reverse(strings.ToUpper(one), srsNow); err != nil || !strings.EqualFold(back, from) {
			t.Errorf("%s came back in upper case as %s, %v", one, back, err)
		}
	}
	if got, err := first.Forward("", srsNow); got != "" || err != nil {
		t.Errorf("the null sender became %q, %v", got, err)
	}
}

func TestSRSRefuses(t *testing.T) {
	s := SRS{Domain: "first.test", Keys: [][]byte{[]byte("new"), []byte("old")}}
	old := SRS{Domain: "first.test", Keys: [][]byte{[]byte("old")}}
	good, _ := old.Forward("ann@example.org", srsNow)
	if got, err := s.Reverse(good, srsNow); err != nil || got != "ann@example.org" {
		t.Errorf("with the key of before: %s, %v", got, err)
	}
	other := SRS{Domain: "first.test", Keys: [][]byte{[]byte("other")}}
	for _, c := range []struct {
		address string
		now     time.Time
		want    error
	}{
		{good, srsNow.Add(23 * 24 * time.Hour), ErrSRSExpired},
		{good, srsNow.Add(-3 * 24 * time.Hour), ErrSRSExpired},
		{strings.Replace(good, "ann", "eve", 1), srsNow, ErrSRSForged},
		{strings.Replace(good, "example.org", "example.com", 1), srsNow, ErrSRSForged},
		{strings.Replace(good, "@first.test", "@second.test", 1), srsNow, ErrNotSRS},
		{"ann@first.test", srsNow, ErrNotSRS},
		{"SRS0=@first.test", srsNow, ErrSRSForged},
		{"SRS0=a=b=c@first.test", srsNow, ErrSRSForged},
		{"SRS1=a=b==c@first.test", srsNow, ErrSRSForged},
		{"SRS0", srsNow, ErrNotSRS},
	} {
		if got, err := s.Reverse(c.address, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s is %s, %v", c.address, got, err)
		}
	}
	if _, err := other.Reverse(good, srsNow); !errors.Is(err, ErrSRSForged) {
		t.Error(err)
	}
	if _, err := s.Forward(strings.Repeat("x", 240)+"@example.org", srsNow); !errors.Is(err, ErrSRSLong) {
		t.Error(err)
	}
	for _, from := range []string{"ann", "@example.org", "ann@", "SRS1=x@y.test"} {
		if got, err := s.Forward(from, srsNow); err == nil {
			t.Errorf("%q became %q", from, got)
		}
	}
}

func TestTheSRSDayBeginsAnew(t *testing.T) {
	s := SRS{Domain: "first.test", Keys: [][]byte{[]byte("k")}}
	end := time.Unix((1024*20-1)*86400, 0)
	a, _ := s.Forward("a@b.test", end)
	if got, err := s.Reverse(a, end.Add(48*time.Hour)); err != nil || got != "a@b.test" {
		t.Errorf("%s, %v", got, err)
	}
}
