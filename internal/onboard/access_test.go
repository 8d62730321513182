package onboard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/org"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/onboard"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

const (
	accessDomain = "acme-fresh.okta.com"
	accessToken  = "00newtokenofthefirstsuperadmin0123456789ab"
)

// house is a simulator with one org whose API token is known, and a journal.
type house struct {
	*simulatortest.Server
	t     *testing.T
	orgID string
	dir   string
	key   auth.Key
}

func newHouse(t *testing.T) *house {
	t.Helper()
	seed := simulator.DefaultSeed(4)
	seed.Orgs = append(seed.Orgs, simulator.Org{
		ID: "00onewnewnewnewnewne", Domain: accessDomain, Name: "Acme Fresh", Cell: "ok1", Status: "ACTIVE", Tokens: []string{accessToken},
	})
	h := &house{Server: simulatortest.Start(t, simulatortest.Config{Seed: seed}), t: t, orgID: "00onewnewnewnewnewne", dir: t.TempDir()}
	h.key = keyOf(t, h.Credentials)
	return h
}

func keyOf(t *testing.T, c *simulator.Credentials) auth.Key {
	t.Helper()
	pem, err := c.PEM()
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// apps returns the org's API with this token and key.
func (h *house) apps(token string, key auth.Key) *org.Apps {
	h.t.Helper()
	client, err := org.New(org.Options{
		URL: h.URL + "/org/{domain}", Transport: http.DefaultTransport, Keys: org.Keys{URL: "orgs.url", KeyID: "orgs.auth.keyID"},
		Credentials: func(objects.Target) (org.Credentials, error) { return org.Credentials{}, errors.New("not asked for") },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	apps, err := client.Apps(objects.Target{Domain: accessDomain, OrgID: h.orgID}, org.Credentials{
		KeyID: "k1", Key: func(context.Context) (auth.Key, error) { return key, nil }, Token: func() (string, error) { return token, nil },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return apps
}

// access returns the work that is to be done.
func (h *house) access(w onboard.AccessJournal, api onboard.OrgAPI) *onboard.Access {
	return &onboard.Access{
		Account: h.AccountID, Domain: accessDomain, OrgID: h.orgID, Role: "ORG_ADMIN",
		Scopes: []string{"okta.groups.manage", "okta.groups.read", "okta.networkZones.read"}, Proof: objects.ByName("networkZones"),
		API: api, Journal: w,
	}
}

// obtain runs the program to its end, with a journal that it opens.
func (h *house) obtain(change func(*onboard.Access)) (string, error) {
	h.t.Helper()
	w := h.lock()
	defer w.Close()
	a := h.access(w, h.apps(accessToken, h.key))
	if change != nil {
		change(a)
	}
	return a.Obtain(h.t.Context())
}

func (h *house) lock() *journal.Writer {
	h.t.Helper()
	w, err := journal.New(location.Folder(h.dir), journal.Options{}).Lock()
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

// check checks that there is one app, whole, and that the journal knows it.
func (h *house) check(clientID string) {
	h.t.Helper()
	apps := h.apps(accessToken, h.key)
	all, err := apps.Find(h.t.Context(), onboard.AppLabel)
	if err != nil || len(all) != 1 || !all[0].Ours || !all[0].Active || all[0].ClientID != clientID {
		h.t.Fatalf("apps: %+v, %v", all, err)
	}
	scopes, err := apps.Scopes(h.t.Context(), all[0].ID)
	slices.Sort(scopes)
	if want := h.access(nil, nil).Scopes; err != nil || !slices.Equal(scopes, want) {
		h.t.Errorf("scopes: %v, %v", scopes, err)
	}
	if roles, err := apps.Roles(h.t.Context(), clientID); err != nil || !slices.Equal(roles, []string{"ORG_ADMIN"}) {
		h.t.Errorf("roles: %v, %v", roles, err)
	}
	j := journal.New(location.Folder(h.dir), journal.Options{})
	defer j.Close()
	rec, err := j.Access(h.AccountID, h.orgID)
	if err != nil || rec == nil || rec.Open() || rec.ClientID != clientID || rec.LastError != "" || rec.Role != "ORG_ADMIN" {
		h.t.Errorf("journal: %+v, %v", rec, err)
	}
}

// killed is the panic of a program that is killed.
type killed struct{}

// trap kills the program at one of the moments before and after what it does: each
// call of the org's API, and each write of the journal.
type trap struct {
	onboard.OrgAPI
	onboard.AccessJournal
	left int
	at   string
}

func (x *trap) moment(name string) {
	if x.left--; x.left == 0 {
		x.at = name
		panic(killed{})
	}
}

func (x *trap) Create(ctx context.Context, label string, maySend func(context.Context) error) (org.ServiceApp, error) {
	x.moment("before the app")
	app, err := x.OrgAPI.Create(ctx, label, maySend)
	x.moment("after the app")
	return app, err
}

func (x *trap) Grant(ctx context.Context, appID, scope string, maySend func(context.Context) error) error {
	x.moment("before a scope")
	err := x.OrgAPI.Grant(ctx, appID, scope, maySend)
	x.moment("after a scope")
	return err
}

func (x *trap) Assign(ctx context.Context, clientID, role string, maySend func(context.Context) error) error {
	x.moment("before the role")
	err := x.OrgAPI.Assign(ctx, clientID, role, maySend)
	x.moment("after the role")
	return err
}

func (x *trap) Prove(ctx context.Context, clientID string, k *objects.Kind) error {
	x.moment("before the proof")
	err := x.OrgAPI.Prove(ctx, clientID, k)
	x.moment("after the proof")
	return err
}

func (x *trap) BeginAccess(a journal.Access) error {
	x.moment("before it begins")
	return x.AccessJournal.BeginAccess(a)
}

func (x *trap) SendAccess(account, orgID string) error {
	x.moment("before it is sent")
	err := x.AccessJournal.SendAccess(account, orgID)
	x.moment("after it was noted as sent")
	return err
}

func (x *trap) MarkAccess(account, orgID string, step journal.AccessStep, appID, clientID string) error {
	x.moment("before " + string(step))
	err := x.AccessJournal.MarkAccess(account, orgID, step, appID, clientID)
	x.moment("after " + string(step))
	return err
}

// Wherever the program is killed, the next one finishes what it began, and there is
// one app.
func TestAccessKilled(t *testing.T) {
	for n := 1; ; n++ {
		h := newHouse(t)
		x := &trap{left: n}
		_, _ = h.obtainUntilKilled(x)
		if x.at == "" {
			if n < 15 {
				t.Errorf("it was killed at %d moments only", n-1)
			}
			return
		}
		t.Run(x.at, func(t *testing.T) {
			h.t = t
			clientID, err := h.obtain(nil)
			if err != nil {
				t.Fatal(err)
			}
			h.check(clientID)
		})
	}
}

func (h *house) obtainUntilKilled(x *trap) (clientID string, err error) {
	w := h.lock()
	defer w.Close() // as the system does
	defer func() {
		if v := recover(); v != nil && v != any(killed{}) {
			panic(v)
		}
	}()
	x.OrgAPI, x.AccessJournal = h.apps(accessToken, h.key), w
	return h.access(x, x).Obtain(h.t.Context())
}

// What goes wrong on the way is said, and the next run goes on.
func TestAccessFaults(t *testing.T) {
	for _, tt := range []struct {
		name, fault, err, hint string
	}{
		{"answer lost", "POST /org/*/api/v1/apps cut after times=1", "making the service app", "makes no second one"},
		{"call lost", "POST /org/*/api/v1/apps cut times=1", "making the service app", "makes no second one"},
		{"answer cut", "POST /org/*/api/v1/apps cut-body times=1", "making the service app", "makes no second one"},
		{"server failed", "POST /org/*/api/v1/apps status=500 after times=1", "making the service app", "makes no second one"},
		{"refused", "POST /org/*/api/v1/apps status=400 times=1", "making the service app: 400", ""},
		{"token refused", "GET /org/*/api/v1/apps status=401 times=1", "listing the org's apps: 401", "a super admin of the org makes another one"},
		{"no super admin", "POST /org/*/oauth2/v1/clients/*/roles status=403 times=1", "assigning the role ORG_ADMIN: 403", "must be a super admin"},
		{"not proved", "GET /org/*/api/v1/zones status=403 times=1", "reading networkZones as the service app: 403", "okta.networkZones.read"},
		{"limit", "POST /org/*/api/v1/apps status=429 reset=1s times=1", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.Fault(t, tt.fault)
			clientID, err := h.obtain(nil)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(text.Hint(err), tt.hint) {
					t.Errorf("%v (%s)", err, text.Hint(err))
				}
				clientID, err = h.obtain(nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			h.check(clientID)
		})
	}
}

// Nothing is sent to an org that isn't the one that is meant, not even the token.
func TestAccessOtherOrg(t *testing.T) {
	h := newHouse(t)
	h.orgID = "00oanotheranotheran"
	if _, err := h.obtain(nil); err == nil || !strings.Contains(err.Error(), "nothing else was sent to it") {
		t.Error(err)
	}
	if n := h.OrgRequests(accessDomain); n["GET"] != 1 || len(n) != 1 {
		t.Errorf("requests: %v", n)
	}
}

// An app with our label and another key is somebody else's.
func TestAccessStranger(t *testing.T) {
	h := newHouse(t)
	other, err := simulator.DefaultSeed(1).AddClient(simulator.AllOrgs, jose.ES256, "okta.groups.read")
	if err != nil {
		t.Fatal(err)
	}
	stranger := h.apps(accessToken, keyOf(t, other))
	if _, err := stranger.Create(t.Context(), onboard.AppLabel, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	_, err = h.obtain(nil)
	if err == nil || !strings.Contains(err.Error(), "that is not ours") {
		t.Fatal(err)
	}
	if all, err := h.apps(accessToken, h.key).Find(t.Context(), onboard.AppLabel); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// An app that was deleted since is made again, and one that lacks something gets it.
func TestAccessAgain(t *testing.T) {
	h := newHouse(t)
	_, err := h.obtain(func(a *onboard.Access) { a.Scopes = a.Scopes[:1]; a.Proof = objects.ByName("groups") })
	if err == nil || !strings.Contains(err.Error(), "reading groups as the service app") {
		t.Errorf("a scope is missing, and %v", err)
	}
	first, err := h.obtain(nil)
	if err != nil {
		t.Fatal(err)
	}
	h.check(first)
	for _, path := range []string{"/lifecycle/deactivate", ""} {
		method := http.MethodPost
		if path == "" {
			method = http.MethodDelete
		}
		h.do(method, "/api/v1/apps/"+first+path)
		if path != "" {
			if _, err := h.obtain(nil); err == nil || !strings.Contains(err.Error(), "is INACTIVE") {
				t.Error(err)
			}
		}
	}
	second, err := h.obtain(nil)
	if err != nil || second == first {
		t.Fatal(second, err)
	}
	h.check(second)
}

// do makes a call with the org's token.
func (h *house) do(method, path string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.OrgURL(accessDomain)+path, http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "SSWS "+accessToken)
	resp, err := h.Client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		h.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
}

// Writes that are held are not sent, wherever that happens.
func TestAccessHeld(t *testing.T) {
	held := errors.New("suspended")
	for allowed := range 6 {
		h := newHouse(t)
		sent := 0
		_, err := h.obtain(func(a *onboard.Access) {
			a.MaySend = func() error {
				if sent == allowed {
					return held
				}
				sent++
				return nil
			}
		})
		if allowed < 5 != errors.Is(err, held) {
			t.Errorf("%d allowed: %v", allowed, err)
		}
		if n := h.OrgRequests(accessDomain)["POST"]; n != min(allowed, 5) {
			t.Errorf("%d allowed: %d were sent", allowed, n)
		}
		clientID, err := h.obtain(nil)
		if err != nil {
			t.Fatal(err)
		}
		h.check(clientID)
	}
}

// No error has the token or the key.
func TestAccessSecrets(t *testing.T) {
	h := newHouse(t)
	w := h.lock()
	defer w.Close()
	_, err := h.access(w, h.apps("00wrongCANARY0123456789wrongCANARY0123456", h.key)).Obtain(t.Context())
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v %s", err, err, text.Hint(err)), "CANARY") {
		t.Error(err)
	}
}
