package edit_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/state/edit"
)

// load loads sources as the commands do.
func load(all []state.Source) (*state.Desired, error) {
	files := fstest.MapFS{}
	for _, s := range all {
		files[s.Name] = &fstest.MapFile{Data: s.Data}
	}
	desired, _, err := state.Load([]state.Input{{FS: files, Root: ".", Name: "."}}, state.LoadOptions{})
	return desired, err
}

// ref returns the ref of an object as plans name it.
func ref(t *testing.T, kind, typ, object string) objects.Ref {
	t.Helper()
	r, ok := objects.ParseRef(objects.Update, kind, typ, "", object)
	if !ok {
		t.Fatalf("no %s %s", kind, object)
	}
	return r
}

const head = `version: 1
products: {sso: P000052, mfa: P000131, lcm: P000139}
`

func TestApply(t *testing.T) {
	const sso, mfa, lcm = "P000052", "P000131", "P000139"
	field := func(path string, v any) []objects.FieldChange { return []objects.FieldChange{{Path: path, After: v}} }
	gateway := func(cidr string) any { return map[string]any{"type": "CIDR", "value": cidr} }
	zone := ref(t, "networkZones", "", "Offices")
	tests := []struct {
		name    string
		in, out string // without the head
		changes []edit.Change
		notes   []string
		left    []string
	}{
		{
			name:    "an own list",
			in:      "orgs:\n- domain: a.okta.com\n  products: [sso, mfa] # ours\n- domain: b.okta.com\n  products: [sso, mfa]\n",
			out:     "orgs:\n- domain: a.okta.com\n  products: [sso, lcm] # ours\n- domain: b.okta.com\n  products: [sso, mfa]\n",
			changes: []edit.Change{{Org: "a.okta.com", Enable: []string{lcm}, Disable: []string{mfa}}},
		},
		{
			name:    "to none and back",
			in:      "defaults:\n  products: [sso]\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n  products: []\n",
			out:     "defaults:\n  products: [sso]\norgs:\n- domain: a.okta.com\n  products: []\n- domain: b.okta.com\n  products: [mfa]\n",
			changes: []edit.Change{{Org: "a.okta.com", Disable: []string{sso}}, {Org: "B.okta.com", Enable: []string{mfa}}},
			notes:   nil,
		},
		{
			name:    "a default that others share",
			in:      "productSets: {base: [sso, mfa]}\ndefaults:\n  productSets: [base]\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n- domain: c.okta.com\n",
			out:     "productSets: {base: [sso, mfa]}\ndefaults:\n  productSets: [base]\norgs:\n- domain: a.okta.com\n  productSets: []\n  products: [sso]\n- domain: b.okta.com\n- domain: c.okta.com\n",
			changes: []edit.Change{{Org: "a.okta.com", Disable: []string{mfa}}},
			notes:   []string{"f.yaml:3:27: product mfa comes from a place that 3 orgs share, and not all of them change in the same way: edited at a.okta.com"},
		},
		{
			name:    "a set that all share",
			in:      "productSets:\n  base: [sso, mfa] # all\ndefaults:\n  productSets: [base]\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n",
			out:     "productSets:\n  base: [sso, lcm] # all\ndefaults:\n  productSets: [base]\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n",
			changes: []edit.Change{{Org: "a.okta.com", Disable: []string{mfa}, Enable: []string{lcm}}, {Org: "b.okta.com", Disable: []string{mfa}, Enable: []string{lcm}}},
			notes: []string{
				"f.yaml:4:15: product mfa of 2 orgs: edited in the one place that they share",
				"f.yaml:4:9: lcm of 2 orgs: edited in the one place that they share, the set base",
			},
		},
		{
			name:    "a set comes back",
			in:      "productSets: {base: [sso, mfa]}\norgs:\n- domain: a.okta.com\n  productSets: []\n  products: [lcm]\n",
			out:     "productSets: {base: [sso, mfa]}\norgs:\n- domain: a.okta.com\n  productSets: [base]\n  products: [lcm]\n",
			changes: []edit.Change{{Org: "a.okta.com", Enable: []string{sso, mfa}}},
		},
		{
			name:    "a set comes back into the defaults",
			in:      "productSets: {base: [sso, mfa]}\ndefaults: {productSets: []}\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n  products: [lcm]\n",
			out:     "productSets: {base: [sso, mfa]}\ndefaults: {productSets: [base]}\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n  products: [lcm]\n",
			changes: []edit.Change{{Org: "a.okta.com", Enable: []string{sso, mfa}}, {Org: "b.okta.com", Enable: []string{sso, mfa}}},
			notes:   []string{"f.yaml:4:25: base of 2 orgs: edited in the one place that they share, the defaults of f.yaml"},
		},
		{
			name:    "an alias, and the anchor that others need",
			in:      "orgs:\n- domain: a.okta.com\n  products: &std [sso, mfa]\n- domain: b.okta.com\n  products: *std\n- domain: c.okta.com\n  products: *std # too\n",
			out:     "orgs:\n- domain: a.okta.com\n  products: [sso]\n- domain: b.okta.com\n  products: &std [sso, mfa]\n- domain: c.okta.com\n  products: [mfa] # too\n",
			changes: []edit.Change{{Org: "a.okta.com", Disable: []string{mfa}}, {Org: "c.okta.com", Disable: []string{sso}}},
			notes: []string{
				"f.yaml:5:24: product mfa comes from a place that 3 orgs share, and not all of them change in the same way: edited at a.okta.com",
				"f.yaml:5:19: product sso comes from a place that 3 orgs share, and not all of them change in the same way: edited at c.okta.com",
			},
		},
		{
			name:    "a merged entry",
			in:      "orgs:\n- &one\n  domain: a.okta.com\n  status: ACTIVE\n- <<: *one\n  domain: b.okta.com\n",
			out:     "orgs:\n- &one\n  domain: a.okta.com\n  status: ACTIVE\n- <<: *one\n  domain: b.okta.com\n  status: INACTIVE\n",
			changes: []edit.Change{{Org: "b.okta.com", Status: state.Inactive}},
			notes:   []string{"f.yaml:6:11: the status comes from a place that 2 orgs share, and not all of them change in the same way: edited at b.okta.com"},
		},
		{
			name:    "the entry that is merged",
			in:      "orgs:\n- &one\n  domain: a.okta.com\n  status: ACTIVE\n- <<: *one\n  domain: b.okta.com\n",
			out:     "orgs:\n- \n  domain: a.okta.com\n  status: INACTIVE\n- <<: &one {domain: a.okta.com, status: ACTIVE}\n  domain: b.okta.com\n",
			changes: []edit.Change{{Org: "a.okta.com", Status: state.Inactive}},
			notes:   []string{"f.yaml:6:11: the status comes from a place that 2 orgs share, and not all of them change in the same way: edited at a.okta.com"},
		},
		{
			name:    "status, by default and own",
			in:      "defaults: {status: 'ACTIVE'}\naccount: {name: \"Old\"} # of\norgs:\n- {domain: a.okta.com, cell: ok1}\n- domain: b.okta.com\n  status: \"INACTIVE\" # why\n",
			out:     "defaults: {status: 'ACTIVE'}\naccount: {name: \"New\"} # of\norgs:\n- {domain: a.okta.com, cell: ok1, status: INACTIVE}\n- domain: b.okta.com\n  status: \"ACTIVE\" # why\n",
			changes: []edit.Change{{Name: "New"}, {Org: "a.okta.com", Status: state.Inactive}, {Org: "b.okta.com", Status: state.Active}},
		},
		{
			name:    "a default status of all",
			in:      "defaults: {status: 'ACTIVE'}\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n",
			out:     "defaults: {status: 'INACTIVE'}\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n",
			changes: []edit.Change{{Org: "a.okta.com", Status: state.Inactive}, {Org: "b.okta.com", Status: state.Inactive}},
			notes:   []string{"f.yaml:3:20: the status of 2 orgs: edited in the one place that they share"},
		},
		{
			name: "a field of a baseline, for one org and for all",
			in:   "baselines:\n  std:\n    networkZones:\n    - {name: Offices, type: IP, gateways: [{type: CIDR, value: 192.0.2.0/24}, {type: CIDR, value: 198.51.100.0/24}]}\n    settings:\n      threatInsight: {action: block} # all\ndefaults: {baselines: [std]}\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n",
			out:  "baselines:\n  std:\n    networkZones:\n    - {name: Offices, type: IP, gateways: [{type: CIDR, value: 192.0.2.0/24}, {type: CIDR, value: 198.51.100.0/24}]}\n    settings:\n      threatInsight: {action: audit} # all\ndefaults: {baselines: [std]}\norgs:\n- domain: a.okta.com\n  configuration:\n    networkZones:\n      - {name: Offices, gateways: [{type: CIDR, value: 192.0.2.0/24}]}\n- domain: b.okta.com\n",
			changes: []edit.Change{
				{Org: "a.okta.com", Object: &edit.Object{Ref: zone, Fields: field("gateways", []any{gateway("192.0.2.0/24")})}},
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "settings", "", "threatInsight"), Fields: field("action", "audit")}},
				{Org: "b.okta.com", Object: &edit.Object{Ref: ref(t, "settings", "", "threatInsight"), Fields: field("action", "audit")}},
			},
			notes: []string{
				"f.yaml:8:31: ThreatInsight setting, action of 2 orgs: edited in the one place that they share",
				"f.yaml:6:43: network zone \"Offices\", gateways comes from a place that 2 orgs share, and not all of them change in the same way: edited at a.okta.com",
			},
		},
		{
			name: "an own object",
			in:   "orgs:\n- domain: a.okta.com\n  configuration:\n    groups: # two\n      # staff\n      - profile: {name: Staff, description: 'All'}\n      - profile:\n          name: Temps # not for long\n          description: |\n            Come and\n            go\n    networkZones:\n      - name: Offices\n        type: IP\n        gateways:\n          - {type: CIDR, value: 192.0.2.0/24} # one\n          - {type: CIDR, value: 198.51.100.0/24} # two\n",
			out:  "orgs:\n- domain: a.okta.com\n  configuration:\n    groups: # two\n      # staff\n      - profile: {name: Staff, description: 'Costs $5 $${x}'}\n      - profile:\n          name: Temps # not for long\n        absent: true\n    networkZones:\n      - name: Offices\n        type: IP\n        gateways:\n          # one\n          - {type: CIDR, value: 198.51.100.0/24} # two\n          - {type: CIDR, value: 203.0.113.0/24}\n        usage: POLICY\n",
			changes: []edit.Change{
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "groups", "", "Staff"), Fields: field("profile.description", "Costs $5 ${x}")}},
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "groups", "", "Temps"), Absent: true}},
				{Org: "a.okta.com", Object: &edit.Object{Ref: zone, Fields: append(field("gateways", []any{gateway("198.51.100.0/24"), gateway("203.0.113.0/24")}), field("usage", "POLICY")...)}},
			},
		},
		{
			name: "absent and present",
			in:   "orgs:\n- domain: a.okta.com\n  configuration:\n    networkZones:\n      - {name: Old, absent: true}\n      - name: Gone\n        absent: true # since May\n",
			out:  "orgs:\n- domain: a.okta.com\n  configuration:\n    networkZones:\n      - {name: Old}\n      - name: Gone\n        type: IP\n        # since May\n    groups:\n      - {profile: {name: New}, absent: true}\n",
			changes: []edit.Change{
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "networkZones", "", "Old"), Present: true}},
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "networkZones", "", "Gone"), Present: true, Fields: field("type", "IP")}},
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "groups", "", "New"), Absent: true}},
			},
		},
		{
			name: "rules of a shared policy",
			in:   "baselines:\n  std:\n    policies:\n    - type: OKTA_SIGN_ON\n      name: Std\n      rules:\n      - {name: Allow, actions: {signon: {access: ALLOW}}}\ndefaults: {baselines: [std]}\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n",
			out:  "baselines:\n  std:\n    policies:\n    - type: OKTA_SIGN_ON\n      name: Std\n      rules:\n      - {name: Allow, actions: {signon: {access: ALLOW}}}\ndefaults: {baselines: [std]}\norgs:\n- domain: a.okta.com\n- domain: b.okta.com\n  configuration:\n    policies:\n      - {type: OKTA_SIGN_ON, name: Std, rules: [{name: Allow, actions: {signon: {access: DENY}}}]}\n",
			changes: []edit.Change{
				{Org: "b.okta.com", Object: &edit.Object{Ref: ref(t, "policyRules", "OKTA_SIGN_ON", "Std/Allow"), Fields: field("actions.signon.access", "DENY")}},
			},
			notes: []string{"f.yaml:9:50: policy rule \"Std/Allow\" (OKTA_SIGN_ON), actions.signon.access comes from a place that 2 orgs share, and not all of them change in the same way: edited at b.okta.com"},
		},
		{
			name: "what can't be said",
			in:   "orgs:\n- domain: a.okta.com\n  vars: {x: y}\n  configuration:\n    groups:\n    - {profile: {name: Staff, description: 'Of ${x}'}}\n    - {profile: {name: Temps}}\n    groupRules:\n    - {name: R, conditions: {expression: {value: 'true', type: urn:okta:expression:1.0}}, actions: {assignUserToGroups: {groupIds: [Temps]}}}\n",
			changes: []edit.Change{
				{Org: "z.okta.com", Status: state.Active},
				{Org: "a.okta.com", Status: state.Active, Enable: []string{sso}},
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "groups", "", "Staff"), Fields: field("profile.description", "Of z")}},
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "groups", "", "Temps"), Absent: true}},
				{Org: "a.okta.com", Object: &edit.Object{Ref: ref(t, "groups", "", "Others"), Fields: field("profile.description", "x")}},
			},
			left: []string{
				"z.okta.com: status ACTIVE: the manifests don't declare this org",
				"f.yaml:4:3: a.okta.com: status ACTIVE: the manifests don't manage the status of this org",
				"f.yaml:4:3: a.okta.com: with sso: the manifests don't manage the products of this org",
				`f.yaml:8:44: a.okta.com: group "Staff", profile.description: the value has variables`,
				`f.yaml:4:3: a.okta.com: group "Temps" absent: the manifests would have a mistake: group "Temps" is declared absent at f.yaml:9:7: remove one of them (in a.okta.com)`,
				`f.yaml:4:3: a.okta.com: group "Others", profile.description: the manifests don't declare it`,
			},
		},
	}
	for _, tt := range tests {
		for _, eol := range []string{"\n", "\r\n"} {
			t.Run(tt.name, func(t *testing.T) {
				breaks := func(s string) string { return strings.ReplaceAll(s, "\n", eol) }
				r, err := edit.Apply([]state.Source{{Name: "f.yaml", Data: []byte(breaks(head + tt.in))}}, tt.changes, load)
				if err != nil {
					t.Fatal(err)
				}
				var left []string
				for _, l := range r.Left {
					left = append(left, l.String())
				}
				if diff := cmp.Diff(tt.left, left); diff != "" {
					t.Errorf("left (-wanted +got):\n%s", diff)
				}
				var notes []string
				for _, n := range r.Notes {
					notes = append(notes, n.String())
				}
				if diff := cmp.Diff(tt.notes, notes); diff != "" {
					t.Errorf("notes (-wanted +got):\n%s", diff)
				}
				switch {
				case tt.out == "":
					if len(r.Files) > 0 {
						t.Errorf("%s", r.Files[0].Data)
					}
				case len(r.Files) != 1:
					t.Errorf("%d files", len(r.Files))
				default:
					if diff := cmp.Diff(breaks(head+tt.out), string(r.Files[0].Data)); diff != "" {
						t.Errorf("(-wanted +got):\n%s", diff)
					}
				}
			})
		}
	}
}

// Of several files only those are changed that have to be.
func TestApplyFiles(t *testing.T) {
	files := []state.Source{
		{Name: "a.yaml", Data: []byte(head + "orgs:\n- domain: a.okta.com\n  products: [sso]\n")},
		{Name: "b/c.yaml", Data: []byte("version: 1\n---\nversion: 1\norgs:\n- domain: c.okta.com\n  products: [P000131]\n")},
	}
	r, err := edit.Apply(files, []edit.Change{{Org: "c.okta.com", Enable: []string{"P000052", "P999999"}}}, load)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Files) != 1 || r.Files[0].Name != "b/c.yaml" || !strings.HasSuffix(string(r.Files[0].Data), "products: [P000131, sso, P999999]\n") {
		t.Errorf("%s", r.Files)
	}
	i := slices.IndexFunc(r.After.Orgs, func(o state.DesiredOrg) bool { return o.Domain == "c.okta.com" })
	if diff := cmp.Diff([]string{"P000052", "P000131", "P999999"}, r.After.Orgs[i].Products); diff != "" {
		t.Error(diff)
	}
	if _, err := edit.Apply([]state.Source{{Name: "a.yaml", Data: []byte("version: 2\n")}}, nil, load); err == nil {
		t.Error("manifests with mistakes are edited")
	}
}
