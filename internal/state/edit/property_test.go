package edit_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/state/edit"
)

// generated are manifests of a made-up fleet.
type generated struct {
	t        *rapid.T
	comments int
	domains  []string
	names    []string // of products
	sets     []string
	anchors  int
}

func (g *generated) bool(label string) bool { return rapid.Bool().Draw(g.t, label) }

// comment returns a comment that no other is like, or nothing.
func (g *generated) comment() string {
	if rapid.IntRange(0, 2).Draw(g.t, "comment") > 0 {
		return ""
	}
	g.comments++
	return fmt.Sprintf(" # c%d.", g.comments)
}

// above returns lines that may stand above an entry.
func (g *generated) above(margin string) string {
	switch rapid.IntRange(0, 4).Draw(g.t, "above") {
	case 0:
		return "\n"
	case 1:
		g.comments++
		return fmt.Sprintf("%s# c%d.\n", margin, g.comments)
	}
	return ""
}

func (g *generated) quoted(s string) string {
	return fmt.Sprintf(rapid.SampledFrom([]string{"%s", "'%s'", `"%s"`}).Draw(g.t, "quotes"), s)
}

// list returns a key with a list in any style, indented by margin.
func (g *generated) list(margin, key string, items []string) string {
	if len(items) > 0 && g.bool("block list") {
		inner := margin + rapid.SampledFrom([]string{"", "  "}).Draw(g.t, "indent")
		s := margin + key + ":" + g.comment() + "\n"
		for _, item := range items {
			// A blank line within a value may go with it.
			s += strings.TrimLeft(g.above(inner), "\n") + inner + "- " + g.quoted(item) + g.comment() + "\n"
		}
		return s
	}
	return margin + key + ": " + g.flow(margin, items) + g.comment() + "\n"
}

func (g *generated) flow(margin string, items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = g.quoted(item)
	}
	if len(items) > 1 && g.bool("several lines") {
		s := "[\n"
		for i, item := range quoted {
			s += margin + "    " + item
			if i < len(items)-1 || g.bool("comma at the end") {
				s += ","
			}
			s += g.comment() + "\n"
		}
		return s + margin + "  ]"
	}
	return "[" + strings.Join(quoted, rapid.SampledFrom([]string{", ", ","}).Draw(g.t, "comma")) + "]"
}

func (g *generated) some(of []string, label string) []string {
	var all []string
	for _, s := range of {
		if g.bool(label) {
			all = append(all, s)
		}
	}
	return all
}

const generatedBaselines = `baselines:
  workforce:
    # c-baseline.
    groups:
      - profile: {name: Staff, description: All} # c-staff.
      - profile:
          name: Temps # c-temps.
          description: "Not for long"
    networkZones:
      - name: Offices
        type: IP
        gateways: # c-gateways.
          - {type: CIDR, value: 192.0.2.0/24} # c-first.
          - {type: CIDR, value: 198.51.100.0/24}
    settings: {threatInsight: {action: block}}
  eu:
    groups:
      - profile: {name: Staff, description: Europe}
`

// manifests draws some files.
func (g *generated) manifests() []state.Source {
	g.names = []string{"sso", "mfa", "lcm", "api", "gov"}
	head := "# c-head.\nversion: 1" + g.comment() + "\nproducts: {sso: P000001, mfa: P000002, lcm: P000003, api: P000004, gov: P000005}\n"
	head += "productSets:\n"
	for i := range rapid.IntRange(1, 3).Draw(g.t, "sets") {
		members := g.some(g.names, "member")
		if i > 0 && g.bool("nested") {
			members = append(members, g.sets[i-1])
		}
		g.sets = append(g.sets, fmt.Sprintf("set-%d", i))
		head += g.list("  ", g.sets[i], members)
	}
	head += generatedBaselines
	var files []state.Source
	for i := range rapid.IntRange(1, 3).Draw(g.t, "files") {
		text := "version: 1\n"
		if i == 0 {
			text = head
		}
		text += g.defaults() + g.orgs(i)
		if g.bool("line breaks of Windows") {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		if g.bool("no line break at the end") {
			text = strings.TrimRight(text, "\r\n")
		}
		files = append(files, state.Source{Name: fmt.Sprintf("f%d.yaml", i), Data: []byte(text)})
	}
	return files
}

func (g *generated) defaults() string {
	s := ""
	if g.bool("default status") {
		s += "  status: " + g.quoted("ACTIVE") + g.comment() + "\n"
	}
	products := g.some(g.names, "default product")
	if g.bool("default products") {
		s += g.list("  ", "products", products)
	} else {
		products = []string{"some"}
	}
	if len(products) > 0 && g.bool("default sets") {
		s += g.list("  ", "productSets", g.some(g.sets, "default set"))
	}
	if g.bool("default baselines") {
		s += g.list("  ", "baselines", []string{"workforce"})
	}
	if s == "" {
		return ""
	}
	return g.above("") + "defaults:" + g.comment() + "\n" + s
}

func (g *generated) orgs(file int) string {
	s := g.above("") + "orgs:" + g.comment() + "\n"
	anchor := ""
	for i := range rapid.IntRange(1, 6).Draw(g.t, "orgs") {
		domain := fmt.Sprintf("acme-%d-%d.okta.com", file, i)
		g.domains = append(g.domains, domain)
		s += g.above("  ")
		if g.bool("flow entry") {
			s += "  - {domain: " + domain + ", cell: ok1"
			if g.bool("products") {
				s += ", products: [" + strings.Join(g.some(g.names, "product"), ", ") + "]"
			}
			if g.bool("status") {
				s += ", status: " + g.quoted("INACTIVE")
			}
			s += "}" + g.comment() + "\n"
			continue
		}
		s += "  - domain: " + g.quoted(domain) + g.comment() + "\n"
		if g.bool("status") {
			s += g.above("    ") + "    status: " + rapid.SampledFrom([]string{"ACTIVE", "INACTIVE", "'ACTIVE'"}).Draw(g.t, "is") + g.comment() + "\n"
		}
		products := g.some(g.names, "product")
		switch kind := rapid.IntRange(0, 4).Draw(g.t, "products"); {
		case kind == 0:
			s += g.list("    ", "products", products)
		case kind == 1 && anchor != "":
			s += "    products: *" + anchor + g.comment() + "\n"
		case kind == 2:
			g.anchors++
			anchor = fmt.Sprintf("a%d", g.anchors)
			s += "    products: &" + anchor + " [" + strings.Join(append(products, "P000009"), ", ") + "]" + g.comment() + "\n"
		case kind == 3:
			s += g.list("    ", "productSets", g.some(g.sets, "set"))
		}
		s += "    cell: ok1" + g.comment() + "\n"
		switch rapid.IntRange(0, 4).Draw(g.t, "configuration") {
		case 0:
			s += "    baselines: [workforce, eu]" + g.comment() + "\n"
		case 1:
			s += "    baselines: [workforce]\n    configuration:" + g.comment() + "\n      groups:\n        - {profile: {name: Own, description: 'Mine'}}" + g.comment() + "\n"
		}
	}
	return s + g.above("")
}

// changes draws what is to change: of some orgs, or of all of them alike.
func (g *generated) changes(d *state.Desired) []edit.Change {
	var all []edit.Change
	ids := []string{"P000001", "P000002", "P000003", "P000004", "P000005", "P000009"}
	alike := g.bool("all alike")
	id := rapid.SampledFrom(ids).Draw(g.t, "one")
	staff, _ := objects.ParseRef(objects.Update, "groups", "", "", "Staff")
	temps, _ := objects.ParseRef(objects.Update, "groups", "", "", "Temps")
	zone, _ := objects.ParseRef(objects.Update, "networkZones", "", "", "Offices")
	for i := range d.Orgs {
		o := &d.Orgs[i]
		if !alike && g.bool("not this one") {
			continue
		}
		c := edit.Change{Org: o.Domain}
		if o.Products != nil {
			for _, x := range ids {
				switch has := slices.Contains(o.Products, x); {
				case alike && x != id || !alike && g.bool("stays"):
				case has:
					c.Disable = append(c.Disable, x)
				default:
					c.Enable = append(c.Enable, x)
				}
			}
		}
		if o.Status != "" && (alike || g.bool("status changes")) {
			c.Status = map[state.Status]state.Status{state.Active: state.Inactive, state.Inactive: state.Active}[o.Status]
		}
		all = append(all, c)
		if o.Config == nil || o.Status == state.Inactive || c.Status != "" || !slices.ContainsFunc(o.Config.Objects, func(x *objects.Object) bool { return x.Ref == temps }) {
			continue
		}
		for _, x := range []*edit.Object{
			{Ref: staff, Fields: []objects.FieldChange{{Path: "profile.description", After: "Costs $5 ${x}: 'a'"}}},
			{Ref: temps, Absent: true},
			{Ref: zone, Fields: []objects.FieldChange{{Path: "gateways", After: []any{map[string]any{"type": "CIDR", "value": "198.51.100.0/24"}, map[string]any{"type": "CIDR", "value": "203.0.113.0/24"}}}}},
		} {
			if g.bool("object") {
				all = append(all, edit.Change{Org: o.Domain, Object: x})
			}
		}
	}
	return all
}

// said returns what each org declares as one line, without places.
func said(t *rapid.T, d *state.Desired, changes []edit.Change) map[string]string {
	all := map[string]string{}
	for i := range d.Orgs {
		o := d.Orgs[i]
		config := map[string]any{}
		if o.Config != nil {
			for _, x := range o.Config.Objects {
				config[x.Ref.String()] = x.Body
				if x.Absent {
					config[x.Ref.String()] = "absent"
				}
			}
		}
		products := map[string]bool{}
		for _, id := range o.Products {
			products[id] = true
		}
		for _, c := range changes {
			if c.Org != o.Domain {
				continue
			}
			if c.Status != "" {
				o.Status = c.Status
			}
			for _, id := range c.Enable {
				products[id] = true
			}
			for _, id := range c.Disable {
				delete(products, id)
			}
			if x := c.Object; x != nil && x.Absent {
				config[x.Ref.String()] = "absent"
			} else if x != nil {
				body := maps.Clone(config[x.Ref.String()].(map[string]any))
				for _, f := range x.Fields {
					if f.Path == "profile.description" {
						body["profile"] = map[string]any{"name": "Staff", "description": f.After}
					} else {
						body[f.Path] = f.After
					}
				}
				config[x.Ref.String()] = body
			}
		}
		if o.Products != nil {
			o.Products = append([]string{}, slices.Sorted(maps.Keys(products))...)
		}
		if o.Status == state.Inactive {
			config = nil
		}
		o.Pos, o.ProductPos, o.Places = state.Pos{}, nil, nil
		data, err := json.Marshal([]any{o, config})
		if err != nil {
			t.Fatal(err)
		}
		all[o.Domain] = string(data)
	}
	return all
}

// touched matches the lines that an edit may take away: those of the keys and values that
// are to change.
var touched = regexp.MustCompile(`- {domain|products|productSets|set-\d|status|ACTIVE|sso|mfa|lcm|api|gov|P00000|description|absent|value:|- \[|gateways|^-\s*[\]\[,]|Temps|[\[\]]`)

// Manifests of any layout declare just what is wanted after an edit, with all their
// comments, and with no other line touched.
func TestApplyProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &generated{t: t}
		files := g.manifests()
		before, err := load(files)
		if err != nil {
			t.Skip(err)
		}
		changes := g.changes(before)
		r, err := edit.Apply(files, changes, load)
		if err != nil {
			t.Fatalf("%v\n%s", err, files)
		}
		if len(r.Left) > 0 {
			t.Fatalf("left: %v\n%s", r.Left, files)
		}
		after := slices.Clone(files)
		for _, f := range r.Files {
			i := slices.IndexFunc(after, func(s state.Source) bool { return s.Name == f.Name })
			after[i] = f
		}
		loaded, err := load(after)
		if err != nil {
			t.Fatalf("%v\n%s", err, after)
		}
		wanted := said(t, before, changes)
		got := said(t, loaded, nil)
		for domain, s := range wanted {
			// An org that becomes ACTIVE has a configuration that was not declared before.
			if strings.Contains(s, `"Status":"ACTIVE"`) && before.Orgs[slices.Index(domains(before), domain)].Status == state.Inactive {
				continue
			}
			if s != got[domain] {
				t.Fatalf("%s\n%s", cmp.Diff(s, got[domain]), after)
			}
		}
		for i, f := range files {
			checkLayout(t, f, after[i])
		}
	})
}

func domains(d *state.Desired) []string {
	all := make([]string, len(d.Orgs))
	for i := range d.Orgs {
		all[i] = d.Orgs[i].Domain
	}
	return all
}

var comment = regexp.MustCompile(`# c[-\w]+\.`)

func checkLayout(t *rapid.T, before, after state.Source) {
	for _, c := range comment.FindAllString(string(before.Data), -1) {
		if strings.Count(string(after.Data), c) != 1 {
			t.Fatalf("%s is there %d times:\n%s\n%s", c, strings.Count(string(after.Data), c), before.Data, after.Data)
		}
	}
	if crlf := strings.Contains(string(before.Data), "\r\n"); crlf != strings.Contains(string(after.Data), "\r\n") ||
		crlf && strings.Count(string(after.Data), "\n") != strings.Count(string(after.Data), "\r\n") {
		t.Fatalf("line breaks:\n%q\n%q", before.Data, after.Data)
	}
	shown := edit.Unified(after.Name, before.Data, after.Data)
	for line := range strings.Lines(shown) {
		if strings.Contains(shown, "\n+"+line[1:]) {
			continue // it is there still: another line was taken for the one that stays
		}
		if last := strings.TrimRight(line[1:], "\r\n"); strings.HasSuffix(string(before.Data), last) && last != "" {
			continue // it had no line break, and gets one
		}
		if strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "---") && !touched.MatchString(line) {
			t.Fatalf("a line that needn't be changed: %q\n%s", line, shown)
		}
	}
}

// liveWith returns the fleet as it is declared, with changes of products and status that
// somebody made in it.
func liveWith(d *state.Desired, changes []edit.Change) *state.Actual {
	actual := &state.Actual{Account: state.Account{ID: "0200"}}
	for _, id := range []string{"P000001", "P000002", "P000003", "P000004", "P000005", "P000009"} {
		actual.Catalog = append(actual.Catalog, state.Product{ID: id})
	}
	for i := range d.Orgs {
		o := &d.Orgs[i]
		live := state.Org{ID: fmt.Sprintf("00o%017d", i), Domain: o.Domain, Cell: "ok1", Status: o.Status, Products: append([]string{}, o.Products...)}
		if live.Status == "" {
			live.Status = state.Active
		}
		for _, c := range changes {
			if c.Org != o.Domain {
				continue
			}
			if c.Status != "" {
				live.Status = c.Status
			}
			live.Products = append(slices.DeleteFunc(live.Products, func(id string) bool { return slices.Contains(c.Disable, id) }), c.Enable...)
		}
		slices.Sort(live.Products)
		actual.Orgs = append(actual.Orgs, live)
	}
	return actual
}

// Adopting what is live, and taking back the run that would undo it, both declare what is
// live, in manifests of any layout, with all their comments and no other line touched.
func TestAdoptAndRevertProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &generated{t: t}
		files := g.manifests()
		before, err := load(files)
		if err != nil {
			t.Skip(err)
		}
		actual := liveWith(before, g.changes(before))
		compute := func(d *state.Desired) *diff.Plan {
			plan, err := diff.Compute(d, actual, diff.Options{Account: "0200"})
			if err != nil {
				t.Fatal(err)
			}
			return plan
		}
		plan := compute(before)
		run := &edit.Run{}
		for i := range plan.Changes {
			c := &plan.Changes[i]
			was, err := json.Marshal(c.Before)
			if err != nil {
				t.Fatal(err)
			}
			becomes, err := json.Marshal(c.After)
			if err != nil {
				t.Fatal(err)
			}
			run.Changes = append(run.Changes, entry("r1", c.Org, string(c.Action), string(was), string(becomes)))
		}
		revert, err := edit.Revert(run)
		if err != nil {
			t.Fatal(err)
		}
		for name, task := range map[string]*edit.Task{"adopt": edit.Adopt(plan), "revert": revert} {
			r, err := edit.Apply(files, task.Changes, load)
			if err != nil || len(task.Left)+len(r.Left) > 0 {
				t.Fatalf("%s: %v, left: %v %v\n%s", name, err, task.Left, r.Left, files)
			}
			after := slices.Clone(files)
			for _, f := range r.Files {
				after[slices.IndexFunc(after, func(s state.Source) bool { return s.Name == f.Name })] = f
			}
			loaded, err := load(after)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, after)
			}
			if left := compute(loaded); len(left.Changes) > 0 {
				t.Fatalf("%s: still to be done: %+v\n%s", name, left.Changes, after)
			}
			for i, f := range files {
				checkLayout(t, f, after[i])
			}
		}
	})
}
