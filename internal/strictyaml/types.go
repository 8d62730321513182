package strictyaml

import "reflect"

// At is a value with its position. Fields of this type distinguish "not
// mentioned" from "mentioned and zero", and let later checks point at the value.
type At[T any] struct {
	V T
	// Pos is the position of the value; for an alias, that of the alias.
	Pos Pos
	// Set means that the key is there.
	Set bool
	// Bad means that the key is there and its value could not be read. There is
	// an error already, and V is zero.
	Bad bool
}

// OK reports whether there is a value that could be read.
func (a *At[T]) OK() bool { return a.Set && !a.Bad }

// JSONSchemaAlias returns what schema generators describe the field as: a T.
func (At[T]) JSONSchemaAlias() any {
	var v T
	return v
}

// placed is what the decoder needs of an *At.
type placed interface {
	mark(pos Pos) reflect.Value
	spoil()
}

func (a *At[T]) mark(pos Pos) reflect.Value {
	a.Pos, a.Set, a.Bad = pos, true, false
	return reflect.ValueOf(&a.V).Elem()
}

func (a *At[T]) spoil() {
	var zero T
	a.V, a.Bad = zero, true
}

// Map is a mapping with free keys that keeps the order of the file and the
// position of each key, unlike a Go map.
//
// A pair whose value could not be read is left out, unless V is an At, which is
// then Bad.
type Map[V any] []Entry[V]

// Entry is one pair of a Map.
type Entry[V any] struct {
	Key string
	// Pos is the position of the key.
	Pos Pos
	V   V
}

// JSONSchemaAlias returns what schema generators describe the field as: a Go map.
func (Map[V]) JSONSchemaAlias() any { return map[string]V(nil) }

// ordered is what the decoder needs of a *Map.
type ordered interface {
	reset()
	add(key string, pos Pos) reflect.Value
	drop()
}

func (m *Map[V]) reset() { *m = Map[V]{} }

func (m *Map[V]) add(key string, pos Pos) reflect.Value {
	*m = append(*m, Entry[V]{Key: key, Pos: pos})
	return reflect.ValueOf(&(*m)[len(*m)-1].V).Elem()
}

func (m *Map[V]) drop() { *m = (*m)[:len(*m)-1] }

// Checker is implemented by string types that restrict their values.
type Checker interface {
	// Check returns what is wrong with the value, or nil. Its text follows the
	// quoted key, as in "must not be empty", and quotes what it repeats of the
	// value.
	Check() error
}

// Short is implemented by struct types that may also be written as the value of one of
// their keys alone.
type Short interface {
	// ShortKey returns that key. It is called on the zero value.
	ShortKey() string
}

// Worded is implemented by struct types in whose place a word may stand.
type Worded interface {
	// WordField returns the name of the field that takes the word; it has no key. It is
	// called on the zero value.
	WordField() string
}

// Paired is implemented by list types of [At] strings that may also be written as a
// mapping, of which each pair becomes the item KEY=VALUE.
type Paired interface {
	// Paired is never called.
	Paired()
}

// Single is implemented by list types that may also be written as one item, without
// brackets.
type Single interface {
	// Single is never called.
	Single()
}

// Enum is implemented by string types that allow only certain words. Decoding
// any other word is an error that names the allowed ones.
type Enum interface {
	// Values returns the allowed words in the order in which messages list them.
	// It is called on the zero value.
	Values() []string
}

// Verbatim is implemented by string types whose values may look like numbers or
// times to YAML, such as ids made of digits: they are read as they are written,
// with quotes or without.
type Verbatim interface {
	// Verbatim is never called.
	Verbatim()
}
