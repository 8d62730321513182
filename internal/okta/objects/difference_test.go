package objects

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// only returns the only difference between what is declared and live.
func only(t *testing.T, declared []string, l *Live) *Difference {
	t.Helper()
	c, err := Compare(declare(t, declared...), l)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Differences) != 1 {
		t.Fatalf("%d differences:\n%s", len(c.Differences), lines(c))
	}
	return &c.Differences[0]
}

func find(l *Live, name string) *LiveObject {
	for _, o := range l.Objects {
		if o.Ref.Name == name {
			return o
		}
	}
	return nil
}

func TestCheck(t *testing.T) {
	blocked := strings.Replace(offices, "POLICY", "BLOCKLIST", 1)
	inactive := strings.Replace(offices, `"usage":"POLICY"`, `"usage":null`, 1)
	update := only(t, []string{`networkZones {"name":"Offices","usage":"BLOCKLIST"}`}, live(t, offices))
	remove := only(t, []string{`networkZones {"name":"Offices","absent":true}`}, live(t, offices))
	create := only(t, []string{`networkZones {"name":"Offices","type":"IP","usage":"BLOCKLIST","gateways":[{"type":"CIDR","value":"198.51.100.0/24"}]}`}, live(t))
	for name, test := range map[string]struct {
		d    *Difference
		live *LiveObject
		want string
	}{
		"update":                    {update, find(live(t, offices), "Offices"), ""},
		"update, done":              {update, find(live(t, blocked), "Offices"), "already"},
		"update, moved":             {update, find(live(t, inactive), "Offices"), `usage is not there, and was "POLICY" when the change was planned`},
		"update, gone":              {update, nil, `usage is not there, and was "POLICY" when the change was planned`},
		"update, another":           {update, find(live(t, staff, offices), "Offices"), `id is "id1", and was "id0" when the change was planned`},
		"delete":                    {remove, find(live(t, blocked), "Offices"), ""},
		"delete, done":              {remove, nil, "already"},
		"delete, another":           {remove, find(live(t, staff, offices), "Offices"), `id is "id1", and was "id0" when the change was planned`},
		"create":                    {create, nil, ""},
		"create, done":              {create, find(live(t, blocked), "Offices"), "already"},
		"create, something else is": {create, find(live(t, offices), "Offices"), `usage is "POLICY", and was not there when the change was planned`},
		"Okta's": {update, find(live(t, strings.Replace(offices, `"system":false`, `"system":true`, 1)), "Offices"),
			`system is true, and was false when the change was planned`},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.d.Check(test.live)
			var moved *MovedError
			switch {
			case test.want == "" && err == nil, test.want == "already" && errors.Is(err, ErrAlready):
			case errors.As(err, &moved) && err.Error() == test.want:
			default:
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestCheckOrder(t *testing.T) {
	a := `policies {"type":"PASSWORD","name":"A","system":false}`
	b := strings.Replace(a, `"A"`, `"B"`, 1)
	d := only(t, []string{b, a}, live(t, a, b))
	if err := d.CheckOrder([]string{"A", "B"}); err != nil {
		t.Error(err)
	}
	if err := d.CheckOrder([]string{"B", "A"}); !errors.Is(err, ErrAlready) {
		t.Error(err)
	}
	if err := d.CheckOrder([]string{"A", "C", "B"}); err == nil || err.Error() != `order is ["A","C","B"], and was ["A","B"] when the change was planned` {
		t.Error(err)
	}
}

func TestLoses(t *testing.T) {
	zone := strings.Replace(offices, `"proxies":null`, `"proxies":[{"type":"CIDR","value":"192.0.2.0/24"},{"type":"RANGE","value":"192.0.2.1-192.0.2.9"}]`, 1)
	origin := `trustedOrigins {"name":"O","origin":"https://o.example","scopes":[{"type":"CORS"},{"type":"IFRAME_EMBED","allowedOktaApps":["OKTA_ENDUSER"]}],"status":"ACTIVE"}`
	feature := `features {"name":"F","status":"ENABLED"}`
	for name, test := range map[string]struct {
		declared, live string
		want           bool
	}{
		"a word":                {`networkZones {"name":"Offices","usage":"BLOCKLIST"}`, zone, false},
		"deactivated":           {`networkZones {"name":"Offices","status":"INACTIVE"}`, zone, true},
		"deleted":               {`networkZones {"name":"Offices","absent":true}`, zone, true},
		"one more":              {`networkZones {"name":"Offices","gateways":[{"type":"CIDR","value":"198.51.100.0/24"},{"type":"CIDR","value":"192.0.2.0/24"}]}`, zone, false},
		"one less":              {`networkZones {"name":"Offices","proxies":[{"type":"CIDR","value":"192.0.2.0/24"}]}`, zone, true},
		"another one":           {`networkZones {"name":"Offices","gateways":[{"type":"CIDR","value":"198.51.100.0/25"}]}`, zone, true},
		"cleared":               {`networkZones {"name":"Offices","proxies":null}`, zone, true},
		"more in an element":    {`trustedOrigins {"origin":"https://o.example","scopes":[{"type":"CORS","allowedOktaApps":["OKTA_ENDUSER"]},{"type":"IFRAME_EMBED"}]}`, origin, false},
		"less in an element":    {`trustedOrigins {"origin":"https://o.example","scopes":[{"type":"CORS"},{"type":"IFRAME_EMBED","allowedOktaApps":[]}]}`, origin, true},
		"a feature switched of": {`features {"name":"F","status":"DISABLED"}`, feature, true},
		"created":               {`networkZones {"name":"New","type":"IP","status":"INACTIVE","gateways":[{"type":"CIDR","value":"198.51.100.0/24"}]}`, zone, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := only(t, []string{test.declared}, live(t, test.live)).Loses(); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestOverlayOddities(t *testing.T) {
	for name, test := range map[string]struct {
		declared, live, want string
	}{
		"Okta's policy keeps what it must": {
			`policies {"type":"PASSWORD","name":"Default Policy","system":true,"settings":{"password":{"age":{"maxAgeDays":90}}}}`,
			`policies {"type":"PASSWORD","name":"Default Policy","system":true,"priority":3,"created":"x","_links":{},"conditions":{"people":{"groups":{"include":["00g1"]},"users":{"exclude":["00u1"]}}},"settings":{"password":{"age":{"maxAgeDays":0,"historyCount":4}}}}`,
			`{"type":"PASSWORD","name":"Default Policy","system":true,"priority":3,"conditions":{"people":{"groups":{"include":["00g1"]},"users":{"exclude":["00u1"]}}},"settings":{"password":{"age":{"maxAgeDays":90,"historyCount":4}}}}`,
		},
		"the exempt zone": {
			`networkZones {"name":"DefaultExemptIpZone","system":true,"gateways":[{"type":"CIDR","value":"192.0.2.7"}]}`,
			`networkZones {"type":"IP","name":"DefaultExemptIpZone","system":true,"gateways":null,"proxies":null}`,
			`{"type":"IP","name":"DefaultExemptIpZone","gateways":[{"type":"RANGE","value":"192.0.2.7-192.0.2.7"}],"proxies":null,"useAsExemptList":true}`,
		},
		"an element keeps what isn't declared": {
			`policies {"type":"MFA_ENROLL","name":"M","settings":{"authenticators":[{"key":"webauthn","enroll":{"self":"REQUIRED"}}]}}`,
			`policies {"type":"MFA_ENROLL","name":"M","priority":1,"settings":{"type":"AUTHENTICATORS","authenticators":[{"key":"duo","enroll":{"self":"OPTIONAL"}},{"key":"webauthn","enroll":{"self":"OPTIONAL","new":1},"constraints":{"aaguidGroups":["K"]}}]}}`,
			`{"type":"MFA_ENROLL","name":"M","priority":1,"settings":{"type":"AUTHENTICATORS","authenticators":[{"key":"webauthn","enroll":{"self":"REQUIRED","new":1},"constraints":{"aaguidGroups":["K"]}}]}}`,
		},
		"a setting is sent without what isn't set": {
			`general {"city":"Bonn","address2":null}`,
			`general {"id":"00o1","subdomain":"acme","companyName":"Acme","phoneNumber":"","address1":null,"address2":"x","city":null}`,
			`{"companyName":"Acme","phoneNumber":"","address2":"","city":"Bonn"}`,
		},
		"a new rule has the type of its policy": {
			`policyRules {"policy":"P","policyType":"OKTA_SIGN_ON","name":"R","actions":{"signon":{"access":"ALLOW"}},"conditions":{"network":{"connection":"ZONE","include":["ALL_ZONES"]}}}`,
			`policies {"type":"OKTA_SIGN_ON","name":"P","priority":1}`,
			`{"type":"SIGN_ON","name":"R","actions":{"signon":{"access":"ALLOW"}},"conditions":{"network":{"connection":"ZONE","include":["ALL_ZONES"]}}}`,
		},
		"a new group rule has its type": {
			`groupRules {"name":"R","status":"INACTIVE","conditions":{"expression":{"value":"true"}},"actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`,
			staff,
			`{"type":"group_rule","name":"R","status":"INACTIVE","conditions":{"expression":{"value":"true","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["id0"]}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := liveOrg(t, test.live)
			d := only(t, []string{test.declared}, o.decode())
			var raw map[string]any
			if d.Op == Update {
				raw = o.raw[0].body
			}
			got, err := d.Overlay(raw, o.id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(body(t, test.want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
	d := only(t, []string{`threatInsight {"excludeZones":["Offices"]}`}, live(t, offices, insight))
	if _, err := d.Overlay(nil, (&org{}).id); err == nil {
		t.Error("a name without an id is no error")
	}
}

func TestReads(t *testing.T) {
	declared := declare(t,
		`groupRules {"name":"R","actions":{"assignUserToGroups":{"groupIds":["Staff"]}}}`,
		`policies {"type":"PASSWORD","name":"A/B","conditions":{"people":{"groups":{"include":["Everyone"]}}}}`,
		`policyRules {"policy":"A/B","policyType":"PASSWORD","name":"R","conditions":{"network":{"include":["ALL_ZONES"]}}}`,
		`policies {"type":"MFA_ENROLL","name":"M"}`,
	)
	got := ReadsOf(declared.Objects)
	want := Reads{
		Kinds:   []*Kind{networkZones, groups, policies, groupRules},
		Types:   map[*Kind][]string{policies: {"MFA_ENROLL", "PASSWORD"}},
		Parents: map[Ref]bool{{Kind: policies, Type: "PASSWORD", Name: "A/B"}: true},
		BuiltIn: true,
	}
	same := cmp.Comparer(func(a, b *Kind) bool { return a == b })
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
	c, err := Compare(declared, live(t, staff, everyone))
	if err != nil {
		t.Fatal(err)
	}
	c.Differences = c.Differences[:1] // of the policy MFA_ENROLL
	want = Reads{Kinds: []*Kind{policies}, Types: map[*Kind][]string{policies: {"MFA_ENROLL"}}, Parents: map[Ref]bool{}}
	if diff := cmp.Diff(want, ReadsFor(c.Differences), same); diff != "" {
		t.Error(diff)
	}
	if r := ReadsOf(declare(t, `groups {"profile":{"name":"Everyone"},"system":true}`).Objects); !r.BuiltIn {
		t.Error("a group that Okta made is declared, and not read")
	}
}

func TestParseRef(t *testing.T) {
	for _, test := range []struct {
		op                        Op
		kind, typ, parent, object string
		want                      Ref
		ok                        bool
	}{
		{Update, "settings", "", "", "threatInsight", Ref{Kind: threatInsight, Name: "threatInsight"}, true},
		{Update, "settings", "", "", "groups", Ref{Kind: groups, Name: "groups"}, false},
		{Update, "threatInsight", "", "", "threatInsight", Ref{}, false},
		{Update, "policyRules", signOn, "", "A/B", Ref{Kind: policyRules, Type: signOn, Parent: "A", Name: "B"}, true},
		{Update, "policyRules", signOn, "", "A/B/C", Ref{}, false},
		{Update, "policyRules", signOn, "A/B", "A/B/C/D", Ref{Kind: policyRules, Type: signOn, Parent: "A/B", Name: "C/D"}, true},
		{Update, "policyRules", signOn, "X", "A/B", Ref{}, false},
		{Reorder, "policies", signOn, "", signOn, Ref{Kind: policies, Type: signOn}, true},
		{Reorder, "policyRules", signOn, "A/B", "A/B", Ref{Kind: policyRules, Type: signOn, Parent: "A/B"}, true},
		{Update, "nothing", "", "", "x", Ref{}, false},
	} {
		got, ok := ParseRef(test.op, test.kind, test.typ, test.parent, test.object)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%s %s %s: got %v, %v", test.kind, test.parent, test.object, got, ok)
		}
	}
}

func TestPaths(t *testing.T) {
	for _, names := range [][]string{{"a"}, {"a", "b"}, {"a.b", "c"}, {`a\`, "b"}, {`\.`, ""}} {
		if got := SplitPath(joinPath(names)); !cmp.Equal(got, names) {
			t.Errorf("%q became %q", names, got)
		}
	}
}

func TestCompareDeclared(t *testing.T) {
	base := declare(t,
		`networkZones {"name":"A","type":"IP","usage":"POLICY","status":"ACTIVE"}`,
		`networkZones {"name":"Gone","absent":true}`,
		`networkZones {"name":"Only here","type":"IP"}`,
		`policies {"type":"PASSWORD","name":"P"}`, `policies {"type":"PASSWORD","name":"Q"}`,
	)
	head := declare(t,
		`networkZones {"name":"A","type":"IP","usage":"BLOCKLIST"}`,
		`networkZones {"name":"Gone","absent":true}`,
		`networkZones {"name":"Goes","absent":true}`,
		`networkZones {"name":"New"}`,
		`policies {"type":"PASSWORD","name":"Q"}`, `policies {"type":"PASSWORD","name":"P"}`,
		`policies {"type":"PASSWORD","name":"Default Policy","system":true,"description":"D"}`,
		`threatInsight {"action":"block"}`,
	)
	want := `update-object networkZones A
  usage: "POLICY" -> "BLOCKLIST"
create-object networkZones New
  name: not there -> "New"
update-object policies Default Policy
  description: not there -> "D"
reorder-objects policies PASSWORD
  order: ["P","Q"] -> ["Q","P"]
update-object settings threatInsight
  action: not there -> "block"
delete-object networkZones Goes
`
	if diff := cmp.Diff(want, lines(CompareDeclared(base, head))); diff != "" {
		t.Error(diff)
	}
}

func TestAfter(t *testing.T) {
	policy := `policies {"type":"OKTA_SIGN_ON","name":"A","status":"ACTIVE","system":false,"priority":1}`
	rule := `policyRules {"policy":"A","policyType":"OKTA_SIGN_ON","type":"SIGN_ON","name":"R","status":"ACTIVE"}`
	last := `policyRules {"policy":"A","policyType":"OKTA_SIGN_ON","type":"SIGN_ON","name":"Default Rule","status":"ACTIVE","system":true}`
	before := live(t, offices, policy, rule, last)
	declared := declare(t,
		`networkZones {"name":"New","type":"IP","gateways":[{"type":"CIDR","value":"198.51.100.0/24"}]}`,
		`policies {"type":"OKTA_SIGN_ON","name":"A"}`,
		`policyRules {"policy":"A","policyType":"OKTA_SIGN_ON","name":"N"}`, `policyRules {"policy":"A","policyType":"OKTA_SIGN_ON","name":"R"}`,
		`networkZones {"name":"Offices","absent":true}`,
	)
	c, err := Compare(declared, before)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range After(before, c.Differences).Objects {
		names = append(names, l.Ref.Object())
	}
	if got, want := strings.Join(names, ", "), "New, A, A/N, A/R, A/Default Rule"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if l := find(After(before, c.Differences), "New"); l.Body["status"] != "ACTIVE" {
		t.Errorf("the new zone is %v", l.Body)
	}
	if len(before.Objects) != 4 || find(before, "Offices") == nil {
		t.Error("live is changed")
	}
}
