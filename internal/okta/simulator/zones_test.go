package simulator_test

import (
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator/simulatortest"
)

// wrongCall is a call that is refused.
type wrongCall struct {
	method, path, body string
	status             int
	code, says         string
}

// refuses makes calls that are refused, and checks that nothing was logged.
func (o *orgFixture) refuses(calls ...wrongCall) {
	o.t.Helper()
	before := len(o.events())
	for _, w := range calls {
		o.test.Run(w.method+" "+w.path+" "+w.body, func(t *testing.T) {
			wantError(t, o.call(w.method, w.path, w.body), w.status, w.code, w.says)
		})
	}
	if after := o.events(); len(after) != before {
		o.t.Errorf("events of calls that were refused: %v", after[before:])
	}
}

// events returns the types and targets of the events in the org's System Log.
func (o *orgFixture) events() []string {
	o.t.Helper()
	var all []string
	for _, e := range o.list("/api/v1/logs?since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z&limit=1000") {
		target := e["target"].([]any)[0].(map[string]any)
		all = append(all, fmt.Sprintf("%s %s", e["eventType"], target["displayName"]))
	}
	return all
}

// names returns a field of each object.
func names(objects []map[string]any, field string) []string {
	var all []string
	for _, object := range objects {
		all = append(all, fmt.Sprint(object[field]))
	}
	return all
}

func wantEqual(t testing.TB, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

func TestZones(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	wantEqual(t, names(o.list("/api/v1/zones"), "name"), "[LegacyIpZone BlockedIpZone DefaultEnhancedDynamicZone]")
	made := o.want(200, "POST", "/api/v1/zones",
		`{"type":"IP","name":"Office","status":"INACTIVE","gateways":[{"type":"CIDR","value":"192.0.2.4/24"},{"type":"RANGE","value":"198.51.100.7"}]}`)
	if made["status"] != "ACTIVE" || made["usage"] != "POLICY" || made["system"] != false || !strings.HasPrefix(made["id"].(string), "nzo") {
		t.Errorf("got %v", made)
	}
	wantEqual(t, made["gateways"], "[map[type:CIDR value:192.0.2.4/24] map[type:RANGE value:198.51.100.7-198.51.100.7]]")
	at := "/api/v1/zones/" + made["id"].(string)

	// A PUT replaces: what is left out is gone.
	o.want(200, "PUT", at, `{"type":"IP","name":"Offices","usage":"BLOCKLIST","proxies":[{"type":"RANGE","value":"203.0.113.1-203.0.113.9"}]}`)
	put := o.want(200, "GET", at, "")
	if put["gateways"] != nil || put["usage"] != "BLOCKLIST" || put["name"] != "Offices" {
		t.Errorf("got %v", put)
	}

	o.want(200, "POST", "/api/v1/zones", `{"type":"DYNAMIC","name":"Far","locations":[{"country":"AF","region":"AF-BGL"}],"proxyType":"Tor"}`)
	o.want(200, "POST", "/api/v1/zones", `{"type":"DYNAMIC_V2","name":"VPNs","ipServiceCategories":{"include":["A_VPN_OF_TOMORROW"]}}`)
	o.refuses(
		wrongCall{"POST", "/api/v1/zones", `{"type":"IP","name":"OFFICES","gateways":[{"type":"CIDR","value":"192.0.2.4/24"}]}`, 400, "E0000001", "name: An object"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"IP","name":"x"}`, 400, "E0000001", "at least one"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"IP","name":"x","gateways":[{"type":"CIDR","value":"192.0.2.4/33"}]}`, 400, "E0000001", "not a valid CIDR"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"IP","name":"x","gateways":[{"type":"RANGE","value":"192.0.2.9-192.0.2.1"}]}`, 400, "E0000001", "not a valid RANGE"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"IP","name":"x","asns":["1"]}`, 400, "E0000001", "asns: The field is unknown"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"IPS","name":"x"}`, 400, "E0000001", "type: The field must be one of IP"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"IP","name":7,"gateways":{}}`, 400, "E0000001", "name: The field must be a string"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"IP","name":"` + strings.Repeat("x", 129) + `"}`, 400, "E0000001", "1 to 128"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"IP","name":"x","gateways":[` + strings.Repeat(`{"type":"CIDR","value":"192.0.2.4/24"},`, 150) + `{"type":"CIDR","value":"192.0.2.4/24"}]}`, 400, "E0000001", "at most 150"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"DYNAMIC","name":"x","locations":[{"country":"Germany"}]}`, 400, "E0000001", "locations[0].country"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"DYNAMIC_V2","name":"x","asns":["1"]}`, 400, "E0000001", "asns: The field must be an object"},
		wrongCall{"POST", "/api/v1/zones", `{"type":"DYNAMIC","name":"x","asns":[],"proxyType":"null"}`, 400, "E0000001", "at least one"},
		wrongCall{"POST", "/api/v1/zones", `[]`, 400, "E0000003", "well-formed"},
		wrongCall{"PUT", at, `{"type":"DYNAMIC","name":"Offices","asns":["7"]}`, 400, "E0000001", "can't be changed"},
		wrongCall{"PUT", at, `{"type":"IP","name":"Offices","id":"nzo0"}`, 400, "E0000001", "id: "},
		wrongCall{"DELETE", at, "", 400, "E0000001", "must be deactivated"},
		wrongCall{"PATCH", at, "{}", 405, "E0000022", "method"},
		wrongCall{"GET", "/api/v1/zones/nzo0", "", 404, "E0000007", "nzo0 (NetworkZone)"},
		wrongCall{"GET", "/api/v1/zones?limit=0", "", 400, "E0000001", "limit"},
		wrongCall{"GET", "/api/v1/zones?limit=201", "", 400, "E0000001", "limit"},
		wrongCall{"GET", "/api/v1/zones?after=nzo0", "", 400, "E0000029", "Invalid cursor"},
		wrongCall{"GET", "/api/v1/zones?q=Off", "", 400, "E0000001", "q: The parameter is unknown"},
		wrongCall{"GET", "/api/v1/zones?filter=name+eq+%22x%22", "", 400, "E0000031", "name"},
	)
	wantEqual(t, names(o.list("/api/v1/zones?filter=system+eq+false+and+usage+eq+%22BLOCKLIST%22"), "name"), "[Offices]")

	// A zone that is in use stays, also when it is inactive.
	everyone := o.list("/api/v1/groups?q=Every")[0]["id"]
	policy := o.want(200, "POST", "/api/v1/policies", fmt.Sprintf(`{"type":"OKTA_SIGN_ON","name":"P","conditions":{"people":{"groups":{"include":[%q]}}}}`, everyone))
	rules := fmt.Sprintf("/api/v1/policies/%s/rules", policy["id"])
	rule := o.want(200, "POST", rules, fmt.Sprintf(
		`{"type":"SIGN_ON","name":"R","conditions":{"network":{"connection":"ZONE","include":[%q]}},"actions":{"signon":{"access":"DENY"}}}`, made["id"]))
	if o.want(200, "POST", at+"/lifecycle/deactivate", "")["status"] != "INACTIVE" {
		t.Error("the zone is still active")
	}
	o.refuses(wrongCall{"DELETE", at, "", 400, "E0000001", "in use by P/R"})
	o.want(204, "DELETE", fmt.Sprintf("%s/%s", rules, rule["id"]), "")
	o.want(200, "POST", "/api/v1/threats/configuration", fmt.Sprintf(`{"action":"audit","excludeZones":[%q]}`, made["id"]))
	o.refuses(wrongCall{"DELETE", at, "", 400, "E0000001", "in use by ThreatInsight"})
	o.want(200, "POST", "/api/v1/threats/configuration", `{"action":"audit","excludeZones":[]}`)
	o.want(204, "DELETE", at, "")
	o.refuses(wrongCall{"GET", at, "", 404, "E0000007", "NetworkZone"})
	wantEqual(t, o.events(), "[zone.create Office zone.update Offices zone.create Far zone.create VPNs policy.lifecycle.create P policy.rule.add R "+
		"zone.deactivate Offices policy.rule.delete R security.threat.configuration.update threatInsight security.threat.configuration.update threatInsight zone.delete Offices]")
}

func TestSystemZones(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	zone := o.list("/api/v1/zones?filter=usage+eq+%22BLOCKLIST%22")[0]
	at := "/api/v1/zones/" + zone["id"].(string)
	o.want(200, "PUT", at, `{"type":"IP","name":"BlockedIpZone","usage":"BLOCKLIST","gateways":[{"type":"CIDR","value":"203.0.113.0/24"}]}`)
	o.refuses(
		wrongCall{"PUT", at, `{"type":"IP","name":"Blocked","gateways":null}`, 400, "E0000001", "name"},
		wrongCall{"PUT", at, `{"type":"IP","name":"BlockedIpZone","usage":"POLICY"}`, 400, "E0000001", "usage"},
		wrongCall{"DELETE", at, "", 403, "E0000006", "system zone"},
	)
	o.want(200, "POST", at+"/lifecycle/deactivate", "")
}

// Pages of a list are joined by links whose cursors belong to their query.
func TestOrgPages(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	for i := range 7 {
		o.want(200, "POST", "/api/v1/zones", fmt.Sprintf(`{"type":"DYNAMIC","name":"Zone %d","asns":["%d"]}`, i, i+1))
	}
	var all []string
	next := "/api/v1/zones?limit=4"
	for pages := 0; next != ""; pages++ {
		r := o.call("GET", next, "")
		wantStatus(t, r, 200)
		var page []map[string]any
		r.decode(t, &page)
		all = append(all, names(page, "name")...)
		if next = linkOf(r, "next"); next != "" && len(page) != 4 || pages > 3 {
			t.Fatalf("page %d: %d objects, next %q", pages, len(page), next)
		}
		// An object that is deleted between two pages moves no other.
		if pages == 0 {
			o.want(200, "POST", "/api/v1/zones/"+page[3]["id"].(string)+"/lifecycle/deactivate", "")
			o.want(204, "DELETE", "/api/v1/zones/"+page[3]["id"].(string), "")
			wantError(t, o.call("GET", next+"&filter=usage+eq+%22POLICY%22", ""), 400, "E0000029", "cursor")
		}
	}
	wantEqual(t, all, "[LegacyIpZone BlockedIpZone DefaultEnhancedDynamicZone Zone 0 Zone 1 Zone 2 Zone 3 Zone 4 Zone 5 Zone 6]")
}

// linkOf returns the URL of a relation, or "".
func linkOf(r result, rel string) string {
	for _, l := range r.header.Values("Link") {
		if target, ok := strings.CutSuffix(l, `>; rel="`+rel+`"`); ok {
			return strings.TrimPrefix(target, "<")
		}
	}
	return ""
}
