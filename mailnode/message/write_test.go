package message

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"
)

func TestWrittenFieldsAreReadAgain(t *testing.T) {
	for _, value := range []string{
		"short", "", "会议记录：明天上午九点开会", strings.Repeat("会议", 100), strings.Repeat("words and ", 30) + "end",
		"=?utf-8?q?not?= a word", "a 你好 b 世界 c", "Re: " + strings.Repeat("x", 200),
	} {
		field := string(AppendField(nil, "Subject", value))
		for line := range strings.SplitSeq(strings.TrimSuffix(field, "\r\n"), "\r\n") {
			if len(line) > maxLine && strings.Contains(line, "=?") || strings.ContainsFunc(line, func(r rune) bool { return r > '~' || r < ' ' }) {
				t.Errorf("line %q", line)
			}
		}
		d := parse(t, field+"\r\n")
		if d.Keys.Subject != value {
			t.Errorf("%q comes back as %q, from %q", value, d.Keys.Subject, field)
		}
	}
	if got := string(AppendField(nil, "Subject", "a\r\nBcc: b")); got != "Subject: a Bcc: b\r\n" {
		t.Errorf("a value with a line end: %q", got)
	}
	now := time.Date(2006, 1, 2, 15, 4, 5, 0, time.FixedZone("", 8*3600))
	if got, ok := ParseDate([]byte(FormatDate(now))); !ok || !got.Equal(now) {
		t.Errorf("%s comes back as %v", FormatDate(now), got)
	}
}

func TestAddressesAsPeopleReadThem(t *testing.T) {
	list := ParseAddresses([]byte(`=?gb2312?B?1cXI/Q==?= <zhang@xn--fsqu00a.xn--0zwm56d>, G: a@b.test;, "C, D" <c@d.test>`))
	want := "张三 <zhang@例子.测试> <zhang@xn--fsqu00a.xn--0zwm56d>, G:, a@b.test, ;, C, D <c@d.test>"
	if got := AddressText(list); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestDigestsOfEveryVersionAreRead reads digests that earlier programs stored.
func TestDigestsOfEveryVersionAreRead(t *testing.T) {
	want := parse(t, crlf(mixed))
	path := "testdata/digest-v1.hex"
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(hex.EncodeToString(want.Encode())+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := hex.DecodeString(strings.TrimSpace(string(golden)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Encoded(stored).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Encode()) != string(want.Encode()) {
		t.Errorf("%s: %+v, want %+v", path, got, want)
	}
}
