// Package oktaerr reads what Okta's APIs say when they refuse: the words in
// the body of the answer, and how long to wait before asking again. It also
// tells whether a request that failed on its way can have arrived at all.
//
// Every word of a server passes through Clean before it can reach an error or
// a log: one line, printable, short, and without anything that looks like a
// token.
package oktaerr

import (
	"cmp"
	"crypto/tls"
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

// Body is Okta's error body. All of it is fit for one line of a terminal.
type Body struct {
	// Code is Okta's code for the kind of error, such as "E0000006"; empty when
	// the body was not Okta's.
	Code string
	// Summary and Causes are Okta's words.
	Summary string
	Causes  []string
	// ID is what Okta Support asks for.
	ID string
}

// Read reads the body of an answer that is not a success. It is Okta's error
// body or, from something in between, anything at all; then nothing is read.
func Read(data []byte) Body {
	var wire struct {
		ErrorCode    string `json:"errorCode"`
		ErrorSummary string `json:"errorSummary"`
		ErrorID      string `json:"errorId"`
		ErrorCauses  []struct {
			ErrorSummary string `json:"errorSummary"`
		} `json:"errorCauses"`
	}
	if json.Unmarshal(data, &wire) != nil {
		return Body{}
	}
	b := Body{Code: Clean(wire.ErrorCode), Summary: Clean(wire.ErrorSummary), ID: Clean(wire.ErrorID)}
	for _, cause := range wire.ErrorCauses {
		if s := Clean(cause.ErrorSummary); s != "" {
			b.Causes = append(b.Causes, s)
		}
	}
	return b
}

// Line gives status, code, words and error id on one line.
func (b Body) Line(status int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d", status)
	if b.Code != "" {
		s.WriteString(" " + b.Code)
	}
	if words := cmp.Or(b.Summary, http.StatusText(status)); words != "" {
		s.WriteString(" " + words)
	}
	if len(b.Causes) > 0 {
		s.WriteString(": " + strings.Join(b.Causes, "; "))
	}
	if b.ID != "" {
		s.WriteString(" (errorId " + b.ID + ")")
	}
	return s.String()
}

// maxWords is how many characters of a server's words Clean leaves.
const maxWords = 500

// tokenLike is what tokens look like: access tokens and assertions are JSON Web
// Tokens; Okta's API tokens are 42 characters that begin with 00.
var tokenLike = regexp.MustCompile(`\beyJ[\w-]{8,}[\w.-]*|\b00[\w-]{40}(?:[^\w-]|$)`)

// Clean makes a server's words fit for one line of a terminal: no line breaks,
// no escape sequences, no end of length, and no tokens, should it quote what it
// was sent.
func Clean(s string) string {
	s = tokenLike.ReplaceAllString(s, "[token]")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxWords {
		s = string(r[:maxWords]) + "…"
	}
	return s
}

// ServerTime is the time at which the server answered, by its own clock where
// it tells. Ours may be off by more than any wait.
func ServerTime(h http.Header) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}

// RetryAfter reads the Retry-After header, which is either seconds or a date
// (RFC 9110, section 10.2.3); 0 when there is none, or none that makes sense.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(24*time.Hour/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(v); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// Reset reads how far ahead the X-Rate-Limit-Reset header puts the end of a
// rate limit's window; 0 when it is not there, or is past.
func Reset(h http.Header, now time.Time) time.Duration {
	if at, err := strconv.ParseInt(h.Get("X-Rate-Limit-Reset"), 10, 64); err == nil {
		return max(0, time.Unix(at, 0).Sub(now))
	}
	return 0
}

// UncertainError is a write that may or may not have taken effect: the answer
// was lost, cut, or a failure that says nothing about it. The caller has to
// look before doing anything about it.
type UncertainError struct {
	Err error
}

// Error says what went wrong and that the outcome is open.
func (e *UncertainError) Error() string {
	return e.Err.Error() + "; it may have taken effect all the same"
}

// Unwrap gives what went wrong.
func (e *UncertainError) Unwrap() error { return e.Err }

// Uncertain is true. It lets callers that don't know this package find out.
func (e *UncertainError) Uncertain() bool { return true }

// WithHint gives err advice that is kept apart from it, in a method
// Hint() string.
func WithHint(err error, hint string) error { return &hinted{err, hint} }

type hinted struct {
	error
	hint string
}

// Hint says what to do about the error.
func (h *hinted) Hint() string { return h.hint }

func (h *hinted) Unwrap() error { return h.error }

// Unsent says of an error of http.Transport whether the request can't have
// reached the server: there was no connection to it, or none that can be
// trusted. The caller may then be certain that it did nothing.
func Unsent(err error) bool {
	var op *net.OpError
	return Untrusted(err) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// Untrusted says whether the server's certificate was refused. Trying again is
// of no use then.
func Untrusted(err error) bool {
	var cert *tls.CertificateVerificationError
	return errors.As(err, &cert)
}
