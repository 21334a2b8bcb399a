package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"mailfleet/inventory"
)

// scanner walks a JSON document beside the type it should have and knows at every
// moment where it is: encoding/json tells neither where an unknown key stands nor
// that a key is there twice.
type scanner struct {
	data []byte
	dec  *json.Decoder
	want string // a path whose offset is looked for, "" for none
	at   int64  // its offset, or that of its nearest parent
}

// fault is something wrong at an offset.
type fault struct {
	offset  int64
	problem string
}

func newScanner(data []byte) *scanner {
	return &scanner{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
}

// locate finds where the value at path begins in a document that scans well. A
// path that is not there is answered with the place of its nearest parent.
func locate(data []byte, path string) int64 {
	s := newScanner(data)
	s.want = path
	_ = s.document() // a fault would have been reported when the document was loaded
	return s.at
}

func (s *scanner) document() *fault {
	if bad := s.value(reflect.TypeFor[Config](), ""); bad != nil {
		return bad
	}
	if start, _, err := s.next(); !errors.Is(err, io.EOF) {
		return &fault{start, "there is something after the end of the configuration"}
	}
	return nil
}

// next reads a token and says where it begins.
func (s *scanner) next() (int64, json.Token, error) {
	start := s.dec.InputOffset()
	for start < int64(len(s.data)) && strings.IndexByte(" \t\r\n,:", s.data[start]) >= 0 {
		start++
	}
	tok, err := s.dec.Token()
	return start, tok, err
}

func (s *scanner) syntax(start int64, err error) *fault {
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &fault{max(bad.Offset-1, start), "this is not JSON: " + bad.Error()}
	}
	return &fault{start, "this is not JSON: it ends too early"}
}

func (s *scanner) value(t reflect.Type, path string) *fault {
	start, tok, err := s.next()
	if err != nil {
		return s.syntax(start, err)
	}
	if s.want != "" && strings.HasPrefix(s.want, path) {
		s.at = start
	}
	if tok == nil { // null stands for an absent value, as in encoding/json
		return nil
	}
	switch kind := t.Kind(); {
	case tok == json.Delim('{') && kind == reflect.Struct && t != reflect.TypeFor[time.Time]():
		return s.object(t, path)
	case tok == json.Delim('[') && kind == reflect.Slice:
		return s.array(t.Elem(), path)
	case t == reflect.TypeFor[time.Time]():
		if _, ok := tok.(string); !ok {
			return &fault{start, orWhole(path) + " must be a string"}
		}
		if _, err := time.Parse(time.RFC3339, tok.(string)); err != nil {
			return &fault{start, orWhole(path) + " must be a time such as 2030-01-01T00:00:00Z"}
		}
	case t == reflect.TypeFor[inventory.Duration]():
		text, _ := tok.(string)
		if d, err := time.ParseDuration(text); err != nil || d < 0 {
			return &fault{start, orWhole(path) + " must be a duration such as \"1m30s\""}
		}
	case !fits(tok, kind):
		return &fault{start, fmt.Sprintf("%s must be %s", orWhole(path), expected(kind))}
	}
	return nil
}

func (s *scanner) object(t reflect.Type, path string) *fault {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		fields[jsonName(f)] = f.Type
	}
	seen := map[string]bool{}
	for s.dec.More() {
		start, tok, err := s.next()
		if err != nil {
			return s.syntax(start, err)
		}
		key, _ := tok.(string) // encoding/json lets nothing else stand here
		field, known := fields[key]
		if !known {
			return &fault{start, fmt.Sprintf("unknown key %q in %s", key, orWhole(path))}
		}
		if seen[key] {
			return &fault{start, fmt.Sprintf("the key %q is there twice in %s", key, orWhole(path))}
		}
		seen[key] = true
		if bad := s.value(field, join(path, key)); bad != nil {
			return bad
		}
	}
	return s.end()
}

func (s *scanner) array(elem reflect.Type, path string) *fault {
	for i := 0; s.dec.More(); i++ {
		if bad := s.value(elem, fmt.Sprintf("%s[%d]", path, i)); bad != nil {
			return bad
		}
	}
	return s.end()
}

func (s *scanner) end() *fault {
	if start, _, err := s.next(); err != nil {
		return s.syntax(start, err)
	}
	return nil
}

func fits(tok json.Token, kind reflect.Kind) bool {
	switch tok.(type) {
	case string:
		return kind == reflect.String
	case bool:
		return kind == reflect.Bool
	case float64:
		return kind == reflect.Int || kind == reflect.Int64 || kind == reflect.Uint64
	}
	return false
}

func expected(kind reflect.Kind) string {
	switch kind {
	case reflect.Struct:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	default:
		return "a whole number"
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orWhole(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}
