package simulator

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"reconciler/internal/strictyaml"
)

// LoadSeed returns the seed that a YAML text contains. Unknown keys, wrong types
// and whatever Validate rejects are errors. file is the name of the input in
// messages.
func LoadSeed(file string, data []byte) (*Seed, error) {
	docs, err := strictyaml.Decode[Seed](file, data)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, fmt.Errorf("%s: want one YAML document, got %d", file, len(docs))
	}
	if err := docs[0].Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return docs[0], nil
}

// YAML returns the seed in the form that LoadSeed reads. It is an error if a text
// is not UTF-8.
func (s *Seed) YAML() ([]byte, error) {
	var w seedWriter
	w.fields(reflect.ValueOf(*s), "", "")
	return w.Bytes(), w.err
}

// seedWriter writes structs by their yaml tags, as far as a seed needs it.
type seedWriter struct {
	bytes.Buffer
	err error
}

// fields writes the fields of a struct, each on lines of its own. The first line
// begins with first, the indentation of which includes the dash of a list.
func (w *seedWriter) fields(v reflect.Value, first, indent string) {
	for i := range v.NumField() {
		key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		field := v.Field(i)
		if option == "omitempty" && (field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0) {
			continue
		}
		w.WriteString(first + key + ":")
		first = indent
		w.value(field, indent)
	}
}

// value writes what follows "key:", on the same line or below it.
func (w *seedWriter) value(v reflect.Value, indent string) {
	switch {
	case v.Kind() == reflect.Struct:
		w.WriteString("\n")
		w.fields(v, indent+"  ", indent+"  ")
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct:
		w.WriteString("\n")
		for i := range v.Len() {
			w.fields(v.Index(i), indent+"  - ", indent+"    ")
		}
	case v.Kind() == reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = w.scalar(v.Index(i))
		}
		w.WriteString(" [" + strings.Join(items, ", ") + "]\n")
	default:
		w.WriteString(" " + w.scalar(v) + "\n")
	}
}

func (w *seedWriter) scalar(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	}
	text := v.String()
	if !utf8.ValidString(text) {
		w.err = fmt.Errorf("simulator: %q is not UTF-8", text)
	}
	return strictyaml.Scalar(text)
}
