package state

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"reconciler/internal/okta/objects"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// Explain writes what an org ends up with, as a manifest would declare it in one place:
// with defaults and baselines laid over each other and variables replaced. Behind each
// value is the file and the line that it comes from.
func Explain(w io.Writer, d *Desired, domain string) error {
	i, ok := slices.BinarySearchFunc(d.Orgs, strings.ToLower(domain), func(o DesiredOrg, domain string) int {
		return strings.Compare(o.Domain, domain)
	})
	if !ok {
		domains := make([]string, len(d.Orgs))
		for i := range d.Orgs {
			domains[i] = d.Orgs[i].Domain
		}
		return fmt.Errorf("no org %s is declared%s", quote(domain), strictyaml.DidYouMean(strings.ToLower(domain), domains))
	}
	e := &explanation{}
	e.org(&d.Orgs[i], ProductNames(d.Products))
	return e.write(w)
}

// ProductNames returns for each product id its alphabetically first name.
func ProductNames(products map[string]string) map[string]string {
	names := make(map[string]string, len(products))
	for _, name := range slices.Sorted(maps.Keys(products)) {
		if id := products[name]; names[id] == "" {
			names[id] = name
		}
	}
	return names
}

// explanation is a manifest with the place of each line.
type explanation struct{ lines []explainedLine }

// explainedLine is one line; pos is zero if it has no value.
type explainedLine struct {
	text string
	pos  Pos
}

// add adds a line.
func (e *explanation) add(level int, text string, pos Pos) {
	e.lines = append(e.lines, explainedLine{strings.Repeat("  ", level) + text, pos})
}

// write writes the lines, with the places in a column of their own.
func (e *explanation) write(w io.Writer) error {
	const widest = 72
	column := 0
	for _, l := range e.lines {
		if n := utf8.RuneCountInString(l.text); n <= widest && l.pos != (Pos{}) {
			column = max(column, n)
		}
	}
	out := bufio.NewWriter(w)
	for _, l := range e.lines {
		out.WriteString(l.text)
		if l.pos != (Pos{}) {
			gap := max(0, column-utf8.RuneCountInString(l.text))
			fmt.Fprintf(out, "%s  # %s:%d", strings.Repeat(" ", gap), text.Visible(l.pos.File), l.pos.Line)
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}

func (e *explanation) org(o *DesiredOrg, names map[string]string) {
	e.add(0, "domain: "+strictyaml.Scalar(o.Domain), o.Pos)
	scalar := func(key, value string) {
		if pos, ok := o.Places.Find(key); ok && value != "" {
			e.add(0, key+": "+strictyaml.Scalar(value), pos)
		}
	}
	scalar("id", o.ID)
	scalar("cell", o.Cell)
	scalar("status", string(o.Status))
	scalar("owner", o.Owner)
	e.texts("labels", o.Labels, o.Places)
	e.texts("vars", o.Vars, o.Places)
	e.products(o, names)
	scalar("productPolicy", string(o.ProductPolicy))
	scalar("mode", string(o.Mode))
	scalar("protected", strconv.FormatBool(o.Protected))
	scalar("requestDeletion", strconv.FormatBool(o.RequestDeletion))
	if o.ClientID != "" {
		e.add(0, "access:", Pos{})
		e.add(1, "clientID: "+strictyaml.Scalar(o.ClientID), o.Places.At("access.clientID"))
	}
	if o.Status == Inactive {
		e.add(0, "# The org is INACTIVE: its configuration is neither read nor changed.", Pos{})
	}
	if o.Config != nil {
		e.add(0, "configuration:", Pos{})
		e.configuration(1, o.Config)
	}
}

// texts adds a mapping of texts.
func (e *explanation) texts(key string, all map[string]string, places Places) {
	if len(all) == 0 {
		return
	}
	e.add(0, key+":", Pos{})
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e.add(1, strictyaml.Scalar(name)+": "+strictyaml.Scalar(escape(all[name])), places.At(key+"."+name))
	}
}

func (e *explanation) products(o *DesiredOrg, names map[string]string) {
	switch {
	case o.Products == nil:
		return
	case len(o.Products) == 0:
		e.add(0, "products: []", Pos{})
		return
	}
	e.add(0, "products:", Pos{})
	for _, id := range o.Products {
		e.add(1, "- "+cmp.Or(names[id], id), o.ProductPos.At(id))
	}
}

// configuration adds the objects of an org.
func (e *explanation) configuration(level int, d *objects.Declared) {
	above := ""
	for i, o := range d.Objects {
		switch k := o.Ref.Kind; {
		case k.Parent != nil:
			if d.Objects[i-1].Ref.Kind == k.Parent {
				e.add(level+2, keyRules+":", Pos{})
			}
			e.object(level+3, o)
			continue
		case o.Ref.PlanKind() != above:
			above = o.Ref.PlanKind()
			e.add(level, above+":", Pos{})
		}
		if o.Ref.Kind.Setting {
			e.add(level+1, o.Ref.Kind.Name+":", Pos{})
			e.mapping(level+2, o, o.Body, "")
		} else {
			e.object(level+1, o)
		}
	}
}

// object adds an object as an item of a list.
func (e *explanation) object(level int, o *objects.Object) {
	first := len(e.lines)
	e.mapping(level+1, o, o.Body, "")
	if o.System {
		e.add(level+1, keySystem+": true", o.Pos)
	}
	if o.Absent {
		e.add(level+1, keyAbsent+": true", o.Pos)
	}
	e.lines[first].text = strings.Repeat("  ", level) + "- " + strings.TrimLeft(e.lines[first].text, " ")
}

// mapping adds the fields of a part of an object: those of the key and the type first.
func (e *explanation) mapping(level int, o *objects.Object, body map[string]any, path string) {
	top, _, _ := strings.Cut(o.Ref.Kind.Key, ".")
	rank := func(key string) int {
		return slices.Index([]string{keyType, "name", top}, key)
	}
	keys := slices.SortedFunc(maps.Keys(body), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), strings.Compare(a, b))
	})
	for _, key := range keys {
		inner := strings.TrimPrefix(path+"."+key, ".")
		name, pos := strictyaml.Scalar(key), placeOfPath(o, inner)
		switch v := body[key].(type) {
		case map[string]any:
			if len(v) == 0 {
				e.add(level, name+": {}", pos)
				continue
			}
			e.add(level, name+":", Pos{})
			e.mapping(level+1, o, v, inner)
		case []any:
			e.list(level, name, v, pos)
		default:
			e.add(level, name+": "+flow(v), pos)
		}
	}
}

// placeOfPath returns the place of a value of an object, or of what it is in.
func placeOfPath(o *objects.Object, path string) Pos {
	for path != "" {
		if pos, ok := o.Places[path]; ok {
			return pos
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	return o.Pos
}

// list adds a list: in one line, if it is short.
func (e *explanation) list(level int, name string, all []any, pos Pos) {
	const short = 60
	if line := flow(all); len(line) <= short {
		e.add(level, name+": "+line, pos)
		return
	}
	e.add(level, name+":", pos)
	for _, v := range all {
		e.add(level+1, "- "+flow(v), Pos{})
	}
}

// flow returns a value as YAML on one line.
func flow(v any) string { return strictyaml.Flow(Escape(v)) }

// Escape returns a value of an object's field as a manifest has to say it: with its
// dollars written so that they begin no variable.
func Escape(v any) any {
	switch v := v.(type) {
	case string:
		return escape(v)
	case []any:
		all := make([]any, len(v))
		for i, item := range v {
			all[i] = Escape(item)
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		for key, item := range v {
			all[key] = Escape(item)
		}
		return all
	}
	return v
}

// escape returns a text that is written so that its dollars are read as such.
func escape(s string) string {
	return strings.NewReplacer("$$", "$$$$", "${", "$${").Replace(s)
}
