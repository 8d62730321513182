package objects

import "strings"

// escaper keeps the dots of a name apart from those between names.
var escaper = strings.NewReplacer(`\`, `\\`, `.`, `\.`)

// joinPath returns the path of names.
func joinPath(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte('.')
		}
		if strings.ContainsAny(name, `\.`) {
			name = escaper.Replace(name)
		}
		b.WriteString(name)
	}
	return b.String()
}

// SplitPath returns the names of the keys of a path, as [FieldChange] has it.
func SplitPath(path string) []string {
	if !strings.Contains(path, `\`) {
		return strings.Split(path, ".")
	}
	var names []string
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path):
			i++
			b.WriteByte(path[i])
		case c == '.':
			names = append(names, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(names, b.String())
}

// at returns the value at a path; nil if there is none.
func at(body map[string]any, names []string) any {
	var v any = body
	for _, name := range names {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// FieldAt returns the field at a path, of objects of this type; nil if the table doesn't
// know it. If typ is empty, it is one that any type has there.
func (k *Kind) FieldAt(typ, path string) *Field { return k.fieldAt(typ, SplitPath(path)) }

func (k *Kind) fieldAt(typ string, names []string) *Field {
	return fieldBelow(k.index, typ, names)
}

func fieldBelow(index map[string]*Field, typ string, names []string) *Field {
	for f := index[names[0]]; f != nil; f = f.next {
		if !f.fits(typ) && index[names[0]].next != nil {
			continue
		}
		if len(names) == 1 {
			return f
		}
		if below := fieldBelow(f.index, typ, names[1:]); below != nil {
			return below
		}
	}
	return nil
}
