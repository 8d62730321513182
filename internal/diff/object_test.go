package diff_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

type body = map[string]any

// ref returns the ref of an object as a plan names it; a rule's is TYPE/POLICY/RULE.
func ref(kind, name string) objects.Ref {
	k := objects.ByName(kind)
	r := objects.Ref{Kind: k, Name: name}
	if k.Typed || k.Parent != nil {
		r.Type, r.Name, _ = strings.Cut(name, "/")
	}
	if k.Parent != nil {
		r.Parent, r.Name, _ = strings.Cut(r.Name, "/")
	}
	return r
}

func idOf(kind, name string) string { return "id-" + kind + "-" + name }

// alive returns a live object. Its body is in normal form, and "system" is taken out.
func alive(kind, name string, b body) *objects.LiveObject {
	r := ref(kind, name)
	b = maps.Clone(b)
	o := &objects.LiveObject{Ref: r, System: b["system"] == true, Body: b}
	delete(b, "system")
	if r.Kind.Setting {
		return o
	}
	b["name"] = r.Name
	if kind == "groups" {
		delete(b, "name")
		b["profile"] = body{"name": r.Name, "description": b["description"]}
		delete(b, "description")
	}
	if r.Type != "" && r.Parent == "" {
		b["type"] = r.Type
	}
	o.ID = idOf(kind, name)
	if r.Parent != "" {
		o.ParentID = idOf("policies", r.Type+"/"+r.Parent)
	}
	return o
}

func live1(all ...*objects.LiveObject) *objects.Live {
	return &objects.Live{OrgID: orgID(0), Engine: "idx", Objects: all}
}

// declare returns a declared object.
func declare(kind, name string, b body) *objects.Object {
	l := alive(kind, name, b)
	return &objects.Object{Ref: l.Ref, Body: l.Body, System: l.System, Pos: strictyaml.Pos{File: "orgs.yaml", Line: 7, Column: 3}}
}

func gone(kind, name string) *objects.Object {
	o := declare(kind, name, body{})
	o.Absent = true
	return o
}

func addresses(values ...string) []any {
	all := []any{}
	for _, v := range values {
		typ := "CIDR"
		if strings.Contains(v, "-") {
			typ = "RANGE"
		}
		all = append(all, body{"type": typ, "value": v})
	}
	return all
}

// zone returns a zone of addresses.
func zone(usage, status string, values ...string) body {
	return body{"type": "IP", "usage": usage, "status": status, "gateways": addresses(values...)}
}

// configured returns an org of a fleet of one, and its live configuration.
func withConfig(org *state.DesiredOrg, all ...*objects.Object) *state.DesiredOrg {
	org.Config = &objects.Declared{Objects: all}
	org.ClientID = "0oaClient"
	return org
}

// read returns what came of reading the configuration of orgs, for Options. Orgs that
// live doesn't have were not read.
func read(t *testing.T, base, desired *state.Desired, lives map[string]*objects.Live) func(string) *diff.Configuration {
	t.Helper()
	find := func(d *state.Desired, domain string) *state.DesiredOrg {
		if d == nil {
			return nil
		}
		for i := range d.Orgs {
			if d.Orgs[i].Domain == domain {
				return &d.Orgs[i]
			}
		}
		return nil
	}
	all := map[string]*diff.Configuration{}
	for domain, live := range lives {
		all[domain] = diff.CompareConfiguration(find(base, domain), find(desired, domain), live, nil)
	}
	return func(domain string) *diff.Configuration { return all[domain] }
}

// lines returns the changes in short.
func lines(p *diff.Plan) []string {
	all := []string{}
	for i := range p.Changes {
		c := &p.Changes[i]
		s := fmt.Sprintf("%s %s %s", strings.TrimSuffix(c.Org, ".okta.com"), c.Action, c.Field())
		for _, f := range c.Fields {
			s += " " + f.Path
			if f.Origin != "" {
				s += "=" + string(f.Origin)
			}
		}
		if c.Destructive {
			s += " -"
		}
		if c.Origin != "" {
			s += " (" + string(c.Origin) + ")"
		}
		if c.Blocked != "" {
			s += " [" + c.Blocked + "]"
		}
		all = append(all, s)
	}
	return all
}

func offices(values ...string) *objects.Object {
	return declare("networkZones", "Offices", zone("POLICY", "ACTIVE", values...))
}

// oneOrg is an org in which a product is missing and four objects differ.
func oneOrg() (*state.Desired, *state.Actual, *objects.Live) {
	desired, actual := fleet(3)
	desired.Orgs[0].Products = []string{"P000052", "P000131"}
	withConfig(&desired.Orgs[0],
		offices("198.51.100.0/24"),
		declare("groups", "Contractors", body{"description": "External"}),
		gone("networkZones", "Old VPN"),
		declare("threatInsight", "threatInsight", body{"action": "block", "excludeZones": []any{"Offices"}}),
		declare("behaviors", "New device", body{"type": "ANOMALOUS_DEVICE"}),
		declare("networkZones", "Moved", body{"type": "IP"}),
	)
	live := live1(
		alive("networkZones", "Moved", body{"type": "DYNAMIC", "status": "ACTIVE", "usage": "POLICY"}),
		alive("networkZones", "Offices", zone("POLICY", "ACTIVE", "192.0.2.0/24")),
		alive("networkZones", "Old VPN", zone("POLICY", "ACTIVE", "203.0.113.0/24")),
		alive("networkZones", "Nobody's", zone("POLICY", "ACTIVE", "203.0.113.0/24")),
		alive("behaviors", "New device", body{"type": "ANOMALOUS_DEVICE", "status": "ACTIVE"}),
		alive("threatInsight", "threatInsight", body{"action": "none", "excludeZones": []any{}}),
	)
	return desired, actual, live
}

func TestObjectsInPlan(t *testing.T) {
	desired, actual, live := oneOrg()
	opts := diff.Options{Account: account, Guards: wide, Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live})}
	plan := planOf(t, desired, actual, opts)
	want := []string{
		"org-00 update-products products",
		"org-00 update-object networkZones/Offices gateways -",
		"org-00 create-object groups/Contractors profile.description profile.name",
		"org-00 update-object settings/threatInsight action excludeZones",
		"org-00 delete-object networkZones/Old VPN -",
	}
	if d := cmp.Diff(want, lines(plan)); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff(&diff.ObjectSummary{Declared: 6, InSync: 1, Unmanaged: 1}, plan.Summary.Objects); d != "" {
		t.Error(d)
	}
	kinds := map[string]diff.ObjectSummary{
		"networkZones": {Declared: 3, Unmanaged: 1}, "groups": {Declared: 1}, "settings": {Declared: 1}, "behaviors": {Declared: 1, InSync: 1},
	}
	if d := cmp.Diff(kinds, plan.Objects); d != "" {
		t.Error(d)
	}
	if s := plan.Summary; s.InSync != 2 || s.Changes != 5 || s.Destructive != 2 || s.Unfixable != 1 || s.Writable != 3 {
		t.Errorf("%+v", s)
	}
	if u := plan.Unfixable; len(u) != 1 || u[0].Field != "networkZones/Moved: type" || u[0].Desired != `"IP"` || u[0].Actual != `"DYNAMIC"` || u[0].Reason != "it can only be set when the object is created (orgs.yaml:7:3)" || u[0].Kind != "networkZones" || u[0].Object != "Moved" {
		t.Errorf("%+v", u)
	}
	got, err := json.Marshal(plan.Changes[1])
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(`{"org":"org-00.okta.com","orgID":"00oOrg00000000000000","action":"update-object","before":null,"after":null,`+
		`"destructive":true,"irreversible":false,"blocked":"","kind":"networkZones","object":"Offices","objectID":"id-networkZones-Offices","clientID":"0oaClient",`+
		`"fields":[{"path":"gateways","before":[{"type":"CIDR","value":"192.0.2.0/24"}],"after":[{"type":"CIDR","value":"198.51.100.0/24"}]}],`+
		`"risks":["rules that let people in from this zone no longer do from what is taken out"]}`, string(got)); d != "" {
		t.Error(d)
	}
	for i := range plan.Changes[1:] {
		c := &plan.Changes[i+1]
		if d, ok := c.Difference(); !ok || d.Ref.Object() != c.Object || string(d.Op) != string(c.Action) || len(d.Fields) != len(c.Fields) {
			t.Errorf("%+v: %+v", c, d)
		}
	}
	if _, ok := plan.Changes[0].Difference(); ok {
		t.Error("products are an object")
	}

	opts.Configuration = nil // a run in which configuration isn't looked at
	if plan = planOf(t, desired, actual, opts); len(plan.Changes) != 1 || plan.Summary.Objects != nil || len(plan.Unknown) != 0 {
		t.Errorf("%v %+v", lines(plan), plan.Summary)
	}
}

func TestUnknownConfiguration(t *testing.T) {
	list := offices("192.0.2.0/24")
	plain := declare("adminConsoleSession", "adminConsoleSession", body{"sessionIdleTimeoutMinutes": 15.0})
	tests := []struct {
		name    string
		object  *objects.Object
		edit    func(*state.DesiredOrg)
		mayLose bool
	}{
		{"an entry of a list", list, func(*state.DesiredOrg) {}, true},
		{"an object", gone("groups", "Old"), func(*state.DesiredOrg) {}, true},
		{"a status", declare("behaviors", "X", body{"status": "INACTIVE"}), func(*state.DesiredOrg) {}, true},
		{"nothing", plain, func(*state.DesiredOrg) {}, false},
		{"protected", list, func(o *state.DesiredOrg) { o.Protected = true }, false},
		{"reported", list, func(o *state.DesiredOrg) { o.Mode = state.Report }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(2)
			desired.Orgs[0].Products = []string{"P000052", "P000131"}
			tt.edit(withConfig(&desired.Orgs[0], tt.object))
			for why, conf := range map[string]*diff.Configuration{
				"no token":                             {Unknown: "no token", ErrorID: "errorId oae1", Declared: 1},
				"the org's configuration was not read": nil,
			} {
				opts := diff.Options{Account: account, Guards: wide, Configuration: func(string) *diff.Configuration { return conf }}
				plan := planOf(t, desired, actual, opts)
				if got := lines(plan); len(got) != 1 || !strings.HasPrefix(got[0], "org-00 update-products products") {
					t.Errorf("products don't go on: %q", got)
				}
				u := plan.Unknown
				if len(u) != 1 || u[0].Part != "configuration" || u[0].Error != why || u[0].OrgID != orgID(0) || u[0].MayLose != tt.mayLose {
					t.Errorf("%+v", u)
				}
				if s := plan.Summary; s.Unknown != 1 || s.InSync != 1 || *s.Objects != (diff.ObjectSummary{Declared: 1, Unknown: 1}) {
					t.Errorf("%+v %+v", s, s.Objects)
				}
			}
		})
	}
}

// What can't be matched is unknown, with the place of the declaration.
func TestAmbiguousConfiguration(t *testing.T) {
	desired, _ := fleet(1)
	withConfig(&desired.Orgs[0], offices("192.0.2.0/24"))
	double := alive("networkZones", "Offices", zone("POLICY", "ACTIVE", "192.0.2.0/24"))
	c := diff.CompareConfiguration(nil, &desired.Orgs[0], live1(double, double), nil)
	if c.Head != nil || c.Declared != 1 || !strings.HasSuffix(c.Unknown, "(orgs.yaml:7:3)") {
		t.Errorf("%+v", c)
	}
}

// Orgs that are to be linked, and those that are INACTIVE, are not configured.
func TestNotConfiguredYet(t *testing.T) {
	const inactive = "its configuration is left alone while the org is INACTIVE"
	tests := []struct {
		name string
		edit func(o *state.DesiredOrg, a *state.Actual)
		note string
	}{
		{"to be linked", func(o *state.DesiredOrg, a *state.Actual) { o.ID = ""; a.Orgs = a.Orgs[1:] }, "its configuration comes in the run after the one that links it"},
		{"to be created", func(o *state.DesiredOrg, a *state.Actual) {
			o.ID, o.Create, a.Orgs = "", &state.Create{Parent: "acme"}, a.Orgs[1:]
		}, "its configuration comes in the run after the one that links it"},
		{"INACTIVE", func(o *state.DesiredOrg, a *state.Actual) {
			o.Status, a.Orgs[0].Status = state.Inactive, state.Inactive
		}, inactive},
		{"deactivated", func(o *state.DesiredOrg, _ *state.Actual) { o.Status = state.Inactive }, inactive},
		{"INACTIVE, not managed", func(o *state.DesiredOrg, a *state.Actual) { o.Status, a.Orgs[0].Status = "", state.Inactive }, inactive},
		{"activated", func(_ *state.DesiredOrg, a *state.Actual) { a.Orgs[0].Status = state.Inactive }, "its configuration comes in the run after the one that activates it"},
		{"deleted", func(o *state.DesiredOrg, a *state.Actual) {
			o.Status, o.RequestDeletion, a.Orgs = state.Inactive, true, a.Orgs[1:]
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual := fleet(2)
			withConfig(&desired.Orgs[0], offices("192.0.2.0/24"))
			tt.edit(&desired.Orgs[0], actual)
			plan := planOf(t, desired, actual, diff.Options{Account: account, Guards: wide, Configuration: func(string) *diff.Configuration {
				t.Error("looked at")
				return nil
			}})
			if slices.ContainsFunc(plan.Changes, func(c diff.Change) bool { return c.IsObject() }) {
				t.Error(lines(plan))
			}
			var notes []string
			for _, n := range plan.Notes {
				notes = append(notes, n.Message)
			}
			if strings.Join(notes, "") != tt.note {
				t.Errorf("%q", notes)
			}
			if s := plan.Summary.Objects; tt.note != "" && *s != (diff.ObjectSummary{Declared: 1, Unknown: 1}) || tt.note == "" && s != nil {
				t.Errorf("%+v", s)
			}
		})
	}
}

// What holds products holds objects.
func TestObjectsAreHeld(t *testing.T) {
	tests := []struct {
		name string
		edit func(*state.DesiredOrg, *diff.Options)
		why  map[diff.Action]string
	}{
		{"reported", func(o *state.DesiredOrg, _ *diff.Options) { o.Mode = state.Report },
			map[diff.Action]string{diff.CreateObject: "mode: report", diff.UpdateObject: "mode: report", diff.DeleteObject: "mode: report"}},
		{"protected", func(o *state.DesiredOrg, _ *diff.Options) { o.Protected = true }, map[diff.Action]string{diff.DeleteObject: "protected"}},
		{"stale", func(_ *state.DesiredOrg, opts *diff.Options) { opts.Stale = "old" }, map[diff.Action]string{diff.DeleteObject: "old"}},
		{"held", func(_ *state.DesiredOrg, opts *diff.Options) { opts.Held = only(domain(0), "freeze") },
			map[diff.Action]string{diff.CreateObject: "freeze", diff.UpdateObject: "freeze", diff.DeleteObject: "freeze"}},
		{"not subscribed", func(o *state.DesiredOrg, _ *diff.Options) { o.Products = []string{"P000052", "P999"} },
			map[diff.Action]string{diff.CreateObject: "not subscribed", diff.UpdateObject: "not subscribed", diff.DeleteObject: "not subscribed"}},
		{"free", func(*state.DesiredOrg, *diff.Options) {}, map[diff.Action]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desired, actual, live := oneOrg()
			opts := diff.Options{Account: account, Guards: wide, Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live})}
			tt.edit(&desired.Orgs[0], &opts)
			for _, c := range planOf(t, desired, actual, opts).Changes {
				want := tt.why[c.Action]
				if c.Action == diff.UpdateObject && c.Destructive && want == "" {
					want = tt.why[diff.DeleteObject]
				}
				if c.IsObject() && (want == "" && c.Blocked != "" || !strings.HasPrefix(c.Blocked, want)) {
					t.Errorf("%s %s is blocked by %q, not %q", c.Action, c.Object, c.Blocked, want)
				}
			}
		})
	}
	// The org that a filter leaves out isn't looked at.
	desired, actual, _ := oneOrg()
	plan := planOf(t, desired, actual, diff.Options{Account: account, Guards: wide, Filter: diff.Filter{Exclude: []string{domain(0)}},
		Configuration: func(string) *diff.Configuration { t.Error("looked at"); return nil }})
	if len(plan.Changes) != 0 {
		t.Error(lines(plan))
	}
}

func TestGuardsCountObjects(t *testing.T) {
	for name, tt := range map[string]struct {
		declared *objects.Object
		live     *objects.LiveObject
		lost     bool
	}{
		"an object":           {gone("networkZones", "Offices"), alive("networkZones", "Offices", zone("POLICY", "ACTIVE")), true},
		"an entry of a list":  {offices("192.0.2.0/24"), alive("networkZones", "Offices", zone("POLICY", "ACTIVE", "192.0.2.0/24", "198.51.100.0/24")), true},
		"a deactivation":      {declare("networkZones", "Offices", body{"type": "IP", "status": "INACTIVE"}), alive("networkZones", "Offices", zone("POLICY", "ACTIVE")), true},
		"another description": {declare("groups", "A", body{"description": "x"}), alive("groups", "A", body{"description": "y"}), false},
		"an entry more":       {offices("192.0.2.0/24", "198.51.100.0/24"), alive("networkZones", "Offices", zone("POLICY", "ACTIVE", "192.0.2.0/24")), false},
	} {
		t.Run(name, func(t *testing.T) {
			desired, actual := fleet(50)
			lives := map[string]*objects.Live{}
			for i := range 11 {
				withConfig(&desired.Orgs[i], tt.declared)
				lives[domain(i)] = live1(tt.live)
			}
			guards := limits
			guards.Day = &diff.Day{Max: 10}
			opts := diff.Options{Account: account, Guards: guards, Configuration: read(t, nil, desired, lives)}
			plan := planOf(t, desired, actual, opts)
			want := ""
			if tt.lost {
				want = "maxDestructiveOrgs maxDestructivePercent maxDestructiveOrgsPerDay"
			}
			if got := guardNames(plan); got != want {
				t.Errorf("refused by %q, not %q: %q", got, want, lines(plan))
			}
			if tt.lost && !strings.HasPrefix(plan.Refusals[0].Message, "11 orgs would lose a product or an object, be deactivated or deleted (") {
				t.Error(plan.Refusals[0].Message)
			}
		})
	}
}

// review3 returns the three-way plan of one org.
func review3(t *testing.T, base, head []*objects.Object, live *objects.Live) *diff.Plan {
	t.Helper()
	before, actual := fleet(1)
	after, _ := fleet(1)
	withConfig(&before.Orgs[0], base...)
	withConfig(&after.Orgs[0], head...)
	plan, err := diff.CompareThreeWay(before, after, actual, diff.Options{
		Account: account, Guards: wide, Configuration: read(t, before, after, map[string]*objects.Live{domain(0): live}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestThreeWayObjects(t *testing.T) {
	group := func(description string) *objects.Object {
		return declare("groups", "A", body{"description": description})
	}
	has := func(description string) *objects.Live {
		return live1(alive("groups", "A", body{"description": description}))
	}
	type all = []*objects.Object
	tests := []struct {
		name       string
		base, head all
		live       *objects.Live
		want       []string
		settings   []diff.Setting
		settled    []string
	}{
		{"this change", all{group("a")}, all{group("b")}, has("a"), []string{"org-00 update-object groups/A profile.description=this-change (this-change)"}, nil, nil},
		{"drift", all{group("a")}, all{group("a")}, has("x"), []string{"org-00 update-object groups/A profile.description=existing-drift (existing-drift)"}, nil, nil},
		{"conflict", all{group("a")}, all{group("b")}, has("x"), []string{"org-00 update-object groups/A profile.description=conflict (conflict)"}, nil, nil},
		{"settled", all{group("a")}, all{group("b")}, has("b"), []string{}, nil, []string{`groups/A: profile.description "a" "b"`}},
		{"as declared", all{group("a")}, all{group("a")}, has("a"), []string{}, nil, nil},
		{"new", nil, all{group("a")}, live1(), []string{"org-00 create-object groups/A profile.description=this-change profile.name=this-change (this-change)"}, nil, nil},
		{"lost before", all{group("a")}, all{group("a")}, live1(),
			[]string{"org-00 create-object groups/A profile.description=existing-drift profile.name=existing-drift (existing-drift)"}, nil, nil},
		{"lost before, and changed", all{group("a")}, all{group("b")}, live1(),
			[]string{"org-00 create-object groups/A profile.description=conflict profile.name=existing-drift (conflict)"}, nil, nil},
		{"deleted", nil, all{gone("groups", "A")}, has("a"), []string{"org-00 delete-object groups/A - (this-change)"}, nil, nil},
		{"made again", all{gone("groups", "A")}, all{gone("groups", "A")}, has("a"), []string{"org-00 delete-object groups/A - (existing-drift)"}, nil, nil},
		{"deleted, and drifted", all{group("a")}, all{gone("groups", "A")}, has("x"), []string{"org-00 delete-object groups/A - (conflict)"}, nil, nil},
		{"wanted again, and made already", all{gone("groups", "A")}, all{group("b")}, has("a"), []string{"org-00 update-object groups/A profile.description=conflict (conflict)"}, nil, nil},
		{"declared as it is", nil, all{group("a")}, has("a"), []string{}, []diff.Setting{{Org: domain(0), Field: "groups/A", Head: "declared"}}, nil},
		{"no longer declared", all{group("a")}, nil, has("a"), []string{}, []diff.Setting{{Org: domain(0), Field: "groups/A", Base: "declared"}}, nil},
		{"a field no longer declared", all{offices("192.0.2.0/24")}, all{declare("networkZones", "Offices", body{"type": "IP"})},
			live1(alive("networkZones", "Offices", zone("POLICY", "ACTIVE", "192.0.2.0/24"))), []string{}, []diff.Setting{
				{Org: domain(0), Field: "networkZones/Offices: gateways", Base: `[{"type":"CIDR","value":"192.0.2.0/24"}]`},
				{Org: domain(0), Field: "networkZones/Offices: status", Base: `"ACTIVE"`},
				{Org: domain(0), Field: "networkZones/Offices: usage", Base: `"POLICY"`},
			}, nil},
		{"absent as it is", nil, all{gone("groups", "A")}, live1(), []string{}, []diff.Setting{{Org: domain(0), Field: "groups/A", Head: "absent"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := review3(t, tt.base, tt.head, tt.live)
			if d := cmp.Diff(tt.want, lines(plan)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(append([]diff.Setting{}, tt.settings...), plan.Review.Settings); d != "" {
				t.Error(d)
			}
			var settled []string
			for _, s := range plan.Review.Settled {
				settled = append(settled, s.Field+" "+s.Base.Text()+" "+s.Head.Text())
			}
			if d := cmp.Diff(tt.settled, settled); d != "" {
				t.Error(d)
			}
		})
	}
}

// The strongest origin of its fields is that of the change.
func TestOriginOfFields(t *testing.T) {
	b := body{"type": "IP", "usage": "POLICY", "status": "ACTIVE"}
	head := maps.Clone(b)
	head["usage"] = "BLOCKLIST"
	plan := review3(t, []*objects.Object{declare("networkZones", "A", b)}, []*objects.Object{declare("networkZones", "A", head)},
		live1(alive("networkZones", "A", body{"type": "IP", "usage": "POLICY", "status": "INACTIVE"})))
	if d := cmp.Diff([]string{"org-00 update-object networkZones/A status=existing-drift usage=this-change (this-change)"}, lines(plan)); d != "" {
		t.Error(d)
	}
	u := review3(t, []*objects.Object{declare("networkZones", "A", body{"type": "IP"})}, []*objects.Object{declare("networkZones", "A", body{"type": "IP"})},
		live1(alive("networkZones", "A", body{"type": "DYNAMIC"}))).Unfixable
	if len(u) != 1 || u[0].Origin != diff.ExistingDrift {
		t.Errorf("%+v", u)
	}
}

// A changed line of a baseline shows its effect on each org, and its labels, owner and
// access as settings.
func TestDeclaredObjects(t *testing.T) {
	before, _ := fleet(3)
	after, _ := fleet(4)
	old := declare("groups", "Old", body{"description": "x"})
	for i := range 3 {
		withConfig(&before.Orgs[i], offices("192.0.2.0/24"), old)
		withConfig(&after.Orgs[i], offices("198.51.100.0/24"))
	}
	withConfig(&after.Orgs[3], offices("198.51.100.0/24"))
	after.Orgs[1].Labels, after.Orgs[1].Owner, after.Orgs[1].ClientID = map[string]string{"tier": "production", "bu": "retail"}, "ada@acme.example", "0oaNew"
	after.Orgs[1].Vars = map[string]string{"portal": "emea"}
	after.Orgs[2].Mode = state.Report
	guards := limits
	guards.MaxDestructiveOrgs = 1
	plan, err := diff.CompareDeclared(before, after, diff.Options{Account: account, Guards: guards})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"org-00 update-object networkZones/Offices gateways=this-change - (this-change)",
		"org-01 update-object networkZones/Offices gateways=this-change - (this-change)",
		"org-02 update-object networkZones/Offices gateways=this-change - (this-change) [mode: report]",
		"org-03 link-org linked (this-change)",
		"org-03 update-products products (this-change)",
		"org-03 set-status status (this-change)",
		"org-03 create-object networkZones/Offices gateways=this-change name=this-change status=this-change type=this-change usage=this-change (this-change)",
	}
	if d := cmp.Diff(want, lines(plan)); d != "" {
		t.Error(d)
	}
	gone := func(i int) diff.Setting { return diff.Setting{Org: domain(i), Field: "groups/Old", Base: "declared"} }
	if d := cmp.Diff([]diff.Setting{
		gone(0),
		{Org: domain(1), Field: "access", Base: "0oaClient", Head: "0oaNew"},
		{Org: domain(1), Field: "labels", Head: `bu="retail", tier="production"`},
		{Org: domain(1), Field: "owner", Head: "ada@acme.example"},
		{Org: domain(1), Field: "vars", Head: `portal="emea"`},
		gone(1),
		{Org: domain(2), Field: "mode", Base: "apply", Head: "report"},
		gone(2),
	}, plan.Review.Settings); d != "" {
		t.Error(d)
	}
	if got := guardNames(plan); got != "maxDestructiveOrgs maxDestructivePercent" {
		t.Errorf("refused by %q", got)
	}
	if d := cmp.Diff(&diff.ObjectSummary{Declared: 4}, plan.Summary.Objects); d != "" {
		t.Error(d)
	}
	after.Orgs[3].Create, after.Orgs[3].ID = &state.Create{Parent: "acme"}, ""
	for i := range 3 {
		after.Orgs[i].Status = state.Inactive
	}
	if plan, err = diff.CompareDeclared(before, after, diff.Options{Account: account, Guards: guards}); err != nil {
		t.Fatal(err)
	}
	if len(plan.Notes) != 4 || *plan.Summary.Objects != (diff.ObjectSummary{Declared: 4, Unknown: 4}) {
		t.Errorf("%+v %+v", plan.Notes, plan.Summary.Objects)
	}
}

// saved returns a plan with objects as it comes from a file.
func saved(t *testing.T) (*diff.Plan, *state.Actual, *objects.Live) {
	t.Helper()
	desired, actual, live := oneOrg()
	plan := planOf(t, desired, actual, diff.Options{Account: account, Guards: wide, Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live})})
	again, err := diff.ReadPlan(bytes.NewReader(encode(t, plan)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encode(t, again), encode(t, plan)) {
		t.Fatal("the plan became another one")
	}
	return again, actual, live
}

func TestSavedObjects(t *testing.T) {
	find := func(l *objects.Live, kind, name string) int {
		return slices.IndexFunc(l.Objects, func(o *objects.LiveObject) bool { return o.Ref == ref(kind, name) })
	}
	tests := []struct {
		name string
		edit func(l *objects.Live)
		want []string // of the reasons, without the org
	}{
		{"as it was", func(*objects.Live) {}, nil},
		{"another one changed meanwhile", func(l *objects.Live) { l.Objects[find(l, "networkZones", "Nobody's")].Body["usage"] = "BLOCKLIST" }, nil},
		{"changed meanwhile", func(l *objects.Live) { l.Objects[find(l, "threatInsight", "threatInsight")].Body["action"] = "audit" },
			[]string{`update-object settings/threatInsight: action: live is "audit", but the plan was made for "none"`}},
		{"done meanwhile", func(l *objects.Live) {
			l.Objects = append(l.Objects, alive("groups", "Contractors", body{"description": "External"}))
		}, []string{"create-object groups/Contractors: it is so already"}},
		{"deleted meanwhile", func(l *objects.Live) {
			l.Objects = slices.Delete(l.Objects, find(l, "networkZones", "Old VPN"), find(l, "networkZones", "Old VPN")+1)
		}, []string{"delete-object networkZones/Old VPN: it is so already"}},
		{"made again", func(l *objects.Live) { l.Objects[find(l, "networkZones", "Offices")].ID = "nzoNew" },
			[]string{`update-object networkZones/Offices: id: live is "nzoNew", but the plan was made for "id-networkZones-Offices"`}},
		{"renamed", func(l *objects.Live) { l.Objects[find(l, "networkZones", "Offices")].Ref.Name = "Office" },
			[]string{"update-object networkZones/Offices: it is called Office now"}},
		{"two of them", func(l *objects.Live) { l.Objects = append(l.Objects, l.Objects[find(l, "networkZones", "Offices")]) },
			[]string{"update-object networkZones/Offices: two live objects have this name"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, actual, live := saved(t)
			tt.edit(live)
			opts := diff.Options{Account: account, Guards: wide, Configuration: func(org string) *diff.Configuration {
				return diff.RecheckConfiguration(plan.Changes, live, nil)
			}}
			_, err := diff.Revalidate(plan, actual, opts)
			var no *diff.StaleError
			var got []string
			if errors.As(err, &no) {
				for _, r := range no.Reasons {
					got = append(got, strings.TrimPrefix(r, "org-00.okta.com: "))
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	plan, actual, _ := saved(t)
	for why, conf := range map[string]func(string) *diff.Configuration{
		"the org's configuration was not read":                func(string) *diff.Configuration { return nil },
		"the org's configuration could not be read: no token": func(string) *diff.Configuration { return &diff.Configuration{Unknown: "no token"} },
	} {
		_, err := diff.Revalidate(plan, actual, diff.Options{Account: account, Guards: wide, Configuration: conf})
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, not %s", err, why)
		}
	}
	actual.Orgs[0].Status = state.Inactive
	if _, err := diff.Revalidate(plan, actual, diff.Options{Account: account, Guards: wide}); err == nil || !strings.Contains(err.Error(), "the org is INACTIVE") {
		t.Error(err)
	}
}

// An edited plan is refused, although anybody can compute its digest.
func TestSavedObjectsContradict(t *testing.T) {
	plan, _, _ := saved(t)
	const update, create, setting, del = 1, 2, 3, 4
	tests := []struct {
		name string
		at   int
		edit func(c *diff.Change)
		want string
	}{
		{"no fields", create, func(c *diff.Change) { c.Fields = nil }, "it says no field that changes"},
		{"a harmless deletion", del, func(c *diff.Change) { c.Destructive = false }, "destructive is false"},
		{"a harmless loss", update, func(c *diff.Change) { c.Destructive = false }, "destructive is false"},
		{"a grave creation", create, func(c *diff.Change) { c.Destructive = true }, "destructive is true"},
		{"a kind", update, func(c *diff.Change) { c.Kind = "apps" }, `there is no object "Offices" of the kind "apps"`},
		{"a setting", setting, func(c *diff.Change) { c.Object = "networkZones" }, `there is no object "networkZones" of the kind "settings"`},
		{"a field twice", setting, func(c *diff.Change) { c.Fields[1] = c.Fields[0] }, "its fields are not sorted, or one is there twice"},
		{"unsorted fields", setting, func(c *diff.Change) { slices.Reverse(c.Fields) }, "its fields are not sorted, or one is there twice"},
		{"a value of another type", setting, func(c *diff.Change) { c.Fields[0].After = 1.0 }, "action can't be 1"},
		{"an element of another type", update, func(c *diff.Change) { c.Fields[0].After = []any{"192.0.2.0/24"} }, `gateways can't be ["192.0.2.0/24"]`},
		{"a field that isn't there", setting, func(c *diff.Change) { c.Fields[0].Path = "acton" }, "has no field acton that can be written"},
		{"a field of Okta's", update, func(c *diff.Change) { c.Fields[0].Path = "system" }, "has no field system that can be written"},
		{"nothing changes", setting, func(c *diff.Change) { c.Fields[0].After = c.Fields[0].Before }, "action does not change"},
		{"a value before the creation", create, func(c *diff.Change) { c.Fields[0].Before = "x" }, "profile.description had a value before the object was made"},
		{"an id before the creation", create, func(c *diff.Change) { c.ObjectID = "00g" }, "a new object has no id"},
		{"no id", update, func(c *diff.Change) { c.ObjectID = "" }, "it does not name the object's id"},
		{"no id of the org", update, func(c *diff.Change) { c.OrgID = "" }, "it does not name the org's id"},
		{"a parent", update, func(c *diff.Change) { c.ParentID = "00p" }, "a network zone has no parent"},
		{"a new setting", setting, func(c *diff.Change) { c.Action = diff.CreateObject }, "a setting is only updated, and has no id"},
		{"an object of Okta's", del, func(c *diff.Change) { c.System = true }, "what Okta made is neither created nor deleted"},
		{"a deletion with fields", del, func(c *diff.Change) { c.Fields = make([]diff.Field, 1) }, "a deletion has no fields"},
		{"a feature", del, func(c *diff.Change) { c.Kind = "features" }, "no feature is created or deleted"},
		{"an order that means nothing", create, func(c *diff.Change) { c.Action = diff.ReorderObjects }, "the order of a group means nothing"},
		{"no order", create, func(c *diff.Change) {
			c.Action, c.Kind, c.Type, c.Object = diff.ReorderObjects, "policies", "PASSWORD", "PASSWORD"
		}, "its only field is the order: names before, and names after"},
		{"a value of the org", update, func(c *diff.Change) { c.After = diff.Text("x") }, "the values of an object are those of its fields"},
		{"an object of products", 0, func(c *diff.Change) { c.Kind = "groups" }, "it is not about an object, and names one"},
		{"twice", create, func(c *diff.Change) { *c = plan.Changes[update] }, "the plan changes it before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := *plan
			p.Changes = slices.Clone(plan.Changes)
			c := &p.Changes[tt.at]
			c.Fields = slices.Clone(c.Fields)
			tt.edit(c)
			if err := p.Seal(); err != nil {
				t.Fatal(err)
			}
			_, err := diff.ReadPlan(bytes.NewReader(encode(t, &p)))
			var no *diff.StaleError
			if !errors.As(err, &no) || !strings.HasPrefix(err.Error(), "the plan contradicts itself: ") || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
	p := *plan
	p.Changes = slices.Clone(plan.Changes)
	slices.Reverse(p.Changes)
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := diff.ReadPlan(bytes.NewReader(encode(t, &p))); err == nil || !strings.Contains(err.Error(), "its changes are not in order") {
		t.Error(err)
	}
}

// A saved plan of a review is the plan without it; risks and origins say nothing of
// what is done.
func TestSavedObjectsWithin(t *testing.T) {
	plan, _, _ := saved(t)
	whole := *plan
	whole.Changes = slices.Clone(plan.Changes)
	for i := range whole.Changes {
		c := &whole.Changes[i]
		c.Risks, c.Origin, c.Fields = []string{"x"}, diff.Conflict, slices.Clone(c.Fields)
		for k := range c.Fields {
			c.Fields[k].Origin = diff.Conflict
		}
	}
	if err := plan.Within(&whole); err != nil {
		t.Error(err)
	}
	whole.Changes[1].Fields[0].After = addresses("203.0.113.0/24")
	if err := plan.Within(&whole); err == nil || err.Error() != "org-00.okta.com: update-object networkZones/Offices: the manifests don't ask for it" {
		t.Error(err)
	}
}

// ordered is an org with policies in another order, with new ones among them, and with
// a group rule that can only be deleted.
func ordered() ([]*objects.Object, *objects.Live) {
	const rules = "OKTA_SIGN_ON/Contractors/"
	return []*objects.Object{
			declare("policies", "OKTA_SIGN_ON/New", forGroups("Contractors")),
			declare("policyRules", "OKTA_SIGN_ON/New/From offices/at night", rule("ALLOW")),
			declare("policies", "OKTA_SIGN_ON/Contractors", body{}),
			declare("policyRules", rules+"Late", rule("ALLOW")),
			declare("policyRules", rules+"In", rule("ALLOW")),
			declare("groupRules", "Broken", body{"conditions": body{"expression": body{"value": "true", "type": "urn:okta:expression:1.0"}},
				"actions": body{"assignUserToGroups": body{"groupIds": []any{"Contractors"}}}}),
		}, signOn(alive("policyRules", rules+"Early", rule("ALLOW")),
			alive("groupRules", "Broken", body{"status": "INVALID"}))
}

// What a saved plan did can't be done again; the order of a plan's objects survives.
func TestSavedObjectsApplyOnce(t *testing.T) {
	declared, live := ordered()
	desired, actual := fleet(1)
	withConfig(&desired.Orgs[0], declared...)
	plan := planOf(t, desired, actual, diff.Options{Account: account, Guards: wide, Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live})})
	want := []string{
		"org-00 create-object policies/OKTA_SIGN_ON/New conditions.people.groups.include name status type",
		"org-00 create-object policyRules/OKTA_SIGN_ON/New/From offices/at night actions.signon.access conditions.authContext.authType conditions.network.connection name status",
		"org-00 create-object policyRules/OKTA_SIGN_ON/Contractors/Late actions.signon.access conditions.authContext.authType conditions.network.connection name status",
		"org-00 reorder-objects policyRules/OKTA_SIGN_ON/Contractors order",
		"org-00 reorder-objects policies/OKTA_SIGN_ON order",
		"org-00 delete-object groupRules/Broken -",
		"org-00 create-object groupRules/Broken actions.assignUserToGroups.groupIds conditions.expression.type conditions.expression.value name status",
	}
	if d := cmp.Diff(want, lines(plan)); d != "" {
		t.Fatal(d)
	}
	again, err := diff.ReadPlan(bytes.NewReader(encode(t, plan)))
	if err != nil {
		t.Fatal(err)
	}
	var all []objects.Difference
	for i := range again.Changes {
		d, ok := again.Changes[i].Difference()
		if !ok {
			t.Fatal(again.Changes[i])
		}
		all = append(all, d)
	}
	if r := all[1].Ref; r.Parent != "New" || r.Name != "From offices/at night" {
		t.Errorf("%+v", r)
	}
	for name, tt := range map[string]struct {
		live *objects.Live
		left int
	}{"before": {live, 0}, "after": {objects.After(live, all), len(all)}} {
		t.Run(name, func(t *testing.T) {
			c := diff.RecheckConfiguration(again.Changes, tt.live, nil)
			if got := len(c.Head.Differences); got != len(all)-tt.left {
				t.Errorf("%d of %d can be made", got, len(all))
			}
			_, err := diff.Revalidate(again, actual, diff.Options{Account: account, Guards: wide, Configuration: func(string) *diff.Configuration { return c }})
			var no *diff.StaleError
			if tt.left == 0 && err != nil || tt.left > 0 && (!errors.As(err, &no) || len(no.Reasons) != tt.left) {
				t.Error(err, no)
			}
		})
	}

	desired.Orgs[0].Protected = true // what isn't deleted isn't made again
	for _, c := range planOf(t, desired, actual, diff.Options{Account: account, Guards: wide, Configuration: read(t, nil, desired, map[string]*objects.Live{domain(0): live})}).Changes {
		if (c.Blocked != "") != (c.Kind == "groupRules") {
			t.Errorf("%s %s is blocked by %q", c.Action, c.Field(), c.Blocked)
		}
	}
}

// A changed line of a baseline shows its effect on each org that has it.
func TestBaselineInReview(t *testing.T) {
	manifest := func(gateway, access string) *state.Desired {
		return load(t, strings.NewReplacer("GATEWAY", gateway, "ACCESS", access).Replace(`
version: 1
baselines:
  workforce:
    networkZones:
      - {name: Offices, type: IP, gateways: [{type: CIDR, value: GATEWAY}]}
    groups:
      - profile: {name: Contractors, description: External staff}
    policies:
      - type: OKTA_SIGN_ON
        name: Contractors
        conditions: {people: {groups: {include: [Contractors]}}}
        rules:
          - {name: From offices, conditions: {network: {connection: ZONE, include: [Offices]}}, actions: {signon: {access: ALLOW}}}
      - {type: OKTA_SIGN_ON, name: Default Policy, system: true, rules: [{name: Default Rule, system: true, actions: {signon: {access: ACCESS}}}]}
    settings:
      threatInsight: {action: block, excludeZones: [Offices]}
defaults:
  baselines: [workforce]
orgs:
  - domain: org-00.okta.com
    access: {clientID: 0oaOne}
  - domain: org-01.okta.com
    configuration:
      networkZones:
        - {name: Offices, gateways: [{type: CIDR, value: 203.0.113.0/24}]}
  - domain: org-02.okta.com
    baselines: []
`))
	}
	base, head := manifest("192.0.2.0/24", "ALLOW"), manifest("198.51.100.0/24", "DENY")
	plan, err := diff.CompareDeclared(base, head, diff.Options{Account: account, Guards: wide})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"org-00 update-object networkZones/Offices gateways=this-change - (this-change)",
		"org-00 update-object policyRules/OKTA_SIGN_ON/Default Policy/Default Rule actions.signon.access=this-change (this-change)",
		"org-01 update-object policyRules/OKTA_SIGN_ON/Default Policy/Default Rule actions.signon.access=this-change (this-change)",
	}
	if d := cmp.Diff(want, lines(plan)); d != "" || len(plan.Refusals)+len(plan.Review.Settings) != 0 {
		t.Errorf("%s\n%+v\n%+v", d, plan.Refusals, plan.Review.Settings)
	}

	// The same live: what the base declares is there, and Okta's default policy.
	live := signOn(
		alive("networkZones", "Offices", zone("POLICY", "ACTIVE", "192.0.2.0/24")), alive("groups", "Contractors", body{"description": "External staff"}),
		alive("policyRules", "OKTA_SIGN_ON/Contractors/In", off(rule("ALLOW"))), alive("policyRules", "OKTA_SIGN_ON/Contractors/From offices", rule("ALLOW", fromOffices)),
		alive("policyRules", "OKTA_SIGN_ON/Default Policy/In", off(rule("ALLOW"))), alive("threatInsight", "threatInsight", body{"action": "audit", "excludeZones": []any{"Offices"}}))
	_, actual := fleet(3)
	for i := range head.Orgs {
		head.Orgs[i].Products, base.Orgs[i].Products = nil, nil
	}
	plan, err = diff.CompareThreeWay(base, head, actual, diff.Options{Account: account, Guards: wide,
		Configuration: read(t, base, head, map[string]*objects.Live{domain(0): live})})
	if err != nil {
		t.Fatal(err)
	}
	want = []string{
		"org-00 update-object networkZones/Offices gateways=this-change - (this-change)",
		"org-00 update-object policyRules/OKTA_SIGN_ON/Default Policy/Default Rule actions.signon.access=this-change (this-change)",
		"org-00 update-object settings/threatInsight action=existing-drift (existing-drift)",
	}
	if d := cmp.Diff(want, lines(plan)); d != "" || len(plan.Refusals) != 0 {
		t.Errorf("%s\n%+v", d, plan.Refusals)
	}
	if u := plan.Unknown; len(u) != 1 || u[0].Org != domain(1) {
		t.Errorf("%+v", u)
	}
}
