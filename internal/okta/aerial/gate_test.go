package aerial

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
)

// writes are all calls that change something, each with the function that it asks.
var writes = map[string]func(context.Context, *Client, func(context.Context) error) error{
	"name": func(ctx context.Context, c *Client, maySend func(context.Context) error) error {
		_, err := c.RenameAccount(ctx, "Acme", maySend)
		return err
	},
	"products": func(ctx context.Context, c *Client, maySend func(context.Context) error) error {
		_, err := c.SetOrgProducts(ctx, "00o1", func(ctx context.Context) ([]string, error) { return []string{"P1"}, maySend(ctx) })
		return err
	},
	"status": func(ctx context.Context, c *Client, maySend func(context.Context) error) error {
		_, err := c.SetOrgStatus(ctx, "00o1", state.Inactive, maySend)
		return err
	},
	"link": func(ctx context.Context, c *Client, maySend func(context.Context) error) error {
		_, err := c.LinkOrg(ctx, "00o1", "", "ok1", maySend)
		return err
	},
	"deletion": func(ctx context.Context, c *Client, maySend func(context.Context) error) error {
		return c.RequestDeletion(ctx, "00o1", maySend)
	},
}

// done is a success of each of the writes.
func done(w http.ResponseWriter, r *http.Request) {
	body := accountBody
	switch {
	case strings.HasSuffix(r.URL.Path, "/products"):
		body = `[{"id":"P1"}]`
	case strings.Contains(r.URL.Path, "/orgs"):
		body = `{"id":"00o1"}`
	}
	reply(200, body)(w, r)
}

var errChanged = errors.New("somebody has changed it")

// TestMaySendRefuses: a write that may not be sent is not sent, not for the first
// time and not again. Only an attempt that may have taken effect leaves the outcome
// open.
func TestMaySendRefuses(t *testing.T) {
	for _, tt := range []struct {
		name      string
		first     http.HandlerFunc // nil: it is refused at once
		posts     bool             // whether a POST would be sent again
		err       string           // its end
		uncertain bool
	}{
		{"at once", nil, true, ": somebody has changed it", false},
		{"limited", reply(429, limitBody, "Retry-After", "2"), true,
			": somebody has changed it (not sent again after: 429 E0000047 API call exceeded rate limit due to too many requests. (errorId oaeL))", false},
		{"no slot", reply(429, limitBody, "X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0"), true,
			": somebody has changed it (not sent again after: 429 E0000047 API call exceeded rate limit due to too many requests. (errorId oaeL))", false},
		{"failed", reply(503, "", "Retry-After", "3"), false,
			": somebody has changed it (not sent again after: 503 Service Unavailable); it may have taken effect all the same", true},
		{"failed, at once", reply(500, ""), false,
			": somebody has changed it (not sent again after: 500 Internal Server Error); it may have taken effect all the same", true},
		{"no answer", hang, false,
			": somebody has changed it (not sent again after: no complete answer within 30s); it may have taken effect all the same", true},
	} {
		for what, write := range writes {
			if post := what == "link" || what == "deletion"; post && !tt.posts {
				continue
			}
			t.Run(what+" "+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, sends := play(done), 0
					if tt.first != nil {
						s, sends = play(tt.first, done), 1
					}
					asked := 0
					err := write(t.Context(), newClient(t, s, nil), func(context.Context) error {
						if asked++; asked > sends {
							return errChanged
						}
						return nil
					})
					if asked != sends+1 || s.count() != sends {
						t.Errorf("asked %d times and sent %d times", asked, s.count())
					}
					var open *rest.UncertainError
					if !errors.Is(err, errChanged) || !strings.HasSuffix(err.Error(), tt.err) || errors.As(err, &open) != tt.uncertain {
						t.Errorf("error = %v\nwant  … %s", err, tt.err)
					}
					if statusOf(err) != 0 {
						t.Errorf("Okta's answer to the attempt before passes for the reason: %v", err)
					}
				})
			})
		}
	}
}

// TestMaySendAgrees: it is asked once for each send, and can look with the one slot
// that there is.
func TestMaySendAgrees(t *testing.T) {
	for what, write := range writes {
		synctest.Test(t, func(t *testing.T) {
			var sent []string
			limited := true
			c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent = append(sent, r.Method)
				if r.Method != http.MethodGet && limited {
					limited = false
					reply(429, limitBody, "Retry-After", "5")(w, r)
					return
				}
				done(w, r)
			}), func(o *Options) { o.Concurrency = 1 })
			err := write(t.Context(), c, func(ctx context.Context) error {
				_, err := c.Account(ctx)
				return err
			})
			got := strings.NewReplacer("PUT", "write", "POST", "write").Replace(strings.Join(sent, " "))
			if err != nil || got != "GET write GET write" {
				t.Errorf("%s: %v, %s", what, err, got)
			}
		})
	}
}
