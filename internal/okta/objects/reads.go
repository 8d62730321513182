package objects

import "slices"

// ReadsOf returns what has to be read to compare the objects: their kinds, and those
// that their fields refer to.
func ReadsOf(all []*Object) Reads {
	r := newReader()
	for _, o := range all {
		r.object(o.Ref)
		if !o.Absent {
			r.status(o.Ref, o.Body["status"])
			eachReference(o.Ref.Kind.Fields, o.Ref.Kind.index, typeOf(o.Ref, o.Body), o.Body, r.reference)
		}
	}
	return r.reads()
}

// ReadsFor returns what has to be read to check and to write the differences.
func ReadsFor(all []Difference) Reads {
	r := newReader()
	for i := range all {
		d := &all[i]
		r.object(d.Ref)
		r.status(d.Ref, d.Switches())
		for _, c := range d.Fields {
			if f := d.Ref.Kind.FieldAt(d.Ref.Type, c.Path); f != nil && d.Op != Reorder {
				f.eachReference(d.Ref.Type, c.Before, r.reference)
				f.eachReference(d.Ref.Type, c.After, r.reference)
			}
		}
	}
	return r.reads()
}

// ReadsAll returns what has to be read to know all objects of the kinds, with their
// children and the names of what they refer to. The kinds are none of children.
func ReadsAll(kinds []*Kind) Reads {
	r := newReader()
	for _, k := range kinds {
		r.kinds[k] = true
		r.refers(k.Fields)
		for _, child := range all {
			if child.Parent == k {
				r.refers(child.Fields)
			}
		}
	}
	reads := r.reads()
	reads.All = true
	for _, k := range reads.Kinds {
		if k.Typed {
			reads.Types[k] = slices.Sorted(slices.Values(k.Types))
		}
		reads.BuiltIn = reads.BuiltIn || k.API.BuiltInQuery != ""
	}
	return reads
}

// With returns what r or more has.
func (r Reads) With(more Reads) Reads {
	both := newReader()
	both.builtIn = r.BuiltIn || more.BuiltIn
	for _, one := range []Reads{r, more} {
		for _, k := range one.Kinds {
			both.kinds[k] = true
		}
		for k, types := range one.Types {
			if both.types[k] == nil {
				both.types[k] = map[string]bool{}
			}
			for _, typ := range types {
				both.types[k][typ] = true
			}
		}
		for parent := range one.Parents {
			both.parents[parent] = true
		}
		for ref, status := range one.Statuses {
			if both.statuses == nil {
				both.statuses = map[Ref]any{}
			}
			both.statuses[ref] = status
		}
	}
	reads := both.reads()
	reads.All = r.All || more.All
	return reads
}

// Has reports whether r has all lists that more has.
func (r Reads) Has(more Reads) bool {
	for _, k := range more.Kinds {
		if !slices.Contains(r.Kinds, k) {
			return false
		}
		for _, typ := range more.Types[k] {
			if !slices.Contains(r.Types[k], typ) {
				return false
			}
		}
	}
	for parent := range more.Parents {
		if !r.Parents[parent] && !r.All {
			return false
		}
	}
	return (r.BuiltIn || !more.BuiltIn) && (r.All || !more.All)
}

// Undeclarable returns why those fields of an object that hold ids without names can't
// be declared, by their paths. raw is the object as the API returned it.
func (k *Kind) Undeclarable(raw map[string]any) map[string]string {
	var all map[string]string
	var walk func(index map[string]*Field, m map[string]any, path []string)
	typ, _ := raw["type"].(string)
	walk = func(index map[string]*Field, m map[string]any, path []string) {
		for name, v := range m {
			f := pick(index, typ, name, v)
			if f == nil {
				continue
			}
			at := append(slices.Clone(path), name)
			below, mapping := v.(map[string]any)
			switch {
			case f.ReadOnly && f.Echo && f.Why != byOkta && holds(v):
				if all == nil {
					all = map[string]string{}
				}
				all[joinPath(at)] = f.Why
			case mapping && f.Type == Mapping:
				walk(f.index, below, at)
			}
		}
	}
	walk(k.index, raw, nil)
	return all
}

// refers adds the kinds that fields refer to.
func (r *reader) refers(fields []Field) {
	for i := range fields {
		f := &fields[i]
		if k := ByName(f.Refers); k != nil {
			r.kinds[k] = true
		}
		r.refers(f.Fields)
		if f.Elem != nil {
			r.refers([]Field{*f.Elem})
		}
	}
}

type reader struct {
	kinds   map[*Kind]bool
	types   map[*Kind]map[string]bool
	parents map[Ref]bool
	// statuses is nil if there are none.
	statuses map[Ref]any
	builtIn  bool
}

func newReader() *reader {
	return &reader{kinds: map[*Kind]bool{}, types: map[*Kind]map[string]bool{}, parents: map[Ref]bool{}}
}

// object adds what an object is found in.
func (r *reader) object(ref Ref) {
	k := ref.Kind
	r.builtIn = r.builtIn || slices.Contains(k.BuiltIn, ref.Name)
	if k.Parent != nil {
		k = k.Parent
		r.parents[Ref{Kind: k, Type: ref.Type, Name: ref.Parent}] = true
	}
	r.kinds[k] = true
	if k.Typed {
		if r.types[k] == nil {
			r.types[k] = map[string]bool{}
		}
		r.types[k][ref.Type] = true
	}
}

// status adds the status that an object is to have, if others may have to have it as
// well. Of several, the first counts.
func (r *reader) status(ref Ref, to any) {
	if to == nil || ref.Kind.API.Requires == "" || r.statuses[ref] != nil {
		return
	}
	if r.statuses == nil {
		r.statuses = map[Ref]any{}
	}
	r.statuses[ref] = to
}

// reference adds the kind that a field refers to.
func (r *reader) reference(kind, name string) {
	k := ByName(kind)
	r.kinds[k] = true
	r.builtIn = r.builtIn || slices.Contains(k.BuiltIn, name)
}

func (r *reader) reads() Reads {
	reads := Reads{Types: map[*Kind][]string{}, Parents: r.parents, Statuses: r.statuses, BuiltIn: r.builtIn}
	for _, k := range all {
		if r.kinds[k] {
			reads.Kinds = append(reads.Kinds, k)
		}
		for typ := range r.types[k] {
			reads.Types[k] = append(reads.Types[k], typ)
		}
		slices.Sort(reads.Types[k])
	}
	return reads
}

// eachReference calls visit for each reference below m, with the kind and the name. For
// a field that names nothing the name is empty.
func eachReference(fields []Field, index map[string]*Field, typ string, m map[string]any, visit func(kind, name string)) {
	for i := range fields {
		f := &fields[i]
		if !f.names {
			continue
		}
		if v, there := m[f.Name]; there && pick(index, typ, f.Name, v) == f {
			f.eachReference(typ, v, visit)
		}
	}
}

func (f *Field) eachReference(typ string, v any, visit func(kind, name string)) {
	switch v := v.(type) {
	case map[string]any:
		eachReference(f.Fields, f.index, typ, v, visit)
		return
	case []any:
		if f.Elem == nil {
			return
		}
		for _, e := range v {
			f.Elem.eachReference(typ, e, visit)
		}
		if len(v) == 0 && f.Elem.Refers != "" {
			visit(f.Elem.Refers, "")
		}
		return
	}
	switch s, _ := v.(string); {
	case f.Elem != nil && f.Elem.Refers != "":
		visit(f.Elem.Refers, "")
	case f.Refers != "" && slices.Contains(f.Words, s):
		visit(f.Refers, "")
	case f.Refers != "":
		visit(f.Refers, s)
	}
}
