package org

import "strings"

// index has the names of objects by their kinds and ids.
type index map[string]map[string]string

// add adds the objects of a list.
func (x index) add(l *reading) {
	names := x[l.kind.Name]
	if names == nil {
		names = map[string]string{}
		x[l.kind.Name] = names
	}
	for _, o := range l.objects {
		id, _ := o["id"].(string)
		if name := nameOf(l.kind, o); name != "" && id != "" {
			names[id] = name
		}
	}
}

// name returns the name of an object; its id if it has none or isn't there.
func (x index) name(kind, id string) string {
	if name, ok := x[kind][id]; ok {
		return name
	}
	return id
}

// at returns the value at a path, the keys of which are joined by dots; nil if there
// is none.
func at(o raw, path string) any {
	var v any = o
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(raw)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}
