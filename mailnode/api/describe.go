package api

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"mailfleet/inventory"
)

// Describe writes an example configuration with every key, its meaning and its
// default. Lines that begin with // are explanations; a real file has none.
func Describe(w io.Writer) error {
	d := describer{}
	d.object(reflect.TypeFor[Config](), "")
	_, err := io.WriteString(w, d.b.String()+"\n")
	return err
}

type describer struct{ b strings.Builder }

func (d *describer) object(t reflect.Type, indent string) {
	d.b.WriteString("{\n")
	inner := indent + "  "
	for i := range t.NumField() {
		f := t.Field(i)
		fmt.Fprintf(&d.b, "%s// %s", inner, f.Tag.Get("doc"))
		if def := f.Tag.Get("default"); def != "" {
			fmt.Fprintf(&d.b, " Default: %s.", def)
		}
		fmt.Fprintf(&d.b, "\n%s%q: ", inner, jsonName(f))
		d.value(f, inner)
		if i < t.NumField()-1 {
			d.b.WriteByte(',')
		}
		d.b.WriteByte('\n')
	}
	d.b.WriteString(indent + "}")
}

func (d *describer) value(f reflect.StructField, indent string) {
	example := f.Tag.Get("example") + f.Tag.Get("default") // a field has one or the other
	if duration := reflect.TypeFor[inventory.Duration](); example == "" && (f.Type == duration || f.Type.Kind() == reflect.Slice && f.Type.Elem() == duration) {
		example = "5s"
	}
	switch kind := f.Type.Kind(); {
	case f.Type == reflect.TypeFor[time.Time](), f.Type == reflect.TypeFor[inventory.Duration]():
		fmt.Fprintf(&d.b, "%q", example)
	case kind == reflect.Struct:
		d.object(f.Type, indent)
	case kind == reflect.Slice && f.Type.Elem().Kind() != reflect.Struct:
		fmt.Fprintf(&d.b, "[%q]", example)
	case kind == reflect.Slice:
		d.b.WriteString("[\n" + indent + "  ")
		d.object(f.Type.Elem(), indent+"  ")
		d.b.WriteString("\n" + indent + "]")
	case kind == reflect.String:
		fmt.Fprintf(&d.b, "%q", example)
	default:
		d.b.WriteString(example)
	}
}
