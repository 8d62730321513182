package state

import (
	"maps"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
)

// configurationSchema returns the schema of a configuration, made from the tables of
// kinds.
func configurationSchema() object {
	lists, settings := object{}, object{}
	for _, k := range objects.Kinds() {
		switch {
		case k.Setting:
			settings[k.Name] = kindSchema(k)
		case k.Parent == nil:
			lists[k.Name] = object{"type": "array", "description": k.Doc, "items": kindSchema(k)}
		}
	}
	lists[objects.Settings] = object{
		"type": "object", "description": "Settings, of which each org has exactly one.",
		"properties": settings, "additionalProperties": false,
	}
	return object{"type": "object", "properties": lists, "additionalProperties": false}
}

// kindSchema returns the schema of one object.
func kindSchema(k *objects.Kind) object {
	s := mappingSchema(k.Fields, false, false)
	if s["description"] = k.Doc; k.Setting {
		return s
	}
	properties := s["properties"].(object)
	top, rest, nested := strings.Cut(k.Key, ".")
	required := []string{top}
	if nested {
		properties[top].(object)["required"] = []string{rest}
	}
	if k.Typed {
		required = append(required, keyType)
		properties[keyType] = object{"type": "string", "description": objects.Find(k.Fields, keyType).Doc, "enum": k.Types}
	}
	s["required"] = required
	var rules []any
	if hasSystem(k) {
		properties[keySystem] = object{"const": true, "description": "Okta made the object. Without this, such an object is never touched."}
	}
	if !k.Fixed {
		properties[keyAbsent] = object{"const": true, "description": "Has the object deleted. Only the key stands beside it."}
		rules = append(rules, object{"anyOf": []any{
			object{"not": with(keyAbsent)},
			object{"propertyNames": object{"enum": []string{keyAbsent, keyType, top}}},
		}})
	}
	for _, child := range objects.Kinds() {
		if child.Parent == k {
			properties[keyRules] = object{"type": "array", "description": child.Doc, "items": kindSchema(child)}
		}
	}
	if k.Parent == nil {
		rules = append(rules, typeRules(k)...)
	}
	if len(rules) > 0 {
		s["allOf"] = rules
	}
	return s
}

// with returns the schema of objects that have a property.
func with(name string) object {
	return object{"properties": object{name: true}, "required": []string{name}}
}

// typeRules returns a schema for each field that objects of some types don't have.
func typeRules(k *objects.Kind) []any {
	typ := objects.Find(k.Fields, keyType)
	if typ == nil {
		return nil
	}
	having := map[string][]string{}
	for i := range k.Fields {
		if f := &k.Fields[i]; len(f.Types) > 0 {
			having[f.Name] = append(having[f.Name], f.Types...)
		}
	}
	var rules []any
	for _, name := range slices.Sorted(maps.Keys(having)) {
		others := slices.DeleteFunc(slices.Clone(typ.Enum), func(t string) bool { return slices.Contains(having[name], t) })
		if len(others) > 0 {
			rules = append(rules, object{"not": object{
				"properties": object{keyType: object{"enum": others}, name: true}, "required": []string{keyType, name},
			}})
		}
	}
	return rules
}

// mappingSchema returns the schema of a mapping. whole is set where all that is required
// must be there.
func mappingSchema(fields []objects.Field, free, whole bool) object {
	properties, required := object{}, []string{}
	for i := range fields {
		f := &fields[i]
		if f.ReadOnly || f.Secret {
			continue
		}
		if whole && f.Required && len(f.Types) == 0 {
			required = append(required, f.Name)
		}
		s := fieldSchema(f, whole)
		if other, ok := properties[f.Name].(object); ok {
			s = object{"description": other["description"], "anyOf": []any{without(other), without(s)}}
		}
		properties[f.Name] = s
	}
	s := object{"type": "object", "properties": properties}
	if !free {
		s["additionalProperties"] = false
	}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// without returns a schema without its description.
func without(s object) object {
	s = maps.Clone(s)
	delete(s, "description")
	return s
}

// fieldSchema returns the schema of a field.
func fieldSchema(f *objects.Field, whole bool) object {
	forms := fieldForms(f, whole)
	if f.Nullable {
		forms = append(forms, object{"type": "null"})
	}
	s := forms[0]
	if len(forms) > 1 {
		s = object{"anyOf": forms}
	}
	s = maps.Clone(s)
	s["description"] = describeField(f)
	return s
}

// describeField returns what editors show of a field.
func describeField(f *objects.Field) string {
	doc := f.Doc
	if len(f.Types) > 0 {
		doc += " Only of type " + strings.Join(f.Types, ", ") + "."
	}
	if f.Needs != "" {
		doc += " Needs " + f.Needs + "."
	}
	return doc
}

// fieldForms returns the schemas of which a value that isn't null satisfies one.
func fieldForms(f *objects.Field, whole bool) []object {
	variable := object{"type": "string", "pattern": `\$\{`}
	bounds := func(s object, least, most string) object {
		if f.Min != nil {
			s[least] = *f.Min
		}
		if f.Max != nil {
			s[most] = *f.Max
		}
		return s
	}
	switch f.Type {
	case objects.Mapping:
		return []object{mappingSchema(f.Fields, f.Free, whole)}
	case objects.List:
		s := bounds(object{"type": "array", "items": fieldSchema(f.Elem, true)}, "minItems", "maxItems")
		if f.Set && f.Elem.Type == objects.Text {
			s["uniqueItems"] = true
		}
		return []object{s}
	case objects.Boolean:
		return []object{{"type": "boolean"}, variable}
	case objects.Integer:
		return []object{bounds(object{"type": "integer"}, "minimum", "maximum"), variable}
	case objects.Number:
		return []object{bounds(object{"type": "number"}, "minimum", "maximum"), variable}
	case objects.Anything:
		return []object{{}}
	}
	switch s := bounds(object{"type": "string"}, "minLength", "maxLength"); {
	case len(f.Enum) > 0 && f.Open:
		return []object{{"type": "string", "enum": f.Enum}, {"type": "string", "minLength": 1}}
	case len(f.Enum) > 0:
		return []object{{"type": "string", "enum": f.Enum}, variable}
	case len(s) > 1:
		return []object{s, variable}
	default:
		return []object{s}
	}
}
