package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// api answers one request after the other, the rest as the last, and keeps what
// was sent.
type api struct {
	answers []answer
	sent    []string // Authorization and body
}

type answer struct {
	status int // 0: the connection breaks
	body   string
	header http.Header
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	now := a.answers[min(len(a.sent), len(a.answers)-1)]
	a.sent = append(a.sent, strings.TrimSpace(r.Header.Get("Authorization")+" "+string(body)))
	if now.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if now.header == nil {
		now.header = http.Header{}
	}
	return &http.Response{StatusCode: now.status, Header: now.header, Body: io.NopCloser(strings.NewReader(now.body)), Request: r}, nil
}

// renewing puts a token on each request, and another one after a 401.
func renewing(base http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		for n := 1; ; n++ {
			out := r.Clone(r.Context())
			out.Header.Set("Authorization", fmt.Sprintf("token%d", n))
			resp, err := base.RoundTrip(out)
			if err != nil || resp.StatusCode != 401 || n == 2 {
				return resp, err
			}
		}
	})
}

func caller(a http.RoundTripper, auth func(http.RoundTripper) http.RoundTripper) *Caller {
	return New(Options{Name: "the API", Transport: a, Auth: auth, Slots: 1})
}

func call(repeat Repeat) *Call {
	return &Call{
		Method: "POST", Endpoint: "things", URL: &url.URL{Scheme: "https", Host: "api.test", Path: "/things"},
		Policy: Policy{Repeat: repeat, Timeout: time.Minute, Grace: time.Second, MaxBody: 100, Attempts: 3, Backoff: time.Second, Failing: time.Hour, Throttled: time.Hour},
	}
}

var errForbidden = errors.New("not any more")

// TestMaySend: it is asked right before each send, the first one, each
// repetition, and the one with a renewed token; with the credentials got and the
// slot taken; and what goes out is what it returned.
func TestMaySend(t *testing.T) {
	limited := answer{status: 429, header: http.Header{"Retry-After": {"1"}}}
	for _, tt := range []struct {
		name    string
		repeat  Repeat
		answers []answer
		forbid  int // the how manieth send; 0: none
		sent    []string
		err     string
		open    bool
	}{
		{"first", Never, []answer{{status: 200}}, 0, []string{"token1 body1"}, "", false},
		{"first forbidden", Never, []answer{{status: 200}}, 1, nil, "not any more", false},
		{"after a 429", Never, []answer{limited, {status: 200}}, 0, []string{"token1 body1", "token1 body2"}, "", false},
		{"forbidden after a 429", Never, []answer{limited, {status: 200}}, 2, []string{"token1 body1"},
			"not any more (not sent again after: 429 Too Many Requests)", false},
		{"with a renewed token", Never, []answer{{status: 401}, {status: 200}}, 0, []string{"token1 body1", "token2 body2"}, "", false},
		{"forbidden with a renewed token", Never, []answer{{status: 401}, {status: 200}}, 2, []string{"token1 body1"}, "not any more", false},
		{"after a failure", AfterLook, []answer{{status: 500}, {status: 0}, {status: 200}}, 0, []string{"token1 body1", "token1 body2", "token1 body3"}, "", false},
		{"forbidden after a failure", AfterLook, []answer{{status: 500}, {status: 200}}, 2, []string{"token1 body1"},
			"not any more (not sent again after: 500 Internal Server Error); it may have taken effect all the same", true},
		{"broken with a renewed token", Never, []answer{{status: 401}, {status: 0}}, 0, []string{"token1 body1", "token2 body2"},
			"unexpected EOF; it may have taken effect all the same", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &api{answers: tt.answers}
				got := 0 // credentials
				c := caller(a, func(base http.RoundTripper) http.RoundTripper {
					return renewing(roundTrip(func(r *http.Request) (*http.Response, error) {
						got++
						return base.RoundTrip(r)
					}))
				})
				asked := 0
				call := call(tt.repeat)
				call.MaySend = func(context.Context) ([]byte, error) {
					asked++
					if asked != got || len(a.sent) != asked-1 || c.slots.TryAcquire(1) {
						t.Errorf("asked %d times with %d credentials, after %d sends", asked, got, len(a.sent))
					}
					if asked == tt.forbid {
						return nil, errForbidden
					}
					return fmt.Appendf(nil, "body%d", asked), nil
				}
				err := c.Do(t.Context(), call)
				if fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
					t.Errorf("error = %v\nwant    %s", err, tt.err)
				}
				var unsent *UnsentError
				var open *UncertainError
				if forbidden := tt.forbid > 0; errors.Is(err, errForbidden) != forbidden || errors.As(err, &unsent) != forbidden || errors.As(err, &open) != tt.open {
					t.Errorf("error = %#v", err)
				}
				if d := cmp.Diff(tt.sent, a.sent); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// TestEmptyBody: nothing is sent chunked that has no body.
func TestEmptyBody(t *testing.T) {
	for _, maySend := range []func(context.Context) ([]byte, error){nil, func(context.Context) ([]byte, error) { return nil, nil }} {
		call := call(Never)
		call.MaySend = maySend
		err := caller(roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.ContentLength != 0 || r.Body != nil && r.Body != http.NoBody {
				t.Errorf("sent %d bytes of %v", r.ContentLength, r.Body)
			}
			return (&api{answers: []answer{{status: 200}}}).RoundTrip(r)
		}), nil).Do(t.Context(), call)
		if err != nil {
			t.Error(err)
		}
	}
}

// TestPanic: whatever panics, the slot is free again.
func TestPanic(t *testing.T) {
	bug := func() { panic("a bug") }
	spoiled := func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(*http.Request) (*http.Response, error) { bug(); return nil, nil })
	}
	good := &api{answers: []answer{{status: 200}}}
	for name, spoil := range map[string]func(*Options, *Call){
		"transport":   func(o *Options, _ *Call) { o.Transport = spoiled(nil) },
		"credentials": func(o *Options, _ *Call) { o.Auth = spoiled },
		"observer":    func(o *Options, _ *Call) { o.Observer = panicky{} },
		"may send": func(_ *Options, c *Call) {
			c.MaySend = func(context.Context) ([]byte, error) { bug(); return nil, nil }
		},
		"read": func(_ *Options, c *Call) { c.Read = func(*Answer) error { bug(); return nil } },
	} {
		opts, call := Options{Transport: good, Slots: 1}, call(AfterLook)
		spoil(&opts, call)
		c := New(opts)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			_ = c.Do(t.Context(), call)
		}()
		if !c.slots.TryAcquire(1) {
			t.Errorf("%s: the slot is lost", name)
		}
	}
}

type panicky struct{}

func (panicky) Started(string, string)                      { panic("a bug") }
func (panicky) Finished(string, string, int, time.Duration) {}

// TestReadInPart: what a call can use of a cut body is a success.
func TestReadInPart(t *testing.T) {
	a := &api{answers: []answer{{status: 201, body: strings.Repeat("x", 200)}}}
	call := call(Never)
	var got *Answer
	call.Read = func(a *Answer) error { got = a; return nil }
	if err := caller(a, nil).Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if len(got.Body) != 100 || got.Status != 201 || got.Cut == nil || got.Cut.Error() != "it is longer than any such answer need be (over 100 bytes)" {
		t.Errorf("got %d bytes, %v", len(got.Body), got.Cut)
	}
}

// TestPassing: a refusal that passes is sent again even where a failure must not be,
// and leaves nothing open; others are not.
func TestPassing(t *testing.T) {
	locked := answer{status: 423}
	for _, tt := range []struct {
		name    string
		answers []answer
		sent    int
		err     string
	}{
		{"once", []answer{locked, {status: 200}}, 2, ""},
		{"for good", []answer{locked}, 3, "423 Locked (tried 3 times)"},
		{"another refusal", []answer{{status: 404}}, 1, "404 Not Found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &api{answers: tt.answers}
				call := call(Never)
				call.Policy.Passing = func(e *Error) bool { return e.Status == 423 }
				err := caller(a, nil).Do(t.Context(), call)
				if got := fmt.Sprint(err); len(a.sent) != tt.sent || err == nil && tt.err != "" || err != nil && got != tt.err {
					t.Errorf("sent %d times, %v", len(a.sent), err)
				}
			})
		})
	}
}
