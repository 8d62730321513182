package oktaauth

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
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
	e.temporary = !unreachable(err) && !untrusted(err)
	return e
}

// unreachable says whether err means that there is no such host.
func unreachable(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// untrusted says whether err means that the host is not whom it claims to be.
func untrusted(err error) bool {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verify) || errors.As(err, &authority) ||
		errors.As(err, &host) || errors.As(err, &invalid)
}

// broken makes e the error of an answer that is no good.
func (e *Error) broken(hint, format string, args ...any) error {
	e.Err = fmt.Errorf(format, args...)
	e.hint = hint
	return e
}

// refused makes e the error of an answer with another status than 200.
func (e *Error) refused(resp *http.Response, body []byte, now time.Time) error {
	e.Status = resp.StatusCode
	e.RequestID = clean(resp.Header.Get("X-Okta-Request-Id"))
	// RFC 6749 errors, and those of Okta's APIs, which come from what stands
	// before the token endpoint.
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Code        string `json:"errorCode"`
		Summary     string `json:"errorSummary"`
		ID          string `json:"errorId"`
	}
	// An answer that is no JSON leaves everything empty; its status is then
	// all there is to say.
	_ = json.Unmarshal(body, &said)
	e.Code = clean(cmp.Or(said.Error, said.Code))
	e.Description = clean(cmp.Or(said.Description, said.Summary))
	e.RequestID = cmp.Or(e.RequestID, clean(said.ID))
	if to, err := resp.Location(); err == nil {
		e.Description = "redirect to " + originOf(to).String()
	}
	e.temporary = e.Status == http.StatusTooManyRequests ||
		e.Status >= 500 && e.Status != http.StatusNotImplemented
	if e.temporary {
		e.RetryAfter = retryAfter(resp.Header, now.Add(-e.Skew))
	}
	return e
}

// retryAfter reads how long an answer asks to wait; now is by the server's
// clock.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if sec, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		return time.Duration(max(0, min(sec, 3600))) * time.Second
	}
	if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		return max(0, at.Sub(now))
	}
	if epoch, err := strconv.ParseInt(h.Get("X-Rate-Limit-Reset"), 10, 64); err == nil {
		return max(0, time.Unix(epoch, 0).Sub(now))
	}
	return 0
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

var jwtLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9_.-]*`)

// clean makes a server's words fit for one line of an error: no control
// characters, not endless, and without anything that looks like a JWT, since a
// server may quote what it was sent.
func clean(s string) string {
	const limit = 300
	s = jwtLike.ReplaceAllString(strings.ToValidUTF8(s, "?"), "[redacted]")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
