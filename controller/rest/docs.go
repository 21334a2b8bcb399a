package rest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
)

//go:generate go test -run TestOpenAPIIsAsCommitted -update .

//go:embed docs.html
var docsTemplate string

// routeDocs serves the description of the API as JSON and as a page that needs
// no script.
func (s *Server) routeDocs() error {
	description, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		return fmt.Errorf("describe the API: %w", err)
	}
	t, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return fmt.Errorf("parse the documentation page: %w", err)
	}
	var page bytes.Buffer
	if err := t.Execute(&page, documentation(s.api.OpenAPI())); err != nil {
		return fmt.Errorf("make the documentation page: %w", err)
	}
	s.engine.GET("/openapi.json", func(g *gin.Context) { g.Data(http.StatusOK, "application/json", description) })
	s.engine.GET("/docs", func(g *gin.Context) { s.html(g, page.Bytes()) })
	return nil
}

// manual is the documentation page's content.
type manual struct {
	Title, Introduction, Mark string
	Groups                    []group
	Schemas                   []schema
}

type group struct {
	Name       string
	Operations []documented
}

type documented struct {
	ID, Method, Path, Summary, Description, Right string
	Parameters                                    []member
	Request                                       *kind
	Answers                                       []answer
}

type answer struct {
	Status, Description string
	Body                *kind
}

type schema struct {
	Name    string
	Members []member
}

type member struct {
	Name, Place, Description string
	Required                 bool
	Type                     kind
}

// kind is a type: text, or a link to a schema after the text.
type kind struct{ Text, Link string }

func documentation(o *huma.OpenAPI) manual {
	m := manual{Title: o.Info.Title + " API", Introduction: o.Info.Description, Mark: nonceMark}
	groups := map[string]*group{}
	var order []string
	for _, path := range slices.Sorted(maps.Keys(o.Paths)) {
		item := o.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			name := op.Tags[0]
			if groups[name] == nil {
				groups[name] = &group{Name: name}
				order = append(order, name)
			}
			groups[name].Operations = append(groups[name].Operations, document(op))
		}
	}
	for _, name := range order {
		m.Groups = append(m.Groups, *groups[name])
	}
	all := o.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m.Schemas = append(m.Schemas, schema{name, members(all[name])})
	}
	return m
}

func document(op *huma.Operation) documented {
	d := documented{
		ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description,
		Right: fmt.Sprint(op.Extensions[rightExtension]),
	}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, member{p.Name, p.In, p.Description, p.Required, kindOf(p.Schema)})
	}
	if op.RequestBody != nil {
		d.Request = body(op.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		d.Answers = append(d.Answers, answer{status, r.Description, body(r.Content)})
	}
	return d
}

func body(content map[string]*huma.MediaType) *kind {
	for _, media := range content {
		return new(kindOf(media.Schema))
	}
	return nil
}

func members(s *huma.Schema) []member {
	var out []member
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		out = append(out, member{name, "", p.Description, slices.Contains(s.Required, name), kindOf(p)})
	}
	return out
}

func kindOf(s *huma.Schema) kind {
	if s == nil {
		return kind{Text: "anything"}
	}
	if s.Ref != "" {
		return kind{Link: s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]}
	}
	switch {
	case len(s.Enum) > 0:
		return kind{Text: strings.Trim(strings.Join(strings.Fields(fmt.Sprint(s.Enum)), " | "), "[]")}
	case len(s.OneOf) > 0:
		var texts []string
		for _, one := range s.OneOf {
			k := kindOf(one)
			texts = append(texts, k.Text+k.Link)
		}
		return kind{Text: strings.Join(texts, " or ")}
	case s.Type == huma.TypeArray:
		items := kindOf(s.Items)
		return kind{"list of " + items.Text, items.Link}
	case s.Type == huma.TypeObject:
		if of, ok := s.AdditionalProperties.(*huma.Schema); ok {
			values := kindOf(of)
			return kind{"map of text to " + values.Text, values.Link}
		}
		return kind{Text: "object"}
	case s.Format == "date-time":
		return kind{Text: "time"}
	case s.Type == huma.TypeString:
		return kind{Text: "text"}
	case s.Type == "":
		return kind{Text: "anything"}
	default:
		return kind{Text: s.Type}
	}
}
