package sms

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func TestEncode(t *testing.T) {
	for name, c := range map[string]struct {
		text     string
		encoding Encoding
		parts    int
	}{
		"empty":                              {"", GSM7, 1},
		"one character":                      {"a", GSM7, 1},
		"160 septets":                        {strings.Repeat("a", 160), GSM7, 1},
		"161 septets":                        {strings.Repeat("a", 161), GSM7, 2},
		"306 septets":                        {strings.Repeat("a", 306), GSM7, 2},
		"307 septets":                        {strings.Repeat("a", 307), GSM7, 3},
		"national characters of GSM":         {"@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉÄÖÑÜ§¿äöñüà¡¤", GSM7, 1},
		"80 extension characters":            {strings.Repeat("€", 80), GSM7, 1},
		"81 extension characters":            {strings.Repeat("[", 81), GSM7, 2},
		"every extension character":          {"^{}\\[~]|€\f", GSM7, 1},
		"159 and an extension character":     {strings.Repeat("a", 159) + "{", GSM7, 2},
		"an escape does not end a part":      {strings.Repeat("a", 152) + "{" + strings.Repeat("a", 152), GSM7, 3},
		"two full parts around an escape":    {strings.Repeat("a", 151) + "{" + strings.Repeat("a", 153), GSM7, 2},
		"a backtick is not in GSM":           {"`", UCS2, 1},
		"a small ç is not in GSM":            {"ç", UCS2, 1},
		"a tab is not in GSM":                {"a\tb", UCS2, 1},
		"Chinese":                            {"严重", UCS2, 1},
		"one Chinese character decides":      {strings.Repeat("a", 69) + "重", UCS2, 1},
		"70 units":                           {strings.Repeat("重", 70), UCS2, 1},
		"71 units":                           {strings.Repeat("重", 71), UCS2, 2},
		"134 units":                          {strings.Repeat("重", 134), UCS2, 2},
		"135 units":                          {strings.Repeat("重", 135), UCS2, 3},
		"35 surrogate pairs":                 {strings.Repeat("😀", 35), UCS2, 1},
		"36 surrogate pairs":                 {strings.Repeat("😀", 36), UCS2, 2},
		"a pair is not split over two parts": {strings.Repeat("重", 66) + "😀" + strings.Repeat("重", 66), UCS2, 3},
		"66 pairs: 33 and a spare a part":    {strings.Repeat("😀", 66), UCS2, 2},
		"67 pairs":                           {strings.Repeat("😀", 67), UCS2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			if encoding, parts := Encode(c.text); encoding != c.encoding || parts != c.parts {
				t.Errorf("got %s in %d parts, want %s in %d", encoding, parts, c.encoding, c.parts)
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		limit int
		want  string
	}{
		"fits":                      {strings.Repeat("a", 160), 1, strings.Repeat("a", 160)},
		"Latin":                     {strings.Repeat("a", 161), 1, strings.Repeat("a", 157) + "..."},
		"Latin, two parts":          {strings.Repeat("a", 307), 2, strings.Repeat("a", 303) + "..."},
		"Latin, an escape is whole": {strings.Repeat("a", 156) + strings.Repeat("{", 9), 1, strings.Repeat("a", 156) + "..."},
		"Chinese":                   {strings.Repeat("重", 71), 1, strings.Repeat("重", 69) + "…"},
		"Chinese, two parts":        {strings.Repeat("重", 135), 2, strings.Repeat("重", 133) + "…"},
		"a pair is whole":           {strings.Repeat("重", 68) + "😀😀", 1, strings.Repeat("重", 68) + "…"},
		"Chinese in what is cut":    {strings.Repeat("a", 200) + "重", 1, strings.Repeat("a", 69) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Truncate(c.text, c.limit)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if _, parts := Encode(got); parts > c.limit {
				t.Errorf("%d parts", parts)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		" a\r\nb\rc\x00d\te ": "a\nb\nc d e",
		"磁盘　已满":               "磁盘 已满",
		"bad \xff bytes":      "bad   bytes",
		"\u202eevil":          "evil",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// naiveParts lays the units of a text out one by one.
func naiveParts(text string) int {
	encoding, _ := Encode(text)
	single, part := 70, 67
	var characters []int
	for _, r := range text {
		cost := len(utf16.Encode([]rune{r}))
		if encoding == GSM7 {
			single, part, cost = 160, 153, 1
			if strings.ContainsRune("\f^{}\\[~]|€", r) {
				cost = 2
			}
		}
		characters = append(characters, cost)
	}
	total := 0
	for _, c := range characters {
		total += c
	}
	if total <= single {
		return 1
	}
	parts := 0
	for len(characters) > 0 {
		parts++
		for room := part; len(characters) > 0 && characters[0] <= room; characters = characters[1:] {
			room -= characters[0]
		}
	}
	return parts
}

func FuzzEncode(f *testing.F) {
	f.Add("hello", 1)
	f.Add(strings.Repeat("严重😀", 100), 3)
	f.Add(strings.Repeat("{a", 300), 2)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		text = Clean(text)
		if _, parts := Encode(text); parts != naiveParts(text) {
			t.Errorf("%q: %d parts, want %d", text, parts, naiveParts(text))
		}
		limit = 1 + int(uint(limit)%MaxParts)
		cut := Truncate(text, limit)
		if _, parts := Encode(cut); parts > limit || !utf8.ValidString(cut) {
			t.Errorf("%q cut to %q: %d parts", text, cut, parts)
		}
		if _, parts := Encode(text); parts <= limit && cut != text {
			t.Errorf("%q was cut needlessly", text)
		}
	})
}
