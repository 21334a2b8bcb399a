package law

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root        = "../../.."
	translation = root + "/ui/console/text/said.json"
)

// silent are the folders and files whose sentences never get to the console,
// each with the reason.
var silent = map[string]string{
	"agent/starter":               "speaks to whoever typed the command",
	"controller/cli":              "speaks to whoever typed the command",
	"controller/dev":              "speaks to whoever typed the command",
	"controller/e2e":              "tests",
	"controller/backup":           "speaks to whoever typed the command",
	"controller/app/config.go":    "is read before there is a console",
	"controller/app/openid.go":    "is read before there is a console",
	"inventory/dbstore/storetest": "tests",
	"inventory/dbstore/copy.go":   "speaks to whoever typed the command",
	"inventory/dbstore/sqlite.go": "is about the database, which the log tells of",
	"mailnode":                    "speaks to mail clients, in English",
}

// relayed are those of them that the controller hands on all the same.
var relayed = []string{"mailnode/control", "mailnode/app/holds.go", "mailnode/app/queue.go"}

// makers take a format as fmt.Sprintf has it, at this place of their arguments,
// and make a sentence of it.
var makers = map[string]int{"Say": 0, "Fail": 0, "Errorf": 1, "FieldErrorf": 1, "Wrap": 2}

// source is what the tests read of one package.
type source struct {
	files  map[string]*ast.File
	fset   *token.FileSet
	own    map[string]int    // functions of the package that hand a format on to a maker
	consts map[string]string // the package's constant texts
}

func sources(t *testing.T) map[string]*source {
	t.Helper()
	all := make(map[string]*source)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || slices.Contains([]string{"node_modules", "testdata", "bin"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir := filepath.Dir(name)
		s := all[dir]
		if s == nil {
			s = &source{files: map[string]*ast.File{}, fset: token.NewFileSet(), own: map[string]int{}, consts: map[string]string{}}
			all[dir] = s
		}
		s.files[name], err = parser.ParseFile(s.fset, path, nil, parser.SkipObjectResolution)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		for _, f := range s.files {
			s.learn(f)
		}
	}
	return all
}

// learn notes a file's constants and the functions that hand a format on.
func (s *source) learn(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) {
					if text, ok := s.text(n.Values[i]); ok {
						s.consts[name.Name] = text
					}
				}
			}
		case *ast.FuncDecl:
			if n.Body != nil {
				s.learnFunc(f, n.Name.Name, n.Type, n.Body)
			}
		case *ast.AssignStmt:
			for i, value := range n.Rhs {
				if fn, ok := value.(*ast.FuncLit); ok && i < len(n.Lhs) {
					if name, ok := n.Lhs[i].(*ast.Ident); ok {
						s.learnFunc(f, name.Name, fn.Type, fn.Body)
					}
				}
			}
		}
		return true
	})
}

func (s *source) learnFunc(f *ast.File, name string, of *ast.FuncType, body *ast.BlockStmt) {
	at, place := 0, -1
	for _, field := range of.Params.List {
		for _, p := range field.Names {
			if p.Name == "format" {
				place = at
			}
			at++
		}
	}
	if place < 0 {
		return
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if arg := s.format(f, call); arg != nil {
				if id, ok := arg.(*ast.Ident); ok && id.Name == "format" {
					s.own[name] = place
				}
			}
		}
		return true
	})
}

// format is the format that a call makes a sentence of; nil: it makes none.
func (s *source) format(f *ast.File, call *ast.CallExpr) ast.Expr {
	at, ok := 0, false
	switch fn := call.Fun.(type) {
	case *ast.SelectorExpr:
		if pkg, named := fn.X.(*ast.Ident); named && pkg.Name == "inventory" {
			at, ok = makers[fn.Sel.Name], hasKey(makers, fn.Sel.Name)
		} else if at, ok = s.own[fn.Sel.Name]; ok && named && pkg.Name == "fmt" {
			ok = false
		}
	case *ast.Ident:
		if at, ok = s.own[fn.Name]; !ok && f.Name.Name == "inventory" {
			at, ok = makers[fn.Name], hasKey(makers, fn.Name)
		}
	}
	if !ok || at >= len(call.Args) {
		return nil
	}
	return call.Args[at]
}

func hasKey(m map[string]int, key string) bool { _, ok := m[key]; return ok }

// word is the word that a call makes a sentence of; empty: it makes none, or of one that
// is no constant.
func (s *source) word(f *ast.File, call *ast.CallExpr) string {
	name, isName := call.Fun.(*ast.Ident)
	if of, ok := call.Fun.(*ast.SelectorExpr); ok {
		if pkg, named := of.X.(*ast.Ident); named && pkg.Name == "inventory" {
			name = of.Sel
		}
	} else if !isName || f.Name.Name != "inventory" {
		return ""
	}
	if name == nil || name.Name != "Word" || len(call.Args) != 1 {
		return ""
	}
	text, _ := s.text(call.Args[0])
	return text
}

// text is the value of a constant expression.
func (s *source) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		a, ok := s.text(e.X)
		b, also := s.text(e.Y)
		return a + b, ok && also && e.Op == token.ADD
	case *ast.Ident:
		text, ok := s.consts[e.Name]
		return text, ok
	case *ast.ParenExpr:
		return s.text(e.X)
	default:
		return "", false
	}
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*([a-zA-Z%])`)

// template is what inventory.Say makes of a format.
func template(format string) string {
	n := 0
	return verb.ReplaceAllStringFunc(format, func(v string) string {
		if strings.HasSuffix(v, "%") {
			return "%"
		}
		n++
		return "{" + strconv.Itoa(n) + "}"
	})
}

var (
	param  = regexp.MustCompile(`\{\d+\}`)
	letter = regexp.MustCompile(`\pL`)
)

// words tells whether a template says more than its params.
func words(template string) bool {
	return letter.MatchString(param.ReplaceAllString(template, ""))
}

func isSilent(name string) bool {
	if slices.ContainsFunc(relayed, func(place string) bool { return within(name, place) }) {
		return false
	}
	for place := range silent {
		if within(name, place) {
			return true
		}
	}
	return false
}

// sentences are the templates of all sentences, each with where it is said. What
// is no constant is not known: it is returned as strange.
func sentences(all map[string]*source) (said map[string]string, strange []string) {
	said = make(map[string]string)
	for _, s := range all {
		for name, f := range s.files {
			if isSilent(name) {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				arg := s.format(f, call)
				if word := s.word(f, call); word != "" {
					said[word] = name
				}
				if arg == nil {
					return true
				}
				where := fmt.Sprintf("%s:%d", name, s.fset.Position(call.Pos()).Line)
				text, ok := s.text(arg)
				switch id, isName := arg.(*ast.Ident); {
				case ok:
					said[template(text)] = where
				case isName && id.Name == "format": // a maker of its own
				default:
					strange = append(strange, where)
				}
				return true
			})
		}
	}
	return said, strange
}

// spoken are the values of constants whose type can be put into a sentence as a word.
func spoken(all map[string]*source) map[string]string {
	out := make(map[string]string)
	for _, s := range all {
		types := make(map[string]bool)
		for _, f := range s.files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Said" && fn.Recv != nil {
					if on, ok := fn.Recv.List[0].Type.(*ast.Ident); ok {
						types[on.Name] = true
					}
				}
			}
		}
		for name, f := range s.files {
			ast.Inspect(f, func(n ast.Node) bool {
				if list, ok := n.(*ast.CompositeLit); ok { // a map of them
					of, isMap := list.Type.(*ast.MapType)
					if value, ok := named(of, isMap); ok && types[value] {
						for _, e := range list.Elts {
							if text, ok := s.text(e.(*ast.KeyValueExpr).Value); ok {
								out[text] = name
							}
						}
					}
				}
				spec, ok := n.(*ast.ValueSpec)
				if !ok {
					return true
				}
				if of, ok := spec.Type.(*ast.Ident); ok && types[of.Name] {
					for _, v := range spec.Values {
						if text, ok := s.text(v); ok {
							out[text] = name
						}
					}
				}
				return true
			})
		}
	}
	return out
}

// named is the type of a map's values, when that has a name.
func named(of *ast.MapType, isMap bool) (string, bool) {
	if !isMap {
		return "", false
	}
	value, ok := of.Value.(*ast.Ident)
	if !ok {
		return "", false
	}
	return value.Name, true
}

func chinese(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(translation)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]string)
	if err := json.Unmarshal(text, &known); err != nil {
		t.Fatal(err)
	}
	return known
}

func TestEverySentenceHasAChineseOne(t *testing.T) {
	all, known := sources(t), chinese(t)
	said, strange := sentences(all)
	maps.Copy(said, spoken(all))
	if len(said) < 500 {
		t.Fatalf("only %d sentences were found", len(said))
	}
	for _, template := range slices.Sorted(maps.Keys(said)) {
		if words(template) && known[template] == "" {
			t.Errorf("%s: %q is not in ui/console/text/said.json", said[template], template)
		}
	}
	for _, where := range strange {
		t.Errorf("%s: a sentence must be a constant, or it cannot be translated", where)
	}
	for template := range known {
		if said[template] == "" {
			t.Errorf("nothing says %q, which is translated", template)
		}
	}
}

func TestATranslationUsesTheParamsOfItsSentence(t *testing.T) {
	for template, text := range chinese(t) {
		has := param.FindAllString(template, -1)
		for _, p := range param.FindAllString(text, -1) {
			if !slices.Contains(has, p) {
				t.Errorf("%q: the translation has %s, the sentence has not", template, p)
			}
		}
		for _, p := range has {
			if !strings.Contains(text, p) {
				t.Logf("%q: the translation leaves %s out", template, p)
			}
		}
	}
}
