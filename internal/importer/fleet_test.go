package importer_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/importer"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// loadFiles loads manifests.
func loadFiles(files []importer.File) (*state.Desired, error) {
	fsys := fstest.MapFS{}
	for _, f := range files {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	d, _, err := state.Load([]state.Input{{FS: fsys, Root: ".", Name: "."}}, state.LoadOptions{})
	return d, err
}

// topKinds are the kinds that are imported by their own lists.
func topKinds() []*objects.Kind {
	return slices.DeleteFunc(slices.Clone(objects.Kinds()), func(k *objects.Kind) bool { return k.Parent != nil })
}

// random makes choices. They depend on a seed alone, which rapid draws: it is much
// quicker than drawing each of them.
type random struct{ *rand.Rand }

func (r random) between(low, high int) int { return low + r.IntN(high-low+1) }

func sample[T any](r random, all []T) T { return all[r.IntN(len(all))] }

// text returns a value, often one that means something to YAML or to manifests.
func (r random) text() string {
	if r.IntN(2) == 0 {
		return sample(r, []string{
			"${domain}", "$", "$$", "a $${b", "true", "null", "017", "a: b", "# x", "- x", "{}", "a\nb", " x ", "é 🙂", "", "00gabcdefghijklmnop1", "\u202eevil",
			strings.Repeat("long ", 60),
		})
	}
	return sample(r, []string{"Sales", "Sales in EMEA", "Field Force", "Partners"})
}

// drawn draws what orgs are configured with: objects that they have in common, changed
// here and there, and others.
type drawn struct {
	random
	common []*objects.LiveObject
}

// names that objects have, so that several orgs have the same ones.
var objectNames = []string{"Offices", "Contractors", "Old VPN", "a: b", "x $${y} ${z}", "Sales, EMEA", "00gabcdefghijklmnop2"}

func (f *drawn) object(k *objects.Kind, typ, parent, name string, system bool) *objects.LiveObject {
	g := &bodies{random: f.random, typ: typ}
	if typ == "" {
		if field := objects.Find(k.Fields, "type"); field != nil && field.Required {
			g.typ = sample(f.random, field.Enum)
		}
	}
	body := g.mapping(k.Fields, false)
	if !k.Setting {
		set(body, strings.Split(k.Key, "."), name)
	}
	if k.Typed || k.Parent == nil && g.typ != "" {
		body["type"] = g.typ
	}
	if k.Name == "trustedOrigins" {
		name = "https://" + strings.ToLower(strings.Map(letters, name)) + ".example"
		body["origin"] = name
	}
	if k.Parent != nil {
		delete(body, "type")
	}
	o := &objects.LiveObject{Ref: objects.Ref{Kind: k, Type: typ, Parent: parent, Name: name}, ID: "0id" + name, System: system, Body: k.Normalize(body, nil)}
	o.Ref.Name = k.KeyOf(o.Body)
	return o
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

func set(m map[string]any, keys []string, v any) {
	for ; len(keys) > 1; keys = keys[1:] {
		if m[keys[0]] == nil {
			m[keys[0]] = map[string]any{}
		}
		m = m[keys[0]].(map[string]any)
	}
	m[keys[0]] = v
}

// bodies draws values by the fields of a kind.
type bodies struct {
	random
	typ string
}

func (g *bodies) mapping(fields []objects.Field, whole bool) map[string]any {
	m := map[string]any{}
	for i := range fields {
		field := objects.FindFor(fields, g.typ, fields[i].Name)
		if field == nil || field.ReadOnly || field.Secret || m[field.Name] != nil {
			continue
		}
		if !field.Required && g.between(0, 2) == 0 {
			continue
		}
		m[field.Name] = g.value(field)
	}
	if !whole && g.between(0, 30) == 0 {
		m["fieldOfTheFuture"] = "x"
	}
	return m
}

func (g *bodies) value(f *objects.Field) any {
	if f.Nullable && g.between(0, 4) == 0 {
		return nil
	}
	low, high := 0, 3
	if f.Min != nil {
		low = *f.Min
	}
	if high += low; f.Max != nil {
		high = min(high, *f.Max)
	}
	switch f.Type {
	case objects.Boolean:
		return (g.between(0, 1) == 1)
	case objects.Integer, objects.Number:
		return float64(g.between(low, high))
	case objects.Mapping:
		m := g.mapping(f.Fields, false)
		if f.Free && g.between(0, 1) == 0 {
			m[sample(g.random, []string{"costCenter", "${domain}", "$$", "a: $${b", " x"})] = sample(g.random, []any{g.text(), true, map[string]any{g.text(): g.text()}})
		}
		return m
	case objects.List:
		var list []any
		for range g.between(low, high) {
			list = append(list, g.item(f.Elem))
		}
		return list
	case objects.Anything:
		return "x"
	}
	switch {
	case f.Name == "value" && len(f.Enum) == 0 && f.Required && strings.Contains(f.Doc, "addresses"):
		return fmt.Sprintf("198.51.100.%d", g.between(1, 3))
	case len(f.Enum) > 0 && g.between(0, 40) > 0:
		return sample(g.random, f.Enum)
	case f.Refers != "":
		return sample(g.random, append([]string{"00gdeletedgroup00001"}, objectNames...))
	}
	return g.text()
}

func (g *bodies) item(f *objects.Field) any {
	if f.Type == objects.Mapping {
		return g.mapping(f.Fields, true)
	}
	return g.value(f)
}

// org draws what one org has: some of what all may have, and some of its own.
func (f *drawn) org() *objects.Live {
	live := &objects.Live{OrgID: "00o1", Engine: "idx"}
	have := map[objects.Ref]bool{}
	add := func(o *objects.LiveObject) {
		if !have[o.Ref] {
			have[o.Ref] = true
			live.Objects = append(live.Objects, o)
		}
	}
	for _, k := range objects.Kinds() {
		var of []*objects.LiveObject
		for _, o := range f.common {
			policy := objects.Ref{Kind: k.Parent, Type: o.Ref.Type, Name: o.Ref.Parent}
			if o.Ref.Kind != k || k.Parent != nil && !have[policy] {
				continue
			}
			switch f.between(0, 7) {
			case 0: // not here
				continue
			case 1: // with other values
				of = append(of, f.object(k, o.Ref.Type, o.Ref.Parent, o.Ref.Name, o.System))
			default:
				of = append(of, o)
			}
		}
		if k.Ordered && (f.between(0, 1) == 1) {
			f.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		}
		// Okta's own are the last of their order.
		slices.SortStableFunc(of, func(a, b *objects.LiveObject) int {
			if a.System == b.System {
				return strings.Compare(a.Ref.Type+"\x00"+a.Ref.Parent, b.Ref.Type+"\x00"+b.Ref.Parent)
			}
			if a.System {
				return 1
			}
			return -1
		})
		for _, o := range of {
			add(o)
		}
	}
	return live
}

// draw draws the objects of a fleet.
func (f *drawn) draw() {
	for _, k := range objects.Kinds() {
		switch {
		case k.Setting:
			f.common = append(f.common, f.object(k, "", "", k.Name, false))
			continue
		case f.between(0, 1) == 0 && k.Parent == nil && !k.Typed:
			continue
		}
		for range f.between(0, 3) {
			name := sample(f.random, objectNames)
			switch {
			case k.Parent != nil:
				for _, o := range f.common {
					if o.Ref.Kind == k.Parent && (f.between(0, 1) == 1) {
						f.common = append(f.common, f.object(k, o.Ref.Type, o.Ref.Name, name, f.between(0, 3) == 0))
					}
				}
			case k.Typed:
				f.common = append(f.common, f.object(k, sample(f.random, k.Types), "", name, f.between(0, 3) == 0))
			default:
				f.common = append(f.common, f.object(k, "", "", name, false))
			}
		}
	}
	seen := map[objects.Ref]bool{}
	f.common = slices.DeleteFunc(f.common, func(o *objects.LiveObject) bool {
		dup := seen[o.Ref]
		seen[o.Ref] = true
		return dup
	})
}

// older is a baseline that was written before, and differs from what orgs have.
const older = `
baselines:
  older:
    groups:
      - profile: {name: Offices, description: of old}
      - profile: {name: Long gone}
    networkZones:
      - {name: "Sales, EMEA", usage: POLICY, status: ACTIVE}
    policies:
      - type: OKTA_SIGN_ON
        name: Contractors
        description: "${domain}"
        rules: [{name: Old VPN}, {name: Offices, status: INACTIVE}]
      - {type: OKTA_SIGN_ON, name: Offices}
    settings:
      rateLimitPerClient: {useCaseModeOverrides: {LOGIN_PAGE: PREVIEW}}
`

// manifests are what people may have written before.
var manifests = []string{
	"# Our orgs.\nversion: 1\n\ndefaults:\n  cell: ok1 # ours\n\norgs:\n%s",
	"version: 1\norgs: [%s]\n",
}

func written(t random, n int) []importer.File {
	kind := t.between(0, 2)
	if kind == 1 {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("{domain: org%d.okta.com, cell: ok1, labels: {n: a%d}}", i, i))
		}
		return []importer.File{{Name: "orgs.yaml", Data: fmt.Appendf(nil, manifests[1], strings.Join(all, ", "))}}
	}
	var entries []string
	before, head := "", manifests[0]
	if t.between(0, 2) == 0 {
		before = older
		switch t.between(0, 2) {
		case 0:
			head = strings.Replace(head, "\n\norgs", "\n  baselines: [older]\n\norgs", 1)
		case 1:
			head = strings.Replace(head, "defaults:\n  cell: ok1 # ours", "defaults: {cell: ok1, baselines: [older]}", 1)
		}
	}
	for i := range n {
		entry := fmt.Sprintf("  # org %d\n  - domain: org%d.okta.com\n    access: {clientID: 0oa%d}\n", i, i, i)
		if t.between(0, 1) == 1 {
			entry += "    configuration:\n      # before\n      groups:\n        - profile: {name: Offices}\n        - {profile: {name: Gone}, absent: true}\n      settings:\n        threatInsight: {action: none}\n"
		}
		if before != "" && t.between(0, 2) > 0 {
			entry += "    baselines: [older]\n"
		}
		entries = append(entries, entry+"    protected: true\n\n")
	}
	if kind == 2 {
		half := n / 2
		return []importer.File{
			{Name: "a.yaml", Data: append(fmt.Appendf(nil, head, strings.Join(entries[half:], "")), before...)},
			{Name: "b.yaml", Data: []byte("version: 1\norgs:\n" + cmpOr(strings.Join(entries[:half], ""), "  - domain: other.okta.com\n"))},
		}
	}
	return []importer.File{{Name: "orgs.yaml", Data: append(fmt.Appendf(nil, head, strings.Join(entries, "")), before...)}}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// Whatever a fleet has, the written manifests declare it: a comparison finds nothing.
// All that could be declared is, the orgs are otherwise as they were, and importing once
// more changes nothing.
func TestConfigurationProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &drawn{random: random{rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}}
		f.draw()
		var orgs []importer.OrgConfiguration
		for i := range f.between(1, 6) {
			orgs = append(orgs, importer.OrgConfiguration{Domain: fmt.Sprintf("org%d.okta.com", i), Live: f.org()})
		}
		files := written(f.random, len(orgs))
		opts := importer.ConfigurationOptions{Kinds: topKinds(), Load: loadFiles}
		r, err := importer.Configuration(files, orgs, opts)
		if err != nil {
			t.Fatal(err)
		}
		shuffled := slices.Clone(orgs)
		f.Shuffle(len(orgs), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if other, err := importer.Configuration(files, shuffled, opts); err != nil || text(other.Files) != text(r.Files) {
			t.Fatalf("the order of the orgs matters: %v", err)
		}
		if strings.Contains(text(r.Files), "can't be declared as it is") {
			t.Fatalf("what was written didn't mean what was read:\n%s", text(r.Files))
		}
		desired, err := loadFiles(r.Files)
		if err != nil {
			t.Fatalf("%v\n%s", err, text(r.Files))
		}
		configs := map[string]*objects.Declared{}
		for _, o := range desired.Orgs {
			configs[o.Domain] = o.Config
		}
		for _, o := range orgs {
			d := configs[o.Domain]
			if d == nil {
				d = &objects.Declared{}
			}
			c, err := objects.Compare(d, o.Live)
			// What an older baseline says wrongly and nothing can be laid over is warned of.
			wrong := strings.Contains(text(files), "older") && slices.ContainsFunc(r.Warnings, func(w string) bool {
				return strings.HasPrefix(w, o.Domain+": ") && strings.Contains(w, "differs from what a baseline declares")
			})
			if (err != nil || len(c.Differences) > 0 || len(c.Unfixable) > 0) && !wrong {
				t.Fatalf("%s: %v %+v\n%v\n%s", o.Domain, err, c, r.Warnings, text(r.Files))
			}
			if left := strings.Count(strings.Join(r.Warnings, "\n"), "left out: "); c != nil && c.Unmanaged > left {
				t.Fatalf("%s: %d objects are not managed, and there are %d warnings\n%v\n%s", o.Domain, c.Unmanaged, left, r.Warnings, text(r.Files))
			}
		}
		again, err := importer.Configuration(r.Files, orgs, opts)
		if err != nil {
			t.Fatalf("again: %v", err)
		}
		if diff := cmp.Diff(said(t, r.Files), said(t, again.Files)); diff != "" {
			t.Fatalf("another import declares something else (-first +second):\n%s\n%s\n%s", diff, text(r.Files), text(again.Files))
		}
		third, err := importer.Configuration(again.Files, orgs, opts)
		if err != nil {
			t.Fatalf("a third time: %v", err)
		}
		if diff := cmp.Diff(text(again.Files), text(third.Files)); diff != "" {
			t.Fatalf("a third import changes something (-second +third):\n%s", diff)
		}
	})
}

// said returns what manifests declare of the configuration of their orgs.
func said(t *rapid.T, files []importer.File) map[string]any {
	desired, err := loadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	for _, o := range desired.Orgs {
		if o.Config == nil {
			continue
		}
		for _, d := range o.Config.Objects {
			all[o.Domain+" "+d.Ref.Kind.Name+" "+d.Ref.Type+" "+d.Ref.Object()] = []any{d.Absent, d.System, d.Body}
		}
	}
	return all
}

// Orgs keep the baselines that they have by default, however those are written, and what
// they get from them of the kinds that are not imported.
func TestConfigurationKeepsDefaultBaselines(t *testing.T) {
	zones := objects.ByName("networkZones")
	zone := &objects.LiveObject{Ref: objects.Ref{Kind: zones, Name: "Offices"}, Body: map[string]any{
		"name": "Offices", "type": "IP", "usage": "POLICY", "gateways": []any{map[string]any{"type": "CIDR", "value": "192.0.2.0/24"}},
	}}
	const head, tail = "version: 1\nbaselines:\n  old: {groups: [{profile: {name: Staff}}]}\n", "orgs:\n  - domain: a.okta.com\n  - {domain: b.okta.com}\n"
	for _, defaults := range []string{"defaults:\n  baselines: [old]\n", "defaults:\n  baselines:\n    - old\n", "defaults: {baselines: [old]}\n"} {
		for _, kinds := range [][]*objects.Kind{{zones}, topKinds()} {
			var orgs []importer.OrgConfiguration
			for _, domain := range []string{"a.okta.com", "b.okta.com"} {
				live := &objects.Live{Objects: []*objects.LiveObject{zone}}
				if len(kinds) > 1 {
					live.Objects = append(live.Objects, &objects.LiveObject{Ref: objects.Ref{Kind: objects.ByName("groups"), Name: "Staff"}, Body: map[string]any{"profile": map[string]any{"name": "Staff"}}})
				}
				orgs = append(orgs, importer.OrgConfiguration{Domain: domain, Live: live})
			}
			files := []importer.File{{Name: "orgs.yaml", Data: []byte(head + defaults + tail)}}
			r, err := importer.Configuration(files, orgs, importer.ConfigurationOptions{Kinds: kinds, Load: loadFiles})
			if err != nil {
				t.Errorf("%q, %d kinds: %v", defaults, len(kinds), err)
				continue
			}
			if got := text(r.Files); strings.Count(got, "baselines: [old, common]") != 2 {
				t.Errorf("%q, %d kinds: an org lost a baseline\n%s", defaults, len(kinds), got)
			}
		}
	}
}

// An object that a baseline declares under a name with variables is left to the baseline:
// nothing can be laid over it under the name that the org has.
func TestConfigurationOfNamesWithVariables(t *testing.T) {
	k := objects.ByName
	group := func(name, description string) *objects.LiveObject {
		return &objects.LiveObject{Ref: objects.Ref{Kind: k("groups"), Name: name}, Body: map[string]any{"profile": map[string]any{"name": name, "description": description}}}
	}
	policy := objects.Ref{Kind: k("policies"), Type: "OKTA_SIGN_ON", Name: "Staff"}
	live := &objects.Live{Objects: []*objects.LiveObject{
		group("Staff", "of old"), group("Other", "x"),
		{Ref: policy, Body: map[string]any{"type": "OKTA_SIGN_ON", "name": "Staff", "status": "ACTIVE"}},
		{Ref: objects.Ref{Kind: k("policyRules"), Type: "OKTA_SIGN_ON", Parent: "Staff", Name: "In"}, Body: map[string]any{"name": "In", "status": "ACTIVE"}},
	}}
	const manifest = `version: 1
baselines:
  old:
    groups: [{profile: {name: "${n}", description: "of ${domain}"}}, {profile: {name: "${n} too"}}]
    policies: [{type: OKTA_SIGN_ON, name: "${n}", rules: [{name: In}, {name: Out}]}]
defaults: {baselines: [old], vars: {n: Staff}}
orgs:
  - domain: a.okta.com
`
	r, err := importer.Configuration([]importer.File{{Name: "orgs.yaml", Data: []byte(manifest)}}, []importer.OrgConfiguration{{Domain: "a.okta.com", Live: live}},
		importer.ConfigurationOptions{Kinds: topKinds(), Load: loadFiles})
	if err != nil {
		t.Fatal(err)
	}
	wanted := "--- orgs.yaml\n" + manifest + `    configuration:
      groups:
        - {profile: {name: Other, description: x}}
        # group "Staff" left out: a baseline declares it, under a name with variables
    # not imported: policy "Staff" left out: a baseline declares it, under a name with variables
    # not imported: policy rule "Staff/In" left out: its policy is left out
`
	if diff := cmp.Diff(wanted, text(r.Files)); diff != "" {
		t.Errorf("(-wanted +got):\n%s", diff)
	}
	var differ int
	for _, w := range r.Warnings {
		if strings.Contains(w, "differs from what a baseline declares") {
			differ++
		}
	}
	if differ != 3 {
		t.Errorf("%q", r.Warnings)
	}
}

// text returns files as one text.
func text(files []importer.File) string {
	all := map[string]string{}
	for _, f := range files {
		all[f.Name] = string(f.Data)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString("--- " + name + "\n" + all[name])
	}
	return b.String()
}

// What a manifest can't say is left out of it, and said in a comment where it would be.
func TestConfigurationLeftOut(t *testing.T) {
	k := objects.ByName
	group := func(name string) *objects.LiveObject {
		return &objects.LiveObject{Ref: objects.Ref{Kind: k("groups"), Name: name}, Body: map[string]any{"profile": map[string]any{"name": name, "level": float64(3)}}}
	}
	policy := objects.Ref{Kind: k("policies"), Type: "OKTA_SIGN_ON", Name: "Staff"}
	live := &objects.Live{
		Objects: []*objects.LiveObject{
			group("Staff"), group("Twice"), group("Twice"),
			{Ref: objects.Ref{Kind: k("groups"), Name: "Everyone"}, System: true, Body: map[string]any{"profile": map[string]any{"name": "Everyone"}}},
			{
				Ref:          policy,
				Body:         map[string]any{"type": "OKTA_SIGN_ON", "name": "Staff", "status": "ACTIVE", "conditions": map[string]any{"people": map[string]any{"groups": map[string]any{"include": []any{"Everyone", "00gdeletedgroup00001"}}}}},
				Undeclarable: map[string]string{"conditions.people.users": "users have no names here; what the org has is kept"},
			},
			{Ref: objects.Ref{Kind: k("groupRules"), Name: "Dead"}, Body: map[string]any{
				"name": "Dead", "status": "INVALID", "conditions": map[string]any{"expression": map[string]any{"value": "true"}},
				"actions": map[string]any{"assignUserToGroups": map[string]any{"groupIds": []any{"00gdeletedgroup00001"}}},
			}},
		},
		Lacks: []objects.Lack{{Kind: k("behaviors"), List: "behaviors", Reason: "401 E0000015 no feature"}},
	}
	files := []importer.File{{Name: "orgs.yaml", Data: []byte("version: 1\norgs:\n  - domain: a.okta.com\n  - domain: b.okta.com\n    configuration: {settings: {threatInsight: {action: block}}}\n")}}
	r, err := importer.Configuration(files, []importer.OrgConfiguration{
		{Domain: "a.okta.com", Live: live}, {Domain: "b.okta.com", Unread: "403 E0000006 forbidden"},
	}, importer.ConfigurationOptions{Kinds: topKinds(), Load: loadFiles})
	if err != nil {
		t.Fatal(err)
	}
	wanted := `--- orgs.yaml
version: 1
orgs:
  - domain: a.okta.com
    configuration:
      groups:
        - {profile: {name: Staff, level: 3}}
        # group "Twice" left out: the org has 2 of this name
      policies:
        # conditions.people.users left out: users have no names here; what the org has is kept
        # conditions.people.groups.include left out: "00gdeletedgroup00001" leads to no name
        - {type: OKTA_SIGN_ON, name: Staff, status: ACTIVE}
    # not imported: behaviors left out: the org doesn't have them: 401 E0000015 no feature
    # not imported: group rule "Dead" left out: actions.assignUserToGroups.groupIds: "00gdeletedgroup00001" leads to no name
  - domain: b.okta.com
    configuration: {settings: {threatInsight: {action: block}}}
    # not imported: it could not be read: 403 E0000006 forbidden
`
	if diff := cmp.Diff(wanted, text(r.Files)); diff != "" {
		t.Errorf("(-wanted +got):\n%s", diff)
	}
	if len(r.Warnings) != 6 {
		t.Errorf("%d warnings: %q", len(r.Warnings), r.Warnings)
	}
}

// What a manifest can't have is left out of the org's own attributes too, which no table
// has.
func TestConfigurationOfOwnAttributes(t *testing.T) {
	profile := map[string]any{
		"name": "Staff", "level": float64(1<<53 - 1), "badge": float64(1 << 53), "color": "\x1b[31mred", "lines": "a\n\tb",
		"list": []any{"fine", "\u202eevil"}, "fine": []any{"a", float64(2), true}, "deep": map[string]any{"a": map[string]any{"b": -1e300}},
		" odd": "x", "keys": map[string]any{"a\x1b": "x"}, "empty": "",
	}
	live := &objects.Live{Objects: []*objects.LiveObject{
		{Ref: objects.Ref{Kind: objects.ByName("groups"), Name: "Staff"}, Body: map[string]any{"profile": profile}},
	}}
	files := []importer.File{{Name: "orgs.yaml", Data: []byte("version: 1\norgs:\n  - domain: a.okta.com\n")}}
	r, err := importer.Configuration(files, []importer.OrgConfiguration{{Domain: "a.okta.com", Live: live}},
		importer.ConfigurationOptions{Kinds: topKinds(), Load: loadFiles})
	if err != nil {
		t.Fatal(err)
	}
	wanted := `--- orgs.yaml
version: 1
orgs:
  - domain: a.okta.com
    configuration:
      groups:
        # profile. odd left out: its key has characters, or spaces at an end, that a manifest can't have
        # profile.badge left out: 9.007199254740992e+15 is too large to be sent as it is
        # profile.color left out: it has characters that a manifest can't have
        # profile.deep left out: -1e+300 is too large to be sent as it is
        # profile.keys left out: its key has characters, or spaces at an end, that a manifest can't have
        # profile.list left out: it has characters that a manifest can't have
        - profile:
            name: Staff
            empty: ""
            fine: [a, 2, true]
            level: 9007199254740991
            lines: "a\n\tb"
`
	if diff := cmp.Diff(wanted, text(r.Files)); diff != "" {
		t.Errorf("(-wanted +got):\n%s", diff)
	}
}
