package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
)

const (
	noteRisk     = "may lock people out"
	notDeclared  = "not declared"
	notSet       = "not set"
	noteConflict = "conflict"
)

// describeObject returns the lines of a change of an org's configuration.
func describeObject(c *diff.Change, declared bool) []Line {
	name, kind := visible(c.Field()), visible(c.Kind)
	var lines []Line
	switch c.Action {
	case diff.CreateObject:
		l := Line{Sign: Add, Text: name + ": create", Kind: "create in " + kind, More: fieldLines(c)}
		if declared {
			l.Text += ", if it does not exist yet"
		}
		lines = []Line{l}
	case diff.DeleteObject:
		l := Line{Sign: Remove, Text: name + ": delete", Kind: "delete in " + kind}
		if declared {
			l.Text += ", if it exists"
		}
		lines = []Line{l}
	case diff.ReorderObjects:
		l := Line{Sign: Alter, Text: name + ": order", Kind: "reorder " + kind}
		for _, f := range c.Fields {
			before, _ := f.Before.([]any)
			after, _ := f.After.([]any)
			l.Text += ": " + orderChange(before, after)
		}
		lines = []Line{l}
	default:
		for i := range c.Fields {
			lines = append(lines, describeField(c, &c.Fields[i], name, declared))
		}
	}
	if len(c.Risks) > 0 && len(lines) > 0 && c.Blocked == "" {
		lines[0].Notes = append(lines[0].Notes, noteRisk)
		for _, r := range c.Risks {
			lines[0].More = append(lines[0].More, "risk: "+visible(r))
		}
	}
	return lines
}

// describeField returns the line of one field of an object that changes.
func describeField(c *diff.Change, f *diff.Field, name string, declared bool) Line {
	kind := visible(c.Kind)
	l := Line{Sign: Alter, Text: name + ": " + visible(f.Path) + ": ", Kind: "change " + kind}
	if loses(c, f) {
		l.Sign, l.Kind = Remove, "take something away in "+kind
	}
	unset := notSet
	if declared {
		unset = notDeclared
	}
	l.Text += valueChange(f.Before, f.After, unset)
	if f.Origin != "" && f.Origin != c.Origin {
		l.Notes = append(l.Notes, originWord(f.Origin))
	}
	return l
}

// loses reports whether one field of a change takes something away.
func loses(c *diff.Change, f *diff.Field) bool {
	d, ok := c.Difference()
	d.Fields = []objects.FieldChange{f.FieldChange}
	return ok && c.Destructive && d.Loses()
}

func originWord(o diff.Origin) string {
	switch originOf(o) {
	case diff.Conflict:
		return noteConflict
	case diff.ExistingDrift:
		return notThis
	}
	return byThis
}

// fieldLines returns the fields of a new object, one a line.
func fieldLines(c *diff.Change) []string {
	var all []string
	for _, f := range c.Fields {
		s := visible(f.Path) + ": " + flow(f.After)
		if f.Origin != "" && f.Origin != c.Origin {
			s += "  [" + originWord(f.Origin) + "]"
		}
		all = append(all, s)
	}
	return all
}

// flow returns a value as YAML would have it in one line, made visible.
func flow(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return flowText(v)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		if len(v) == 0 {
			return "none"
		}
		return "[" + inOrder(v) + "]"
	case map[string]any:
		var all []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, visible(name)+": "+flow(v[name]))
		}
		return "{" + strings.Join(all, ", ") + "}"
	}
	s, err := json.Marshal(v)
	if err != nil {
		return visible(fmt.Sprint(v))
	}
	return visible(string(s))
}

// flowText returns a text, in quotes where it could be taken for something else.
func flowText(s string) string {
	var other any
	switch {
	case strings.HasPrefix(s, LeftOut):
		return visible(s)
	case s != "" && json.Unmarshal([]byte(s), &other) != nil && !strings.ContainsAny(s, " \t\r\n,;[]{}\"→"):
		return visible(s)
	case !strings.Contains(s, `"`):
		return quote(s)
	case !strings.Contains(s, "'"):
		return "'" + visible(s) + "'" // such as an expression of a group rule
	default:
		return quote(strings.ReplaceAll(s, `"`, `\"`))
	}
}

// risk is how changes may lock people out, and of which object in which orgs.
type risk struct {
	Object, Text string
	Orgs         []string
}

// Where returns the orgs, by name as far as they are few.
func (r *risk) Where() string { return firstOf(r.Orgs) }

// risksOf returns the risks of the changes that will be made.
func risksOf(p *diff.Plan) []risk {
	type key struct{ object, text string }
	index := map[key]int{}
	var all []risk
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Blocked != "" {
			continue
		}
		for _, text := range c.Risks {
			k := key{c.Field(), text}
			at, ok := index[k]
			if !ok {
				at = len(all)
				index[k] = at
				all = append(all, risk{Object: visible(k.object), Text: visible(text)})
			}
			all[at].Orgs = append(all[at].Orgs, Org(c.Org))
		}
	}
	return all
}

// maxListed is how many orgs are named where others are counted.
const maxListed = 10

// firstOf returns names as "a, b and c", or "a, b, … and 290 more" for many.
func firstOf(names []string) string {
	if n := len(names); n > maxListed {
		return strings.Join(names[:maxListed], ", ") + fmt.Sprintf(" and %d more", n-maxListed)
	}
	return strings.Join(names, ", ")
}

// share moves the changes of objects that more than a few orgs have in common out of
// the orgs' entries into entries of their own: what a baseline causes is said once.
func share(entries []entry) []entry {
	keys := make([][]string, len(entries))
	having := map[string][]int{} // by the change, the indexes of the entries
	for i := range entries {
		keys[i] = make([]string, len(entries[i].Changes))
		for k := range entries[i].Changes {
			if c := &entries[i].Changes[k]; c.Object {
				key := c.key()
				keys[i][k] = key
				having[key] = append(having[key], i)
			}
		}
	}
	var shared []entry
	at := map[string]int{} // by the orgs, the index of their entry
	var rest []entry
	for i, e := range entries {
		own := make([]change, 0, len(e.Changes))
		for k, c := range e.Changes {
			orgs := having[keys[i][k]]
			switch {
			case len(orgs) <= fewOrgs:
				own = append(own, c)
			case orgs[0] == i: // once for all of them
				key := fmt.Sprint(orgs)
				if _, ok := at[key]; !ok {
					at[key] = len(shared)
					shared = append(shared, entry{Shared: true, Names: namesAt(entries, orgs)})
				}
				to := &shared[at[key]]
				to.Changes = append(to.Changes, c)
			}
		}
		if len(own) > 0 {
			if len(own) < len(e.Changes) {
				e.Severity = severest(own)
			}
			e.Changes = own
			rest = append(rest, e)
		}
	}
	for i := range shared {
		shared[i].Severity = severest(shared[i].Changes)
	}
	return append(shared, rest...)
}

func severest(changes []change) severity {
	s := held
	for i := range changes {
		s = min(s, changes[i].Severity)
	}
	return s
}

func namesAt(entries []entry, indexes []int) []string {
	all := make([]string, len(indexes))
	for i, k := range indexes {
		all[i] = entries[k].Names[0]
	}
	return all
}

// objectSetting returns the line of an object that is declared, or no longer is,
// without a write.
func objectSetting(s *diff.Setting) Line {
	name := visible(s.Field)
	switch s.Head {
	case "":
		return Line{Sign: Alter, Text: name + ": no longer declared: it becomes unmanaged"}
	case diff.FieldDeclared:
		return Line{Sign: Add, Text: name + ": declared from now on"}
	}
	return Line{Sign: Alter, Text: name + ": declared " + visible(s.Head) + " from now on"}
}
