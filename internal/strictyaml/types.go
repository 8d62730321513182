package strictyaml

import "reflect"

// At is a value together with the place it was read from. Fields of this type
// tell "not mentioned" from "mentioned and zero", and let the checks that come
// after decoding point at the right line.
type At[T any] struct {
	V T
	// Pos is where the value stands; for an alias, where the alias stands.
	Pos Pos
	// Set says that the key is there at all.
	Set bool
	// Bad says that the key is there and its value could not be read. An error
	// has told so already: V is not worth checking.
	Bad bool
}

// OK says that there is a value and it could be read.
func (a *At[T]) OK() bool { return a.Set && !a.Bad }

// JSONSchemaAlias makes schema generators describe a field as the plain T.
func (At[T]) JSONSchemaAlias() any {
	var v T
	return v
}

// placed is what the decoder needs to know of an *At.
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
// place of each key. A Go map decodes too, and keeps neither.
//
// A pair whose value could not be read is left out, unless V is an At, which
// then says so.
type Map[V any] []Entry[V]

// Entry is one pair of a Map.
type Entry[V any] struct {
	Key string
	// Pos is where the key stands.
	Pos Pos
	V   V
}

// JSONSchemaAlias makes schema generators describe a field as a Go map.
func (Map[V]) JSONSchemaAlias() any { return map[string]V(nil) }

// ordered is what the decoder needs to know of a *Map.
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

// Checker is implemented by string types with a rule of their own.
type Checker interface {
	// Check says what is wrong with the value. Its error goes on after the
	// quoted key, as in "must not be empty", and quotes what it takes from the
	// value.
	Check() error
}

// Enum is implemented by string types that allow only certain words. Decoding
// any other word is an error that names the allowed ones.
type Enum interface {
	// Values gives the allowed words in the order in which people should read
	// them. It is called on the zero value.
	Values() []string
}

// Verbatim is implemented by string types whose values may look like something
// else to YAML, such as ids of digits and times: numbers and times are taken as
// they are written, with quotes or without.
type Verbatim interface {
	// Verbatim is never called.
	Verbatim()
}
