package alerts

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

func TestCheckRule(t *testing.T) {
	valid := inventory.Rule{Name: "disk", Metric: "disk_used_percent", Comparison: ">", Value: 90, Clear: 80}
	for name, c := range map[string]struct {
		change func(*inventory.Rule)
		field  string // at fault; empty: valid
	}{
		"as it is":                {func(*inventory.Rule) {}, ""},
		"no name":                 {func(r *inventory.Rule) { r.Name = "  " }, "name"},
		"name of 100 characters":  {func(r *inventory.Rule) { r.Name = strings.Repeat("磁", 100) }, ""},
		"name of 101 characters":  {func(r *inventory.Rule) { r.Name = strings.Repeat("磁", 101) }, "name"},
		"name of two lines":       {func(r *inventory.Rule) { r.Name = "a\nb" }, "name"},
		"name not UTF-8":          {func(r *inventory.Rule) { r.Name = "a\xff" }, "name"},
		"no metric":               {func(r *inventory.Rule) { r.Metric = "" }, "metric"},
		"metric without field":    {func(r *inventory.Rule) { r.Metric = "mem" }, "metric"},
		"metric in capitals":      {func(r *inventory.Rule) { r.Metric = "MEM_used" }, "metric"},
		"metric with digits":      {func(r *inventory.Rule) { r.Metric = "load_15" }, ""},
		"metric too long":         {func(r *inventory.Rule) { r.Metric = "a_" + strings.Repeat("b", 100) }, "metric"},
		"unknown comparison":      {func(r *inventory.Rule) { r.Comparison = "!=" }, "comparison"},
		"no comparison":           {func(r *inventory.Rule) { r.Comparison = "" }, "comparison"},
		"value not a number":      {func(r *inventory.Rule) { r.Value = math.NaN() }, "value"},
		"value infinite":          {func(r *inventory.Rule) { r.Value = math.Inf(1) }, "value"},
		"clear infinite":          {func(r *inventory.Rule) { r.Clear = math.Inf(-1) }, "clear"},
		"above, clear above":      {func(r *inventory.Rule) { r.Clear = 91 }, "clear"},
		"above, clear equal":      {func(r *inventory.Rule) { r.Clear = 90 }, ""},
		"at least, clear above":   {func(r *inventory.Rule) { r.Comparison, r.Clear = ">=", 91 }, "clear"},
		"below, clear below":      {func(r *inventory.Rule) { r.Comparison = "<" }, "clear"},
		"below, clear above":      {func(r *inventory.Rule) { r.Comparison, r.Clear = "<", 95 }, ""},
		"at most, clear below":    {func(r *inventory.Rule) { r.Comparison, r.Clear = "<=", 89 }, "clear"},
		"for negative":            {func(r *inventory.Rule) { r.For = -1 }, "for"},
		"for a day":               {func(r *inventory.Rule) { r.For = inventory.Duration(24 * time.Hour) }, ""},
		"for longer than a day":   {func(r *inventory.Rule) { r.For = inventory.Duration(24*time.Hour + 1) }, "for"},
		"severity unknown":        {func(r *inventory.Rule) { r.Severity = "fatal" }, "severity"},
		"severity critical":       {func(r *inventory.Rule) { r.Severity = inventory.Critical }, ""},
		"server not a name":       {func(r *inventory.Rule) { r.Servers = []string{"mail 1"} }, "servers"},
		"too many servers":        {func(r *inventory.Rule) { r.Servers = make([]string, 1001) }, "servers"},
		"recipient not an id":     {func(r *inventory.Rule) { r.Recipients = []inventory.ID{"bob"} }, "recipients"},
		"recipient by id":         {func(r *inventory.Rule) { r.Recipients = []inventory.ID{inventory.NewID()} }, ""},
		"threshold of zero":       {func(r *inventory.Rule) { r.Value, r.Clear = 0, 0 }, ""},
		"negative clear is lower": {func(r *inventory.Rule) { r.Value, r.Clear = 0, -1 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rule := valid
			c.change(&rule)
			wantField(t, Check(&rule), c.field)
		})
	}
}

func TestCheckRuleBringsItIntoNormalForm(t *testing.T) {
	id := inventory.NewID()
	rule := inventory.Rule{
		Name: " disk ", Metric: "disk_used_percent", Comparison: "Above", Value: 90, Clear: 80,
		Servers: []string{"mail-2", " Mail-1", "mail-2"}, Recipients: []inventory.ID{inventory.ID(strings.ToUpper(string(id))), id},
	}
	if err := Check(&rule); err != nil {
		t.Fatal(err)
	}
	want := inventory.Rule{
		Name: "disk", Metric: "disk_used_percent", Comparison: inventory.Above, Value: 90, Clear: 80, Severity: inventory.Warning,
		Servers: []string{"mail-1", "mail-2"}, Recipients: []inventory.ID{id},
	}
	if !reflect.DeepEqual(rule, want) {
		t.Errorf("got %+v\nwant %+v", rule, want)
	}
}

func TestParseComparison(t *testing.T) {
	for want, spellings := range map[inventory.Comparison][]string{
		inventory.Above:   {">", "above", "gt", " GT "},
		inventory.AtLeast: {">=", "≥", "ge", "gte", "at_least"},
		inventory.Below:   {"<", "below", "lt", "Below"},
		inventory.AtMost:  {"<=", "≤", "le", "lte", "at_most"},
	} {
		for _, s := range spellings {
			if got, err := ParseComparison(s); err != nil || got != want {
				t.Errorf("%q: got %q, %v, want %q", s, got, err, want)
			}
		}
	}
	for _, s := range []string{"", "=", "=>", "aboveish"} {
		if got, err := ParseComparison(s); err == nil {
			t.Errorf("%q: got %q, want an error", s, got)
		}
	}
}

func TestParsePhone(t *testing.T) {
	for in, want := range map[string]string{
		"+8613800138000":    "+8613800138000",
		"+86 138-0013-8000": "+8613800138000",
		"13800138000":       "13800138000",
		"(0755) 8888.6666":  "075588886666",
		"＋８６ 13800138000":   "+8613800138000",
		"（０７５５）８８８８６６６６": "075588886666",
		"95500":                    "95500",
		"110":                      "110",
		"":                         "",
		"+":                        "",
		"12":                       "",
		"+0123456789":              "",
		"+12345":                   "",
		"+8613800138000123":        "",
		"1234567890123456":         "",
		"138001380OO":              "",
		"13800138000,110":          "",
		"+86+13800138000":          "",
		"1380&to=110":              "",
		"1380\x00138000":           "",
		strings.Repeat(" ", 65):    "",
		strings.Repeat("1 ", 1000): "",
	} {
		got, err := ParsePhone(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
		if err != nil {
			wantField(t, err, "phone")
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	f.Add("+86 138-0013-8000")
	f.Add("（０７５５）")
	f.Fuzz(func(t *testing.T, s string) {
		number, err := ParsePhone(s)
		if err != nil {
			return
		}
		if again, err := ParsePhone(number); err != nil || again != number {
			t.Errorf("%q became %q, which becomes %q, %v", s, number, again, err)
		}
		if strings.Trim(strings.TrimPrefix(number, "+"), "0123456789") != "" {
			t.Errorf("%q became %q", s, number)
		}
	})
}

func TestCheckContact(t *testing.T) {
	for name, c := range map[string]struct {
		contact inventory.Contact
		field   string
	}{
		"Chinese by default": {inventory.Contact{Name: "王", Phone: "138 0013 8000"}, ""},
		"English":            {inventory.Contact{Name: "Ann", Phone: "+441632960961", Language: "en"}, ""},
		"no name":            {inventory.Contact{Phone: "13800138000"}, "name"},
		"no phone":           {inventory.Contact{Name: "王"}, "phone"},
		"another language":   {inventory.Contact{Name: "王", Phone: "13800138000", Language: "fr"}, "language"},
	} {
		t.Run(name, func(t *testing.T) {
			contact := c.contact
			wantField(t, CheckContact(&contact), c.field)
			if c.field == "" && (contact.Language == "" || strings.Contains(contact.Phone, " ")) {
				t.Errorf("not in normal form: %+v", contact)
			}
		})
	}
}

// wantField fails the test unless err is an Invalid error about field, or nil when field is empty.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return
	}
	e, ok := errors.AsType[*inventory.Error](err)
	if !ok {
		t.Errorf("got %v, want an error about %s", err, field)
		return
	}
	if e.Code != inventory.Invalid || e.Field != field || e.Message == "" {
		t.Errorf("got code %q, field %q, %q, want an invalid %s", e.Code, e.Field, e.Message, field)
	}
}
