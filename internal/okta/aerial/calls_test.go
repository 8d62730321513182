package aerial

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
)

func TestNew(t *testing.T) {
	tr := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("unused") })
	for _, tt := range []struct {
		url     string
		account string
		change  func(*Options)
		err     string
	}{
		{url: "https://aerial.test"},
		{url: "http://127.0.0.1:8080/prefix/"},
		{url: "https://aerial.test", change: func(o *Options) { o.Concurrency = 10 }},
		{url: "https://aerial.test", change: func(o *Options) { o.URL = nil }, err: "the Aerial client needs a URL"},
		{url: "https://aerial.test", change: func(o *Options) { o.Transport = nil }, err: "the Aerial client needs a transport"},
		{url: "https://aerial.test", change: func(o *Options) { o.Concurrency = 11 }, err: "concurrency must be 1 to 10, not 11: Okta allows an account no more"},
		{url: "https://aerial.test", change: func(o *Options) { o.Concurrency = -1 }, err: "concurrency must be 1 to 10, not -1: Okta allows an account no more"},
		{url: "https://aerial.test", change: func(o *Options) { o.Timeout = -1 }, err: "the timeout must be positive, not -1ns"},
		{url: "ftp://aerial.test", err: `the URL of the Aerial API must start with https://, not "ftp:"`},
		{url: "aerial.test", err: `the URL of the Aerial API must start with https://, not ":"`},
		{url: "https:///path", err: "the URL of the Aerial API has no host"},
		{url: "https://u:secret@aerial.test", err: "the URL of the Aerial API must not hold credentials"},
		{url: "https://aerial.test?x=1", err: "the URL of the Aerial API must have neither query nor fragment"},
		{url: "https://aerial.test", account: "..", err: `".." is no id of an account`},
		{url: "https://aerial.test", account: "none", change: func(o *Options) { o.AccountID = "" }, err: `"" is no id of an account`},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		opts := Options{URL: u, AccountID: testAccount, Transport: tr}
		if tt.account != "" {
			opts.AccountID = tt.account
		}
		if tt.change != nil {
			tt.change(&opts)
		}
		_, err = New(opts)
		if err != nil && err.Error() != tt.err || err == nil && tt.err != "" {
			t.Errorf("%s: error = %v, want %q", tt.url, err, tt.err)
		}
	}
}

// TestCalls holds each call to the wire: method, path, body, and what becomes
// of the answer.
func TestCalls(t *testing.T) {
	orgBody := `{"id":"00o1","accountId":"` + testAccount + `","name":"Acme EMEA","cell":"OK1","region":"EMEA","domain":"Acme-EMEA.okta.com",
		"status":"ACTIVE","aerialOrg":true,"createdDate":"2023-12-08T20:15:18.000Z","_links":{"self":{"href":"x"}},"brandNew":[1]}`
	org := state.Org{ID: "00o1", Name: "Acme EMEA", Cell: "ok1", Region: "EMEA", Domain: "acme-emea.okta.com", Status: state.Active, AerialOrg: true}
	const products = `[{"id":"P2","name":"two"},{"id":"P1","name":"one","extra":{}},{"id":"P2","name":"two"}]`
	const root = "/" + testAccount + "/api/v1/"
	for _, tt := range []struct {
		name   string
		do     func(context.Context, *Client) (any, error)
		answer string
		call   string
		want   any
	}{
		{"account", func(ctx context.Context, c *Client) (any, error) { return c.Account(ctx) },
			accountBody, "GET " + root + "accounts", state.Account{ID: testAccount, Name: "Acme"}},
		{"rename", func(ctx context.Context, c *Client) (any, error) { return c.RenameAccount(ctx, `Acme "2"`, yes) },
			accountBody, "PUT " + root + `accounts {"name":"Acme \"2\""}`, state.Account{ID: testAccount, Name: "Acme"}},
		{"catalogue", func(ctx context.Context, c *Client) (any, error) { return c.Products(ctx) },
			products, "GET " + root + "products", []state.Product{{ID: "P1", Name: "one"}, {ID: "P2", Name: "two"}}},
		{"org", func(ctx context.Context, c *Client) (any, error) { return c.Org(ctx, "00o1") },
			orgBody, "GET " + root + "orgs/00o1", org},
		{"org of few words", func(ctx context.Context, c *Client) (any, error) { return c.Org(ctx, "00o1") },
			`{"id":"00o1","name":null}`, "GET " + root + "orgs/00o1", state.Org{ID: "00o1"}},
		{"org in another status", func(ctx context.Context, c *Client) (any, error) { return c.Org(ctx, "00o1") },
			`{"id":"00o1","status":"Suspended"}`, "GET " + root + "orgs/00o1", state.Org{ID: "00o1", Status: "Suspended"}},
		{"odd id", func(ctx context.Context, c *Client) (any, error) { return c.Org(ctx, "../a b?c#d%2F") },
			`{"id":"../a b?c#d%2F"}`, "GET " + root + "orgs/..%2Fa%20b%3Fc%23d%252F", state.Org{ID: "../a b?c#d%2F"}},
		{"org's products", func(ctx context.Context, c *Client) (any, error) { return c.OrgProducts(ctx, "00o1") },
			products, "GET " + root + "orgs/00o1/products", []string{"P1", "P2"}},
		{"org without products", func(ctx context.Context, c *Client) (any, error) { return c.OrgProducts(ctx, "00o1") },
			"[]", "GET " + root + "orgs/00o1/products", []string{}},
		{"set products", func(ctx context.Context, c *Client) (any, error) {
			return c.SetOrgProducts(ctx, "00o1", these([]string{"P2", "P1", "P2"}))
		}, products, "PUT " + root + `orgs/00o1/products [{"id":"P1"},{"id":"P2"}]`, []string{"P1", "P2"}},
		{"set no products", func(ctx context.Context, c *Client) (any, error) {
			return c.SetOrgProducts(ctx, "00o1", these([]string{}))
		}, "[]", "PUT " + root + `orgs/00o1/products []`, []string{}},
		{"set status", func(ctx context.Context, c *Client) (any, error) {
			return c.SetOrgStatus(ctx, "00o1", state.Inactive, yes)
		}, orgBody, "PUT " + root + `orgs/00o1/status {"status":"INACTIVE"}`, org},
		{"link by id", func(ctx context.Context, c *Client) (any, error) {
			return c.LinkOrg(ctx, "00o1", "acme-emea.okta.com", "ok1", yes)
		}, orgBody, "POST " + root + `orgs {"orgId":"00o1","cell":"ok1"}`, org},
		{"link by domain", func(ctx context.Context, c *Client) (any, error) {
			return c.LinkOrg(ctx, "", "acme-emea.okta.com", "ok1", yes)
		}, orgBody, "POST " + root + `orgs {"domain":"acme-emea.okta.com","cell":"ok1"}`, org},
		{"request deletion", func(ctx context.Context, c *Client) (any, error) { return nil, c.RequestDeletion(ctx, "00o1", yes) },
			"{}", "POST " + root + "orgs/00o1/deletionRequest", nil},
		{"request deletion, answered with nothing", func(ctx context.Context, c *Client) (any, error) { return nil, c.RequestDeletion(ctx, "00o1", yes) },
			"", "POST " + root + "orgs/00o1/deletionRequest", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := http.Header{}
			s := play(func(w http.ResponseWriter, r *http.Request) {
				headers = r.Header
				reply(200, tt.answer)(w, r)
			})
			got, err := tt.do(t.Context(), newClient(t, s, nil))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("answer:\n%s", d)
			}
			if d := cmp.Diff([]string{tt.call}, s.calls); d != "" {
				t.Errorf("call:\n%s", d)
			}
			sent := strings.ContainsAny(tt.call, "{[")
			if (headers.Get("Content-Type") == "application/json") != sent || headers.Get("Accept") != "application/json" {
				t.Errorf("headers = %v", headers)
			}
		})
	}
}

// TestWrongArguments: what can't be meant is not sent.
func TestWrongArguments(t *testing.T) {
	s := play(reply(500, internalBody))
	c := newClient(t, s, nil)
	ctx := t.Context()
	for want, do := range map[string]func() error{
		`reading the org "": "" is no id of an org`:                                 func() error { _, err := c.Org(ctx, ""); return err },
		`reading the org "..": ".." is no id of an org`:                             func() error { _, err := c.Org(ctx, ".."); return err },
		`reading the products of the org ".": "." is no id of an org`:               func() error { _, err := c.OrgProducts(ctx, "."); return err },
		`setting the products of the org "x": nil is not an empty list of products`: func() error { _, err := c.SetOrgProducts(ctx, "x", these(nil)); return err },
		`setting the products of the org "x": a product has no id`:                  func() error { _, err := c.SetOrgProducts(ctx, "x", these([]string{"P1", ""})); return err },
		`setting the products of the org "": "" is no id of an org`:                 func() error { _, err := c.SetOrgProducts(ctx, "", these([]string{})); return err },
		`setting the status of the org ".." to "INACTIVE": ".." is no id of an org`: func() error { _, err := c.SetOrgStatus(ctx, "..", state.Inactive, yes); return err },
		`linking the org "": its id or its domain must be given`:                    func() error { _, err := c.LinkOrg(ctx, "", "", "ok1", yes); return err },
		`linking the org "acme.okta.com": its cell must be given`:                   func() error { _, err := c.LinkOrg(ctx, "00o1", "acme.okta.com", "", yes); return err },
		`requesting the deletion of the org "..": ".." is no id of an org`:          func() error { return c.RequestDeletion(ctx, "..", yes) },
		`looking for an org: neither id nor domain given`:                           func() error { _, err := c.FindOrg(ctx, "", ""); return err },
	} {
		if err := do(); err == nil || err.Error() != want {
			t.Errorf("error = %v\nwant    %s", err, want)
		}
	}
	if s.count() != 0 {
		t.Errorf("%d calls, want none: %q", s.count(), s.calls)
	}
}

// TestAnswersToWrites: a write whose answer is about something else leaves its
// outcome open.
func TestAnswersToWrites(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string
		do     func(context.Context, *Client) error
		err    string
	}{
		{"status of another org", `{"id":"00o2"}`, func(ctx context.Context, c *Client) error {
			_, err := c.SetOrgStatus(ctx, "00o1", state.Inactive, yes)
			return err
		}, `setting the status of the org "00o1" to "INACTIVE": the answer is about the org "00o2"`},
		{"status of no org", `{}`, func(ctx context.Context, c *Client) error {
			_, err := c.SetOrgStatus(ctx, "00o1", state.Inactive, yes)
			return err
		}, `setting the status of the org "00o1" to "INACTIVE": the org of the answer has no id`},
		{"products null", `null`, func(ctx context.Context, c *Client) error {
			_, err := c.SetOrgProducts(ctx, "00o1", these([]string{}))
			return err
		}, `setting the products of the org "00o1": the answer is null instead of a list`},
		{"link without id", `{"domain":"acme.okta.com"}`, func(ctx context.Context, c *Client) error {
			_, err := c.LinkOrg(ctx, "", "acme.okta.com", "ok1", yes)
			return err
		}, `linking the org "acme.okta.com": the org of the answer has no id`},
		{"link of another domain", `{"id":"00o1","domain":"b.okta.com"}`, func(ctx context.Context, c *Client) error {
			_, err := c.LinkOrg(ctx, "", "acme.okta.com", "ok1", yes)
			return err
		}, `linking the org "acme.okta.com": the answer is about the org "b.okta.com"`},
		{"name of another account", `{"id":"0200other"}`, func(ctx context.Context, c *Client) error {
			_, err := c.RenameAccount(ctx, "x", yes)
			return err
		}, `renaming the account to "x": the answer is about the account "0200other", but "` + testAccount + `" is configured`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := play(reply(200, tt.answer))
			err := tt.do(t.Context(), newClient(t, s, nil))
			if want := tt.err + "; it may have taken effect all the same"; err == nil || err.Error() != want {
				t.Errorf("error = %v\nwant    %s", err, want)
			}
			var u *rest.UncertainError
			if !errors.As(err, &u) || !u.Uncertain() {
				t.Errorf("%v is not a *rest.UncertainError", err)
			}
			if s.count() != 1 {
				t.Errorf("%d calls, want 1", s.count())
			}
		})
	}
}

// TestDeletionCut: the status of an answer to a deletionRequest says it all.
func TestDeletionCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(cutBody("{"))
		if err := newClient(t, s, nil).RequestDeletion(t.Context(), "00o1", yes); err != nil || s.count() != 1 {
			t.Errorf("error = %v after %d calls, want none after 1", err, s.count())
		}
	})
}

// TestPagedProducts: should Okta begin to page lists of products, no half of
// one passes for the whole.
func TestPagedProducts(t *testing.T) {
	s := play(page(`[{"id":"P3"},{"id":"P1"}]`, "?after=1"), page(`[{"id":"P2"}]`, ""))
	ids, err := newClient(t, s, nil).OrgProducts(t.Context(), "00o1")
	if d := cmp.Diff([]string{"P1", "P2", "P3"}, ids); err != nil || d != "" {
		t.Errorf("error = %v\n%s", err, d)
	}
	s = play(page(`[{"id":"P3"}]`, "?after=1"), reply(403, forbiddenBody))
	if products, err := newClient(t, s, nil).Products(t.Context()); statusOf(err) != 403 || products != nil {
		t.Errorf("got %v, %v, want the second page's 403", products, err)
	}
	s = play(page(`[{"id":"P3"}]`, "https://evil.test/"))
	if ids, err := newClient(t, s, nil).OrgProducts(t.Context(), "00o1"); err == nil || ids != nil {
		t.Errorf("got %v, %v, want an error", ids, err)
	}
}

// TestBasePath: the API may be served below a path.
func TestBasePath(t *testing.T) {
	s := play(reply(200, accountBody))
	c := newClient(t, s, func(o *Options) { o.URL = &url.URL{Scheme: "http", Host: "gw.test", Path: "/okta/x y/"} })
	if _, err := c.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "GET /okta/x%20y/" + testAccount + "/api/v1/accounts"; s.calls[0] != want {
		t.Errorf("called %q, want %q", s.calls[0], want)
	}
}
