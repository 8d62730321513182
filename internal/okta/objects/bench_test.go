package objects

import (
	"encoding/json"
	"fmt"
	"testing"
)

// fleetLines returns n objects of an org in the form of live.
func fleetLines(n int) []string {
	lines := []string{everyone, insight}
	for i := range n / 5 {
		lines = append(lines,
			fmt.Sprintf(`networkZones {"type":"IP","name":"Zone %d","status":"ACTIVE","usage":"POLICY","system":false,"created":"2026-01-01T00:00:00.000Z","lastUpdated":"2026-01-01T00:00:00.000Z","gateways":[{"type":"CIDR","value":"198.51.100.%d/32"},{"type":"RANGE","value":"192.0.2.1-192.0.2.9"}],"proxies":null,"_links":{"self":{"href":"https://acme.okta.com/api/v1/zones/1","hints":{"allow":["GET","PUT","DELETE"]}}}}`, i, i%256),
			fmt.Sprintf(`groups {"type":"OKTA_GROUP","objectClass":["okta:user_group"],"created":"2026-01-01T00:00:00.000Z","profile":{"name":"Group %d","description":"The group."},"_links":{"logo":[{"name":"medium","href":"https://acme.okta.com/logo","type":"image/png"}]}}`, i),
			fmt.Sprintf(`trustedOrigins {"name":"Origin %d","origin":"https://portal%d.acme.example","scopes":[{"type":"CORS"},{"type":"REDIRECT"}],"status":"ACTIVE","createdBy":"00u1","_links":{"self":{"href":"x"}}}`, i, i),
			fmt.Sprintf(`groupRules {"type":"group_rule","name":"Rule %d","status":"ACTIVE","conditions":{"people":{"users":{"exclude":[]},"groups":{"exclude":[]}},"expression":{"value":"user.site==\"%d\"","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["id3"]}}}`, i, i),
			fmt.Sprintf(`policies {"type":"OKTA_SIGN_ON","name":"Policy %d","status":"ACTIVE","system":false,"priority":%d,"conditions":{"people":{"groups":{"include":["id0"]}}},"_links":{"self":{"href":"x","hints":{"allow":["GET"]}}}}`, i, i+1),
		)
	}
	return lines
}

// answer is a list of an org.
type answer struct {
	kind *Kind
	typ  string
	data []byte
}

// answers returns the lists of an org as the API returns them.
func answers(t testing.TB, o *org) []answer {
	var all []answer
	for _, k := range Kinds() {
		a := answer{kind: k}
		var list []map[string]any
		for _, r := range o.raw {
			if r.kind == k {
				a.typ = r.typ
				list = append(list, r.body)
			}
		}
		if len(list) == 0 {
			continue
		}
		var err error
		if a.data, err = json.Marshal(list); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// parse returns the objects as the client has them.
func (a answer) parse(t testing.TB) []map[string]any {
	list, ok := ParseList(a.data, a.kind.Ignored)
	if !ok {
		t.Fatalf("no list: %s", a.data)
	}
	return list
}

// BenchmarkParse takes apart what 1,000 orgs with 200 objects each answer.
func BenchmarkParse(b *testing.B) {
	lists := answers(b, liveOrg(b, fleetLines(200)...))
	b.ReportAllocs()
	for b.Loop() {
		for range 1000 {
			for _, a := range lists {
				a.parse(b)
			}
		}
	}
}

// BenchmarkCompare normalizes and compares 1,000 orgs with 200 objects each.
func BenchmarkCompare(b *testing.B) {
	const orgs, part = 1000, 50
	o := liveOrg(b, fleetLines(200)...)
	declared := &Declared{}
	for _, l := range o.decode().Objects {
		if !l.System {
			declared.Objects = append(declared.Objects, &Object{Ref: l.Ref, Body: l.Body})
		}
	}
	lists := answers(b, o)
	b.ReportAllocs()
	for b.Loop() {
		for range orgs / part {
			b.StopTimer()
			fleet := make([][][]map[string]any, part)
			for i := range fleet {
				for _, a := range lists {
					fleet[i] = append(fleet[i], a.parse(b))
				}
			}
			b.StartTimer()
			for _, read := range fleet {
				live := &Live{}
				for i, a := range lists {
					for _, body := range read[i] {
						if l := a.kind.Decode(body, a.typ, "", "", o.name); l != nil {
							live.Objects = append(live.Objects, l)
						}
					}
				}
				c, err := Compare(declared, live)
				if err != nil || c.InSync != len(declared.Objects) {
					b.Fatal(err, lines(c))
				}
			}
		}
	}
}
