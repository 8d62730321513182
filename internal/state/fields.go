package state

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// fieldChecker checks declared values by the fields of their kind, and replaces each
// text with variables by a template.
type fieldChecker struct {
	fail, warn func(pos Pos, format string, args ...any)
	// typ is the type of the object, or of the policy of a rule; empty if it isn't
	// known. holder is what messages call what has it.
	holder, typ string
	// late is set for the check of an object whose type was not known at first: only
	// fields that depend on the type are checked. final is set if texts have no
	// variables any more.
	late, final bool
	// skipped is set if there are such fields and the type is not known.
	skipped bool
	// variable is set if there is a template.
	variable bool
}

// mapping checks the fields of a mapping. whole is set inside of a list, which is
// never laid over another one: what is required has to be there.
func (c *fieldChecker) mapping(v *strictyaml.Value, f *objects.Field, whole bool) {
	pairs := v.Mapping()
	for i := range pairs {
		e := &pairs[i]
		if field := c.find(f, e); field != nil {
			c.field(e, field, whole)
		}
	}
	if !whole || c.late {
		return
	}
	for i := range f.Fields {
		field := &f.Fields[i]
		if field.Required && c.fits(field) && (len(field.Types) == 0 || c.typ != "") && v.Get(field.Name) == nil {
			c.fail(v.Pos, "%q is missing", field.Name)
		}
	}
}

// find returns the field of a key, or nil: after an error, if there is none or it can't
// be checked yet.
func (c *fieldChecker) find(f *objects.Field, e *strictyaml.Entry[*strictyaml.Value]) *objects.Field {
	var named, fitting []*objects.Field
	limited := false
	for i := range f.Fields {
		field := &f.Fields[i]
		if field.Name != e.Key {
			continue
		}
		named = append(named, field)
		limited = limited || len(field.Types) > 0
		if c.fits(field) {
			fitting = append(fitting, field)
		}
	}
	switch {
	case len(named) == 0:
		if !c.late {
			c.unknown(f, e)
		}
		return nil
	case limited && c.typ == "" && !c.late:
		c.skipped = true
		c.texts(e.V)
		return nil
	case len(fitting) == 0:
		var types []string
		for _, field := range named {
			types = append(types, field.Types...)
		}
		c.fail(e.Pos, "%q is for the type %s, and this %s is of type %s", e.Key, oneOf(types), c.holder, c.typ)
		return nil
	case len(fitting) > 1:
		// The type is not known: the value has to be one that some type takes.
		for _, field := range fitting {
			if shaped(e.V, field.Type) {
				return field
			}
		}
	}
	return fitting[0]
}

// oneOf returns one or more words with "or".
func oneOf(words []string) string {
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " or " + words[last]
	}
	return words[0]
}

// fits reports whether an object of the type has the field; each, if the type isn't
// known.
func (c *fieldChecker) fits(f *objects.Field) bool {
	return c.typ == "" || len(f.Types) == 0 || slices.Contains(f.Types, c.typ)
}

// shaped reports whether v has the form of a type.
func shaped(v *strictyaml.Value, t objects.Type) bool {
	switch v.V.(type) {
	case strictyaml.Map[*strictyaml.Value]:
		return t == objects.Mapping || t == objects.Anything
	case []*strictyaml.Value:
		return t == objects.List || t == objects.Anything
	default:
		return t != objects.Mapping && t != objects.List
	}
}

func (c *fieldChecker) unknown(f *objects.Field, e *strictyaml.Entry[*strictyaml.Value]) {
	if f.Free {
		c.freeKey(e)
		c.texts(e.V)
		return
	}
	var names []string
	for i := range f.Fields {
		if field := &f.Fields[i]; !field.ReadOnly && !field.Secret && c.fits(field) && !slices.Contains(names, field.Name) {
			names = append(names, field.Name)
		}
	}
	c.fail(e.Pos, "%s", unknownKey(e.Key, names))
}

// unknownKey returns the message about an unknown key where there are these.
func unknownKey(key string, names []string) string {
	if near := strictyaml.Nearest(key, names); near != "" {
		return fmt.Sprintf("unknown key %s: did you mean %q?", quote(key), near)
	}
	if len(names) == 0 {
		return fmt.Sprintf("unknown key %s: there are no keys here", quote(key))
	}
	slices.Sort(names)
	return fmt.Sprintf("unknown key %s: allowed here are %s", quote(key), strings.Join(names, ", "))
}

// field checks the value of a key.
func (c *fieldChecker) field(e *strictyaml.Entry[*strictyaml.Value], f *objects.Field, whole bool) {
	switch {
	case c.late && len(f.Types) == 0:
		c.inside(e.V, f, whole) // the field itself was checked
		return
	case f.Secret:
		c.fail(e.Pos, "%q can't be declared: %s", e.Key, cmp.Or(f.Why, "it is a secret"))
		return
	case f.ReadOnly:
		c.fail(e.Pos, "%q can't be declared: %s", e.Key, cmp.Or(f.Why, "Okta decides it"))
		return
	}
	inner := *c
	inner.late = false
	inner.value(e.V, f, quote(e.Key), whole)
	c.skipped, c.variable = c.skipped || inner.skipped, c.variable || inner.variable
}

// inside checks the mappings in the value of a field that doesn't depend on the type.
func (c *fieldChecker) inside(v *strictyaml.Value, f *objects.Field, whole bool) {
	switch f.Type {
	case objects.Mapping:
		c.mapping(v, f, whole)
	case objects.List:
		items, _ := v.V.([]*strictyaml.Value)
		for _, item := range items {
			c.inside(item, f.Elem, true)
		}
	}
}

// value checks a value by its field. subject is what messages call it.
func (c *fieldChecker) value(v *strictyaml.Value, f *objects.Field, subject string, whole bool) {
	if v.V == nil {
		if !f.Nullable {
			c.fail(v.Pos, "%s can't be null: remove the key, and it isn't managed", subject)
		}
		return
	}
	if f.Type == objects.Anything {
		c.texts(v)
		return
	}
	if isTemplate(v) {
		return // checked for each org
	}
	if s, ok := v.V.(string); ok && !c.final && f.Type != objects.Mapping && f.Type != objects.List {
		if c.parse(v, s); isTemplate(v) {
			return
		}
	}
	switch f.Type {
	case objects.Mapping:
		if _, ok := v.V.(strictyaml.Map[*strictyaml.Value]); !ok {
			c.wrong(v, subject, "a mapping (key: value)")
			return
		}
		c.mapping(v, f, whole)
	case objects.List:
		c.list(v, f, subject)
	default:
		c.scalar(v, f, subject)
	}
}

func isTemplate(v *strictyaml.Value) bool {
	_, ok := v.V.(template)
	return ok
}

// parse replaces a text by what it means, or by a template.
func (c *fieldChecker) parse(v *strictyaml.Value, s string) {
	parsed, err := parseText(s)
	if err != nil {
		c.fail(v.Pos, "%v", err)
		return
	}
	v.V = parsed
	c.variable = c.variable || isTemplate(v)
}

// freeKey checks a key that no table has. One with variables stays as it is written
// until they are replaced.
func (c *fieldChecker) freeKey(e *strictyaml.Entry[*strictyaml.Value]) {
	if err := checkLine(e.Key, maxKey); err != nil {
		c.fail(e.Pos, "a key %v", err)
		return
	}
	if c.final || !strings.Contains(e.Key, "$") {
		return
	}
	if _, err := parseText(e.Key); err != nil {
		c.fail(e.Pos, "%v", err)
	}
	c.variable = true
}

// printable adds an error if a text has characters that could rewrite a plan on a
// terminal.
func (c *fieldChecker) printable(pos Pos, s, subject string) {
	if strings.ContainsFunc(s, func(r rune) bool { return invisible(r) && !strings.ContainsRune("\n\r\t", r) }) {
		c.fail(pos, "%s must not contain control characters: %s", subject, quote(s))
	}
}

// texts replaces the texts of a value that isn't checked, or not yet.
func (c *fieldChecker) texts(v *strictyaml.Value) {
	switch x := v.V.(type) {
	case string:
		if !c.final {
			c.printable(v.Pos, x, "a text")
			c.parse(v, x)
		}
	case strictyaml.Number:
		switch n, ok := x.Float(); {
		case !ok:
			c.fail(v.Pos, "%s is not a plain decimal number: write it as one, or quote it", short(string(x)))
		case math.Abs(n) >= 1<<53: // from there on, not all whole numbers are a float64
			c.fail(v.Pos, "%s is too large to be sent as it is: quote it", short(string(x)))
		}
	case []*strictyaml.Value:
		for _, item := range x {
			c.texts(item)
		}
	case strictyaml.Map[*strictyaml.Value]:
		for i := range x {
			c.freeKey(&x[i])
			c.texts(x[i].V)
		}
	}
}

func (c *fieldChecker) wrong(v *strictyaml.Value, subject, wanted string) {
	c.fail(v.Pos, "%s must be %s, not %s", subject, wanted, v.Describe())
}

func (c *fieldChecker) list(v *strictyaml.Value, f *objects.Field, subject string) {
	items, ok := v.V.([]*strictyaml.Value)
	if !ok {
		c.wrong(v, subject, "a list")
		return
	}
	c.bounds(v.Pos, len(items), f, subject, "item")
	for _, item := range items {
		c.value(item, f.Elem, "an item of "+subject, true)
	}
	if f.Set {
		c.repeats(items, subject)
	}
}

// repeats adds an error for each text that is in a set twice.
func (c *fieldChecker) repeats(items []*strictyaml.Value, subject string) {
	seen := make(map[string]Pos, len(items))
	for _, item := range items {
		s, ok := item.V.(string)
		if first, dup := seen[s]; ok && dup {
			c.fail(item.Pos, "%s is in %s twice, first at %s", quote(s), subject, first)
		} else if ok {
			seen[s] = item.Pos
		}
	}
}

// scalar checks a value that is neither a list nor a mapping, and has no variables.
func (c *fieldChecker) scalar(v *strictyaml.Value, f *objects.Field, subject string) {
	switch f.Type {
	case objects.Boolean:
		if _, ok := v.V.(bool); !ok {
			c.wrong(v, subject, "true or false")
		}
	case objects.Integer, objects.Number:
		c.number(v, f, subject)
	default:
		s, ok := v.V.(string)
		switch n := v.V.(type) {
		case strictyaml.Number:
			c.fail(v.Pos, "%s must be a string, not the number %s: quote it, '%s'", subject, short(string(n)), short(string(n)))
		case bool:
			c.fail(v.Pos, "%s must be a string, not %t: quote it, '%t'", subject, n, n)
		default:
			if !ok {
				c.wrong(v, subject, "a string")
			}
		}
		if ok {
			c.text(v.Pos, s, f, subject)
		}
	}
}

func (c *fieldChecker) number(v *strictyaml.Value, f *objects.Field, subject string) {
	wanted := "a number"
	if f.Type == objects.Integer {
		wanted = "a whole number"
	}
	n, ok := v.V.(strictyaml.Number)
	if !ok {
		c.wrong(v, subject, wanted)
		return
	}
	x, ok := n.Float()
	switch {
	case !ok:
		c.fail(v.Pos, "%s must be a plain decimal number, not %s", subject, short(string(n)))
	case f.Type == objects.Integer && (x != math.Trunc(x) || math.Abs(x) >= 1<<53):
		c.wrong(v, subject, wanted)
	case f.Min != nil && x < float64(*f.Min) || f.Max != nil && x > float64(*f.Max):
		c.fail(v.Pos, "%s must be %s, not %s", subject, between(f, ""), short(string(n)))
	}
}

func (c *fieldChecker) text(pos Pos, s string, f *objects.Field, subject string) {
	if len(f.Enum) > 0 {
		c.word(pos, s, f, subject)
		return
	}
	c.bounds(pos, utf8.RuneCountInString(s), f, subject, "character")
	c.printable(pos, s, subject)
}

// word checks a word of a list that is closed, or may grow.
func (c *fieldChecker) word(pos Pos, s string, f *objects.Field, subject string) {
	if slices.Contains(f.Enum, s) {
		return
	}
	near := strictyaml.DidYouMean(s, f.Enum)
	switch {
	case !f.Open:
		c.fail(pos, "%s must be %s, not %s%s", subject, strictyaml.OneOf(f.Enum), quote(s), near)
	case s == "" || strings.ContainsFunc(s, invisible):
		c.fail(pos, "%s must be a word, not %s", subject, quote(s))
	default:
		c.warn(pos, "%s is %s, which was not known when this program was made%s", subject, quote(s), near)
	}
}

// bounds checks the length of a text or list.
func (c *fieldChecker) bounds(pos Pos, n int, f *objects.Field, subject, unit string) {
	if f.Min != nil && n < *f.Min || f.Max != nil && n > *f.Max {
		if n == 0 {
			c.fail(pos, "%s must not be empty", subject)
			return
		}
		c.fail(pos, "%s must have %s, not %d", subject, between(f, unit), n)
	}
}

// between returns the bounds of a field, in units if there is one.
func between(f *objects.Field, unit string) string {
	count := func(n int) string {
		if unit == "" {
			return fmt.Sprint(n)
		}
		return text.Plural(n, unit)
	}
	switch {
	case f.Min == nil || *f.Min == 0 && unit != "":
		return "at most " + count(*f.Max)
	case f.Max == nil:
		return "at least " + count(*f.Min)
	case *f.Min == *f.Max:
		return count(*f.Max)
	default:
		return fmt.Sprintf("%d to %s", *f.Min, count(*f.Max))
	}
}
