package objects

// Seen returns the declared fields of an object with the values that they have live,
// given the fields in which these differ. The object is not changed.
func (o *Object) Seen(differ []FieldChange) map[string]any {
	body := cloneMapping(o.Body)
	for _, c := range differ {
		put(body, SplitPath(c.Path), c.Before)
	}
	return body
}

// put sets the value at a path; nil removes it.
func put(m map[string]any, names []string, v any) {
	for ; len(names) > 1; names = names[1:] {
		next, ok := m[names[0]].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[names[0]] = next
		}
		m = next
	}
	if v == nil {
		delete(m, names[0])
		return
	}
	m[names[0]] = v
}
