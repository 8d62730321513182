package diff

import (
	"encoding/json"
	"reflect"
	"slices"
)

// Made is a change that a run has made, or may have.
type Made struct {
	Run    string
	Change Change
}

// takeBack reports whether all that the plan takes away is exactly what runs gave
// lately: then it is the way back, and no loss. It sets TakesBack in the changes if so.
// One change that is none, or one org that could not be read and might lose something,
// and nothing of it is.
func (g *Guards) takeBack(changes []Change, l *loss) bool {
	if g.Made == nil || len(l.unread) > 0 {
		return false
	}
	made := newest(g.Made())
	runs := map[int]string{}
	for i := range changes {
		c := &changes[i]
		if !c.Destructive || c.Blocked != "" {
			continue
		}
		m, found := made[madeKey{c.Org, c.Field()}]
		if !found || !c.undoes(&m.Change) {
			return false
		}
		runs[i] = m.Run
	}
	for i, run := range runs {
		changes[i].TakesBack = run
	}
	return true
}

// madeKey is what a change is about.
type madeKey struct{ org, field string }

// newest returns the last of the changes of each field of each org. all is sorted, the
// newest first.
func newest(all []Made) map[madeKey]*Made {
	made := make(map[madeKey]*Made, len(all))
	for i := range all {
		m := &all[i]
		k := madeKey{m.Change.Org, m.Change.Field()}
		if made[k] == nil {
			made[k] = m
		}
	}
	return made
}

// undoes reports whether c brings back exactly what was there before the other, given
// that what is live is still what that left. No request undoes a deletion of an org.
func (c *Change) undoes(other *Change) bool {
	if c.OrgID != other.OrgID && c.OrgID != "" && other.OrgID != "" {
		return false
	}
	// Names may have slashes: two objects may be called the same.
	if c.Kind != other.Kind || c.Type != other.Type || c.Parent != other.Parent || c.Object != other.Object {
		return false
	}
	switch c.Action {
	case UpdateProducts, SetStatus:
		return other.Action == c.Action && c.Before.Equal(other.After) && c.After.Equal(other.Before)
	case DeleteObject:
		return other.Action == CreateObject
	case UpdateObject:
		return other.Action == UpdateObject && undoesFields(c.Fields, other.Fields)
	}
	return false
}

// undoesFields reports whether each of the fields gets back the value that it had before
// the others.
func undoesFields(fields, others []Field) bool {
	for i := range fields {
		f := &fields[i]
		k := slices.IndexFunc(others, func(o Field) bool { return o.Path == f.Path })
		if k < 0 || !sameJSON(f.Before, others[k].After) || !sameJSON(f.After, others[k].Before) {
			return false
		}
	}
	return len(fields) > 0
}

// sameJSON reports whether two values have the same JSON: one of them may have been read
// from it.
func sameJSON(a, b any) bool {
	x, errX := plain(a)
	y, errY := plain(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// plain returns a value as it is read from JSON.
func plain(v any) (out any, err error) {
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	return out, err
}
