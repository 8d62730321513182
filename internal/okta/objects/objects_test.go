package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// body decodes JSON.
func body(t testing.TB, s string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return m
}

// declare returns the objects that lines declare: KIND {JSON}, where the JSON may have
// "absent" and "system", and for a rule "policy" and "policyType".
func declare(t testing.TB, lines ...string) *Declared {
	t.Helper()
	d := &Declared{}
	for _, line := range lines {
		kind, text, _ := cut(line)
		k, b := ByName(kind), body(t, text)
		o := &Object{Ref: Ref{Kind: k}}
		o.Absent, o.System = take(b, "absent") == true, take(b, "system") == true
		o.Ref.Parent, _ = take(b, "policy").(string)
		o.Ref.Type, _ = take(b, "policyType").(string)
		if k.Typed {
			o.Ref.Type, _ = b["type"].(string)
		}
		o.Body = k.Normalize(b, nil)
		o.Ref.Name = k.KeyOf(o.Body)
		d.Objects = append(d.Objects, o)
	}
	return d
}

// cut splits KIND {JSON}.
func cut(line string) (kind, text string, ok bool) { return strings.Cut(line, " ") }

func take(m map[string]any, name string) any {
	v := m[name]
	delete(m, name)
	return v
}

// org is an org for tests: what its API returns, by kind; rules by the policy's name.
type org struct {
	ids map[string]map[string]string
	raw []rawObject
}

type rawObject struct {
	kind        *Kind
	typ, parent string
	body        map[string]any
}

// live returns an org that has what lines say, in the form of declare but as the API
// returns it: references are names here, and become ids.
func live(t testing.TB, lines ...string) *Live {
	t.Helper()
	return liveOrg(t, lines...).decode()
}

func liveOrg(t testing.TB, lines ...string) *org {
	t.Helper()
	o := &org{ids: map[string]map[string]string{}}
	for i, line := range lines {
		kind, text, _ := cut(line)
		k, b := ByName(kind), body(t, text)
		r := rawObject{kind: k, body: b}
		r.parent, _ = take(b, "policy").(string)
		r.typ, _ = take(b, "policyType").(string)
		if k.Typed {
			r.typ, _ = b["type"].(string)
		}
		if !k.Setting {
			b["id"] = fmt.Sprintf("id%d", i)
			o.know(k, k.KeyOf(b), b["id"].(string))
		}
		o.raw = append(o.raw, r)
	}
	return o
}

func (o *org) know(k *Kind, name, id string) {
	if o.ids[k.Name] == nil {
		o.ids[k.Name] = map[string]string{}
	}
	o.ids[k.Name][id] = name
}

func (o *org) name(kind, id string) string {
	if name, ok := o.ids[kind][id]; ok {
		return name
	}
	return id
}

func (o *org) id(kind, name string) (string, error) {
	for id, n := range o.ids[kind] {
		if n == name {
			return id, nil
		}
	}
	return "", fmt.Errorf("no %s %q", kind, name)
}

func (o *org) decode() *Live {
	l := &Live{OrgID: "00o1", Engine: "idx"}
	for _, r := range o.raw {
		parentID := ""
		if r.parent != "" {
			for _, p := range o.raw {
				if p.kind == r.kind.Parent && p.typ == r.typ && p.kind.KeyOf(p.body) == r.parent {
					parentID = p.body["id"].(string)
				}
			}
		}
		if d := r.kind.Decode(cloneMapping(r.body), r.typ, r.parent, parentID, o.name); d != nil {
			l.Objects = append(l.Objects, d)
		}
	}
	return l
}

// lines returns differences as text, one a line, with their fields.
func lines(c *Comparison) string {
	var b strings.Builder
	for _, d := range c.Differences {
		fmt.Fprintf(&b, "%s %s %s\n", d.Op, d.Ref.PlanKind(), d.Ref.Object())
		for _, f := range d.Fields {
			fmt.Fprintf(&b, "  %s: %s -> %s\n", f.Path, show(f.Before), show(f.After))
		}
	}
	for _, u := range c.Unfixable {
		fmt.Fprintf(&b, "unfixable %s %s %s: %s\n", u.Ref.PlanKind(), u.Ref.Object(), u.Path, u.Reason)
	}
	return b.String()
}

const (
	legacyZone = `networkZones {"type":"IP","name":"LegacyIpZone","status":"ACTIVE","usage":"POLICY","system":true,"gateways":null,"proxies":null}`
	offices    = `networkZones {"type":"IP","name":"Offices","status":"ACTIVE","usage":"POLICY","system":false,"gateways":[{"type":"CIDR","value":"198.51.100.0/24"}],"proxies":null}`
	everyone   = `groups {"type":"BUILT_IN","profile":{"name":"Everyone","description":"All users in your organization"}}`
	staff      = `groups {"type":"OKTA_GROUP","profile":{"name":"Staff","description":null,"site":"B"}}`
	defaultSO  = `policies {"type":"OKTA_SIGN_ON","name":"Default Policy","status":"ACTIVE","system":true,"priority":3,"description":"The default.","conditions":{"people":{"groups":{"include":["id2"]}}}}`
	insight    = `threatInsight {"action":"audit","excludeZones":[]}`
)

func TestCompare(t *testing.T) {
	base := []string{legacyZone, offices, everyone, staff}
	policyA := `policies {"type":"OKTA_SIGN_ON","name":"A","status":"ACTIVE","system":false,"priority":1,"conditions":{"people":{"groups":{"include":["id3"]}}}}`
	policyB := `policies {"type":"OKTA_SIGN_ON","name":"B","status":"ACTIVE","system":false,"priority":2}`
	ruleOf := func(name, more string) string {
		return `policyRules {"policy":"A","policyType":"OKTA_SIGN_ON","type":"SIGN_ON","name":"` + name + `","status":"ACTIVE"` + more + `}`
	}
	const ruleA = `policyRules {"policy":"A","policyType":"OKTA_SIGN_ON","name":"R1"`
	for name, test := range map[string]struct {
		declared, live []string
		want           string
	}{
		"in sync": {
			[]string{`networkZones {"name":"Offices","gateways":[{"type":"CIDR","value":"198.51.100.0/24"}],"proxies":[]}`, `groups {"profile":{"name":"Staff","description":""}}`},
			nil, "",
		},
		"a field": {
			[]string{`networkZones {"name":"Offices","usage":"BLOCKLIST"}`},
			nil, "update-object networkZones Offices\n  usage: \"POLICY\" -> \"BLOCKLIST\"\n",
		},
		"a single address is a range": {
			[]string{`networkZones {"name":"One","gateways":[{"type":"CIDR","value":"192.0.2.1"}]}`},
			[]string{`networkZones {"type":"IP","name":"One","gateways":[{"type":"RANGE","value":"192.0.2.1-192.0.2.1"}]}`},
			"",
		},
		"new": {
			[]string{`groups {"profile":{"name":"New","site":"A"}}`},
			nil, "create-object groups New\n  profile.name: not there -> \"New\"\n  profile.site: not there -> \"A\"\n",
		},
		"new, without what it needs": {
			[]string{`networkZones {"name":"New"}`},
			nil, "unfixable networkZones New : it isn't in the org, and can't be created without type\n",
		},
		"another type": {
			[]string{`networkZones {"name":"Offices","type":"DYNAMIC","usage":"BLOCKLIST"}`},
			nil, "unfixable networkZones Offices type: it can only be set when the object is created\n",
		},
		"null clears": {
			[]string{`networkZones {"name":"Offices","gateways":null}`},
			nil, "update-object networkZones Offices\n  gateways: [{\"type\":\"CIDR\",\"value\":\"198.51.100.0/24\"}] -> []\n",
		},
		"absent": {
			[]string{`networkZones {"name":"Offices","absent":true}`, `networkZones {"name":"Never","absent":true}`},
			nil, "delete-object networkZones Offices\n",
		},
		"absent, but Okta made it": {
			[]string{`networkZones {"name":"LegacyIpZone","absent":true,"system":true}`},
			nil, "unfixable networkZones LegacyIpZone : Okta made it, and doesn't let it be deleted\n",
		},
		"a new group is named": {
			[]string{
				`groupRules {"name":"R","conditions":{"expression":{"value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["New","Staff"]}}}`,
				`groups {"profile":{"name":"New"}}`,
			},
			nil, `create-object groups New
  profile.name: not there -> "New"
create-object groupRules R
  actions.assignUserToGroups.groupIds: not there -> ["New","Staff"]
  conditions.expression.value: not there -> "true"
  name: not there -> "R"
  status: not there -> "ACTIVE"
`,
		},
		"an invalid group rule is replaced": {
			[]string{`groupRules {"name":"R","conditions":{"expression":{"value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}},"status":"INACTIVE"}`},
			[]string{`groupRules {"name":"R","type":"group_rule","status":"INVALID","conditions":{"expression":{"value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["00ggone"]}}}`},
			`delete-object groupRules R
create-object groupRules R
  actions.assignUserToGroups.groupIds: not there -> ["Staff"]
  conditions.expression.value: not there -> "true"
  name: not there -> "R"
  status: not there -> "INACTIVE"
`,
		},
		"an invalid group rule that leaves users out": {
			[]string{`groupRules {"name":"R","conditions":{"expression":{"value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`},
			[]string{`groupRules {"name":"R","status":"INVALID","conditions":{"people":{"users":{"exclude":["00u1"]}},"expression":{"value":"true"}}}`},
			"unfixable groupRules R status: it must be made anew, and would lose what can't be declared, such as excluded users\n",
		},
		"a setting": {
			[]string{`threatInsight {"action":"block","excludeZones":["Offices"]}`},
			[]string{insight}, "update-object settings threatInsight\n  action: \"audit\" -> \"block\"\n  excludeZones: [] -> [\"Offices\"]\n",
		},
		"elements that can't be told apart": {
			[]string{`policies {"type":"MFA_ENROLL","name":"M","settings":{"authenticators":[{"key":"custom_app","enroll":{"self":"REQUIRED"}}]}}`},
			[]string{`policies {"type":"MFA_ENROLL","name":"M","settings":{"authenticators":[{"key":"custom_app","id":"aut1"},{"key":"custom_app","id":"aut2"}]}}`},
			"unfixable policies M settings.authenticators: it has several of one key, which can't be told apart\n",
		},
		"a feature that the org doesn't have": {
			[]string{`features {"name":"F","status":"ENABLED"}`},
			nil, "unfixable features F : this feature isn't offered in this org\n",
		},
		"deletions last, children first": {
			[]string{
				`networkZones {"name":"Offices","absent":true}`,
				`policies {"type":"OKTA_SIGN_ON","name":"A"}`, ruleA + `,"absent":true}`,
				`policies {"type":"OKTA_SIGN_ON","name":"B","absent":true}`, `policyRules {"policy":"B","policyType":"OKTA_SIGN_ON","name":"X","absent":true}`,
				`threatInsight {"action":"none"}`,
			},
			[]string{policyA, ruleOf("R1", ""), policyB, insight},
			"update-object settings threatInsight\n  action: \"audit\" -> \"none\"\n" +
				"delete-object policies B\ndelete-object policyRules A/R1\ndelete-object networkZones Offices\n",
		},
		"order": {
			[]string{
				`policies {"type":"OKTA_SIGN_ON","name":"B"}`, `policies {"type":"OKTA_SIGN_ON","name":"New"}`, `policies {"type":"OKTA_SIGN_ON","name":"A"}`,
				`policyRules {"policy":"A","policyType":"OKTA_SIGN_ON","name":"R2"}`, ruleA + "}",
			},
			[]string{policyA, ruleOf("R1", ""), ruleOf("R2", ""), policyB},
			`create-object policies New
  name: not there -> "New"
  type: not there -> "OKTA_SIGN_ON"
reorder-objects policyRules A
  order: ["R1","R2"] -> ["R2","R1"]
reorder-objects policies OKTA_SIGN_ON
  order: ["A","B","New"] -> ["B","New","A"]
`,
		},
		"new rules of a new policy": {
			[]string{
				`policies {"type":"OKTA_SIGN_ON","name":"N"}`,
				`policyRules {"policy":"N","policyType":"OKTA_SIGN_ON","name":"R1","actions":{"signon":{"access":"ALLOW"}},"conditions":{"network":{"connection":"ZONE","include":["Offices"]}}}`,
			},
			nil, `create-object policies N
  name: not there -> "N"
  type: not there -> "OKTA_SIGN_ON"
create-object policyRules N/R1
  actions.signon.access: not there -> "ALLOW"
  conditions.network.connection: not there -> "ZONE"
  conditions.network.include: not there -> ["Offices"]
  name: not there -> "R1"
`,
		},
		"conditions of Okta's rule": {
			[]string{
				`policies {"type":"OKTA_SIGN_ON","name":"A"}`,
				ruleA + `,"system":true,"conditions":{"network":{"connection":"ZONE"}},"actions":{"signon":{"access":"DENY"}}}`,
			},
			[]string{policyA, ruleOf("R1", `,"system":true,"conditions":{"network":{"connection":"ANYWHERE"}}`)},
			"unfixable policyRules A/R1 conditions: it can't be changed on an object that Okta made\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Compare(declare(t, test.declared...), live(t, append(slices.Clone(base), test.live...)...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, lines(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompareAmbiguous(t *testing.T) {
	for name, test := range map[string]struct {
		declared, live []string
		want           string
	}{
		"two with one name": {
			[]string{`groups {"profile":{"name":"Staff"}}`}, []string{staff, staff},
			`there are two with this name in the org: group "Staff"`,
		},
		"two with a name that is named": {
			[]string{`policies {"type":"PASSWORD","name":"P","conditions":{"people":{"groups":{"include":["Staff"]}}}}`}, []string{staff, staff},
			`the policy "P" (PASSWORD) names the group "Staff", of which the org has two`,
		},
		"Okta's": {
			[]string{`networkZones {"name":"LegacyIpZone","usage":"POLICY"}`}, []string{legacyZone},
			`Okta made the network zone "LegacyIpZone", but it is declared without system: true`,
		},
		"not Okta's": {
			[]string{`networkZones {"name":"Offices","system":true}`}, []string{offices},
			`the network zone "Offices" is declared with system: true, but Okta didn't make it`,
		},
		"a name that leads to none": {
			[]string{`threatInsight {"excludeZones":["Z","Nowhere"]}`}, []string{insight},
			`the ThreatInsight setting names the network zone "Nowhere", which is neither in the org nor declared`,
		},
		"a name that goes": {
			[]string{`networkZones {"name":"Offices","absent":true}`, `threatInsight {"excludeZones":["Offices"]}`}, []string{offices, insight},
			`the ThreatInsight setting names the network zone "Offices", which is declared absent`,
		},
		"a name that can't be created": {
			[]string{`networkZones {"name":"New"}`, `threatInsight {"excludeZones":["New"]}`}, []string{insight},
			`the ThreatInsight setting names the network zone "New", which isn't in the org and can't be created`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compare(declare(t, test.declared...), live(t, test.live...))
			var ambiguous *AmbiguousError
			if !errors.As(err, &ambiguous) || ambiguous.Object == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestCompareEngine(t *testing.T) {
	k := *networkZones
	k.API.Engine = "idx"
	d := &Declared{Objects: []*Object{{Ref: Ref{Kind: &k, Name: "N"}, Body: map[string]any{"name": "N", "type": "DYNAMIC", "proxyType": "Tor"}}}}
	for engine, want := range map[string]string{
		"idx": "create-object networkZones N\n  name: not there -> \"N\"\n  proxyType: not there -> \"Tor\"\n  type: not there -> \"DYNAMIC\"\n",
		"v1":  "unfixable networkZones N : the org has an engine that doesn't know it\n",
	} {
		c, err := Compare(d, &Live{Engine: engine})
		if err != nil || lines(c) != want {
			t.Errorf("%s: got %v, %s", engine, err, lines(c))
		}
	}
}

// A field of another engine is nothing that can be written, unless the org has it so.
func TestCompareEngineOfFields(t *testing.T) {
	const policy = `policies {"type":"PASSWORD","name":"P"`
	d := declare(t, `policies {"type":"OKTA_SIGN_ON","name":"P"}`,
		`policyRules {"policy":"P","policyType":"OKTA_SIGN_ON","name":"New","conditions":{"identityProvider":{"provider":"OKTA"}},"actions":{"signon":{"access":"ALLOW"}}}`,
		policy+`,"settings":{"password":{"complexity":{"minLength":9,"maxConsecutiveCharacters":3}}}}`,
		`policies {"type":"MFA_ENROLL","name":"P","settings":{"factors":{"okta_otp":{"enroll":{"self":"OPTIONAL"}}}}}`)
	all := []string{`policies {"type":"OKTA_SIGN_ON","name":"P"}`, policy + `,"settings":{"password":{"complexity":{"minLength":9}}}}`, `policies {"type":"MFA_ENROLL","name":"P"}`}
	for engine, want := range map[string]string{
		"idx": `create-object policyRules P/New
  actions.signon.access: not there -> "ALLOW"
  conditions.identityProvider.provider: not there -> "OKTA"
  name: not there -> "New"
update-object policies P
  settings.password.complexity.maxConsecutiveCharacters: not there -> 3
unfixable policies P settings.factors: it needs the Classic Engine, and the org has the Identity Engine
`,
		"v1": `update-object policies P
  settings.factors.okta_otp.enroll.self: not there -> "OPTIONAL"
unfixable policyRules P/New : it isn't in the org, and can't be created with conditions.identityProvider: it needs the Identity Engine, and the org has the Classic Engine
unfixable policies P settings.password.complexity.maxConsecutiveCharacters: it needs the Identity Engine, and the org has the Classic Engine
`,
	} {
		l := live(t, all...)
		l.Engine = engine
		c, err := Compare(d, l)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, lines(c)); diff != "" {
			t.Errorf("%s: %s", engine, diff)
		}
	}
}

func TestCompareCounts(t *testing.T) {
	c, err := Compare(declare(t, offices, `groups {"profile":{"name":"Staff","description":"new"}}`),
		live(t, legacyZone, offices, everyone, staff, insight))
	if err != nil {
		t.Fatal(err)
	}
	if c.Declared != 2 || c.InSync != 1 || c.Unmanaged != 3 {
		t.Errorf("%d declared, %d in sync, %d unmanaged", c.Declared, c.InSync, c.Unmanaged)
	}
	want := map[string]Count{"networkZones": {1, 1, 1}, "groups": {1, 0, 1}, "settings": {0, 0, 1}}
	if !maps.Equal(c.Kinds, want) {
		t.Errorf("by kind: %v, want %v", c.Kinds, want)
	}
}

// A comparison doesn't keep the live objects: there may be hundreds of thousands.
func TestComparisonForgets(t *testing.T) {
	live := &Live{Objects: []*LiveObject{{Ref: Ref{Kind: groups, Name: "Staff"}, Body: map[string]any{"profile": map[string]any{"name": "Staff"}}}}}
	gone := make(chan bool, 1)
	runtime.AddCleanup(live.Objects[0], func(gone chan bool) { gone <- true }, gone)
	c, err := Compare(&Declared{}, live)
	if err != nil {
		t.Fatal(err)
	}
	live = nil
	for range 10 {
		runtime.GC()
		select {
		case <-gone:
			runtime.KeepAlive(c)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("the live object is still there")
	runtime.KeepAlive(c)
}

// A new zone needs something that it holds.
func TestNewZoneIsComplete(t *testing.T) {
	for fields, want := range map[string]string{
		`"type": "IP"`:                                     "it isn't in the org, and can't be created without gateways or proxies",
		`"type": "IP", "gateways": []`:                     "it isn't in the org, and can't be created without gateways or proxies",
		`"type": "DYNAMIC"`:                                "it isn't in the org, and can't be created without asns or locations or proxyType",
		`"type": "DYNAMIC", "proxyType": "Tor"`:            "",
		`"type": "DYNAMIC_V2", "asns": {"include": ["1"]}`: "",
		`"type": "IP", "proxies": [{"type": "CIDR", "value": "192.0.2.0/24"}]`: "",
	} {
		c, err := Compare(declare(t, `networkZones {"name": "New", `+fields+`}`), live(t))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(c.Unfixable) > 0 {
			got = c.Unfixable[0].Reason
		}
		if got != want {
			t.Errorf("%s: %q, want %q", fields, got, want)
		}
	}
}
