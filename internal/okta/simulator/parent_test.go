package simulator_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// asParent makes a call with the parent's SSWS token.
func (f *fixture) asParent(method, path, body string) result {
	f.t.Helper()
	return f.send(method, path, body, "Authorization", "SSWS "+f.ParentToken)
}

func TestCreateOrg(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 2})
	manage := f.token(scopeManage)
	r := f.asParent("POST", "/api/v1/orgs", creation("Acme-Fresh"))
	wantStatus(t, r, 201)
	var made struct {
		ID, Subdomain, Name, Website, Status, Token, TokenType string
		Links                                                  map[string]struct{ Href string } `json:"_links"`
		Admin                                                  struct {
			Profile struct{ FirstName, Email, Login string }
		}
		Settings map[string]any
	}
	r.decode(t, &made)
	if made.Subdomain != "acme-fresh" || made.Name != "Acme Acme-Fresh" || made.Status != "ACTIVE" || made.TokenType != "SSWS" ||
		made.Website != "https://acme.example" || made.Links["administrator"].Href != "https://acme-fresh.okta.com" ||
		made.Admin.Profile.FirstName != "Ada" || made.Admin.Profile.Login != "okta@acme.example" || made.Settings == nil ||
		!strings.Contains(r.body, `"expiresAt":null`) {
		t.Errorf("got %s", r.body)
	}
	if !regexp.MustCompile(`^00o[0-9A-Za-z]{17}$`).MatchString(made.ID) || len(made.Token) != 42 {
		t.Errorf("id %q, token of %d characters", made.ID, len(made.Token))
	}
	o, ok := f.Org("acme-fresh.okta.com")
	if !ok || o.ID != made.ID || o.Managed || o.Parent != simulator.DefaultParent || o.Cell != "ok1" || len(o.Products) != 0 {
		t.Fatalf("got %+v", o)
	}

	// For 30 seconds it can neither be linked nor called.
	link := func() result {
		return f.aerial(manage, "POST", "/api/v1/orgs", `{"orgId":"`+made.ID+`","cell":"ok1"}`)
	}
	call := func() result {
		return f.send("GET", "/api/v1/org/privacy/aerial", "", "Authorization", "SSWS "+made.Token)
	}
	wantError(t, link(), 404, "E0000007", made.ID)
	wantError(t, call(), 404, "E0000007", "acme-fresh")
	f.clock.Add(30*time.Second - time.Millisecond)
	wantError(t, link(), 404, "E0000007", made.ID)
	f.clock.Add(time.Millisecond)
	wantStatus(t, call(), 200) // it inherits the parent's consent
	wantStatus(t, link(), 200)

	// The token is never returned again, and a child can neither create orgs nor
	// decide on consent.
	for _, r := range []result{
		f.aerial(manage, "GET", "/api/v1/orgs/"+made.ID, ""),
		f.aerial(manage, "GET", "/api/v1/orgs", ""),
		f.asParent("POST", "/api/v1/orgs", creation("acme-fresh")),
	} {
		if strings.Contains(r.body, made.Token) {
			t.Errorf("the token is in %s", r.body)
		}
	}
	child := func(path, body string) result {
		return f.send("POST", path, body, "Authorization", "SSWS "+made.Token)
	}
	wantError(t, child("/api/v1/orgs", creation("acme-grandchild")), 403, "E0000015", "feature")
	consent := `{"accountId":"` + f.AccountID + `"}`
	wantError(t, child("/api/v1/org/privacy/aerial/grant", consent), 403, "E0000006", "inherits")
	wantError(t, child("/api/v1/org/privacy/aerial/revoke", consent), 403, "E0000006", "inherits")
}

func TestCreateOrgRefusals(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 2})
	replace := func(old, new string) string { return strings.Replace(creation("acme-x"), old, new, 1) }
	tests := []struct{ name, body, says string }{
		{"no subdomain", replace(`"subdomain":"acme-x",`, ""), "subdomain: The field cannot be left blank"},
		{"no name", replace(`"name":"Acme acme-x",`, ""), "name: The field cannot be left blank"},
		{"website", replace(`https://acme.example`, `acme.example`), "website: The field must be a URL"},
		{"no edition", replace(`"edition":"SKU",`, ""), "edition: The field cannot be left blank"},
		{"another edition", replace(`"SKU"`, `"TRIAL"`), "edition: The field must be SKU"},
		{"no admin", `{"subdomain":"acme-x","name":"x","edition":"SKU"}`, "admin: The field cannot be left blank"},
		{"admin is a string", `{"subdomain":"acme-x","name":"x","edition":"SKU","admin":"ada"}`, "admin: The field must be an object"},
		{"no profile", `{"subdomain":"acme-x","name":"x","edition":"SKU","admin":{}}`, "admin.profile: The field cannot be left blank"},
		{"no first name", replace(`"firstName":"Ada",`, ""), "admin.profile.firstName: The field cannot be left blank"},
		{"no last name", replace(`"lastName":"Admin",`, ""), "admin.profile.lastName: The field cannot be left blank"},
		{"email", replace(`"email":"okta@acme.example"`, `"email":"okta"`), "admin.profile.email: The field must be in the form of an email address"},
		{"login", replace(`"login":"okta@acme.example"`, `"login":"@x.y"`), "admin.profile.login: The field must be in the form of an email address"},
		{"unknown field", replace(`"edition"`, `"cell":"ok1","edition"`), "cell: The field is unknown"},
		{"unknown field of the admin", replace(`"firstName"`, `"nick":"A","firstName"`), "admin.profile.nick: The field is unknown"},
		{"empty password", replace(`"admin":{`, `"admin":{"credentials":{"password":{}},`), "admin.credentials.password.value: The field cannot be left blank"},
		{"no question", replace(`"admin":{`, `"admin":{"credentials":{"recovery_question":{"answer":"a"}},`), "recovery_question.question: The field cannot be left blank"},
	}
	before := f.Dump()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			f.clock.Add(time.Minute)
			wantError(t, f.asParent("POST", "/api/v1/orgs", tt.body), 400, "E0000001", tt.says)
		})
	}
	for _, tt := range []struct{ name, body, code string }{
		{"taken", creation("acme"), "E0000088"},
		{"taken, another case", creation("ACME"), "E0000088"},
		{"taken by an org that is not linked", creation("acme-merged"), "E0000088"},
		{"long subdomain", creation(strings.Repeat("a", 58)), "E0000172"},
		{"reserved", creation("acme-x-admin"), "E0000170"},
		{"reserved, www", creation("www"), "E0000170"},
		{"reserved, in capitals", creation("Login"), "E0000170"},
		{"subdomain with a space", creation("bad name"), "E0000089"},
		{"subdomain with a dot", creation("acme.x"), "E0000089"},
		{"subdomain that ends in a hyphen", creation("acme-"), "E0000089"},
		{"long subdomain with a space", creation(strings.Repeat("a ", 58)), "E0000089"},
		{"long name", replace(`Acme acme-x`, strings.Repeat("n", 101)), "E0000089"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			f.clock.Add(time.Minute)
			wantError(t, f.asParent("POST", "/api/v1/orgs", tt.body), 400, tt.code, "")
		})
	}
	wantSeed(t, f.Dump(), before)
	f.clock.Add(time.Minute)
	wantStatus(t, f.asParent("POST", "/api/v1/orgs", replace(`"admin":{`,
		`"admin":{"credentials":{"password":{"value":"x"},"recovery_question":{"question":"q","answer":"a"}},`)), 201)
	// A POST is not idempotent. While the org is being created, its subdomain is
	// locked; later it exists.
	wantError(t, f.asParent("POST", "/api/v1/orgs", creation("acme-x")), 400, "E0000171", "different request")
	f.clock.Add(time.Minute)
	wantError(t, f.asParent("POST", "/api/v1/orgs", creation("acme-x")), 400, "E0000088", "already exists")
}

// A service app of the parent may do what its SSWS token may.
func TestParentByOAuth(t *testing.T) {
	seed := simulator.DefaultSeed(2)
	credentials, err := seed.AddClient(simulator.DefaultParent, jose.ES256, "okta.orgs.manage")
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, simulatortest.Config{Seed: seed})
	f.Credentials = credentials
	token := f.token("okta.orgs.manage")
	r := f.send("POST", "/api/v1/orgs", creation("acme-oauth"), "Authorization", "Bearer "+token)
	wantStatus(t, r, 201)
	if o, _ := f.Org("acme-oauth.okta.com"); o.CreatedBy != credentials.ClientID || o.Parent != simulator.DefaultParent {
		t.Errorf("got %+v", o)
	}
}

func TestConsent(t *testing.T) {
	seed := simulator.DefaultSeed(2)
	for i := range seed.Orgs {
		if seed.Orgs[i].Domain == "acme-merged.okta.com" {
			seed.Orgs[i].Tokens = []string{"00merged"}
		}
	}
	f := start(t, simulatortest.Config{Seed: seed})
	manage := f.token(scopeManage)
	as := func(method, action, body string) result {
		return f.send(method, "/api/v1/org/privacy/aerial"+action, body, "Authorization", "SSWS 00merged")
	}
	account := `{"accountId":"` + f.AccountID + `"}`

	wantError(t, as("GET", "", ""), 404, "E0000007", "AerialConsent")
	wantError(t, as("POST", "/revoke", account), 404, "E0000007", "AerialConsent")
	wantError(t, as("POST", "/grant", `{"accountId":"0200x"}`), 400, "E0000001", "no account '0200x'")
	wantError(t, as("POST", "/grant", `{}`), 400, "E0000001", "accountId")
	for _, r := range []result{as("POST", "/grant", account), as("GET", "", ""), as("POST", "/grant", account)} {
		var got struct {
			AccountID, GrantedBy, GrantedDate string
			Links                             struct{ Revoke struct{ Href string } } `json:"_links"`
		}
		r.decode(t, &got)
		if r.status != 200 || got.AccountID != f.AccountID || !strings.HasPrefix(got.GrantedBy, "00u") ||
			got.GrantedDate != "2026-03-01T12:00:00.000Z" || got.Links.Revoke.Href != f.URL+"/api/v1/org/privacy/aerial/revoke" {
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
	if r := as("POST", "/revoke", account); r.status != 200 || r.body != `{"_links":{"grant":{"href":"`+f.URL+`/api/v1/org/privacy/aerial/grant"}}}` {
		t.Errorf("got %d %s", r.status, r.body)
	}
	wantError(t, as("GET", "", ""), 404, "E0000007", "AerialConsent")
	link := func() result {
		return f.aerial(manage, "POST", "/api/v1/orgs", `{"domain":"acme-merged.okta.com","cell":"ok2"}`)
	}
	wantError(t, link(), 403, "E0000006", "consent")
	wantStatus(t, as("POST", "/grant", account), 200)
	wantStatus(t, link(), 200)
	wantError(t, as("POST", "/revoke", account), 400, "E0000001", "can't be revoked")
	wantStatus(t, as("GET", "", ""), 200)
}

// An SSWS token expires 30 days after it was last used.
func TestTokenExpiresUnused(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 2})
	use := func() result { return f.asParent("GET", "/api/v1/logs", "") }
	for range 2 {
		f.clock.Add(30 * 24 * time.Hour)
		wantStatus(t, use(), 200)
	}
	f.clock.Add(30*24*time.Hour + time.Second)
	wantError(t, use(), 401, "E0000011", "Invalid token")
}
