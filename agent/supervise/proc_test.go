package supervise

import (
	"fmt"
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	rest := " 1 77 78 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 %d 0 987654 1000 200 18446744073709551615"
	for _, c := range []struct {
		text string
		want stat
	}{
		{"42 (mailnode) S" + fmt.Sprintf(rest, 9), stat{pid: 42, session: 78, start: 987654}},
		{"42 (a) b (c)) R" + fmt.Sprintf(rest, 1), stat{pid: 42, session: 78, start: 987654}},
		{"42 (z) Z" + fmt.Sprintf(rest, 1), stat{pid: 42, session: 78, start: 987654, ended: true}},
		{"42 (main thread has left) Z" + fmt.Sprintf(rest, 3), stat{pid: 42, session: 78, start: 987654}},
	} {
		if got, err := parseStat([]byte(c.text)); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
	for _, text := range []string{"", "42", "42 (cut) S 1 2", ") 42 (", "x (a) S" + fmt.Sprintf(rest, 1)} {
		if _, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("1 (() S )"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseStat(b); err != nil && s != (stat{}) {
			t.Fatalf("%+v with %v", s, err)
		}
	})
}

func TestParseStatKnowsThisProcess(t *testing.T) {
	s, err := readStat(os.Getpid())
	if err != nil || s.pid != os.Getpid() || s.start == 0 || s.ended {
		t.Fatalf("got %+v, %v", s, err)
	}
}
