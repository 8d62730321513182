package aerial

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/okta/rest"
)

// TestRetries plays answers to a read, an idempotent write and a POST, and
// looks at how often each was sent, how long it took by the bubble's clock,
// and what came of it.
func TestRetries(t *testing.T) {
	ok := reply(200, accountBody)
	fail := reply(500, internalBody)
	date := func(h http.HandlerFunc, at time.Time) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", at.UTC().Format(http.TimeFormat))
			h(w, r)
		}
	}
	// The server's clock is an hour off: only its own Date makes sense of its
	// reset. The bubble's clock starts at midnight, 2000-01-01 UTC.
	skewed := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)
	unix := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	limit := func(headers ...string) http.HandlerFunc { return reply(429, limitBody, headers...) }
	crowd := limit("X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0",
		"X-Rate-Limit-Reset", unix(time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)))
	times := func(n int, h http.HandlerFunc) []http.HandlerFunc {
		steps := make([]http.HandlerFunc, n, n+1)
		for i := range steps {
			steps[i] = h
		}
		return steps
	}

	read := func(ctx context.Context, c *Client) error { _, err := c.Account(ctx); return err }
	write := func(ctx context.Context, c *Client) error { _, err := c.RenameAccount(ctx, "Acme", yes); return err }
	post := func(ctx context.Context, c *Client) error {
		_, err := c.LinkOrg(ctx, "00o1", "", "ok1", yes)
		return err
	}
	linked := reply(200, `{"id":"00o1"}`)

	for _, tt := range []struct {
		name      string
		do        func(context.Context, *Client) error
		steps     []http.HandlerFunc
		calls     int
		min, max  time.Duration
		err       string // empty: none
		uncertain bool
	}{
		{name: "read", do: read, steps: []http.HandlerFunc{ok}, calls: 1},
		{name: "read, 500 twice", do: read, steps: append(times(2, fail), ok), calls: 3, max: 1500 * time.Millisecond},
		{name: "read, 500 for ever", do: read, steps: times(1, fail), calls: 6, max: 15500 * time.Millisecond,
			err: "reading the account: 500 E0000009 Internal Server Error (errorId oaeI) (tried 6 times)"},
		{name: "read, 502 from a proxy", do: read, steps: []http.HandlerFunc{reply(502, "<html>", "Content-Type", "text/html"), ok}, calls: 2, max: 500 * time.Millisecond},
		{name: "read, 503 that says when", do: read, steps: []http.HandlerFunc{reply(503, "", "Retry-After", "7"), ok}, calls: 2, min: 7 * time.Second, max: 7500 * time.Millisecond},
		{name: "read, 504", do: read, steps: []http.HandlerFunc{reply(504, ""), ok}, calls: 2, max: 500 * time.Millisecond},
		{name: "read, 501", do: read, steps: []http.HandlerFunc{reply(501, "")}, calls: 1, err: "reading the account: 501 Not Implemented"},
		{name: "read, cut connection", do: read, steps: []http.HandlerFunc{hangUp, ok}, calls: 2, max: 500 * time.Millisecond},
		{name: "read, cut body", do: read, steps: []http.HandlerFunc{cutBody(`{"id":`), ok}, calls: 2, max: 500 * time.Millisecond},
		{name: "read, cut body for ever", do: read, steps: []http.HandlerFunc{cutBody(`{"id":`)}, calls: 6, max: 15500 * time.Millisecond,
			err: "reading the account: 200 with an unreadable body: unexpected EOF (tried 6 times)"},
		{name: "read, no answer", do: read, steps: []http.HandlerFunc{hang, ok}, calls: 2, min: 30 * time.Second, max: 30500 * time.Millisecond},
		{name: "read, never an answer", do: read, steps: []http.HandlerFunc{hang}, calls: 4, min: 120 * time.Second, max: 124 * time.Second,
			err: "reading the account: no complete answer within 30s (tried 4 times)"},

		{name: "write, 500 once", do: write, steps: []http.HandlerFunc{fail, ok}, calls: 2, max: 500 * time.Millisecond},
		{name: "write, 500 for ever", do: write, steps: []http.HandlerFunc{fail}, calls: 6, max: 15500 * time.Millisecond, uncertain: true,
			err: `renaming the account to "Acme": 500 E0000009 Internal Server Error (errorId oaeI) (tried 6 times); it may have taken effect all the same`},
		{name: "write, 500 and then refused", do: write, steps: []http.HandlerFunc{fail, reply(403, forbiddenBody)}, calls: 2, max: 500 * time.Millisecond, uncertain: true,
			err: `renaming the account to "Acme": 403 E0000006 You do not have permission to perform the requested action (errorId oaeF); it may have taken effect all the same`},
		{name: "write, refused", do: write, steps: []http.HandlerFunc{reply(403, forbiddenBody)}, calls: 1,
			err: `renaming the account to "Acme": 403 E0000006 You do not have permission to perform the requested action (errorId oaeF)`},
		{name: "write, limited", do: write, steps: []http.HandlerFunc{limit("Retry-After", "3"), ok}, calls: 2, min: 3 * time.Second, max: 4 * time.Second},

		{name: "post", do: post, steps: []http.HandlerFunc{linked}, calls: 1},
		{name: "post, limited", do: post, steps: []http.HandlerFunc{limit("Retry-After", "3"), linked}, calls: 2, min: 3 * time.Second, max: 4 * time.Second},
		{name: "post, no slot", do: post, steps: []http.HandlerFunc{crowd, linked}, calls: 2, min: 100 * time.Millisecond, max: 200 * time.Millisecond},
		{name: "post, 500", do: post, steps: []http.HandlerFunc{fail}, calls: 1, uncertain: true,
			err: `linking the org "00o1": 500 E0000009 Internal Server Error (errorId oaeI); it may have taken effect all the same`},
		{name: "post, 503", do: post, steps: []http.HandlerFunc{reply(503, "", "Retry-After", "1")}, calls: 1, uncertain: true,
			err: `linking the org "00o1": 503 Service Unavailable; it may have taken effect all the same`},
		{name: "post, cut connection", do: post, steps: []http.HandlerFunc{hangUp}, calls: 1, uncertain: true,
			err: `linking the org "00o1": EOF; it may have taken effect all the same`},
		{name: "post, cut body", do: post, steps: []http.HandlerFunc{cutBody(`{"id":`)}, calls: 1, uncertain: true,
			err: `linking the org "00o1": 200 with an unreadable body: unexpected EOF; it may have taken effect all the same`},
		{name: "post, no answer", do: post, steps: []http.HandlerFunc{hang}, calls: 1, min: 30 * time.Second, max: 30 * time.Second, uncertain: true,
			err: `linking the org "00o1": no complete answer within 30s; it may have taken effect all the same`},
		{name: "post, redirected", do: post, steps: []http.HandlerFunc{reply(307, "", "Location", "http://elsewhere.test/secret")}, calls: 1, uncertain: true,
			err: `linking the org "00o1": 307 redirected to "http://elsewhere.test"; it may have taken effect all the same`},
		{name: "post, answer about another org", do: post, steps: []http.HandlerFunc{reply(200, `{"id":"00o2"}`)}, calls: 1, uncertain: true,
			err: `linking the org "00o1": the answer is about the org "00o2"; it may have taken effect all the same`},
		{name: "post, refused", do: post, steps: []http.HandlerFunc{reply(403, forbiddenBody)}, calls: 1,
			err: `linking the org "00o1": 403 E0000006 You do not have permission to perform the requested action (errorId oaeF)`},

		{name: "limited until a reset", do: read, calls: 2, min: 20 * time.Second, max: 21 * time.Second,
			steps: []http.HandlerFunc{limit("X-Rate-Limit-Limit", "600", "X-Rate-Limit-Remaining", "0", "X-Rate-Limit-Reset", unix(skewed.Add(20*time.Second-time.Hour))), ok}},
		{name: "limited until a reset, clocks apart", do: read, calls: 2, min: 20 * time.Second, max: 21 * time.Second,
			steps: []http.HandlerFunc{date(limit("X-Rate-Limit-Reset", unix(skewed.Add(20*time.Second))), skewed), ok}},
		{name: "limited until a reset, from a server without a clock", do: read, calls: 2, min: 20 * time.Second, max: 21 * time.Second,
			steps: []http.HandlerFunc{limit("Date", "", "X-Rate-Limit-Reset", unix(skewed.Add(20*time.Second-time.Hour))), ok}},
		{name: "limited until a date, clocks apart", do: read, calls: 2, min: 15 * time.Second, max: 16 * time.Second,
			steps: []http.HandlerFunc{date(limit("Retry-After", skewed.Add(15*time.Second).Format(http.TimeFormat)), skewed), ok}},
		{name: "limited, and asked too much", do: read, calls: 1,
			steps: []http.HandlerFunc{limit("Retry-After", "3600"), ok},
			err:   "reading the account: 429 E0000047 API call exceeded rate limit due to too many requests. (errorId oaeL) (not to be sent again until 01:00:00 UTC)"},
		{name: "post, limited, and asked too much", do: post, calls: 1,
			steps: []http.HandlerFunc{limit("X-Rate-Limit-Reset", unix(skewed.Add(10*time.Minute-time.Hour))), ok},
			err:   `linking the org "00o1": 429 E0000047 API call exceeded rate limit due to too many requests. (errorId oaeL) (not to be sent again until 00:10:00 UTC)`},
		{name: "limited, not said how long", do: read, calls: 4, min: 7 * time.Second, max: 10 * time.Second,
			steps: append(times(3, limit()), ok)},
		{name: "limited until a reset long gone", do: read, calls: 2, min: time.Second, max: 2 * time.Second,
			steps: []http.HandlerFunc{limit("X-Rate-Limit-Reset", "1"), ok}},
		{name: "limited for ever", do: read, calls: 4, min: 270 * time.Second, max: 273 * time.Second,
			steps: []http.HandlerFunc{limit("Retry-After", "90")},
			err:   "reading the account: 429 E0000047 API call exceeded rate limit due to too many requests. (errorId oaeL) (gave up after 5m0s)"},
		{name: "no slot, many times", do: read, calls: 31, min: 26 * time.Second, max: 55 * time.Second, steps: append(times(30, crowd), ok)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := play(tt.steps...)
				c := newClient(t, s, nil)
				start := time.Now()
				err := tt.do(t.Context(), c)
				took := time.Since(start)
				if fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
					t.Errorf("error = %v\nwant    %v", err, tt.err)
				}
				var u *rest.UncertainError
				if errors.As(err, &u) != tt.uncertain {
					t.Errorf("uncertain = %v, want %v", !tt.uncertain, tt.uncertain)
				}
				if s.count() != tt.calls {
					t.Errorf("%d calls, want %d", s.count(), tt.calls)
				}
				if took < tt.min || took > tt.max {
					t.Errorf("took %v, want %v to %v", took, tt.min, tt.max)
				}
				for _, call := range s.calls {
					if call != s.calls[0] {
						t.Errorf("repeated as %q, was %q", call, s.calls[0])
					}
				}
			})
		})
	}
}

// TestJSONByAnotherName holds that a list is a list whatever it is sent as.
func TestJSONByAnotherName(t *testing.T) {
	for _, contentType := range []string{"text/plain; charset=utf-8", "", "application/hal+json"} {
		synctest.Test(t, func(t *testing.T) {
			s := play(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				_, _ = io.WriteString(w, `[{"id":"P1"}]`)
			})
			ids, err := newClient(t, s, nil).OrgProducts(t.Context(), "00o1")
			if err != nil || len(ids) != 1 {
				t.Errorf("%q: %v, %v", contentType, ids, err)
			}
		})
	}
}

// TestBadAnswers holds 200s that are no success.
func TestBadAnswers(t *testing.T) {
	list := func(ctx context.Context, c *Client) error { _, err := c.OrgProducts(ctx, "00o1"); return err }
	account := func(ctx context.Context, c *Client) error { _, err := c.Account(ctx); return err }
	for _, tt := range []struct {
		name   string
		do     func(context.Context, *Client) error
		answer http.HandlerFunc
		calls  int
		err    string
	}{
		{"empty", list, reply(200, ""), 6, "200 with an unreadable body: it is empty (tried 6 times)"},
		{"204", list, reply(204, ""), 6, "204 with an unreadable body: it is empty (tried 6 times)"},
		{"web page", list, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<html>sign in</html>")
		}, 6, `200 with an unreadable body: it is "text/html; charset=utf-8", not JSON (tried 6 times)`},
		{"no content type", list, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "upstream error")
		}, 6, `200 with an unreadable body: it is "", not JSON (tried 6 times)`},
		{"null", list, reply(200, "null"), 1, "the answer is null instead of a list"},
		{"null inside", list, reply(200, "[null]"), 1, "product 1 of the answer has no id"},
		{"no id", list, reply(200, `[{"id":"P1"},{"name":"x"}]`), 1, "product 2 of the answer has no id"},
		{"object", list, reply(200, "{}"), 6, "200 with an unreadable body: it is of type object (tried 6 times)"},
		{"wrong type", list, reply(200, `[{"id":17}]`), 6, "200 with an unreadable body: id is of type number (tried 6 times)"},
		{"truncated", list, reply(200, `[{"id":"P1"}`), 6, "200 with an unreadable body: unexpected end of JSON input (tried 6 times)"},
		{"more after the end", list, reply(200, `[] []`), 6, "200 with an unreadable body: invalid character '[' after top-level value (tried 6 times)"},
		{"too long", list, reply(200, "["+strings.Repeat(" ", maxBody)+"]"), 1, "200 with an unreadable body: it is longer than any such answer need be (over 1048576 bytes)"},
		{"null account", account, reply(200, "null"), 1, `the answer is about the account "", but "` + testAccount + `" is configured`},
		{"other account", account, reply(200, `{"id":"0200x\u001b[31m"}`), 1, `the answer is about the account "0200x [31m", but "` + testAccount + `" is configured`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := play(tt.answer)
				err := tt.do(t.Context(), newClient(t, s, nil))
				if err == nil || !strings.HasSuffix(err.Error(), ": "+tt.err) {
					t.Errorf("error = %v\nwant  … %s", err, tt.err)
				}
				if s.count() != tt.calls {
					t.Errorf("%d calls, want %d", s.count(), tt.calls)
				}
			})
		})
	}
}

// TestRefusals: what Okta refuses is asked once.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		err    string
		hint   string // a part of it
	}{
		{400, `{"errorCode":"E0000001","errorSummary":"Api validation failed: orgId","errorId":"oae1","errorCauses":[{"errorSummary":"orgId: not\nvalid"},{},{"errorSummary":"cell: unknown"}]}`,
			"400 E0000001 Api validation failed: orgId: orgId: not valid; cell: unknown (errorId oae1)", ""},
		{401, `{"errorCode":"E0000011","errorSummary":"Invalid token provided","errorId":"oae2"}`, "401 E0000011 Invalid token provided (errorId oae2)", "aerial.auth"},
		{403, forbiddenBody, "403 E0000006 You do not have permission to perform the requested action (errorId oaeF)", "okta.accounts.read"},
		{404, "not here", "404 Not Found", "does not manage"},
		{409, "null", "409 Conflict", ""},
		{418, `{"errorSummary":["wrong type"]}`, "418 I'm a teapot", ""},
		{422, `{"errorSummary":"quotes eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln and goes on"}`, "422 quotes [token] and goes on", ""},
		{301, "", "301 Moved Permanently", "aerial.url"},
		{999, "", "999", "proxy"},
	} {
		t.Run(strconv.Itoa(tt.status), func(t *testing.T) {
			s := play(reply(tt.status, tt.body))
			_, err := newClient(t, s, nil).Org(t.Context(), "00o1")
			var e *rest.Error
			if !errors.As(err, &e) {
				t.Fatalf("error = %v, want a *rest.Error", err)
			}
			if e.Error() != tt.err || err.Error() != `reading the org "00o1": `+tt.err {
				t.Errorf("error = %v\nwant  … %s", err, tt.err)
			}
			if e.Method != "GET" || e.Endpoint != "orgs/{id}" || e.Status != tt.status {
				t.Errorf("got %s %s %d", e.Method, e.Endpoint, e.Status)
			}
			if h := hintOf(err); tt.hint == "" && h != "" || !strings.Contains(h, tt.hint) {
				t.Errorf("hint = %q, want something about %q", h, tt.hint)
			}
			if s.count() != 1 {
				t.Errorf("%d calls, want 1", s.count())
			}
		})
	}
}

// TestRedirects: a redirect is an error that names where to, and nobody goes
// there.
func TestRedirects(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := play(reply(status, "", "Location", "https://evil.test/path?token=x"))
		_, err := newClient(t, s, nil).Account(t.Context())
		if want := fmt.Sprintf(`reading the account: %d redirected to "https://evil.test"`, status); fmt.Sprint(err) != want {
			t.Errorf("error = %v\nwant    %v", err, want)
		}
		if s.count() != 1 {
			t.Errorf("%d: %d calls, want 1", status, s.count())
		}
	}
}

// TestUpgrade: an answer whose body is the connection itself doesn't stall.
func TestUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, reply(101, "", "Connection", "Upgrade", "Upgrade", "x"), nil)
		_, err := c.Account(t.Context())
		if statusOf(err) != 101 {
			t.Errorf("error = %v, want a 101", err)
		}
	})
}

// TestCancelRead: a read ends at once, wherever it is.
func TestCancelRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    http.HandlerFunc
		err  string
	}{
		{"on the wire", hang, "reading the account: context canceled"},
		{"before trying again", reply(429, limitBody, "Retry-After", "60"),
			"reading the account: context canceled while waiting to try again after: 429 E0000047 API call exceeded rate limit due to too many requests. (errorId oaeL)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := play(tt.h)
				c := newClient(t, s, nil)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				start := time.Now()
				_, err := c.Account(ctx)
				if !errors.Is(err, context.Canceled) || err.Error() != tt.err {
					t.Errorf("error = %v\nwant    %v", err, tt.err)
				}
				if took := time.Since(start); took != time.Second {
					t.Errorf("took %v, want 1s", took)
				}
			})
		})
	}
}

// TestLogPath: the path of a call is logged as it goes over the wire.
func TestLogPath(t *testing.T) {
	for _, prefix := range []string{"", "/", "/under/this/"} {
		var logged lockedBuffer
		s := play(reply(200, accountBody))
		c := newClient(t, s, func(o *Options) {
			o.URL = mustURL("http://aerial.test" + prefix)
			o.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		if _, err := c.Account(t.Context()); err != nil {
			t.Fatal(err)
		}
		path := strings.TrimSuffix(prefix, "/") + "/" + testAccount + "/api/v1/accounts"
		if text := logged.String(); !strings.Contains(text, " path="+path+" ") || s.calls[0] != "GET "+path {
			t.Errorf("%q: called %s and logged %s", prefix, s.calls[0], text)
		}
	}
}

func TestCancelWaitForSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(hang)
		c := newClient(t, s, func(o *Options) { o.Concurrency = 1 })
		first, stop := context.WithCancel(t.Context())
		defer stop()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Account(first) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Account(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want the deadline's", err)
		}
		if s.count() != 1 {
			t.Errorf("%d calls, want the first only", s.count())
		}
		stop()
		wg.Wait()
	})
}

// TestCancelWrite: a write on the wire is waited for, so that its outcome is
// known; it is not sent when its context has ended before, nor sent again.
func TestCancelWrite(t *testing.T) {
	slow := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * time.Second)
			h(w, r)
		}
	}
	for _, tt := range []struct {
		name  string
		h     http.HandlerFunc
		after time.Duration
		calls int
		took  time.Duration
		err   string
	}{
		{"before", reply(200, accountBody), 0, 0, 0, `renaming the account to "Acme": context canceled`},
		{"on the wire", slow(reply(200, accountBody)), time.Second, 1, 5 * time.Second, ""},
		{"on the wire, and it failed", slow(reply(500, internalBody)), time.Second, 1, 5 * time.Second,
			`renaming the account to "Acme": context canceled while waiting to try again after: 500 E0000009 Internal Server Error (errorId oaeI); it may have taken effect all the same`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := play(tt.h)
				c := newClient(t, s, nil)
				ctx, cancel := context.WithCancel(t.Context())
				if tt.after == 0 {
					cancel()
				}
				time.AfterFunc(tt.after, cancel)
				start := time.Now()
				_, err := c.RenameAccount(ctx, "Acme", yes)
				if fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
					t.Errorf("error = %v\nwant    %v", err, tt.err)
				}
				if s.count() != tt.calls || time.Since(start) != tt.took {
					t.Errorf("%d calls in %v, want %d in %v", s.count(), time.Since(start), tt.calls, tt.took)
				}
			})
		})
	}
}

// TestSlots: never more calls than slots, first come, first served, and a call
// that waits to be tried again holds none.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		inFlight, most := 0, 0
		c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := strings.Split(r.URL.Path, "/")[5]
			mu.Lock()
			order = append(order, id)
			first := len(order) <= 3
			inFlight++
			most = max(most, inFlight)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			inFlight--
			mu.Unlock()
			if first {
				reply(429, limitBody, "Retry-After", "60")(w, r)
				return
			}
			reply(200, "[]")(w, r)
		}), func(o *Options) { o.Concurrency = 3 })
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				if _, err := c.OrgProducts(t.Context(), strconv.Itoa(i)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if most != 3 {
			t.Errorf("%d calls at once, want 3", most)
		}
		// Nine good calls in three seconds, while the first three wait.
		// Those of one second come in any order.
		for i := 0; i < 12; i += 3 {
			for _, id := range order[i : i+3] {
				if n, _ := strconv.Atoi(id); n < i || n > i+2 {
					t.Errorf("order = %v", order)
				}
			}
		}
		if took := time.Since(start); took < 61*time.Second || took > 65*time.Second {
			t.Errorf("took %v, want about a minute", took)
		}
	})
}

// TestBudget: an API that is down is not asked six times for each of many
// calls, and one that is back is trusted again.
func TestBudget(t *testing.T) {
	const budgetSize = 60 // of all calls of a Client together
	synctest.Test(t, func(t *testing.T) {
		s := play(reply(500, internalBody))
		c := newClient(t, s, nil)
		var wg sync.WaitGroup
		var mu sync.Mutex
		spent := 0
		for range 200 {
			wg.Go(func() {
				_, err := c.Account(t.Context())
				mu.Lock()
				defer mu.Unlock()
				if strings.HasSuffix(err.Error(), "(not tried again: too many calls have failed lately)") {
					spent++
				}
			})
		}
		start := time.Now()
		wg.Wait()
		took := time.Since(start)
		// 200 first attempts, the budget, and what came back meanwhile.
		if most := 200 + budgetSize + int(took.Seconds()) + 1; s.count() > most || s.count() < 200+budgetSize {
			t.Errorf("%d calls in %v, want %d to %d", s.count(), took, 200+budgetSize, most)
		}
		if spent < 100 {
			t.Errorf("%d calls were told that the budget is spent, want most of 200", spent)
		}
		time.Sleep(budgetSize * time.Second)
		before := s.count()
		_, err := c.Account(t.Context())
		if s.count()-before != maxAttempts {
			t.Errorf("%d calls after a pause, want %d: %v", s.count()-before, maxAttempts, err)
		}
	})
}

// TestNoWay: what can't be reached was not sent, and the hint says so.
func TestNoWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		c := newClient(t, http.NotFoundHandler(), func(o *Options) {
			o.Transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, refused })
		})
		_, err := c.LinkOrg(t.Context(), "00o1", "", "ok1", yes)
		var u *rest.UncertainError
		if err == nil || errors.As(err, &u) {
			t.Errorf("error = %v, want one that leaves nothing open", err)
		}
		var h interface{ Hint() string }
		if !errors.As(err, &h) || !strings.Contains(h.Hint(), "aerial.url") {
			t.Errorf("no hint in %v", err)
		}
	})
}

func TestUntrustedServer(t *testing.T) {
	srv := httptest.NewUnstartedServer(play(reply(200, accountBody)))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	srv.StartTLS()
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	tr := BaseTransport(1)
	defer tr.CloseIdleConnections()
	attempts := &counter{}
	c, err := New(Options{URL: u, AccountID: testAccount, Keys: testKeys, Transport: tr, Observer: attempts})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Account(t.Context())
	var cert *tls.CertificateVerificationError
	if !errors.As(err, &cert) {
		t.Errorf("error = %v, want the certificate's", err)
	}
	if attempts.started != 1 {
		t.Errorf("%d attempts, want 1", attempts.started)
	}
}

// TestHTTP2: over TLS the base transport speaks HTTP/2, and TLS 1.2 is the
// least.
func TestHTTP2(t *testing.T) {
	f := newFleet(30)
	major := make(chan int, 100)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		major <- r.ProtoMajor
		f.ServeHTTP(w, r)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	tr := BaseTransport(MaxConcurrency)
	defer tr.CloseIdleConnections()
	tr.TLSClientConfig.RootCAs = x509.NewCertPool()
	tr.TLSClientConfig.RootCAs.AddCert(srv.Certificate())
	c, err := New(Options{URL: mustURL(srv.URL), AccountID: testAccount, Transport: tr})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Observe(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	close(major)
	for m := range major {
		if m != 2 {
			t.Fatalf("spoke HTTP/%d, want 2", m)
		}
	}
	if v := tr.TLSClientConfig.MinVersion; v != tls.VersionTLS12 {
		t.Errorf("the least version of TLS is %x", v)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNoCredentials: a failure to get credentials is not one of the API. It is
// not repeated, and the write it was for was not sent.
func TestNoCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		noToken := errors.New("no token today")
		s := play(reply(200, accountBody))
		tries := 0
		c := newClient(t, s, func(o *Options) {
			o.Auth = func(http.RoundTripper) http.RoundTripper {
				return roundTripper(func(*http.Request) (*http.Response, error) { tries++; return nil, noToken })
			}
		})
		_, err := c.LinkOrg(t.Context(), "", "acme.okta.com", "ok1", yes)
		var u *rest.UncertainError
		if !errors.Is(err, noToken) || errors.As(err, &u) {
			t.Errorf("error = %v, want %v and nothing open", err, noToken)
		}
		if _, err := c.Account(t.Context()); !errors.Is(err, noToken) {
			t.Errorf("error = %v, want %v", err, noToken)
		}
		if tries != 2 || s.count() != 0 {
			t.Errorf("%d tries and %d calls, want 2 and none", tries, s.count())
		}

		c = newClient(t, s, func(o *Options) {
			o.Auth = func(http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, fmt.Errorf("waiting for a token: %w", r.Context().Err())
				})
			}
		})
		_, err = c.Account(t.Context())
		if want := "reading the account: no access token within 30s"; fmt.Sprint(err) != want {
			t.Errorf("error = %v, want %v", err, want)
		}
	})
}

// TestAuthSendsThroughTransport: what fails behind the credentials is a
// failure of the API again.
func TestAuthSendsThroughTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := play(hangUp, reply(200, accountBody))
		c := newClient(t, s, func(o *Options) {
			o.Auth = func(base http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					resp, err := base.RoundTrip(r)
					if err != nil {
						return nil, fmt.Errorf("with credentials: %w", err)
					}
					return resp, nil
				})
			}
		})
		if _, err := c.Account(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestAs: clients with different credentials share the slots.
func TestAs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := func(who string) func(http.RoundTripper) http.RoundTripper {
			return func(base http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					r = r.Clone(r.Context())
					r.Header.Set("Authorization", who)
					return base.RoundTrip(r)
				})
			}
		}
		var mu sync.Mutex
		seen := map[string]int{}
		inFlight, most := 0, 0
		c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen[r.Header.Get("Authorization")]++
			inFlight++
			most = max(most, inFlight)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			inFlight--
			mu.Unlock()
			reply(200, accountBody)(w, r)
		}), func(o *Options) { o.Auth, o.Concurrency = as("reader"), 2 })
		var wg sync.WaitGroup
		for range 4 {
			for _, c := range []*Client{c, c.As(as("writer")), c.As(nil)} {
				wg.Go(func() {
					if _, err := c.Account(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		if most != 2 || seen["reader"] != 4 || seen["writer"] != 4 || seen[""] != 4 {
			t.Errorf("%d at once, calls: %v", most, seen)
		}
	})
}

type counter struct {
	mu       sync.Mutex
	started  int
	finished []string
}

func (c *counter) Started(method, endpoint string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started++
}

func (c *counter) Finished(method, endpoint string, code int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finished = append(c.finished, fmt.Sprintf("%s %s %d %v", method, endpoint, code, took))
}

// TestObserverAndLog: each attempt is counted once, with its code, and neither
// metrics nor logs grow with the ids of orgs or hold what came back.
func TestObserverAndLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(h http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second); h(w, r) }
		}
		seen := &counter{}
		var log bytes.Buffer
		c := newClient(t, play(slow(hangUp), slow(reply(503, "")), slow(reply(200, `[{"id":"P1","name":"hidden"}]`))), func(o *Options) {
			o.Observer = seen
			o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		if _, err := c.OrgProducts(t.Context(), "00o1"); err != nil {
			t.Fatal(err)
		}
		want := "GET orgs/{id}/products 0 1s, GET orgs/{id}/products 503 1s, GET orgs/{id}/products 200 1s"
		if got := strings.Join(seen.finished, ", "); got != want || seen.started != 3 {
			t.Errorf("%d started; finished: %s", seen.started, got)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 2 {
			t.Errorf("%d warnings, want 2:\n%s", n, log.String())
		}
		if strings.Contains(log.String(), "hidden") {
			t.Errorf("the log holds a body:\n%s", log.String())
		}
	})
}

// TestHangingWriteIsNotWaitedForLong holds that a run that is to stop waits for
// a write on the wire, but not up to the timeout.
func TestHangingWriteIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s := play(func(_ http.ResponseWriter, r *http.Request) {
			stop()
			<-r.Context().Done()
		})
		began := time.Now()
		_, err := newClient(t, s, nil).SetOrgProducts(ctx, "00o1", these([]string{"P1"}))
		var open *rest.UncertainError
		if !errors.As(err, &open) || !strings.Contains(err.Error(), "within 5s of being asked to stop") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != stopGrace {
			t.Errorf("took %v", took)
		}
		if s.count() != 1 {
			t.Errorf("%d calls", s.count())
		}
	})
}
