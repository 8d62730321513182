package state

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"reconciler/internal/okta/objects"
)

// names returns what is declared of a kind, in the order of the declaration.
func names(o *DesiredOrg, kind string) []string {
	var all []string
	if o.Config == nil {
		return nil
	}
	for _, x := range o.Config.Objects {
		if x.Ref.Kind.Name == kind {
			all = append(all, x.Ref.Object())
		}
	}
	return all
}

// The manifest that TestLoadGolden loads, as Explain shows two of its orgs.
func TestExplain(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/load/good-configuration.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		if isManifest(f.Name) && !strings.HasPrefix(f.Name, "want/") {
			files[f.Name] = string(f.Data)
		}
	}
	d, err := loadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, domain := range []string{"Acme-EMEA.okta.com", "acme-none.okta.com", "acme-old.okta.com"} {
		if err := Explain(&got, d, domain); err != nil {
			t.Fatal(err)
		}
		got.WriteString("---\n")
	}
	const golden = "testdata/explain.yaml"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("explanation differs (-wanted +got):\n%s", d)
	}
	if err := Explain(&got, d, "acme-eema.okta.com"); err == nil || err.Error() != `no org "acme-eema.okta.com" is declared: did you mean "acme-emea.okta.com"?` {
		t.Errorf("error = %v", err)
	}
}

// What a later layer has new stands before the next one of its list that is known, and
// last without one; Okta's own are last in any case.
func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		first, second string
		want          []string
	}{
		{"a b c", "x", []string{"a", "b", "c", "x"}},
		{"a b c", "x b", []string{"a", "x", "b", "c"}},
		{"a b c", "x y a", []string{"x", "y", "a", "b", "c"}},
		{"a b c", "c a", []string{"a", "b", "c"}},
		{"a b c", "c x a y", []string{"x", "a", "b", "c", "y"}},
		{"a b", "a -b", []string{"a", "b"}},
		{"a Default", "x", []string{"a", "x", "Default"}},
		{"Default a", "x Default", []string{"a", "x", "Default"}},
		{"", "x y", []string{"x", "y"}},
	} {
		list := func(names string) string {
			var all []string
			for name := range strings.FieldsSeq(names) {
				switch absent := strings.TrimPrefix(name, "-"); {
				case absent != name:
					all = append(all, "{name: "+absent+", absent: true}")
				case name == "Default":
					all = append(all, "{name: Default, system: true}")
				default:
					all = append(all, "{name: "+name+"}")
				}
			}
			return "[" + strings.Join(all, ", ") + "]"
		}
		rules := func(names string) string {
			return "{policies: [{type: PASSWORD, name: p, rules: " + list(names) + "}]}"
		}
		policies := func(names string) string {
			return strings.ReplaceAll("{policies: "+list(names)+"}", "{name", "{type: PASSWORD, name")
		}
		for kind, in := range map[string]func(string) string{"policyRules": rules, "policies": policies} {
			d, err := loadText("version: 1\nbaselines: {b: " + in(tt.first) + "}\norgs: [{domain: a.b, baselines: [b], configuration: " + in(tt.second) + "}]\n")
			if err != nil {
				t.Fatal(err)
			}
			got := names(&d.Orgs[0], kind)
			for i := range got {
				got[i] = strings.TrimPrefix(got[i], "p/")
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("%s: %q, then %q:\n%s", kind, tt.first, tt.second, d)
			}
		}
	}
}

// What is new comes before the next of its own type alone.
func TestOrderOfTypes(t *testing.T) {
	d, err := loadText(`version: 1
baselines:
  b: {policies: [{type: PASSWORD, name: p}, {type: MFA_ENROLL, name: a}]}
orgs:
  - domain: a.b
    baselines: [b]
    configuration: {policies: [{type: MFA_ENROLL, name: x}, {type: PASSWORD, name: p}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(&d.Orgs[0], "policies"), " "); got != "p a x" && got != "a x p" {
		t.Error(got)
	}
}

// An absent entry and a declared one replace each other; nothing of the one below is
// left.
func TestAbsentReplaces(t *testing.T) {
	load := func(layers ...string) *objects.Object {
		t.Helper()
		text, list := "version: 1\nbaselines:\n", ""
		for i, l := range layers {
			text += fmt.Sprintf("  b%d: {networkZones: [%s]}\n", i, l)
			list += fmt.Sprintf("b%d, ", i)
		}
		d, err := loadText(text + "orgs: [{domain: a.b, baselines: [" + list + "]}]\n")
		if err != nil {
			t.Fatal(err)
		}
		return d.Orgs[0].Config.Objects[0]
	}
	const full, absent = "{name: Z, type: IP, gateways: [{type: CIDR, value: 192.0.2.0/24}]}", "{name: Z, absent: true}"
	if o := load(full, absent); !o.Absent || len(o.Body) != 1 || o.Pos.Line != 4 {
		t.Errorf("%+v", o)
	}
	if o := load(full, absent, "{name: Z, usage: POLICY}"); o.Absent || len(o.Body) != 2 || o.Body["usage"] != "POLICY" {
		t.Errorf("%+v", o)
	}
	if o := load(full, "{name: Z, usage: POLICY}"); len(o.Body) != 4 || o.Places["usage"].Line != 4 || o.Places["type"].Line != 3 || o.Places["gateways"].Line != 3 {
		t.Errorf("%+v", o)
	}
}

// Random layers of random objects: each org has what laying over by hand gives it, and
// the order of files doesn't matter.
func TestLayersProperty(t *testing.T) {
	fields := []string{"companyName", "city", "state", "address1"}
	rapid.Check(t, func(t *rapid.T) {
		type object = map[string]string
		draw := func(label string) (map[string]object, string) {
			all, text := map[string]object{}, "{groups: ["
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4, rapid.ID).Draw(t, label) {
				o := object{}
				text += "{profile: {name: " + name
				for _, f := range rapid.SliceOfDistinct(rapid.SampledFrom(fields), rapid.ID).Draw(t, "fields") {
					o[f] = rapid.SampledFrom([]string{"1", "2", "${v}", "$${v}"}).Draw(t, "value")
					text += fmt.Sprintf(", %s: %q", f, o[f])
				}
				all[name] = o
				text += "}}, "
			}
			return all, text + "]}"
		}
		layers, files := map[string]map[string]object{}, map[string]string{}
		for _, name := range []string{"b0", "b1", "b2"} {
			all, text := draw(name)
			layers[name] = all
			files[name+".yaml"] = "version: 1\nbaselines: {" + name + ": " + text + "}\n"
		}
		orgs := "version: 1\norgs:\n"
		want := map[string]map[string]object{}
		for i := range rapid.IntRange(1, 3).Draw(t, "orgs") {
			domain, v := fmt.Sprintf("o%d.b", i), fmt.Sprintf("v%d", i)
			list := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"b0", "b1", "b2"}), rapid.ID).Draw(t, "baselines")
			own, text := draw("own")
			orgs += fmt.Sprintf("- {domain: %s, vars: {v: %s}, baselines: [%s], configuration: %s}\n", domain, v, strings.Join(list, ", "), text)
			want[domain] = map[string]object{}
			for _, layer := range append(mapAll(list, layers), own) {
				for name, o := range layer {
					if want[domain][name] == nil {
						want[domain][name] = object{"name": name}
					}
					for f, value := range o {
						want[domain][name][f] = map[string]string{"1": "1", "2": "2", "${v}": v, "$${v}": "${v}"}[value]
					}
				}
			}
		}
		files[rapid.SampledFrom([]string{"a.yaml", "z.yaml"}).Draw(t, "file")] = orgs
		d, err := loadFiles(files)
		if err != nil {
			t.Fatalf("%v\n%v", err, files)
		}
		got := map[string]map[string]object{}
		for _, o := range d.Orgs {
			got[o.Domain] = map[string]object{}
			if o.Config == nil {
				continue
			}
			for _, x := range o.Config.Objects {
				all := object{}
				for f, value := range x.Body["profile"].(map[string]any) {
					all[f] = value.(string)
				}
				got[o.Domain][x.Ref.Name] = all
			}
			if list := names(&o, "groups"); !slices.IsSorted(list) {
				t.Errorf("%v", list)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%v", diff, files)
		}
	})
}

func mapAll[K comparable, V any](keys []K, m map[K]V) []V {
	var all []V
	for _, k := range keys {
		all = append(all, m[k])
	}
	return all
}

// A fleet of 1,000 orgs holds its baseline once.
func TestConfigurationsAreShared(t *testing.T) {
	d, bytes := held(t, configuredFleet(1000))
	first, second, own := d.Orgs[1].Config.Objects, d.Orgs[2].Config.Objects, d.Orgs[10].Config.Objects
	if len(first) != 200 || len(second) != 200 || len(own) != 200 {
		t.Fatalf("%d, %d and %d objects", len(first), len(second), len(own))
	}
	same, sameOwn := 0, 0
	for i := range first {
		if first[i] == second[i] {
			same++
		}
		if first[i] == own[i] {
			sameOwn++
		}
	}
	if same != 190 || sameOwn != 189 {
		t.Errorf("%d and %d objects are shared", same, sameOwn)
	}
	if bytes > 60<<20 {
		t.Errorf("1,000 orgs hold %d MB", bytes>>20)
	}
}

// Small files that would become very large ones are refused.
func TestConfigurationBombs(t *testing.T) {
	defer func(most int) { maxDeclaredValues = most }(maxDeclaredValues)
	maxDeclaredValues = 50_000
	var zones, orgs, stacks, list strings.Builder
	for i := range 200 {
		fmt.Fprintf(&zones, "    - {name: 'Z${domain}%d'}\n", i)
	}
	for i := range 500 {
		fmt.Fprintf(&orgs, "- {domain: o%d.b, baselines: [big], configuration: {networkZones: [{name: own}]}}\n", i)
		fmt.Fprintf(&stacks, "  b%d: {networkZones: [{name: z%d}]}\n", i, i)
		fmt.Fprintf(&list, "b%d, ", i)
	}
	var rules strings.Builder
	for i := range 100 {
		fmt.Fprintf(&rules, "    - {name: r%d, conditions: {expression: {value: '%s'}}, actions: {assignUserToGroups: {groupIds: [G]}}}\n", i, strings.Repeat("${x}", 99))
	}
	const tooMany = "add up to more than 50000 values"
	big := "version: 1\nbaselines:\n  big:\n    networkZones:\n" + zones.String() + "orgs:\n" + orgs.String()
	for name, tt := range map[string]struct{ text, want string }{
		"objects":   {strings.ReplaceAll(big, "${domain}", ""), "453:3: up to this org, the configurations of the orgs " + tooMany},
		"variables": {big, tooMany},
		"stack":     {"version: 1\nbaselines:\n" + stacks.String() + "orgs: [{domain: a.b, baselines: [" + list.String() + "]}]\n", tooMany},
		"labels": {"version: 1\ndefaults: {labels: {" + strings.Join(strings.Split(strings.ReplaceAll(list.String(), ",", ": x,"), "\n"), "") + "}}\norgs:\n" +
			strings.ReplaceAll(orgs.String(), "baselines: [big], configuration: {networkZones: [{name: own}]}", "labels: {own: x}"), tooMany},
		"text": {"version: 1\norgs: [{domain: a.b, vars: {x: " + strings.Repeat("x", 1000) + "}, configuration: {settings: {general: {city: '" +
			strings.Repeat("${x}", 1000) + "'}}}}]\n", "longer than 100000 characters"},
		"texts": {"version: 1\nbaselines:\n  b:\n    groupRules:\n" + rules.String() + "orgs: [{domain: a.b, baselines: [b], vars: {x: " + strings.Repeat("x", 1000) + "}}]\n", tooMany},
	} {
		_, err := loadText(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: error = %.300v, want %s", name, err, tt.want)
		}
	}
}
