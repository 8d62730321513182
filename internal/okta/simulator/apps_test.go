package simulator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// newOrg creates an org through the Org Creator API and returns a fixture whose
// calls are made with the token of its creation.
func newOrg(t *testing.T, sub string) (o *orgFixture, token string) {
	t.Helper()
	f := start(t, simulatortest.Config{Options: simulator.Options{Settle: -1}, OrgScopes: []string{"okta.groups.read"}})
	o = &orgFixture{fixture: f, test: t, domain: simulator.DefaultParent}
	r := o.send("POST", "/org/"+o.domain+"/api/v1/orgs", fmt.Sprintf(`{"subdomain":%q,"name":"New","edition":"SKU",
		"admin":{"profile":{"firstName":"A","lastName":"B","email":"a@acme.example","login":"a@acme.example"}}}`, sub), "Authorization", "SSWS "+f.ParentToken)
	wantStatus(t, r, 201)
	var made struct{ Token string }
	r.decode(t, &made)
	o.domain = sub + ".okta.com"
	return o, made.Token
}

// From the token of a new org to a service app of its own, step by step.
func TestGettingIn(t *testing.T) {
	o, token := newOrg(t, "acme-fresh")
	ssws := func(method, path, body string) result {
		t.Helper()
		return o.send(method, "/org/"+o.domain+path, body, "Authorization", "SSWS "+token)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: "k1", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"name":"oidc_client","label":"reconciler","signOnMode":"OPENID_CONNECT",
		"credentials":{"oauthClient":{"token_endpoint_auth_method":"private_key_jwt","autoKeyRotation":false}},
		"settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"],"response_types":["token"],"jwks":{"keys":[%s]},"dpop_bound_access_tokens":false}}}`, public)
	for _, wrong := range [][2]string{
		{`"kid":"k1"`, `"kid":""`}, {`"application_type":"service"`, `"application_type":"web"`}, {`"crv":"P-256"`, `"crv":"P-9"`},
		{`"private_key_jwt"`, `"client_secret_basic"`}, {`"label":"reconciler",`, ""}, {`"oidc_client"`, `"bookmark"`},
	} {
		wantStatus(t, ssws("POST", "/api/v1/apps?activate=true", strings.Replace(body, wrong[0], wrong[1], 1)), 400)
	}
	r := ssws("POST", "/api/v1/apps?activate=true", body)
	wantStatus(t, r, 200)
	var app struct {
		ID          string
		Credentials struct {
			OAuthClient struct {
				ClientID string `json:"client_id"`
			}
		}
	}
	r.decode(t, &app)
	wantEqual(t, app.Credentials.OAuthClient.ClientID, app.ID)

	o.OrgCredentials = &simulator.Credentials{ClientID: app.ID, KeyID: "k1", Key: key}
	ask := func(scope string) result {
		t.Helper()
		return o.send("POST", "/org/"+o.domain+"/oauth2/v1/token", o.orgForm(scope).Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}
	if r := ask("okta.groups.read"); r.status != 400 || !strings.Contains(r.body, "consent_required") {
		t.Errorf("a token without a grant: %d %s", r.status, r.body)
	}
	grants := "/api/v1/apps/" + app.ID + "/grants"
	grant := func(issuer, scope string) result {
		t.Helper()
		return ssws("POST", grants, fmt.Sprintf(`{"issuer":%q,"scopeId":%q}`, issuer, scope))
	}
	wantStatus(t, grant("https://"+o.domain, "okta.groups.manage"), 201)
	wantStatus(t, grant(o.OrgURL(o.domain), "okta.apps.read"), 201)
	wantStatus(t, grant("https://"+o.domain, "okta.groups.read"), 201)
	wantError(t, grant("https://acme.okta.com", "okta.zones.read"), 400, "E0000001", "issuer")
	wantError(t, grant("https://"+o.domain, "okta.groups.manage"), 400, "E0000001", "already")
	wantError(t, grant("https://"+o.domain, "okta.groups"), 400, "E0000001", "no scope")
	r = ssws("GET", grants, "")
	wantStatus(t, r, 200)
	if strings.Count(r.body, "scopeId") != 3 {
		t.Errorf("got %s", r.body)
	}

	// A scope without a role reads nothing, and may not write.
	o.bearer = o.orgToken("okta.groups.manage okta.groups.read okta.apps.read")
	wantEqual(t, o.list("/api/v1/groups"), "[]")
	wantError(t, o.call("POST", "/api/v1/groups", `{"profile":{"name":"x"}}`), 403, "E0000006", "")
	roles := "/oauth2/v1/clients/" + app.ID + "/roles"
	wantError(t, ssws("POST", roles, `{"type":"KING"}`), 400, "E0000001", "KING")
	wantStatus(t, ssws("POST", roles, `{"type":"READ_ONLY_ADMIN"}`), 200)
	wantEqual(t, len(o.list("/api/v1/groups")), 2)
	wantError(t, o.call("POST", "/api/v1/groups", `{"profile":{"name":"x"}}`), 403, "E0000006", "")
	wantStatus(t, ssws("POST", roles, `{"type":"ORG_ADMIN"}`), 200)
	wantError(t, ssws("POST", roles, `{"type":"ORG_ADMIN"}`), 409, "E0000090", "already")
	o.group("x")
	if r := ssws("GET", roles, ""); !strings.Contains(r.body, "ORG_ADMIN") {
		t.Errorf("got %s", r.body)
	}
	r = o.call("GET", "/api/v1/zones", "")
	wantError(t, r, 403, "E0000006", "does not contain the required scopes")
	if !strings.Contains(r.header.Get("Www-Authenticate"), "okta.networkZones.read") {
		t.Errorf("got %v", r.header)
	}

	// An app that isn't active gets no tokens; only such a one can be deleted.
	wantError(t, ssws("DELETE", "/api/v1/apps/"+app.ID, ""), 403, "E0000056", "deactivated before deletion")
	r = ssws("POST", "/api/v1/apps/"+app.ID+"/lifecycle/deactivate", "")
	wantEqual(t, r.body, "{}")
	wantStatus(t, ask("okta.apps.read"), 401)
	wantStatus(t, ssws("POST", "/api/v1/apps/"+app.ID+"/lifecycle/activate", ""), 200)
	wantStatus(t, ask("okta.apps.read"), 200)

	// The token that began it is revoked by itself.
	wantStatus(t, ssws("DELETE", "/api/v1/api-tokens/current", ""), 204)
	wantError(t, ssws("GET", "/api/v1/groups", ""), 401, "E0000011", "Invalid token")
}

func TestApps(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	const path = "/api/v1/apps"
	bookmark := `{"name":"bookmark","label":"%s","signOnMode":"BOOKMARK","settings":{"app":{"url":"https://example.com"}}}`
	made := o.want(200, "POST", path+"?activate=false", fmt.Sprintf(bookmark, "Wiki"))
	wantEqual(t, made["status"], "INACTIVE")
	o.want(200, "POST", path, fmt.Sprintf(bookmark, "Wiki")) // labels are not unique
	wantEqual(t, len(o.list(path+"?q=wi")), 2)
	wantEqual(t, len(o.list(path+"?filter=status+eq+%22ACTIVE%22")), 1)
	at := path + "/" + made["id"].(string)
	put := o.want(200, "PUT", at, strings.Replace(fmt.Sprintf(bookmark, "Wikis"), "{", `{"status":"ACTIVE",`, 1))
	wantEqual(t, put["status"], "INACTIVE")
	o.refuses(
		wrongCall{"PUT", at, `{"label":"x","signOnMode":"OPENID_CONNECT"}`, 400, "E0000001", ""},
		wrongCall{"POST", path, `{"label":"x","signOnMode":"SAML_2_0"}`, 400, "E0000001", "signOnMode"},
		wrongCall{"POST", path, `{"label":"x","signOnMode":"BOOKMARK","settings":{"app":{"url":"example"}}}`, 400, "E0000001", "settings.app.url"},
		wrongCall{"GET", path + "?limit=201", "", 400, "E0000001", "limit"},
		wrongCall{"GET", path + "?after=00u1testcursorvalue&limit=1", "", 400, "E0000029", "Invalid cursor."},
	)
	o.want(204, "DELETE", at, "")
	wantEqual(t, o.events(), "[application.lifecycle.create Wiki application.lifecycle.create Wiki application.lifecycle.update Wikis application.lifecycle.delete Wikis]")
}
