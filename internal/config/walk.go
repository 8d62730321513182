package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"reconciler/internal/strictyaml"
)

// field is a key of the config: one with a value, or a block, which contains
// further keys.
type field struct {
	path string // as in "parents.0.auth.tokenFile"
	// envOnly means that the key is a secret, which the file can't contain.
	envOnly bool
	// word means that the field is a word in place of a block, whose path it has.
	word  bool
	tag   reflect.StructTag
	value reflect.Value // of the at[T]
	// blocks are the blocks around it, such as "git".
	blocks []*field
}

func (f *field) env() string { return envName(f.path) }

func (f *field) pos() strictyaml.Pos { return f.value.FieldByName("Pos").Interface().(strictyaml.Pos) }

func (f *field) isSet() bool { return f.value.FieldByName("Set").Bool() }

func (f *field) isBlock() bool { return f.value.FieldByName("V").Kind() == reflect.Struct }

// within reports whether the field is a block, or a key in it, at any depth.
func (f *field) within(block *field) bool {
	return f.path == block.path || strings.HasPrefix(f.path, block.path+".")
}

// protects reports whether the key is one without which nothing is verified. No
// variable may remove it from the file.
func (f *field) protects() bool {
	return f.path == KeyGitVerify || strings.HasPrefix(f.path, KeyGitVerify+".")
}

func (f *field) mark(pos strictyaml.Pos) {
	f.value.FieldByName("Pos").Set(reflect.ValueOf(pos))
	f.value.FieldByName("Set").SetBool(true)
	f.value.FieldByName("Bad").SetBool(false)
}

// remove makes the field one that the file doesn't mention.
func (f *field) remove() { f.value.SetZero() }

// fields returns the fields with a value, in the order in which they are declared.
func (f *file) fields() []*field {
	var all []*field
	f.walk(func(fd *field) {
		if !fd.isBlock() {
			all = append(all, fd)
		}
	})
	return all
}

// walk visits all fields, blocks before their keys.
func (f *file) walk(visit func(*field)) { walk("", reflect.ValueOf(f).Elem(), nil, visit) }

func walk(prefix string, v reflect.Value, blocks []*field, visit func(*field)) {
	for i := range v.NumField() {
		tag, fv := v.Type().Field(i).Tag, v.Field(i)
		secret := tag.Get("env")
		f := &field{path: prefix + cmp.Or(secret, tag.Get("yaml")), envOnly: secret != "", tag: tag, value: fv, blocks: blocks}
		if word := tag.Get("word"); word != "" {
			f.path, f.word = strings.TrimSuffix(prefix, "."), true
		}
		switch {
		case fv.Kind() == reflect.Slice:
			for j := range fv.Len() {
				walkBlock(&field{path: fmt.Sprintf("%s.%d", f.path, j), value: fv.Index(j), blocks: blocks}, visit)
			}
		case !isAt(fv):
			walk(f.path+".", fv, blocks, visit)
		case f.isBlock():
			walkBlock(f, visit)
		default:
			visit(f)
		}
	}
}

func walkBlock(f *field, visit func(*field)) {
	visit(f)
	walk(f.path+".", f.value.FieldByName("V"), append(slices.Clone(f.blocks), f), visit)
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

// assign sets the value of the field to what text means, under the rules of the
// strict decoder, and returns what is wrong with text, or "". It does not mark
// the field; pos is for the items of a list, which are separated by commas.
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
	case *commandLine:
		*p = nil
		for item := range strings.SplitSeq(text, ",") {
			*p = append(*p, at[string]{V: strings.TrimSpace(item), Pos: pos, Set: true})
		}
	case *selectorTerms:
		*p = nil
		for item := range strings.SplitSeq(text, ",") {
			*p = append(*p, at[string]{V: strings.TrimSpace(item), Pos: pos, Set: true})
		}
	case strictyaml.Enum:
		if words := p.Values(); !slices.Contains(words, text) {
			return fmt.Sprintf("must be %s, not %q%s", strictyaml.OneOf(words), text, strictyaml.DidYouMean(text, words))
		}
		v.SetString(text)
	case *authWord:
		if err := authWord(text).Check(); err != nil {
			return err.Error()
		}
		*p = authWord(text)
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
