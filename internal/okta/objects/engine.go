package objects

import "errors"

// Normalize returns body in normal form, without the fields that the server decides
// and without secrets; fields that the table doesn't know stay. Where name is not nil,
// it returns the name for an id of a kind, or the id itself. body is not changed.
// Normalizing twice is the same as once.
func (k *Kind) Normalize(body map[string]any, name func(kind, id string) string) map[string]any {
	panic("not built")
}

// ReadsOf returns what has to be read to compare the objects.
func ReadsOf(all []*Object) Reads { panic("not built") }

// ReadsFor returns what has to be read to check and to write the differences.
func ReadsFor(all []Difference) Reads { panic("not built") }

// AmbiguousError reports that declared and live objects can't be matched: two live
// ones have one key, Okta made an object that the declaration doesn't call a system
// object, or a name leads to none. Nothing of the org is written then.
type AmbiguousError struct {
	// Object is the declared object, and Reason one line about it.
	Object *Object
	Reason string
}

// Error returns the reason.
func (e *AmbiguousError) Error() string { return e.Reason }

// Compare returns what is different between declared and live. The error is an
// *AmbiguousError.
func Compare(d *Declared, live *Live) (*Comparison, error) { panic("not built") }

// CompareDeclared returns the differences that lead from one declaration to another,
// without anything live: an object that only head declares is created, one that head
// declares absent is deleted, and one that only base declares is left alone.
func CompareDeclared(base, head *Declared) *Comparison { panic("not built") }

// After returns what is live when the differences were written. live is not changed.
func After(live *Live, diffs []Difference) *Live { panic("not built") }

// ErrAlready reports that an object is as the difference wants it already.
var ErrAlready = errors.New("already in this state")

// MovedError reports that an object is neither as a difference was made for nor as it
// wants it.
type MovedError struct {
	// Fields are the fields with the plan's value as Before and the live one as After.
	Fields []FieldChange
}

// Error names the first field.
func (e *MovedError) Error() string { panic("not built") }

// Check returns nil if live (nil: there is none) is as the difference was made for,
// ErrAlready if it is as the difference wants it, and otherwise a *MovedError.
func (d *Difference) Check(live *LiveObject) error { panic("not built") }

// Overlay returns raw, an object as the API returned it, with the fields of d, without
// what the API decides; ready to be sent. Where id is not nil it returns the id of a
// name. raw is not changed, and what d doesn't mention stays as it is. For a creation
// raw is nil.
func (d *Difference) Overlay(raw map[string]any, id func(kind, name string) (string, error)) (map[string]any, error) {
	panic("not built")
}

// Split takes the status out of the fields: it is reached by lifecycle calls.
func (d *Difference) Split() (status string, rest Difference) { panic("not built") }

// Loses reports whether the difference takes something away: it deletes or
// deactivates the object, or takes something out of a list.
func (d *Difference) Loses() bool { panic("not built") }
