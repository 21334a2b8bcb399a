package envelope

import (
	"strings"
	"testing"
)

func TestAddressesInEveryLegalQuoting(t *testing.T) {
	for text, want := range map[string]Address{
		`a@b`:                             {"a", "b"},
		`User.Name+tag@Example.TEST`:      {"User.Name+tag", "example.test"},
		`!#$%&'*+-/=?^_{|}~@b.test`:       {"!#$%&'*+-/=?^_{|}~", "b.test"},
		`"user"@b.test`:                   {"user", "b.test"},
		`"a b"@b.test`:                    {"a b", "b.test"},
		`"a@b"@b.test`:                    {"a@b", "b.test"},
		`"a\"b\\c"@b.test`:                {`a"b\c`, "b.test"},
		`"\a\b"@b.test`:                   {"ab", "b.test"},
		`"<>,:;"@b.test`:                  {"<>,:;", "b.test"},
		`""@b.test`:                       {"", "b.test"},
		`".a..b."@b.test`:                 {".a..b.", "b.test"},
		`a@[192.0.2.1]`:                   {"a", "[192.0.2.1]"},
		`a@[IPv6:2001:DB8:0::1]`:          {"a", "[IPv6:2001:db8::1]"},
		`a@[ipv6:::ffff:192.0.2.1]`:       {"a", "[IPv6:::ffff:192.0.2.1]"},
		`用户@例子.测试`:                        {"用户", "xn--fsqu00a.xn--0zwm56d"},
		`user@BÜCHER.example`:             {"user", "xn--bcher-kva.example"},
		`user@xn--bcher-kva.example`:      {"user", "xn--bcher-kva.example"},
		`"用 户"@b.test`:                    {"用 户", "b.test"},
		`bounce_1@my_host.b.test`:         {"bounce_1", "my_host.b.test"},
		strings.Repeat("x", 100) + "@b.c": {strings.Repeat("x", 100), "b.c"},
	} {
		got, err := ParseAddress(text)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v", text, got, err)
			continue
		}
		again, err := ParseAddress(got.String())
		if err != nil || again != got {
			t.Errorf("%s: printed as %s, which is %q, %v", text, got, again, err)
		}
	}
}

func TestWhatIsNoAddress(t *testing.T) {
	for _, text := range []string{
		"", "a", "a@", "@b.test", "a@@b.test", "a@b@c.test", "a b@c.test", ".a@b.test", "a.@b.test", "a..b@b.test",
		`"a@b.test`, `"a"b@c.test`, `"a\`, "\"a\x00\"@b.test", "\"a\nb\"@b.test", "a\x7f@b.test", "a@b..test", "a@.b", "a@b.",
		"a@-b.test", "a@b-.test", "a@b c", "a@b>c", "a@[", "a@[]", "a@[1.2.3]", "a@[1.2.3.4", "a@[::1]", "a@[IPv6:1.2.3.4]",
		"a@[IPv6:fe80::1%eth0]", "a@[x-tag:y]", "\xff@b.test", "a@\xff.test", "a@" + strings.Repeat("x", 64) + ".test",
		strings.Repeat("x", 300) + "@b.test", "a@" + strings.Repeat("x.", 150) + "test", "a(comment)@b.test", "a@b.test ",
	} {
		if got, err := ParseAddress(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

func TestPaths(t *testing.T) {
	for text, want := range map[string]struct {
		address Address
		rest    string
	}{
		"<>":                             {Address{}, ""},
		"<> SIZE=3":                      {Address{}, " SIZE=3"},
		"<PostMaster>":                   {Address{Local: "postmaster"}, ""},
		"<a@b.test> NOTIFY=NEVER":        {Address{"a", "b.test"}, " NOTIFY=NEVER"},
		`<"a>b"@b.test>`:                 {Address{"a>b", "b.test"}, ""},
		`<"a\"> b"@b.test> X`:            {Address{`a"> b`, "b.test"}, " X"},
		"<@one.test,@two.test:a@b.test>": {Address{"a", "b.test"}, ""},
		"<@[192.0.2.1]:a@b.test>":        {Address{"a", "b.test"}, ""},
		`<@one.test:"a:b"@b.test> SIZE=1 BODY=7B`: {Address{"a:b", "b.test"}, " SIZE=1 BODY=7B"},
	} {
		address, rest, err := ParsePath(text)
		if err != nil || address != want.address || rest != want.rest {
			t.Errorf("%s: got %q, %q, %v", text, address, rest, err)
		}
	}
	for _, text := range []string{
		"", "a@b.test", "<a@b.test", `<"a>`, "<a@b.test>x", "<@>", "<@one.test>", "<@one.test,a@b.test>", "<@a,b:c@d>", "<@one:>", "<@:a@b>", "<someone>",
		"< a@b.test>", "<a@b.test >", "<@one.test:postmaster>",
	} {
		if got, rest, err := ParsePath(text); err == nil {
			t.Errorf("%q is taken for %q and %q", text, got, rest)
		}
	}
}

func TestPrintedPaths(t *testing.T) {
	for want, a := range map[string]Address{
		"<>":                    {},
		"<postmaster>":          {Local: Postmaster},
		"<a.b+c=d@b.test>":      {"a.b+c=d", "b.test"},
		`<"a b\"c\\"@b.test>`:   {`a b"c\`, "b.test"},
		`<"a@b"@c.test>`:        {"a@b", "c.test"},
		`<".a"@b.test>`:         {".a", "b.test"},
		`<""@b.test>`:           {"", "b.test"},
		"<用户@xn--fsqu00a.test>": {"用户", "xn--fsqu00a.test"},
	} {
		if got := a.Path(); got != want {
			t.Errorf("%q: got %s, want %s", a, got, want)
		}
	}
	a := Address{"用户", "xn--fsqu00a.test"}
	if got := a.Display(); got != "用户@例子.test" || !a.UTF8() {
		t.Errorf("got %s", got)
	}
	if (Address{"user", "xn--fsqu00a.test"}).UTF8() {
		t.Error("a domain in A-labels needs no SMTPUTF8")
	}
}

func TestParams(t *testing.T) {
	got, err := ParseParams(" SIZE=10  body=8BITMIME SMTPUTF8 ENVID=QQ+3D")
	want := []Param{{"SIZE", "10", true}, {"BODY", "8BITMIME", true}, {"SMTPUTF8", "", false}, {"ENVID", "QQ+3D", true}}
	if err != nil || len(got) != len(want) {
		t.Fatalf("got %v, %v", got, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
	for _, text := range []string{" =x", " SIZE=", " SIZE=1 size=2", " A=b=c", " A=\tb", " -A", " A=\xff", strings.Repeat(" A", 2), " " + strings.Join(strings.Split(strings.Repeat("a", 40), ""), "x ")} {
		if got, err := ParseParams(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestXtext(t *testing.T) {
	for encoded, want := range map[string]string{"": "", "abc": "abc", "a+2Bb+3Dc+20d": "a+b=c d", "+E4+BD+A0": "你"} {
		got, err := DecodeXtext(encoded)
		if err != nil || got != want || EncodeXtext(got) != encoded {
			t.Errorf("%q: got %q, %v, and back %q", encoded, got, err, EncodeXtext(got))
		}
	}
	for _, text := range []string{"+", "+4", "+4g", "+2b", "a b", "a=b", "a\x00"} {
		if got, err := DecodeXtext(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

func TestRefusalsFitAReplyLine(t *testing.T) {
	for r, want := range map[Refusal]bool{
		{550, "5.1.1", "There is no such mailbox"}: true,
		{450, "5.1.1", "The classes differ"}:       false,
		{250, "2.0.0", "It is no refusal"}:         false,
		{550, "5.1", "Too short"}:                  false,
		{550, "5.x.1", "No number"}:                false,
		{550, "5.1.1", "Two\r\nlines"}:             false,
		{550, "5.1.1", ""}:                         false,
	} {
		if r.Valid() != want {
			t.Errorf("%v", r)
		}
	}
}

// What is read is printed in a form that is read as the same, and in one line.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{`<"a\"b"@[IPv6:::1]> SIZE=1 ENVID=a+2B`, "<@a,@b:c@d>", "<用户@例子.测试> SMTPUTF8", "<>", "<postmaster>", `<"` + "\xc2\x80" + `"@b>`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, rest, err := ParsePath(s)
		if err != nil {
			return
		}
		printed := a.Path()
		if strings.ContainsAny(printed, "\r\n\x00") || len(printed) > 2*maxAddress+4 {
			t.Fatalf("%q is printed as %q", s, printed)
		}
		again, empty, err := ParsePath(printed)
		if err != nil || again != a || empty != "" {
			t.Fatalf("%q is printed as %q, which is %q, %v", s, printed, again, err)
		}
		params, err := ParseParams(rest)
		if err != nil {
			return
		}
		for _, p := range params {
			if text, err := DecodeXtext(p.Value); err == nil {
				if back, err := DecodeXtext(EncodeXtext(text)); err != nil || back != text {
					t.Fatalf("%q: %q, %v", text, back, err)
				}
			}
		}
	})
}
