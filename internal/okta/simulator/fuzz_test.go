package simulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// FuzzFault: nothing panics, and what is taken means the same when it is
// written and read again.
func FuzzFault(f *testing.F) {
	f.Add("PUT /api/v1/orgs/*/products status=500 after times=2")
	f.Add("* /** cut probability=0.5")
	f.Add("GET /[a-z]/** next=https://x.example delay=1ns")
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := simulator.ParseFault(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		again, err := simulator.ParseFault(fault.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", text, fault.String(), err)
		}
		if diff := cmp.Diff(fault, again, cmpopts.IgnoreFields(simulator.Fault{}, "Do")); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzCall: whatever an authenticated client sends, the answer is JSON, a
// error is Okta's error body with an errorId, nothing is the simulator's
// fault, and its state stays one that can be dumped and loaded.
func FuzzCall(f *testing.F) {
	f.Add("GET", "/api/v1/orgs?limit=3&filter=status+eq+%22ACTIVE%22", "")
	f.Add("GET", "/api/v1/orgs?after=MDpabc", "")
	f.Add("PUT", "/api/v1/accounts", `{"name":"A"}`)
	f.Add("POST", "/api/v1/orgs", `{"domain":"acme-new.okta.com","cell":"OK1"}`)
	f.Add("PUT", "/api/v1/orgs/00odC1KhjpxSafV0cwh6/products", `[{"id":"P000052"},{"name":null}]`)
	f.Add("POST", "/api/v1/orgs/00odC1KhjpxSafV0cwh6/deletionRequest", `{}`)
	f.Add("GET", "/../oauth2/v1/token%2f", "")
	f.Add("ORG POST", "/api/v1/orgs", `{"subdomain":"a","name":"b","edition":"SKU","admin":{"profile":{"firstName":"a","lastName":"b","email":"a@b.c","login":"a@b.c"}}}`)
	f.Add("ORG POST", "/api/v1/org/privacy/aerial/grant", `{"accountId":"0200bs0617vvhv2v675mch1cukp"}`)
	f.Add("ORG GET", "/api/v1/logs?since=2026-01-01T00:00:00Z&filter=published+gt+%22x%22&sortOrder=DESCENDING", "")
	s := start(f, simulatortest.Config{Orgs: 4})
	bearer := "Bearer " + s.token(scopeManage)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		path, authorization := "/"+s.AccountID+target, bearer
		if rest, org := strings.CutPrefix(method, "ORG "); org {
			method, path, authorization = rest, target, "SSWS "+s.ParentToken
		}
		req, err := http.NewRequest(method, "http://sim.example"+path, io.NopCloser(strings.NewReader(body)))
		if err != nil || req.URL.Host != "sim.example" {
			t.Skip()
		}
		req.Header.Set("Authorization", authorization)
		req.Header.Set("Content-Type", "application/json")
		req.RequestURI = req.URL.RequestURI()
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code < 200 || w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %q", w.Code, w.Body)
		}
		if w.Code >= 400 {
			var e oktaError
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || !strings.HasPrefix(e.ID, "oae") || e.Summary == "" {
				if req.URL.Path != "/oauth2/v1/token" {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			return
		}
		if method == "GET" {
			return
		}
		if err := s.Dump().Validate(); err != nil {
			t.Fatalf("after %s %s %q: %v", method, path, body, err)
		}
	})
}

// FuzzOrgCall: whatever is sent to an org's own API, the answer is JSON, and
// nothing is the simulator's fault.
func FuzzOrgCall(f *testing.F) {
	for _, seed := range [][3]string{
		{"GET", "zones?limit=3&filter=system+eq+true", ""},
		{"POST", "zones", `{"type":"IP","name":"A","gateways":[{"type":"RANGE","value":"::1-::2"}],"proxies":null}`},
		{"POST", "zones", `{"type":"DYNAMIC_V2","name":"A","asns":{"include":["1"]},"locations":{"exclude":null}}`},
		{"POST", "groups", `{"profile":{"name":"A","description":null},"type":"OKTA_GROUP"}`},
		{"POST", "groups/rules", `{"type":"group_rule","name":"A","conditions":{"expression":{"value":"true","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["G"]}}}`},
		{"POST", "trustedOrigins", `{"name":"A","origin":"https://a.example","scopes":[{"type":"IFRAME_EMBED"}]}`},
		{"POST", "behaviors", `{"name":"A","type":"ANOMALOUS_LOCATION","settings":{"granularity":"LAT_LONG","radiusKilometers":5}}`},
		{"POST", "policies", `{"type":"PASSWORD","name":"A","priority":1,"conditions":{"people":{"groups":{"include":["E"]}}},"settings":{"password":{"complexity":{}}}}`},
		{"POST", "policies/P/rules", `{"type":"SIGN_ON","name":"A","conditions":{"network":{"connection":"ZONE","include":["Z"]}},"actions":{"signon":{"access":"ALLOW"}}}`},
		{"PUT", "policies/P", `{"type":"OKTA_SIGN_ON","name":"Default Policy","priority":1,"conditions":null}`},
		{"POST", "threats/configuration", `{"action":"none","excludeZones":[]}`},
		{"PUT", "rate-limit-settings/per-client", `{"defaultMode":"ENFORCE","useCaseModeOverrides":{}}`},
		{"PUT", "org", `{"companyName":"A","city":null}`},
		{"POST", "apps", `{"label":"A","signOnMode":"OPENID_CONNECT","name":"oidc_client","credentials":{"oauthClient":{"token_endpoint_auth_method":"private_key_jwt"}},"settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"],"response_types":["token"],"jwks":{"keys":[{"kty":"EC","kid":"k"}]}}}}`},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	s := start(f, simulatortest.Config{Orgs: 4})
	const org = "/org/" + simulator.DefaultParent + "/api/v1/"
	objects := s.Objects(simulator.DefaultParent)
	everyone, _ := objects.Get("groups", "Everyone")
	zone, _ := objects.Get("networkZones", "LegacyIpZone")
	policy, _ := objects.Get("policies/OKTA_SIGN_ON", "Default Policy")
	f.Fuzz(func(t *testing.T, method, target, body string) {
		ids := strings.NewReplacer(`"E"`, strings.Join([]string{`"`, everyone["id"].(string), `"`}, ""), `"Z"`, `"`+zone["id"].(string)+`"`)
		target = strings.Replace(target, "/P", "/"+policy["id"].(string), 1)
		r, err := http.NewRequest(method, s.URL+org+target, strings.NewReader(ids.Replace(body)))
		if err != nil {
			t.Skip()
		}
		r.RequestURI = r.URL.RequestURI()
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "SSWS "+s.ParentToken)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
