package simulator_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

func TestOrgWellKnown(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	r := o.send("GET", "/org/"+strings.ToUpper(o.domain)+"/.well-known/okta-organization", "")
	wantStatus(t, r, 200)
	var v map[string]any
	r.decode(t, &v)
	wantEqual(t, v["id"], o.orgID(o.domain))
	wantEqual(t, v["pipeline"], "idx")
	wantEqual(t, v["_links"], "map[organization:map[href:https://"+o.domain+"]]")
	wantEqual(t, o.send("POST", "/org/"+o.domain+"/.well-known/okta-organization", "{}").status, 405)
	r = o.send("GET", "/org/nobody.okta.com/.well-known/okta-organization", "")
	wantEqual(t, r.status, 404)
	if strings.Contains(r.body, "errorCode") {
		t.Errorf("got %s", r.body)
	}
	o.Fault(t, "GET /org/"+o.domain+"/.well-known/* wrong-org")
	if got := o.want(200, "GET", "/.well-known/okta-organization", ""); got["id"] == o.orgID(o.domain) || got["pipeline"] != "idx" {
		t.Errorf("got %v", got)
	}
}

// A token is good for the org that issued it.
func TestOrgTokens(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	other := "acme-aerial.okta.com"
	wantError(t, o.send("GET", "/org/"+other+"/api/v1/zones", "", "Authorization", "Bearer "+o.bearer), 401, "E0000011", "Invalid token")
	wantError(t, o.send("GET", "/org/"+o.domain+"/api/v1/zones", "", "Authorization", "SSWS "+o.ParentToken), 401, "E0000011", "Invalid token")
	wantError(t, o.send("GET", "/org/"+o.domain+"/api/v1/zones", ""), 401, "E0000011", "Invalid token")
	wantStatus(t, o.send("GET", "/org/"+simulator.DefaultParent+"/api/v1/zones", "", "Authorization", "SSWS "+o.ParentToken), 200)
	wantError(t, o.aerial(o.bearer, "GET", "/api/v1/orgs", ""), 403, "E0000006", "")

	// The audience is the org's own endpoint.
	form := o.orgForm("okta.groups.read").Encode()
	kind := []string{"Content-Type", "application/x-www-form-urlencoded"}
	wantStatus(t, o.send("POST", "/org/"+other+"/oauth2/v1/token", form, kind...), 401)
	wantStatus(t, o.send("POST", "/oauth2/v1/token", form, kind...), 401)
	wantStatus(t, o.send("POST", "/org/"+o.domain+"/oauth2/v1/token", form, kind...), 200)
	wantStatus(t, o.send("POST", "/org/"+o.domain+"/oauth2/v1/token", form, kind...), 401) // a replay
	// A client of the Aerial org is none here.
	wantStatus(t, o.send("POST", "/org/"+o.domain+"/oauth2/v1/token", o.form(scopeRead).Encode(), kind...), 401)

	// A token with one scope; that which writes doesn't read.
	o.bearer = o.orgToken("okta.groups.manage")
	wantError(t, o.call("GET", "/api/v1/groups", ""), 403, "E0000006", "does not contain the required scopes")
	o.bearer = o.orgToken("okta.groups.read")
	wantEqual(t, len(o.list("/api/v1/groups")), 2)
	wantError(t, o.call("POST", "/api/v1/groups", `{"profile":{"name":"x"}}`), 403, "E0000006", "does not contain the required scopes")
}

func TestInactiveOrg(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	if err := o.SetOrgStatus(o.domain, "INACTIVE", "eve@acme.example"); err != nil {
		t.Fatal(err)
	}
	wantError(t, o.call("GET", "/api/v1/zones", ""), 403, "E0000006", "not active")
	wantError(t, o.send("POST", "/org/"+o.domain+"/oauth2/v1/token", "x=y"), 403, "E0000006", "not active")
	o.want(200, "GET", "/.well-known/okta-organization", "")
}

// Buckets are each org's own, and filled again with the minute.
func TestOrgLimits(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	o.SetBucket("/api/v1/groups", 2)
	o.SetBucket("", 5)
	r := o.call("GET", "/api/v1/groups", "")
	wantEqual(t, r.header.Get("X-Rate-Limit-Limit")+" "+r.header.Get("X-Rate-Limit-Remaining"), "2 1")
	wantEqual(t, r.header.Get("X-Rate-Limit-Reset"), strconv.FormatInt(o.clock.Now().Add(time.Minute).Unix(), 10))
	o.list("/api/v1/groups/rules") // shares it
	r = o.call("GET", "/api/v1/groups", "")
	wantError(t, r, 429, "E0000047", "rate limit")
	if r.header.Get("Retry-After") != "" || r.header.Get("X-Rate-Limit-Remaining") != "0" || r.header.Get("X-Rate-Limit-Limit") != "2" {
		t.Errorf("got %v", r.header)
	}
	id := o.Objects(o.domain)
	everyone, _ := id.Get("groups", "Everyone")
	r = o.call("GET", "/api/v1/groups/"+everyone["id"].(string), "")
	wantEqual(t, r.header.Get("X-Rate-Limit-Remaining"), "4")
	wantEqual(t, o.call("GET", "/api/v1/zones", "").header.Get("X-Rate-Limit-Remaining"), "4")
	other := o.send("GET", "/org/"+simulator.DefaultParent+"/api/v1/groups", "", "Authorization", "SSWS "+o.ParentToken)
	wantEqual(t, other.header.Get("X-Rate-Limit-Remaining"), "1")
	o.clock.Add(time.Minute)
	wantEqual(t, len(o.list("/api/v1/groups")), 2)
}

func TestOrgFaults(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	fault := func(text string) { o.ClearFaults(); o.Fault(t, text) }
	fault("GET /org/" + o.domain + "/api/v1/zones edge times=1")
	r := o.call("GET", "/api/v1/zones", "")
	wantEqual(t, r.status, 404)
	wantEqual(t, r.body, `{"message":"Resource not found","status":404}`)
	wantEqual(t, r.header.Get("X-Rate-Limit-Limit"), "")
	wantEqual(t, len(o.list("/api/v1/zones")), 3)
	fault("GET /api/v1/zones api=org garbage content-type=text/html")
	wantEqual(t, o.call("GET", "/api/v1/zones", "").header.Get("Content-Type"), "text/html")
	fault("GET /org/other.okta.com/** status=500")
	wantEqual(t, len(o.list("/api/v1/zones")), 3)
	fault("POST /api/v1/zones status=503 after")
	wantStatus(t, o.call("POST", "/api/v1/zones", `{"type":"DYNAMIC","name":"Far","asns":["1"]}`), 503)
	wantEqual(t, len(o.list("/api/v1/zones")), 4)
	fault("GET /api/v1/groups/* status=404 times=1")
	id := o.group("New")
	wantError(t, o.call("GET", "/api/v1/groups/"+id, ""), 404, "E0000007", "")
	o.want(200, "GET", "/api/v1/groups/"+id, "")

	n := o.OrgRequests(o.domain)
	if n["TOKEN"] != 1 || n["POST"] != 2 || n["PUT"] != 0 || n["GET"] < 5 {
		t.Errorf("got %v", n)
	}
	if w := o.Writes(); len(w) != 2 || w[0].Org != o.domain {
		t.Errorf("got %v", w)
	}
}

// What another admin does is checked, logged, and seen by the API.
func TestObjects(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	objects := o.Objects(o.domain)
	const eve = "eve@acme.example"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(objects.Put("networkZones", `{"type":"IP","name":"Office","gateways":[{"type":"CIDR","value":"192.0.2.0/24"}]}`, eve))
	must(objects.Put("policies/OKTA_SIGN_ON", `{"name":"P","conditions":{"people":{"groups":{"include":["Everyone"]}}}}`, eve))
	must(objects.Put("policyRules/OKTA_SIGN_ON/P", `{"name":"R","conditions":{"network":{"connection":"ZONE","include":["Office"]}},"actions":{"signon":{"access":"DENY"}}}`, eve))
	must(objects.Put("settings/threatInsight", `{"action":"block","excludeZones":["Office"]}`, eve))
	must(objects.Put("groups", `{"profile":{"name":"G"}}`, eve))
	must(objects.Put("groupRules", `{"name":"GR","conditions":{"expression":{"value":"true","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["G"]}}}`, eve))
	must(objects.SetStatus("groupRules", "GR", "ACTIVE", eve))
	must(objects.Patch("groupRules", "GR", `{"conditions":{"expression":{"value":"false"}}}`, eve))
	must(objects.Patch("networkZones", "Office", `{"usage":"BLOCKLIST","futureField":{"a":1}}`, eve))
	must(objects.SetStatus("features", "Import Monitoring", "ENABLED", eve))
	must(objects.Patch("policies/OKTA_SIGN_ON", "Default Policy", `{"description":"ours"}`, eve))
	if err := objects.Put("networkZones", `{"type":"IP","name":"Bad"}`, eve); err == nil || !strings.Contains(err.Error(), "at least one") {
		t.Errorf("got %v", err)
	}
	for _, err := range []error{
		objects.Delete("networkZones", "LegacyIpZone", eve), objects.Delete("networkZones", "None", eve), objects.Put("users", "{}", eve),
		objects.SetStatus("groups", "G", "ACTIVE", eve), o.Objects("none.okta.com").Delete("groups", "G", eve), objects.Patch("groups", "G", "[]", eve),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	zone := o.list("/api/v1/zones")[3]
	wantEqual(t, zone["futureField"], "map[a:1]")
	wantEqual(t, zone["usage"], "BLOCKLIST")
	rule, ok := objects.Get("groupRules", "GR")
	if !ok || rule["status"] != "ACTIVE" || !strings.Contains(strings.Join(names([]map[string]any{rule}, "conditions"), ""), "false") {
		t.Errorf("got %v", rule)
	}
	threats, _ := objects.Get("settings", "threatInsight")
	wantEqual(t, threats["excludeZones"], "["+zone["id"].(string)+"]")
	all, err := objects.List("policies/OKTA_SIGN_ON")
	must(err)
	wantEqual(t, order(all), "1 P, 2 Default Policy")
	must(objects.Delete("policies/OKTA_SIGN_ON", "P", eve))
	wantEqual(t, len(o.list("/api/v1/policies?type=OKTA_SIGN_ON")), 1)

	events := o.list("/api/v1/logs?filter=actor.alternateId+eq+%22" + eve + "%22&q=Office")
	wantEqual(t, names(events, "eventType"), "[zone.create zone.update]")
	// The log of another org has none of it.
	r := o.send("GET", "/org/"+simulator.DefaultParent+"/api/v1/logs", "", "Authorization", "SSWS "+o.ParentToken)
	wantEqual(t, r.body, "[]")
}

// A seed's configuration is there from the start, in each org with its own ids.
func TestConfiguration(t *testing.T) {
	const configuration = `{
		"networkZones": [{"type":"IP","name":"Office","status":"INACTIVE","gateways":[{"type":"CIDR","value":"192.0.2.0/24"}]}],
		"groups": [{"profile":{"name":"G"}}],
		"groupRules": [{"name":"GR","status":"ACTIVE","conditions":{"expression":{"value":"true","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["G"]}}}],
		"policies": [
			{"type":"OKTA_SIGN_ON","name":"P","conditions":{"people":{"groups":{"include":["G"]}}},"rules":[
				{"name":"R","conditions":{"network":{"connection":"ZONE","include":["Office"]}},"actions":{"signon":{"access":"ALLOW"}}}]},
			{"type":"OKTA_SIGN_ON","name":"Default Policy","rules":[{"name":"Default Rule","actions":{"signon":{"access":"DENY"}}}]}],
		"settings": {"userLockout": {"preventBruteForceLockoutFromUnknownDevices": true}}}`
	seed := simulator.DefaultSeed(10)
	for i := range seed.Orgs {
		seed.Orgs[i].Configuration = configuration
	}
	text, err := seed.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if seed, err = simulator.LoadSeed("seed.yaml", text); err != nil {
		t.Fatal(err)
	}
	o := startOrg(t, simulatortest.Config{Seed: seed})
	list := o.list("/api/v1/policies?type=OKTA_SIGN_ON&expand=rules")
	wantEqual(t, order(list), "1 P, 2 Default Policy")
	if text := names(list, "_embedded")[1]; !strings.Contains(text, "access:DENY") {
		t.Errorf("got %s", text)
	}
	wantEqual(t, names(o.list("/api/v1/groups/rules"), "status"), "[ACTIVE]")
	wantEqual(t, names(o.list("/api/v1/zones"), "status"), "[ACTIVE ACTIVE INACTIVE INACTIVE]")
	wantEqual(t, o.want(200, "GET", "/attack-protection/api/v1/user-lockout-settings", "")["preventBruteForceLockoutFromUnknownDevices"], true)
	mine, _ := o.Objects(o.domain).Get("groups", "G")
	others, _ := o.Objects(simulator.DefaultParent).Get("groups", "G")
	if mine["id"] == others["id"] || mine["id"] == nil {
		t.Errorf("got %v and %v", mine["id"], others["id"])
	}
	wantEqual(t, len(o.events()), 0)

	for _, wrong := range []string{`[]`, `{"users":[]}`, `{"groups":[1]}`, `{"groups":[{"profile":{}}]}`, `{"settings":{"x":{}}}`,
		`{"policies":[{"type":"X","name":"P"}]}`, `{"policies":[{"type":"PASSWORD","name":"Default Policy","rules":[{"name":"R"}]}]}`} {
		bad := simulator.DefaultSeed(2)
		bad.Orgs[0].Configuration = wrong
		if _, err := simulator.New(bad, simulator.Options{}); err == nil || !strings.Contains(err.Error(), "configuration: ") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestOrgDPoP(t *testing.T) {
	f := start(t, simulatortest.Config{OrgScopes: []string{"okta.groups.read"}, OrgDPoP: true})
	o := &orgFixture{fixture: f, test: t, domain: f.anOrg()}
	p := newProver(f)
	ask := func(nonce string) result {
		proof := p.sign(p.claims("POST", o.OrgURL(o.domain)+"/oauth2/v1/token", "", nonce))
		return o.send("POST", "/org/"+o.domain+"/oauth2/v1/token", o.orgForm("okta.groups.read").Encode(), "Content-Type", "application/x-www-form-urlencoded", "DPoP", proof)
	}
	r := ask("")
	wantStatus(t, r, 400)
	r = ask(r.header.Get("Dpop-Nonce"))
	wantStatus(t, r, 200)
	var answer struct {
		Token string `json:"access_token"`
	}
	r.decode(t, &answer)
	get := func(path, authorization, proved string) result {
		return o.send("GET", path, "", "Authorization", authorization, "DPoP", p.sign(p.claims("GET", f.URL+proved, answer.Token, "")))
	}
	path, other := "/org/"+o.domain+"/api/v1/groups", "/org/"+simulator.DefaultParent+"/api/v1/groups"
	wantStatus(t, get(path, "DPoP "+answer.Token, path), 200)
	wantStatus(t, get(path, "Bearer "+answer.Token, path), 401)
	wantStatus(t, get(path, "DPoP "+answer.Token, other), 401) // a proof for another org
	wantStatus(t, get(other, "DPoP "+answer.Token, other), 401)
}

// What was read can be written as it is, and changes nothing.
func TestEcho(t *testing.T) {
	for _, pipeline := range []string{"idx", "v1"} {
		seed := simulator.DefaultSeed(10)
		for i := range seed.Orgs {
			seed.Orgs[i].Pipeline = pipeline
			seed.Orgs[i].Configuration = `{
				"networkZones": [{"type":"IP","name":"Office","gateways":[{"type":"CIDR","value":"192.0.2.0/24"},{"type":"RANGE","value":"192.0.2.9"}]},
					{"type":"DYNAMIC","name":"Far","proxyType":"Tor"},{"type":"DYNAMIC_V2","name":"VPN","ipServiceCategories":{"include":["NORD_VPN"]}}],
				"groups": [{"profile":{"name":"G"}}],
				"groupRules": [{"name":"GR","conditions":{"expression":{"value":"true","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["G"]}}}],
				"trustedOrigins": [{"name":"O","origin":"https://a.example","scopes":[{"type":"IFRAME_EMBED"}],"status":"INACTIVE"}],
				"behaviors": [{"name":"L","type":"ANOMALOUS_LOCATION","settings":{"granularity":"LAT_LONG","radiusKilometers":5}},{"name":"D","type":"ANOMALOUS_DEVICE"}],
				"policies": [{"type":"PASSWORD","name":"P","conditions":{"people":{"groups":{"include":["G"]}}},"rules":[{"name":"R","actions":{}}]},
					{"type":"MFA_ENROLL","name":"P","conditions":{"people":{"groups":{"include":["G"]}}}}],
				"apps": [{"label":"Wiki","signOnMode":"BOOKMARK","settings":{"app":{"url":"https://example.com"}}}]}`
		}
		o := startOrg(t, simulatortest.Config{Seed: seed})
		count := 0
		echo := func(method, path string) {
			t.Helper()
			count++
			before := o.call("GET", path, "")
			wantStatus(t, before, 200)
			after := o.call(method, path, before.body)
			if after.status != 200 || after.body != before.body {
				t.Errorf("%s %s: %d %s, want %s", method, path, after.status, after.body, before.body)
			}
		}
		for _, path := range []string{"zones", "groups/rules", "trustedOrigins", "behaviors", "apps", "policies?type=PASSWORD", "policies?type=OKTA_SIGN_ON", "policies?type=MFA_ENROLL"} {
			for _, object := range o.list("/api/v1/" + path) {
				at, _, _ := strings.Cut("/api/v1/"+path, "?")
				at += "/" + object["id"].(string)
				echo("PUT", at)
				if strings.HasPrefix(path, "policies") {
					for _, rule := range o.list(at + "/rules") {
						echo("PUT", at+"/rules/"+rule["id"].(string))
					}
				}
			}
		}
		for _, g := range o.list("/api/v1/groups?filter=type+eq+%22OKTA_GROUP%22") {
			echo("PUT", "/api/v1/groups/"+g["id"].(string))
		}
		for _, path := range []string{"org/settings/clientPrivilegesSetting", "first-party-app-settings/admin-console", "org",
			"rate-limit-settings/admin-notifications", "rate-limit-settings/warning-threshold", "rate-limit-settings/per-client"} {
			echo("PUT", "/api/v1/"+path)
		}
		for _, path := range []string{"org/orgSettings/thirdPartyAdminSetting", "org/settings/autoAssignAdminAppSetting", "org", "threats/configuration"} {
			echo("POST", "/api/v1/"+path)
		}
		wantEqual(t, len(o.events()), 0)
		if count < 30 {
			t.Errorf("only %d objects", count)
		}
	}
}
