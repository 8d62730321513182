package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"reconciler/internal/text"
)

// ErrAlready reports that an object is as the difference wants it already.
var ErrAlready = errors.New("already in this state")

// MovedError reports that an object is neither as a difference was made for nor as it
// wants it.
type MovedError struct {
	// Fields are the fields with the plan's value as Before and the live one as After.
	Fields []FieldChange
}

// Error names the first field.
func (e *MovedError) Error() string {
	f := e.Fields[0]
	return fmt.Sprintf("%s is %s, and was %s when the change was planned", f.Path, show(f.After), show(f.Before))
}

// show returns a value as one short line.
func show(v any) string {
	if v == nil {
		return "not there"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return text.OneLine(string(data), 200)
}

// Check returns nil if live (nil: there is none) is as the difference was made for,
// ErrAlready if it is as the difference wants it, and otherwise a *MovedError. For a
// [Reorder] there is CheckOrder.
func (d *Difference) Check(live *LiveObject) error {
	switch {
	case live == nil && d.Op == Create:
		return nil
	case live == nil && d.Op == Delete:
		return ErrAlready
	case live == nil:
		return d.gone()
	case d.Op != Create && d.ID != live.ID:
		return &MovedError{[]FieldChange{{Path: "id", Before: d.ID, After: live.ID}}}
	case d.System != live.System:
		return &MovedError{[]FieldChange{{Path: "system", Before: d.System, After: live.System}}}
	case d.Op == Delete:
		return nil
	}
	return d.checkFields(live)
}

// gone returns the error for an object that isn't there any more.
func (d *Difference) gone() error {
	moved := &MovedError{}
	for _, c := range d.Fields {
		moved.Fields = append(moved.Fields, FieldChange{Path: c.Path, Before: c.Before})
	}
	if len(moved.Fields) == 0 {
		moved.Fields = []FieldChange{{Path: "id", Before: d.ID}}
	}
	return moved
}

func (d *Difference) checkFields(live *LiveObject) error {
	typ := typeOf(d.Ref, live.Body)
	moved, already := &MovedError{}, true
	for _, c := range d.Fields {
		names := SplitPath(c.Path)
		f, actual := d.Ref.Kind.fieldAt(typ, names), at(live.Body, names)
		if f.covers(typ, c.After, actual) {
			continue
		}
		already = false
		actual = f.project(typ, c.After, actual)
		if d.Op == Create || !f.equal(actual, c.Before) {
			moved.Fields = append(moved.Fields, FieldChange{Path: c.Path, Before: c.Before, After: actual})
		}
	}
	switch {
	case already:
		return ErrAlready
	case len(moved.Fields) > 0:
		return moved
	}
	return nil
}

// equal reports whether two values in normal form are the same.
func (f *Field) equal(a, b any) bool {
	return f.isEmpty(a) && f.isEmpty(b) || compareValues(a, b, nil) == 0
}

// CheckOrder is what Check is for the other differences: names are those of the live
// objects in their order, without those that Okta made.
func (d *Difference) CheckOrder(names []string) error {
	if d.Op != Reorder || len(d.Fields) != 1 {
		return errors.New("not a change of the order")
	}
	actual, c := list(names), d.Fields[0]
	switch {
	case compareValues(actual, c.After, nil) == 0:
		return ErrAlready
	case compareValues(actual, c.Before, nil) == 0:
		return nil
	}
	return &MovedError{[]FieldChange{{Path: c.Path, Before: c.Before, After: actual}}}
}

// Loses reports whether the difference takes something away: it deletes or
// deactivates the object, or takes something out of a list.
func (d *Difference) Loses() bool {
	switch d.Op {
	case Delete:
		return true
	case Create, Reorder:
		return false
	}
	for _, c := range d.Fields {
		f := d.Ref.Kind.FieldAt(d.Ref.Type, c.Path)
		if c.Path == "status" && (c.After == "INACTIVE" || c.After == "DISABLED") || f.loses(d.Ref.Type, c.Before, c.After) {
			return true
		}
	}
	return false
}

// loses reports whether something of a list in before isn't in after any more.
func (f *Field) loses(typ string, before, after any) bool {
	switch b := before.(type) {
	case []any:
		a, _ := after.([]any)
		return f.losesElement(typ, b, a)
	case map[string]any:
		a, _ := after.(map[string]any)
		for name, v := range b {
			var below *Field
			if f != nil {
				below = pick(f.index, typ, name, v)
			}
			if below.loses(typ, v, a[name]) {
				return true
			}
		}
	}
	return false
}

func (f *Field) losesElement(typ string, before, after []any) bool {
	if f != nil && len(f.By) > 0 {
		for i, j := range f.match(typ, before, after) {
			if j < 0 || f.Elem.loses(typ, before[i], after[j]) {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(before, func(b any) bool {
		return !slices.ContainsFunc(after, func(a any) bool { return compareValues(a, b, nil) == 0 })
	})
}
