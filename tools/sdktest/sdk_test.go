// Package sdktest holds the simulator against Okta's own SDK: what the SDK sends
// to Okta, the simulator must take, and what the simulator answers, the SDK must
// understand. It is a module of its own, so that the program doesn't depend on
// the SDK:
//
//	cd tools/sdktest && go test ./...
package sdktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/okta/okta-sdk-golang/v5/okta"
	goCache "github.com/patrickmn/go-cache"
	"gopkg.in/yaml.v3"
)

// program builds the program and returns its path.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reconciler")
	build := exec.Command("go", "build", "-o", path, "./cmd/reconciler")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return path
}

// config is what the simulator writes for the program, as far as it is used here.
type config struct {
	Aerial struct {
		URL       string `yaml:"url"`
		AccountID string `yaml:"accountID"`
		Auth      struct {
			ClientID       string `yaml:"clientID"`
			PrivateKeyFile string `yaml:"privateKeyFile"`
			KeyID          string `yaml:"keyID"`
		} `yaml:"auth"`
	} `yaml:"aerial"`
	Parents []struct {
		Auth struct {
			TokenFile string `yaml:"tokenFile"`
		} `yaml:"auth"`
	} `yaml:"parents"`
}

// simulate runs the simulator until the test ends.
func simulate(t *testing.T, path string, args ...string) *config {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(path, append([]string{"simulate", "--dir", dir}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the simulator: %v\n%s", err, &problems)
		}
	})
	// The first line is printed once the simulator listens.
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the simulator printed nothing: %v", err)
	}
	go io.Copy(io.Discard, out)
	data, err := os.ReadFile(filepath.Join(dir, "reconciler.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c config
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// authorizer is how the SDK signs a request.
type authorizer interface {
	Authorize(method, url string) error
}

// send sends a request that the SDK has no function for, with the SDK's
// credentials, and returns the body of the answer.
func send(t *testing.T, method, url, body string, status int, sign func(*http.Request) authorizer) []byte {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := sign(req).Authorize(method, url); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s %s: got %d %s (%v), want %d", method, url, resp.StatusCode, answer, err, status)
	}
	return answer
}

func TestSDK(t *testing.T) {
	path := program(t)
	for _, dpop := range []bool{false, true} {
		t.Run(fmt.Sprintf("dpop=%v", dpop), func(t *testing.T) {
			c := simulate(t, path, fmt.Sprintf("--dpop=%v", dpop))
			changeStatus(t, c, dpop)
			readLog(t, c)
			createOrg(t, c)
		})
	}
}

// changeStatus deactivates and activates an org through the Aerial API with a
// token that the SDK got, bound to a key if dpop is set.
func changeStatus(t *testing.T, c *config, dpop bool) {
	t.Helper()
	tokens := goCache.New(time.Hour, time.Hour)
	sign := func(req *http.Request) authorizer {
		return okta.NewPrivateKeyAuth(okta.PrivateKeyAuthConfig{
			TokenCache: tokens, HttpClient: http.DefaultClient, Req: req,
			PrivateKey: read(t, c.Aerial.Auth.PrivateKeyFile), PrivateKeyId: c.Aerial.Auth.KeyID,
			ClientId: c.Aerial.Auth.ClientID, OrgURL: c.Aerial.URL,
			Scopes: []string{"okta.accounts.read", "okta.accounts.manage"}, MaxRetries: 1,
		})
	}
	base := c.Aerial.URL + "/" + c.Aerial.AccountID + "/api/v1/orgs"
	var orgs []struct{ ID, Status, Domain string }
	if err := json.Unmarshal(send(t, "GET", base, "", 200, sign), &orgs); err != nil || len(orgs) == 0 {
		t.Fatalf("got %v, %v", orgs, err)
	}
	org := orgs[len(orgs)-1].ID
	for _, status := range []string{"INACTIVE", "ACTIVE", "INACTIVE"} {
		send(t, "PUT", base+"/"+org+"/status", `{"status":"`+status+`"}`, 200, sign)
	}
	token, _ := tokens.Get(okta.AccessTokenCacheKey)
	if want := map[bool]string{false: "Bearer ", true: "DPoP "}[dpop]; !strings.HasPrefix(fmt.Sprint(token), want) {
		t.Errorf("the SDK has another token than one of type %s", want)
	}
}

// readLog reads the System Log with the SDK, page by page.
func readLog(t *testing.T, c *config) {
	t.Helper()
	conf, err := okta.NewConfiguration(
		okta.WithOrgUrl(c.Aerial.URL), okta.WithTestingDisableHttpsCheck(true), okta.WithCache(false),
		okta.WithAuthorizationMode("PrivateKey"), okta.WithClientId(c.Aerial.Auth.ClientID),
		okta.WithPrivateKey(c.Aerial.Auth.PrivateKeyFile), okta.WithPrivateKeyId(c.Aerial.Auth.KeyID),
		okta.WithScopes([]string{"okta.logs.read"}), okta.WithRateLimitMaxRetries(1), okta.WithRequestTimeout(30),
	)
	if err != nil {
		t.Fatal(err)
	}
	// It drops the port of the URL.
	conf.Host = strings.TrimPrefix(c.Aerial.URL, "http://")
	api := okta.NewAPIClient(conf).SystemLogAPI
	events, resp, err := api.ListLogEvents(t.Context()).
		Filter(`eventType sw "account.org." and not (target.id eq "00ox")`).Q("status").
		Since(time.Now().Add(-time.Hour)).Until(time.Now().Add(time.Hour)).Limit(2).SortOrder("DESCENDING").Execute()
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 || !resp.HasNextPage() {
		t.Fatalf("got %d events, next page %v; want 2 and true", len(events), resp.HasNextPage())
	}
	for _, e := range events {
		if e.GetEventType() != "account.org.status.update" || e.Actor.GetId() != c.Aerial.Auth.ClientID ||
			e.Outcome.GetResult() != "SUCCESS" || len(e.Target) != 1 || e.Published == nil || e.DebugContext == nil {
			t.Errorf("the SDK reads %+v", e)
		}
	}
	var more []okta.LogEvent
	if _, err := resp.Next(&more); err != nil || len(more) != 1 {
		t.Errorf("the next page has %d events (%v), want 1", len(more), err)
	}
	// A keyword that is nowhere matches nothing.
	if none, _, err := api.ListLogEvents(t.Context()).Q("nowhere").Execute(); err != nil || len(none) != 0 {
		t.Errorf("got %d events, %v", len(none), err)
	}
	// An error of the simulator is one that the SDK understands.
	var refused *okta.GenericOpenAPIError
	_, _, err = api.ListLogEvents(t.Context()).Filter("x").Execute()
	if !errors.As(err, &refused) {
		t.Fatalf("got %T %v", err, err)
	}
	var e okta.Error
	if err := json.Unmarshal(refused.Body(), &e); err != nil || e.GetErrorCode() != "E0000001" || !strings.HasPrefix(e.GetErrorId(), "oae") {
		t.Errorf("the SDK reads %s (%v)", refused.Body(), err)
	}
}

// createOrg makes an org through the Org Creator API, for which this version of
// the SDK has credentials but no function. Later versions read the answer into a
// type that needs subdomain, name, edition and admin.
func createOrg(t *testing.T, c *config) {
	t.Helper()
	token := read(t, c.Parents[0].Auth.TokenFile)
	sign := func(req *http.Request) authorizer { return okta.NewSSWSAuth(token, req) }
	const body = `{"subdomain":"acme-sdk","name":"Acme SDK","edition":"SKU","admin":{"profile":` +
		`{"firstName":"Ada","lastName":"Admin","email":"ada@acme.example","login":"ada@acme.example"},"credentials":{"password":{"value":"s3cret"}}}}`
	answer := send(t, "POST", c.Aerial.URL+"/api/v1/orgs", body, 201, sign)
	var made struct {
		ID, Subdomain, Name, Edition, Status, Token, TokenType string
		Created, LastUpdated                                   time.Time
		Admin                                                  struct {
			Profile struct{ FirstName, LastName, Email, Login string }
		}
		Settings map[string]any
		Links    map[string]any `json:"_links"`
	}
	if err := json.Unmarshal(answer, &made); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if made.Subdomain != "acme-sdk" || made.Name != "Acme SDK" || made.Edition != "SKU" || made.Status != "ACTIVE" || made.TokenType != "SSWS" ||
		made.Token == "" || made.Created.IsZero() || made.Admin.Profile.Login != "ada@acme.example" || made.Settings == nil || made.Links["administrator"] == nil {
		t.Errorf("got %s", answer)
	}
	if bytes.Contains(answer, []byte("s3cret")) {
		t.Error("the answer contains the administrator's password")
	}
	var refused okta.Error
	if err := json.Unmarshal(send(t, "POST", c.Aerial.URL+"/api/v1/orgs", body, 400, sign), &refused); err != nil || refused.GetErrorCode() != "E0000171" {
		t.Errorf("again: got %s, %v", refused.GetErrorCode(), err)
	}
}
