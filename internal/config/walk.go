package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"reconciler/internal/strictyaml"
)

// field is one key of the config with a value of its own, as opposed to one
// that holds further keys.
type field struct {
	path string // as in "parents.0.auth.tokenFile"
	// envOnly says that the key is a secret that a file may not hold.
	envOnly bool
	tag     reflect.StructTag
	value   reflect.Value // of the at[T]
	// blocks are the at[T] that it stands in, such as that of "git".
	blocks []reflect.Value
}

// env is the environment variable of the field.
func (f *field) env() string { return envName(f.path) }

// fields returns all fields of the file, in the order in which they are declared.
func (f *file) fields() []*field {
	var all []*field
	walk("", reflect.ValueOf(f).Elem(), nil, &all)
	return all
}

func walk(prefix string, v reflect.Value, blocks []reflect.Value, all *[]*field) {
	for i := range v.NumField() {
		sf, fv := v.Type().Field(i), v.Field(i)
		f := &field{tag: sf.Tag, value: fv, blocks: blocks}
		key := sf.Tag.Get("yaml")
		if env := sf.Tag.Get("env"); env != "" {
			key, f.envOnly = env, true
		}
		f.path = prefix + key
		switch {
		case fv.Kind() == reflect.Slice:
			for j := range fv.Len() {
				block(fmt.Sprintf("%s.%d.", f.path, j), fv.Index(j), blocks, all)
			}
		case !isAt(fv):
			walk(f.path+".", fv, blocks, all)
		case fv.FieldByName("V").Kind() == reflect.Struct:
			block(f.path+".", fv, blocks, all)
		default:
			*all = append(*all, f)
		}
	}
}

// block walks an at[T] of a struct.
func block(prefix string, v reflect.Value, blocks []reflect.Value, all *[]*field) {
	walk(prefix, v.FieldByName("V"), append(slices.Clone(blocks), v), all)
}

func isAt(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(interface{ OK() bool })
	return ok
}

// envName returns the environment variable of a key: "aerial.auth.orgURL" becomes
// RECONCILER_AERIAL_AUTH_ORG_URL.
func envName(path string) string {
	var b strings.Builder
	b.WriteString(envPrefix)
	runes := []rune(path)
	for i, r := range runes {
		if r == '.' {
			b.WriteByte('_')
			continue
		}
		if i > 0 && unicode.IsUpper(r) && runes[i-1] != '.' {
			endOfWord := unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if !unicode.IsUpper(runes[i-1]) || endOfWord {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// assign reads text into the field, as the strict decoder would, and gives
// what is wrong with it, or "". It leaves the field's place alone; pos is that
// of the items of a list, which are written with commas between them.
func (f *field) assign(text string, pos strictyaml.Pos) string {
	v := f.value.FieldByName("V")
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *plain:
		*p = plain(text)
	case *[]at[string]:
		*p = nil
		for item := range strings.SplitSeq(text, ",") {
			*p = append(*p, at[string]{V: strings.TrimSpace(item), Pos: pos, Set: true})
		}
	case strictyaml.Enum:
		if words := p.Values(); !slices.Contains(words, text) {
			return fmt.Sprintf("must be %s, not %q%s", strictyaml.OneOf(words), text, strictyaml.DidYouMean(text, words))
		}
		v.SetString(text)
	case *bool:
		if text != "true" && text != "false" {
			return fmt.Sprintf("must be true or false, not %q", text)
		}
		*p = text == "true"
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil || strconv.Itoa(n) != text {
			return fmt.Sprintf("must be a whole number, not %q", text)
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Sprintf("must be a duration with a unit, such as 30s or 5m, not %q", text)
		}
		*p = d
	default:
		panic(fmt.Sprintf("config: no way to set %s", f.path))
	}
	return ""
}
