package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// Error is a token call that failed: what Okta said, in its own words, and
// apart from them, as the Hint, what is probably wrong.
type Error struct {
	// URL is the token endpoint and Scopes what was asked for.
	URL    string
	Scopes []string
	// Status is the HTTP status; 0 when there was no answer.
	Status int
	// Code and Description are Okta's error and error_description, made fit
	// for one line; empty when it sent none.
	Code        string
	Description string
	// RequestID is what Okta Support asks for; empty when it sent none.
	RequestID string
	// Skew is how far the local clock is ahead of Okta's (negative: behind),
	// by the Date of the answer; 0 when it is not known. Good to a second or so.
	Skew time.Duration
	// RetryAfter is how long Okta asks to wait; 0 when it doesn't say.
	RetryAfter time.Duration
	// Err is what went wrong on the way, or with the answer; nil when the
	// answer was a proper refusal.
	Err error

	temporary bool   // the same request may succeed a little later
	proved    bool   // the request carried a DPoP proof
	nonced    bool   // the answer carried a DPoP nonce
	hint      string // outranks what the other fields suggest
}

// errTimeout is the cause of a request that took too long, as opposed to one
// that the caller gave up.
var errTimeout = errors.New("no answer in time")

// Error gives one line, without the hint.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "getting a token from %q for %q: ", e.URL, strings.Join(e.Scopes, " "))
	if e.Err != nil {
		b.WriteString(e.Err.Error())
		return b.String()
	}
	if e.Code == "" {
		fmt.Fprintf(&b, "HTTP %d %s", e.Status, http.StatusText(e.Status))
	} else {
		fmt.Fprintf(&b, "HTTP %d %s", e.Status, e.Code)
	}
	if e.Description != "" {
		b.WriteString(": " + e.Description)
	}
	if e.RequestID != "" {
		b.WriteString(" (request id " + e.RequestID + ")")
	}
	return b.String()
}

// Unwrap gives what went wrong on the way.
func (e *Error) Unwrap() error { return e.Err }

// wantsDPoP says whether Okta asks for a proof that the request didn't carry.
func (e *Error) wantsDPoP() bool {
	if e.proved || e.Status != http.StatusBadRequest && e.Status != http.StatusUnauthorized {
		return false
	}
	return e.Code == "invalid_dpop_proof" || e.Code == "use_dpop_nonce" ||
		strings.Contains(strings.ToLower(e.Description), "dpop")
}

// transport makes e the error of a request that got no whole answer.
func (e *Error) transport(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if cause := context.Cause(ctx); !errors.Is(cause, errTimeout) {
			return cause
		}
		err = errTimeout
	}
	e.Err = err
	var dns *net.DNSError
	unknown := errors.As(err, &dns) && dns.IsNotFound
	e.temporary = !unknown && !rest.Untrusted(err)
	return e
}

// broken makes e the error of an answer that is no good.
func (e *Error) broken(hint, format string, args ...any) error {
	e.Err = fmt.Errorf(format, args...)
	e.hint = hint
	return e
}

// refused makes e the error of an answer with another status than 200.
func (e *Error) refused(resp *http.Response, body []byte) error {
	e.Status = resp.StatusCode
	e.RequestID = text.Clean(resp.Header.Get("X-Okta-Request-Id"))
	// RFC 6749 errors, and those of Okta's APIs, which come from what stands
	// before the token endpoint. An answer that is neither leaves everything
	// empty; its status is then all there is to say.
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &said)
	okta := rest.Read(body)
	e.Code = cmp.Or(text.Clean(said.Error), okta.Code)
	e.Description = cmp.Or(text.Clean(said.Description), okta.Summary)
	e.RequestID = cmp.Or(e.RequestID, okta.ID)
	if to, err := resp.Location(); err == nil {
		e.Description = "redirect to " + web.OriginOf(to).String()
	}
	e.temporary = e.Status == http.StatusTooManyRequests ||
		e.Status >= 500 && e.Status != http.StatusNotImplemented
	if e.temporary {
		now := web.ServerTime(resp.Header)
		e.RetryAfter = cmp.Or(web.RetryAfter(resp.Header, now), web.Reset(resp.Header, now))
	}
	return e
}

// measure compares the local clock with the answer's Date.
func (e *Error) measure(h http.Header, sent, received time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	// A Date is cut to the second, so it is half a second late on average.
	local := sent.Add(received.Sub(sent) / 2)
	e.Skew = local.Sub(date.Add(500 * time.Millisecond)).Round(time.Second)
}
