package simulator_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

func TestReads(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 3})
	token := f.token(scopeRead)
	id := f.orgID(simulator.DefaultParent)
	parent, _ := f.Org(simulator.DefaultParent)

	if got, want := f.aerial(token, "GET", "/api/v1/accounts", "").body, `{"id":"`+f.AccountID+`","name":"Acme Holdings"}`; got != want {
		t.Errorf("account: got %s, want %s", got, want)
	}
	want := `{"id":"` + id + `","accountId":"` + f.AccountID + `","name":"Acme","cell":"ok1","region":"us-east-1",` +
		`"domain":"acme.okta.com","status":"ACTIVE","aerialOrg":false,"createdDate":"` + parent.CreatedDate + `","createdBy":"okta@acme.example",` +
		`"_links":{"self":{"href":"` + f.URL + "/" + f.AccountID + `/api/v1/orgs/` + id + `"}}}`
	r := f.aerial(token, "GET", "/api/v1/orgs/"+id, "")
	if r.body != want {
		t.Errorf("org: got %s, want %s", r.body, want)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if got := r.header.Get("Date"); got != "Sun, 01 Mar 2026 12:00:00 GMT" {
		t.Errorf("date %q is not the simulator's", got)
	}
	if !strings.HasPrefix(r.header.Get("X-Okta-Request-Id"), "req") {
		t.Errorf("request id %q", r.header.Get("X-Okta-Request-Id"))
	}
	templates := "/governance/api/v1/request-condition-templates"
	if got := f.aerial(token, "GET", templates+"?filter="+url.QueryEscape(`applyStatus eq "APPLIED"`), "").body; strings.Count(got, `"id"`) != 1 {
		t.Errorf("templates: %s", got)
	}
	wantStatus(t, f.aerial(token, "GET", templates+"/rct0000000000000002", ""), 200)
	wantError(t, f.aerial(token, "DELETE", templates+"/rct0000000000000002", ""), 403, "E0000006", "scopes")
	manage := f.token(scopeManage)
	if r := f.aerial(manage, "DELETE", templates+"/rct0000000000000002", ""); r.status != 204 || r.body != "" || r.header.Get("Content-Length") != "" {
		t.Errorf("got %d %q, Content-Length %q", r.status, r.body, r.header.Get("Content-Length"))
	}
	wantError(t, f.aerial(manage, "DELETE", templates+"/rct0000000000000002", ""), 404, "E0000007", "rct0000000000000002")
	if events, _ := f.logs(f.token(scopeLogs), "q=template"); len(events) != 1 || events[0].Target[0].ID != "rct0000000000000002" {
		t.Errorf("got %+v", events)
	}
	wantError(t, f.aerial(token, "GET", templates+"/rct3", ""), 404, "E0000007", "rct3")
	wantError(t, f.aerial(token, "GET", templates+"?filter=x", ""), 400, "E0000031", "ends in the middle")
}

// Products come in no order, yet always all of them.
func TestProductOrder(t *testing.T) {
	f := start(t, simulatortest.Config{})
	token := f.token(scopeRead)
	type product struct{ ID, Name string }
	seen, first := map[string]bool{}, []product(nil)
	for range 10 {
		r := f.aerial(token, "GET", "/api/v1/products", "")
		seen[r.body] = true
		var all []product
		r.decode(t, &all)
		slices.SortFunc(all, func(a, b product) int { return strings.Compare(a.ID, b.ID) })
		if first == nil {
			first = all
		}
		if !slices.Equal(all, first) || len(all) != 12 {
			t.Fatalf("got %v, then %v", first, all)
		}
	}
	if len(seen) < 2 {
		t.Error("ten answers in the same order")
	}
}

func TestRefusals(t *testing.T) {
	seed := simulator.DefaultSeed(6)
	seed.Orgs[6].ReadForbidden = true
	forbidden := seed.Orgs[6].ID
	f := start(t, simulatortest.Config{Seed: seed})
	token := f.token(scopeManage)
	aerial, parent := f.orgID(simulator.DefaultAerialOrg), f.orgID(simulator.DefaultParent)
	child := f.orgID(seed.Orgs[7].Domain)
	unlinked := f.orgID("acme-new.okta.com")
	long := strings.Repeat("ä", 256)

	tests := []struct {
		name, method, path, body string
		status                   int
		code, says               string
	}{
		{"unknown path", "GET", "/api/v1/org", "", 404, "E0000007", "/api/v1/org"},
		{"slash at the end", "GET", "/api/v1/orgs/", "", 404, "E0000007", ""},
		{"unknown method", "DELETE", "/api/v1/orgs/" + child, "", 405, "E0000022", "HTTP method"},
		{"post to the account", "POST", "/api/v1/accounts", "{}", 405, "E0000022", ""},

		{"account: empty", "PUT", "/api/v1/accounts", `{"name":""}`, 400, "E0000001", "name: The field cannot be left blank"},
		{"account: blank", "PUT", "/api/v1/accounts", `{"name":"  "}`, 400, "E0000001", "name: The field cannot be left blank"},
		{"account: nothing", "PUT", "/api/v1/accounts", `{}`, 400, "E0000001", "name"},
		{"account: null", "PUT", "/api/v1/accounts", `{"name":null}`, 400, "E0000001", "name"},
		{"account: long", "PUT", "/api/v1/accounts", `{"name":"` + long + `"}`, 400, "E0000001", "1 to 255 characters, got 256"},
		{"account: number", "PUT", "/api/v1/accounts", `{"name":1}`, 400, "E0000001", "must be a string"},
		{"account: unknown field", "PUT", "/api/v1/accounts", `{"name":"A","id":"x"}`, 400, "E0000001", "id: The field is unknown"},
		{"account: key in another case", "PUT", "/api/v1/accounts", `{"Name":"A"}`, 400, "E0000001", "Name: The field is unknown"},
		{"account: list", "PUT", "/api/v1/accounts", `[]`, 400, "E0000001", "must be a JSON object"},
		{"account: no JSON", "PUT", "/api/v1/accounts", `{"name":"A"`, 400, "E0000003", "not well-formed"},
		{"account: more than JSON", "PUT", "/api/v1/accounts", `{"name":"A"}{}`, 400, "E0000003", "not well-formed"},

		{"org: unknown", "GET", "/api/v1/orgs/00ox", "", 404, "E0000007", "00ox (Org)"},
		{"org: not linked", "GET", "/api/v1/orgs/" + unlinked, "", 404, "E0000007", unlinked},
		{"products of an org that is not linked", "GET", "/api/v1/orgs/" + unlinked + "/products", "", 404, "E0000007", unlinked},
		{"products: forbidden", "GET", "/api/v1/orgs/" + forbidden + "/products", "", 403, "E0000006", ""},
		{"products: write forbidden", "PUT", "/api/v1/orgs/" + forbidden + "/products", "[]", 403, "E0000006", ""},

		{"products: object", "PUT", "/api/v1/orgs/" + child + "/products", `{}`, 400, "E0000001", "must be an array"},
		{"products: null", "PUT", "/api/v1/orgs/" + child + "/products", `null`, 400, "E0000001", "must be an array"},
		{"products: strings", "PUT", "/api/v1/orgs/" + child + "/products", `["P000052"]`, 400, "E0000001", "must be a JSON object"},
		{"products: no id", "PUT", "/api/v1/orgs/" + child + "/products", `[{"name":"x"}]`, 400, "E0000001", "[0].id: The field cannot be left blank"},
		{"products: not subscribed", "PUT", "/api/v1/orgs/" + child + "/products", `[{"id":"P000052"},{"id":"P999999"}]`, 400, "E0000001", "[1].id: The account does not subscribe to the product 'P999999'"},
		{"products: twice", "PUT", "/api/v1/orgs/" + child + "/products", `[{"id":"P000052"},{"id":"P000052"}]`, 400, "E0000001", "'P000052' is there twice"},
		{"products: unknown field", "PUT", "/api/v1/orgs/" + child + "/products", `[{"id":"P000052","on":true}]`, 400, "E0000001", "on: The field is unknown"},

		{"status: unknown", "PUT", "/api/v1/orgs/" + child + "/status", `{"status":"DELETED"}`, 400, "E0000001", "ACTIVE or INACTIVE"},
		{"status: lower case", "PUT", "/api/v1/orgs/" + child + "/status", `{"status":"active"}`, 400, "E0000001", "ACTIVE or INACTIVE"},
		{"status: nothing", "PUT", "/api/v1/orgs/" + child + "/status", `{}`, 400, "E0000001", "blank"},
		{"status: the Aerial org", "PUT", "/api/v1/orgs/" + aerial + "/status", `{"status":"INACTIVE"}`, 400, "E0000001", "Aerial org and parent orgs"},
		{"status: a parent", "PUT", "/api/v1/orgs/" + parent + "/status", `{"status":"INACTIVE"}`, 400, "E0000001", "Aerial org and parent orgs"},

		{"deletion: production", "POST", "/api/v1/orgs/" + child + "/deletionRequest", "", 403, "E0000006", "sandbox and Partner Program"},
		{"deletion: unknown org", "POST", "/api/v1/orgs/00ox/deletionRequest", "", 404, "E0000007", "00ox"},

		{"link: nothing", "POST", "/api/v1/orgs", `{}`, 400, "E0000001", "Exactly one of orgId and domain"},
		{"link: both", "POST", "/api/v1/orgs", `{"orgId":"00ox","domain":"x.okta.com","cell":"ok1"}`, 400, "E0000001", "Exactly one of orgId and domain"},
		{"link: no cell", "POST", "/api/v1/orgs", `{"domain":"acme-new.okta.com"}`, 400, "E0000001", "cell: The field cannot be left blank"},
		{"link: unsupported cell", "POST", "/api/v1/orgs", `{"domain":"acme-legacy.okta.com","cell":"ok5"}`, 400, "E0000001", "'ok5' is not supported"},
		{"link: federal cell", "POST", "/api/v1/orgs", `{"domain":"acme-legacy.okta.com","cell":"om1"}`, 400, "E0000001", "'om1' is not supported"},
		{"link: another cell", "POST", "/api/v1/orgs", `{"domain":"acme-new.okta.com","cell":"ok2"}`, 400, "E0000001", "not in the cell 'ok2'"},
		{"link: unknown domain", "POST", "/api/v1/orgs", `{"domain":"other.okta.com","cell":"ok1"}`, 404, "E0000007", "other.okta.com"},
		{"link: unknown id", "POST", "/api/v1/orgs", `{"orgId":"00ox","cell":"ok1"}`, 404, "E0000007", "00ox"},
		{"link: no consent", "POST", "/api/v1/orgs", `{"domain":"acme-merged.okta.com","cell":"ok2"}`, 403, "E0000006", "has not granted its consent"},
		{"link: again", "POST", "/api/v1/orgs", `{"domain":"acme.okta.com","cell":"ok1"}`, 400, "E0000001", "already been added"},
		{"link: unknown field", "POST", "/api/v1/orgs", `{"domain":"acme-new.okta.com","cell":"ok1","name":"x"}`, 400, "E0000001", "name: The field is unknown"},
	}
	before := f.Dump()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			wantError(t, f.aerial(token, tt.method, tt.path, tt.body), tt.status, tt.code, tt.says)
		})
	}
	wantSeed(t, f.Dump(), before)

	headers := []struct {
		name, header string
		status       int
		code         string
	}{
		{"no content type", "", 400, "E0000019"},
		{"a form", "application/x-www-form-urlencoded", 415, "E0000021"},
		{"another charset", "application/json; charset=latin1", 415, "E0000021"},
		{"nonsense", ";;", 415, "E0000021"},
	}
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			wantError(t, f.aerial(token, "PUT", "/api/v1/accounts", `{"name":"A"}`, "Content-Type", tt.header), tt.status, tt.code, "")
		})
	}
	wantStatus(t, f.aerial(token, "PUT", "/api/v1/accounts", `{"name":"A"}`, "Content-Type", "application/json; charset=UTF-8"), 200)
	wantError(t, f.aerial(token, "PUT", "/api/v1/accounts", `{"name":"`+strings.Repeat("x", 1<<20)+`"}`), 400, "E0000003", "")
}

func TestWrites(t *testing.T) {
	seed := simulator.DefaultSeed(6)
	seed.Account.DeletionAllowed = true
	domain := seed.Orgs[7].Domain
	f := start(t, simulatortest.Config{Seed: seed})
	token := f.token(scopeManage)
	id := f.orgID(domain)
	org := func() simulator.Org { o, _ := f.Org(domain); return o }

	t.Run("rename", func(t *testing.T) {
		r := f.aerial(token, "PUT", "/api/v1/accounts", `{"name":"Acme Group"}`)
		wantStatus(t, r, 200)
		if !strings.Contains(r.body, `"name":"Acme Group"`) || f.Dump().Account.Name != "Acme Group" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("products", func(t *testing.T) {
		r := f.aerial(token, "PUT", "/api/v1/orgs/"+id+"/products", `[{"id":"P000139"},{"id":"P000052","name":"whatever"}]`)
		wantStatus(t, r, 200)
		if !strings.Contains(r.body, `{"id":"P000052","name":"IT Products - SSO"}`) || strings.Count(r.body, `"id"`) != 2 {
			t.Errorf("got %s", r.body)
		}
		if got := org().Products; !slices.Equal(got, []string{"P000052", "P000139"}) {
			t.Errorf("got %v", got)
		}
		r = f.aerial(token, "PUT", "/api/v1/orgs/"+id+"/products", `[]`)
		if r.body != "[]" || len(org().Products) != 0 {
			t.Errorf("got %s, %v", r.body, org().Products)
		}
		if r = f.aerial(token, "GET", "/api/v1/orgs/"+id+"/products", ""); r.body != "[]" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("deletion", func(t *testing.T) {
		request := func(body string) result {
			return f.aerial(token, "POST", "/api/v1/orgs/"+id+"/deletionRequest", body)
		}
		wantError(t, request(""), 400, "E0000001", "must be INACTIVE")
		r := f.aerial(token, "PUT", "/api/v1/orgs/"+id+"/status", `{"status":"INACTIVE"}`)
		wantStatus(t, r, 200)
		if !strings.Contains(r.body, `"status":"INACTIVE"`) || org().Status != "INACTIVE" {
			t.Errorf("got %s", r.body)
		}
		wantError(t, request("{"), 400, "E0000001", "must be empty")
		if r := request(""); r.status != 200 || r.body != "{}" || !org().DeletionRequested {
			t.Errorf("got %d %s", r.status, r.body)
		}
		wantError(t, request(""), 400, "E0000001", "already been requested")
	})
	t.Run("activate", func(t *testing.T) {
		wantStatus(t, f.aerial(token, "PUT", "/api/v1/orgs/"+id+"/status", `{"status":"ACTIVE"}`), 200)
	})
	t.Run("link", func(t *testing.T) {
		// A child has its parent's consent; the cell's case does not matter.
		r := f.aerial(token, "POST", "/api/v1/orgs", `{"domain":"ACME-new.okta.com","cell":"OK1"}`)
		wantStatus(t, r, 200)
		if !strings.Contains(r.body, `"cell":"ok1"`) || !strings.Contains(r.body, f.orgID("acme-new.okta.com")) {
			t.Errorf("got %s", r.body)
		}
		// An org that had products before keeps them.
		r = f.aerial(token, "POST", "/api/v1/orgs", `{"orgId":"`+f.orgID("acme-bought.okta.com")+`","cell":"ok7"}`)
		wantStatus(t, r, 200)
		r = f.aerial(token, "GET", "/api/v1/orgs/"+f.orgID("acme-bought.okta.com")+"/products", "")
		if strings.Count(r.body, `"id"`) != 2 {
			t.Errorf("got %s", r.body)
		}
	})
}
