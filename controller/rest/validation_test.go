package rest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mailfleet/inventory"
)

// What huma may say of a request is read from its source: a release that says something
// new fails here.
func TestEverythingThatHumaSaysOfARequestIsKnown(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/danielgtaylor/huma/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	texts := map[string]bool{}
	for _, name := range []string{"huma.go", "validate.go", "validation/messages.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if strings.HasPrefix(n.Names[0].Name, "Msg") {
					note(texts, n.Values[0])
				}
			case *ast.CallExpr:
				if of, ok := n.Fun.(*ast.SelectorExpr); ok && (of.Sel.Name == "Add" && len(n.Args) == 3 || of.Sel.Name == "New" && len(n.Args) == 1) {
					note(texts, n.Args[len(n.Args)-1])
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Msg" || key.Name == "Message") {
					note(texts, n.Value)
				}
			}
			return true
		})
	}
	if len(texts) < 50 {
		t.Fatalf("only %d texts were found", len(texts))
	}
	for text := range texts {
		if strings.HasSuffix(text, " UUID format") {
			continue // a part of what it says
		}
		english, said := told(strings.NewReplacer("%v", "seven", "%s", "seven", "%d", "7").Replace(text))
		if said == nil || said.String() != english {
			t.Errorf("huma says %q, and nobody knows what that means", text)
		}
	}
}

// note adds a text, and the beginning of one that goes on with something else.
func note(texts map[string]bool, e ast.Expr) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && text != "" {
			texts[text] = true
		}
	case *ast.BinaryExpr:
		if begin, ok := e.X.(*ast.BasicLit); ok {
			if text, err := strconv.Unquote(begin.Value); err == nil {
				texts[text+"%s"] = true
			}
		}
	case *ast.CallExpr: // fmt.Sprintf
		if len(e.Args) > 0 {
			note(texts, e.Args[0])
		}
	}
}

func TestWhatHumaSaysHasItsParts(t *testing.T) {
	for theirs, want := range map[string]inventory.Sentence{
		"expected length >= 8":                                    inventory.Say("it must have at least %s characters", "8"),
		"expected required property name to be present":           inventory.Say("the field %s must be given", "name"),
		`expected value to be one of "a, b"`:                      inventory.Say("it must be one of: %s", "a, b"),
		"request body is too large limit=1024 bytes":              inventory.Say("the body of the request has more than %s octets", "1024"),
		"invalid character '}' looking for beginning of value":    inventory.Say("the JSON has an unexpected character %s", "'}'"),
		"expected property a to be present when b is present":     inventory.Say("the field %s must be given together with %s", "a", "b"),
		"invalid date/time for format Mon, 02 Jan 2006":           inventory.Say("it must be a time written as %s", "Mon, 02 Jan 2006"),
		"expected string to be RFC 5322 email: mail: no angle-xy": inventory.Say("it must be a mail address: %s", "mail: no angle-xy"),
	} {
		english, said := told(theirs)
		if said == nil || said.Template != want.Template || english != want.String() {
			t.Errorf("%q is said as %q (%+v), want %q", theirs, english, said, want)
		}
	}
	if english, said := told("what no huma says"); said != nil || english != "what no huma says" {
		t.Errorf("what is not known is said as %q, %+v", english, said)
	}
}

func TestARequestThatDoesNotFitIsRefusedInSentences(t *testing.T) {
	f := start(t)
	p := f.problem("POST", "/api/v1/contacts", `{"name":"","phone":"+8613800138000","language":"de","x":1}`)
	if p.Status != 422 || p.Said == nil || p.Said.Template != "the request is not valid" {
		t.Fatalf("%+v", p)
	}
	want := map[string]string{"body.name": "it must have at least 1 characters", "body.language": "it must be one of: zh, en", "body.x": "there is no such field"}
	for _, e := range p.Errors {
		if e.Said == nil || e.Said.String() != e.Message {
			t.Errorf("%s: %q is said in English only", e.Location, e.Message)
		}
		if want[e.Location] != e.Message {
			t.Errorf("%s: %q, want %q", e.Location, e.Message, want[e.Location])
		}
		delete(want, e.Location)
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
}
