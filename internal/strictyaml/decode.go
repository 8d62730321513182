package strictyaml

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	// maxExpanded limits the nodes of one input that are visited through
	// aliases. It allows ten thousand uses of a large template, and stops nested
	// aliases, which would otherwise multiply to billions within a second.
	maxExpanded = 500_000
	// maxItems limits the items of one list or mapping. Structs are larger than
	// their YAML: a list of 10 MB would take gigabytes of memory.
	maxItems = 200_000
	// maxErrors limits the errors of one input, so that a file of nothing but
	// mistakes stays cheap.
	maxErrors = 1000
)

// Decode reads each document of a YAML stream into a T of its own and returns
// them in order. Documents that contain nothing but comments are left out. file
// is the name of the input in messages.
//
// The error is of type Errors: every mistake of the input, sorted by position.
// What could be read is returned together with the error, so that a caller can
// look for more mistakes before it reports them all.
//
// T consists of structs (fields tagged `yaml:"key"`; a field without the tag is
// not read), slices, maps with string keys, pointers, strings, bools, integers,
// time.Duration, Enum, Checker, Short, Worded, At, Map and Value. Decode panics on any other type.
func Decode[T any](file string, data []byte) ([]*T, error) {
	return DecodeWithin[T](file, data, nil)
}

// DecodeWithin is Decode with a limit on the items of a list. Nil is no limit.
func DecodeWithin[T any](file string, data []byte, limit *Budget) ([]*T, error) {
	d, docs := newDecoder(file, data)
	d.limit = limit
	var all []*T
	for _, n := range docs {
		v := new(T)
		d.value(n, reflect.ValueOf(v).Elem(), subject{})
		all = append(all, v)
	}
	return all, d.errs.Err()
}

// DecodeInto reads the only document of a YAML text into what out points at. It
// does not change what the text doesn't mention; a text of nothing but comments
// changes nothing, and a second document is an error. Types, file and errors are
// as for Decode, except that errors name keys by their paths, such as
// "git.auth.dpop".
func DecodeInto(file string, data []byte, out any) error {
	d, docs := newDecoder(file, data)
	d.paths = true
	if len(docs) > 0 {
		d.value(docs[0], reflect.ValueOf(out).Elem(), subject{})
	}
	if len(docs) > 1 {
		d.fail(d.pos(docs[1]), "a second document: only one is allowed here")
	}
	return d.errs.Err()
}

// decoder walks the nodes of one input.
type decoder struct {
	file string
	errs Errors
	// paths makes messages name keys by their paths.
	paths bool
	// inside holds the targets of the aliases that are being followed.
	inside map[*yaml.Node]bool
	// expanded counts the nodes visited through aliases.
	expanded int
	// limit is nil for none.
	limit *Budget
	// stopped is set after an error that makes the rest not worth reading.
	stopped bool
}

// newDecoder returns a decoder and the documents of data. A syntax error is
// among the decoder's errors already.
func newDecoder(file string, data []byte) (*decoder, []*yaml.Node) {
	d := &decoder{file: file, inside: map[*yaml.Node]bool{}}
	docs, bad := parse(file, data)
	if bad != nil {
		d.errs = append(d.errs, bad)
	}
	return d, docs
}

func (d *decoder) pos(n *yaml.Node) Pos { return Pos{d.file, n.Line, n.Column} }

func (d *decoder) fail(pos Pos, format string, args ...any) {
	if d.stopped {
		return
	}
	if len(d.errs) == maxErrors {
		d.stop(pos, "more than %d mistakes: the rest of the file is not checked", maxErrors)
		return
	}
	d.errs.Add(pos, format, args...)
}

// stop adds an error that makes the rest of the input not worth reading.
func (d *decoder) stop(pos Pos, format string, args ...any) {
	d.errs = append(d.errs, cut(pos, format, args...))
	d.stopped = true
}

// subject is what a value belongs to, for messages: a key, or an item of the
// list under a key. The zero subject is a whole document.
type subject struct {
	key  string
	item bool
	at   string // the path of the value, if messages name paths
}

// child returns the subject of a key of s.
func (d *decoder) child(s subject, key string) subject {
	if !d.paths {
		return subject{key: key}
	}
	path := strings.TrimPrefix(s.at+"."+key, ".")
	return subject{key: path, at: path}
}

// item returns the subject of an item of the list s.
func (d *decoder) item(s subject, index int) subject {
	return subject{key: s.key, item: true, at: s.at + "." + strconv.Itoa(index)}
}

func (s subject) isDocument() bool { return s == subject{} }

func (s subject) String() string {
	switch {
	case s.key == "" && s.item:
		return "an item"
	case s.key == "":
		return "the document"
	case s.item:
		return fmt.Sprintf("an item of %q", short(s.key))
	default:
		return strconv.Quote(short(s.key))
	}
}

// value decodes n into v and reports whether n was of the right kind. An error
// further inside doesn't make n itself bad.
func (d *decoder) value(n *yaml.Node, v reflect.Value, s subject) bool {
	if d.stopped {
		return false
	}
	if a, ok := v.Addr().Interface().(placed); ok {
		if !d.value(n, a.mark(d.pos(n)), s) {
			a.spoil()
			return false
		}
		return true
	}
	if f, ok := v.Addr().Interface().(free); ok {
		return d.any(n, f.value(), s)
	}
	if n.Kind == yaml.AliasNode {
		return d.alias(n, func() bool { return d.value(n.Alias, v, s) })
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			p := reflect.New(v.Type().Elem())
			if !d.value(n, p.Elem(), s) {
				return false
			}
			v.Set(p)
			return true
		}
		return d.value(n, v.Elem(), s)
	}
	if !d.tagOK(n, s) {
		return false
	}
	if m, ok := v.Addr().Interface().(ordered); ok {
		return d.orderedMap(n, m, s)
	}
	switch v.Kind() {
	case reflect.Struct:
		if short, ok := v.Interface().(Short); ok && n.Kind == yaml.ScalarNode {
			return d.value(n, v.Field(structTypeOf(v.Type()).fields[short.ShortKey()]), s)
		}
		if worded, ok := v.Interface().(Worded); ok && n.Kind == yaml.ScalarNode {
			return d.value(n, v.FieldByName(worded.WordField()), s)
		}
		return d.structure(n, v, s)
	case reflect.Slice:
		if _, ok := v.Interface().(Paired); ok && n.Kind == yaml.MappingNode {
			return d.pairedList(n, v, s)
		}
		if _, ok := v.Interface().(Single); ok && n.Kind == yaml.ScalarNode {
			return d.singleItem(n, v, s)
		}
		return d.list(n, v, s)
	case reflect.Map:
		return d.goMap(n, v, s)
	default:
		return d.scalar(n, v, s)
	}
}

// alias calls follow, which visits the alias' target, unless that would be
// endless or too much.
func (d *decoder) alias(n *yaml.Node, follow func() bool) bool {
	if d.inside[n.Alias] {
		d.fail(d.pos(n), "alias *%s is inside its own anchor", short(n.Value))
		return false
	}
	d.inside[n.Alias] = true
	defer delete(d.inside, n.Alias)
	return d.spend(n, 1) && follow()
}

// spend counts the children of n before they are visited, and reports whether
// they are within the limits. Only visits through aliases have a limit in total:
// the others are limited by the input's size.
func (d *decoder) spend(n *yaml.Node, count int) bool {
	if count > maxItems {
		d.stop(d.pos(n), "%d values in one place are too many: at most %d are read", count, maxItems)
		return false
	}
	if len(d.inside) == 0 {
		return true
	}
	if d.expanded += count; d.expanded > maxExpanded {
		d.stop(d.pos(n), "aliases expand to more than %d values: use fewer of them", maxExpanded)
		return false
	}
	return true
}

// tagOK rejects null and tags that mean something to other programs.
func (d *decoder) tagOK(n *yaml.Node, s subject) bool {
	switch n.Tag {
	case "!!str", "!!int", "!!bool", "!!float", "!!timestamp", "!!merge", "!!map", "!!seq":
		return true
	case "!!null":
		d.fail(d.pos(n), "%s has no value", s)
		return false
	}
	if s.isDocument() {
		d.fail(d.pos(n), "%s has a tag: remove it", s)
	} else {
		d.fail(d.pos(n), "tag %q is not supported: remove it", short(n.Tag))
	}
	return false
}

// within reports whether the items of a list are within the limit.
func (d *decoder) within(n *yaml.Node, s subject) bool {
	if d.limit == nil || s.item || s.key != d.limit.key {
		return true
	}
	ok := d.limit.take(len(n.Content))
	if ok == len(n.Content) {
		return true
	}
	d.stop(d.pos(n.Content[ok]), "%q has more than %d items, all files together: no more are read", s.key, d.limit.most)
	return false
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, s subject) bool {
	if n.Kind != yaml.SequenceNode || n.Tag != "!!seq" {
		d.wrongKind(n, s, "a list")
		return false
	}
	if !d.spend(n, len(n.Content)) || !d.within(n, s) {
		return false
	}
	all := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	kept := 0
	for i, c := range n.Content {
		item := all.Index(kept)
		if d.value(c, item, d.item(s, i)) {
			kept++
		} else {
			item.SetZero()
		}
	}
	v.Set(all.Slice(0, kept))
	return true
}

// singleItem decodes the only item of a list that is Single.
func (d *decoder) singleItem(n *yaml.Node, v reflect.Value, s subject) bool {
	item := reflect.New(v.Type().Elem()).Elem()
	v.SetZero()
	ok := d.value(n, item, s)
	v.Set(reflect.Append(v, item))
	return ok
}

// pairedList decodes a mapping into a list that is Paired.
func (d *decoder) pairedList(n *yaml.Node, v reflect.Value, s subject) bool {
	if !d.isMapping(n, s) {
		return false
	}
	v.SetZero()
	d.pairs(n, s, nil, func(key string, k, val *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		if d.pairValue(d.child(s, key), k, val, item) {
			text := item.FieldByName("V")
			text.SetString(key + "=" + text.String())
			v.Set(reflect.Append(v, item))
		}
	})
	return true
}

func (d *decoder) goMap(n *yaml.Node, v reflect.Value, s subject) bool {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		panic("strictyaml: can't decode into " + t.String())
	}
	if !d.isMapping(n, s) {
		return false
	}
	m := reflect.MakeMap(t)
	d.pairs(n, s, nil, func(key string, k, val *yaml.Node) {
		elem := reflect.New(t.Elem()).Elem()
		if d.pairValue(d.child(s, key), k, val, elem) {
			m.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), elem)
		}
	})
	v.Set(m)
	return true
}

func (d *decoder) orderedMap(n *yaml.Node, m ordered, s subject) bool {
	if !d.isMapping(n, s) {
		return false
	}
	m.reset()
	d.pairs(n, s, nil, func(key string, k, val *yaml.Node) {
		v := m.add(key, d.pos(k))
		if _, keep := v.Addr().Interface().(placed); !d.pairValue(d.child(s, key), k, val, v) && !keep {
			m.drop()
		}
	})
	return true
}

// structType holds the keys of a struct type and the index of each one's field.
type structType struct {
	fields map[string]int
	names  []string
}

// structTypes caches structTypes by reflect.Type for folders of ten thousand
// files.
var structTypes sync.Map

func structTypeOf(t reflect.Type) *structType {
	if st, ok := structTypes.Load(t); ok {
		return st.(*structType)
	}
	st := &structType{fields: map[string]int{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		st.fields[name] = i
		st.names = append(st.names, name)
	}
	structTypes.Store(t, st)
	return st
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, s subject) bool {
	if !d.isMapping(n, s) {
		return false
	}
	st := structTypeOf(v.Type())
	if s.isDocument() && st.foreign(n) {
		d.fail(d.pos(n), "none of the keys here is known: allowed are %s", st.allowed())
		return false
	}
	d.pairs(n, s, nil, func(key string, k, val *yaml.Node) {
		i, ok := st.fields[key]
		if !ok {
			d.unknownKey(s, key, k, st)
			return
		}
		d.pairValue(d.child(s, key), k, val, v.Field(i))
	})
	return true
}

// foreign reports whether none of a document's keys is, or resembles, one of
// these. Such a file is of another kind, perhaps one of secrets: nothing of it is
// read, or repeated in a message.
func (st *structType) foreign(n *yaml.Node) bool {
	for i := 0; i+1 < min(len(n.Content), 2*maxErrors); i += 2 {
		k := n.Content[i]
		if k.Tag == "!!merge" || k.Kind == yaml.ScalarNode && Nearest(k.Value, st.names) != "" {
			return false
		}
	}
	return len(n.Content) > 0
}

func (st *structType) allowed() string {
	return strings.Join(slices.Sorted(slices.Values(st.names)), ", ")
}

func (d *decoder) unknownKey(s subject, key string, k *yaml.Node, st *structType) {
	if near := Nearest(key, st.names); near != "" {
		d.fail(d.pos(k), "unknown key %s: did you mean %s?", d.child(s, key), d.child(s, near))
		return
	}
	d.fail(d.pos(k), "unknown key %s: allowed here are %s", d.child(s, key), st.allowed())
}

// pairValue decodes the value of one key. The error about a missing value points
// at the key, because nothing stands behind it.
func (d *decoder) pairValue(s subject, k, val *yaml.Node, v reflect.Value) bool {
	if val.Kind == yaml.ScalarNode && val.Tag == "!!null" {
		if a, ok := v.Addr().Interface().(placed); ok {
			a.mark(d.pos(k))
			a.spoil()
		}
		d.fail(d.pos(k), "%s has no value: %s", s, fillIn(v.Type()))
		return false
	}
	return d.value(val, v, s)
}

// fillIn returns what to do about a key of type t that has no value.
func fillIn(t reflect.Type) string {
	for {
		alias, ok := reflect.Zero(t).Interface().(interface{ JSONSchemaAlias() any })
		if !ok || t.Kind() == reflect.Pointer {
			break
		}
		t = reflect.TypeOf(alias.JSONSchemaAlias())
	}
	switch t.Kind() {
	case reflect.Slice:
		return "write [] for none, or remove the key"
	case reflect.Map:
		return "write {} for none, or remove the key"
	default:
		return "give it one, or remove the key"
	}
}

func (d *decoder) isMapping(n *yaml.Node, s subject) bool {
	if n.Kind == yaml.MappingNode && n.Tag == "!!map" {
		return true
	}
	d.wrongKind(n, s, "a mapping (key: value)")
	return false
}

// wrongKind adds the error that n is not of the wanted kind. It doesn't repeat a
// document that is a single value, as the file may be one that holds a token.
func (d *decoder) wrongKind(n *yaml.Node, s subject, wanted string) {
	if s.isDocument() && n.Kind == yaml.ScalarNode {
		d.fail(d.pos(n), "%s must be %s, not a single value", s, wanted)
		return
	}
	d.fail(d.pos(n), "%s must be %s, not %s", s, wanted, describe(n))
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	v := strconv.Quote(short(n.Value))
	switch n.Tag {
	case "!!int", "!!float":
		return "the number " + strings.Trim(v, `"`)
	case "!!bool":
		return strings.Trim(v, `"`)
	case "!!timestamp":
		return "the date " + strings.Trim(v, `"`)
	}
	return v
}

func short(s string) string {
	const most = 60
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most]) + "…"
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	decimal      = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
)

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, s subject) bool {
	if v.Type() == durationType {
		return d.duration(n, v, s)
	}
	switch v.Kind() {
	case reflect.String:
		return d.text(n, v, s)
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			d.wrongKind(n, s, "true or false")
			return false
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
		return true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return d.integer(n, v, s)
	default:
		panic("strictyaml: can't decode into " + v.Type().String())
	}
}

func (d *decoder) text(n *yaml.Node, v reflect.Value, s subject) bool {
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, s, "a string")
		return false
	}
	// A date is text: YAML 1.2, and so editors, know no dates.
	if n.Tag != "!!str" && n.Tag != "!!timestamp" && !verbatim(n, v) {
		d.fail(d.pos(n), "%s must be a string, not %s: quote it, '%s'", s, describe(n), short(n.Value))
		return false
	}
	v.SetString(n.Value)
	switch t := v.Addr().Interface().(type) {
	case Enum:
		words := t.Values()
		if !slices.Contains(words, n.Value) {
			d.fail(d.pos(n), "%s must be %s, not %q%s", s, OneOf(words), short(n.Value), DidYouMean(n.Value, words))
			return false
		}
	case Checker:
		if err := t.Check(); err != nil {
			d.fail(d.pos(n), "%s %v", s, err)
			return false
		}
	}
	return true
}

// verbatim reports whether v takes n as text, although YAML sees a number.
func verbatim(n *yaml.Node, v reflect.Value) bool {
	_, ok := v.Addr().Interface().(Verbatim)
	return ok && (n.Tag == "!!int" || n.Tag == "!!float")
}

func (d *decoder) integer(n *yaml.Node, v reflect.Value, s subject) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		d.wrongKind(n, s, "a whole number")
		return false
	}
	// yaml.v3 reads 017 as fifteen and 1_0 as ten, which nobody means.
	if !decimal.MatchString(n.Value) {
		d.fail(d.pos(n), "%s must be a plain decimal number, not %s", s, short(n.Value))
		return false
	}
	i, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || v.OverflowInt(i) {
		d.fail(d.pos(n), "%s is too large a number: %s", s, short(n.Value))
		return false
	}
	v.SetInt(i)
	return true
}

func (d *decoder) duration(n *yaml.Node, v reflect.Value, s subject) bool {
	const wanted = "a duration with a unit, such as 30s or 5m"
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		d.wrongKind(n, s, wanted)
		return false
	}
	t, err := time.ParseDuration(n.Value)
	if err != nil {
		d.wrongKind(n, s, wanted)
		return false
	}
	v.SetInt(int64(t))
	return true
}
