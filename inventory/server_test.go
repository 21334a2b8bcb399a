package inventory

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, name := range []string{"a", "mx1", "mx-1.example.test", "0", label, strings.Join([]string{label, label, label, label[:61]}, ".")} {
		if err := CheckName("name", name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "-a", "a-", "a.", ".a", "a..b", "A", "a_b", "a b", "a\n", "ü", label + "a",
		strings.Join([]string{label, label, label, label[:62]}, "."),
	} {
		if err := CheckName("name", name); !Is(err, Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
