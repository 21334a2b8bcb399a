package inventory

import (
	"encoding/json"
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
