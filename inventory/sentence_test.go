package inventory

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
)

func TestASentenceIsATemplateAndItsParams(t *testing.T) {
	inner := Errorf(Conflict, "no %s here", "bread")
	for _, c := range []struct {
		said     Sentence
		template string
		params   []string
		text     string
	}{
		{Say("nothing"), "nothing", nil, "nothing"},
		{Say("%s on %q has %d", "a", "b c", 3), "{1} on {2} has {3}", []string{"a", `"b c"`, "3"}, `a on "b c" has 3`},
		{Say("%.1f GB, %.0f %%", 1.25, 99.6), "{1} GB, {2} %", []string{"1.2", "100"}, "1.2 GB, 100 %"},
		{Say("%s", inner), "no {1} here", []string{"bread"}, "no bread here"},
		{Say("%s", Say("it is %d", 1)), "it is {1}", []string{"1"}, "it is 1"},
		{Say("%s", "{1}{2}"), "{1}", []string{"{1}{2}"}, "{1}{2}"},
		{Say("%[2]s %[1]s", "a", "b"), "b a", nil, "b a"},
		{inner.Said, "no {1} here", []string{"bread"}, inner.Message},
		{FieldErrorf("f", "no %d", 1).Said, "no {1}", []string{"1"}, "no 1"},
		{Wrap(Internal, inner, "it is %s", "off").Said, "it is {1}", []string{"off"}, "it is off"},
	} {
		if c.said.Template != c.template || !slices.Equal(c.said.Params, c.params) || c.said.String() != c.text {
			t.Errorf("%+v says %q, want template %q, params %q, text %q", c.said, c.said, c.template, c.params, c.text)
		}
	}
	if b, err := json.Marshal(Say("nothing")); err != nil || string(b) != `{"template":"nothing"}` {
		t.Errorf("%s %v", b, err)
	}
}

func TestASentenceKeepsThePartsOfThoseInIt(t *testing.T) {
	cause := Fail("the disk of %s is full", "mail1")
	for _, c := range []struct {
		said Sentence
		at   int
		in   string
	}{
		{Say("%s of %s", OpServiceStop, "x"), 1, "service.stop"},
		{Say("%d: %v", 1, cause), 2, "the disk of {1} is full"},
		{Say("%s, so it waits", Errorf(NotFound, "there is no %s", "x")), 1, "there is no {1}"},
		{Say("%s", Wrap(Internal, cause, "it failed")), 2, "the disk of {1} is full"},
		{Say("%q", OpServiceStop), 0, ""},
		{Say("%s", "text"), 0, ""},
	} {
		if got := c.said.Within[c.at].Template; got != c.in || c.at == 0 && c.said.Within != nil {
			t.Errorf("%+v has %q at %d, want %q", c.said, got, c.at, c.in)
		}
		if b, err := json.Marshal(c.said); err != nil || Read(c.said.String(), sentOver(t, b)).Template != c.said.Template {
			t.Errorf("%s is not read back: %v", b, err)
		}
	}
	if f := Fail("it is gone: %v", cause); !errors.Is(f, cause) || f.Error() != "it is gone: the disk of mail1 is full" {
		t.Errorf("%v does not wrap its cause", f)
	}
}

func sentOver(t *testing.T, text []byte) *Sentence {
	t.Helper()
	var s Sentence
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestWhatIsSaidBesideATextMustBeThatText(t *testing.T) {
	deep := Word("a")
	for range 2 * mostWithin {
		deep = Say("%s", Sentence{Template: "{1}", Params: []string{"a"}, Within: map[int]Sentence{1: deep}})
	}
	lie := Sentence{Template: "{1}", Params: []string{"a"}, Within: map[int]Sentence{1: Word("b")}}
	beyond := Sentence{Template: "a", Within: map[int]Sentence{7: Word("b")}}
	for _, s := range []*Sentence{nil, {Template: "b"}, &deep, &lie, &beyond} {
		if got := Read("a", s); got.Template != "a" || got.Within != nil {
			t.Errorf("%+v is believed", s)
		}
	}
	if got := Read("stop it", Say("stop %s", "it").Beside()); got.Template != "stop {1}" {
		t.Errorf("%+v", got)
	}
}
