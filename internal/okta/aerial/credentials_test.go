package aerial

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/state"
)

// needs are calls that each need a token: many at once, one to be repeated at
// will, and two that are sent once.
var needs = map[string]func(context.Context, *Client) error{
	"observe": func(ctx context.Context, c *Client) error { _, err := c.Observe(ctx, nil); return err },
	"put": func(ctx context.Context, c *Client) error {
		_, err := c.SetOrgStatus(ctx, "00o1", state.Inactive, yes)
		return err
	},
	"link": func(ctx context.Context, c *Client) error {
		_, err := c.LinkOrg(ctx, "00o1", "", "ok1", yes)
		return err
	},
	"deletion": func(ctx context.Context, c *Client) error { return c.RequestDeletion(ctx, "00o1", yes) },
}

// nothingSent fails the test unless err says for certain that no call was made.
func nothingSent(t *testing.T, o *okta, err error) {
	t.Helper()
	var u *rest.UncertainError
	if err == nil || errors.As(err, &u) || strings.Contains(err.Error(), "may have taken effect") {
		t.Errorf("error = %v, want one that leaves nothing open", err)
	}
	if n := o.aerialCalls(""); n != 0 {
		t.Errorf("%d calls of the API", n)
	}
}

func (o *okta) tokenCalls() int { return len(o.sim.Requests()) - o.aerialCalls("") }

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// TestCredentialsRefused: a service app that Okta doesn't know, or whose key is
// another, asks for a token once each time that one is needed, and never again
// for the same need, however many calls wait for it.
func TestCredentialsRefused(t *testing.T) {
	const latency = 50 * time.Millisecond
	pem, err := simulatortest.New(t, simulatortest.Config{}).Credentials.PEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		change    func(*auth.Options)
		err, hint string
	}{
		{"wrong key", func(o *auth.Options) {
			o.Key = func(context.Context) (auth.Key, error) { return auth.ParsePrivateKey(pem) }
		}, "HTTP 401 invalid_client: The client_assertion signature is invalid.", "not the other half"},
		{"wrong client", func(o *auth.Options) { o.ClientID = "0oaother" },
			"HTTP 401 invalid_client: Invalid value for 'client_id' parameter.", "check clientID"},
	} {
		for name, need := range needs {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOkta(t, simulatortest.Config{Orgs: 300, Options: simulator.Options{Latency: latency}})
					c := o.clientWith(t, tt.change)
					for n := 1; n <= 2; n++ {
						start := time.Now()
						err := need(t.Context(), c)
						nothingSent(t, o, err)
						if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(hintOf(err), tt.hint) {
							t.Errorf("error = %v\nhint = %q", err, hintOf(err))
						}
						if o.tokenCalls() != n {
							t.Errorf("%d token calls, want %d", o.tokenCalls(), n)
						}
						if took := time.Since(start); took != latency {
							t.Errorf("took %v, want %v", took, latency)
						}
					}
				})
			})
		}
	}
}

// TestTokenRefused: a token that the API itself refuses is renewed once. What
// was refused so had no effect, a POST neither.
func TestTokenRefused(t *testing.T) {
	for name, need := range needs {
		if name == "observe" {
			continue // three calls at once, of which the first to fail ends the others
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOkta(t, simulatortest.Config{})
				o.fault(t, simulator.Fault{API: "aerial", Status: 401})
				err := need(t.Context(), o.Client)
				var u *rest.UncertainError
				if statusOf(err) != 401 || errors.As(err, &u) || !strings.Contains(hintOf(err), "aerial.auth") {
					t.Errorf("error = %v\nhint = %q", err, hintOf(err))
				}
				if o.tokenCalls() != 2 || o.aerialCalls("") != 2 {
					t.Errorf("%d token calls and %d of the API, want 2 and 2", o.tokenCalls(), o.aerialCalls(""))
				}
			})
		})
	}
}

// TestNoTokenEndpoint: where the org that gives tokens is dead, a call ends
// soon, and its hint speaks of that org and not of the API.
func TestNoTokenEndpoint(t *testing.T) {
	broken := func(err error) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	for _, tt := range []struct {
		name string
		way  http.RoundTripper // nil: to the simulator, with the fault
		simulator.Fault
		most      time.Duration
		err, hint string
	}{
		{name: "refused", way: broken(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}), most: 4 * time.Second,
			err: "connection refused", hint: "the server can't be reached: check orgURL"},
		{name: "unknown", way: broken(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "acme.test", IsNotFound: true}}),
			err: "no such host", hint: "there is no such host: check orgURL"},
		{name: "silent", Fault: simulator.Fault{Hang: true}, most: 30 * time.Second,
			hint: "does not answer: check"}, // whichever of the two gives up first
		{name: "cut", Fault: simulator.Fault{Cut: true}, most: 4 * time.Second, err: "EOF"},
		{name: "failing", Fault: simulator.Fault{Status: 503}, most: 4 * time.Second,
			err: "HTTP 503", hint: "Okta has trouble"},
		{name: "limited", Fault: simulator.Fault{Status: 429, RetryAfter: time.Hour},
			err: "HTTP 429", hint: "too many token requests"},
	} {
		for name, need := range needs {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOkta(t, simulatortest.Config{Orgs: 300})
					c := o.clientWith(t, func(opts *auth.Options) {
						if tt.way != nil {
							opts.HTTP = tt.way
							return
						}
						tt.Path = "/oauth2/v1/token"
						o.fault(t, tt.Fault)
					})
					start := time.Now()
					err := need(t.Context(), c)
					nothingSent(t, o, err)
					if took := time.Since(start); took > tt.most {
						t.Errorf("took %v, want %v at most", took, tt.most)
					}
					hint := hintOf(err)
					if !strings.Contains(err.Error(), tt.err) || !strings.Contains(hint, tt.hint) || strings.Contains(hint, "aerial.url") {
						t.Errorf("error = %v\nhint = %q", err, hint)
					}
				})
			})
		}
	}
}

// yes lets a write be sent.
func yes(context.Context) error { return nil }

// these lets products be set, to ids.
func these(ids []string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return ids, nil }
}
