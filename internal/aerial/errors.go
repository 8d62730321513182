package aerial

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Error is an answer of the API that is not a success.
type Error struct {
	// Method and Endpoint say which call it was; the endpoint is a template
	// such as "orgs/{id}/products".
	Method   string
	Endpoint string
	// Status is the HTTP status.
	Status int
	// Code is Okta's code for the kind of error, such as "E0000006"; empty when
	// the body was not Okta's.
	Code string
	// Summary and Causes are Okta's words, each on one line.
	Summary string
	Causes  []string
	// ID is what Okta Support asks for.
	ID string
	// RetryAfter is how long a 429 or 503 asked to wait, by the server's clock;
	// 0 when it didn't say.
	RetryAfter time.Duration
}

// Error gives one line: status, code, words and error id.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if words := cmp.Or(e.Summary, http.StatusText(e.Status)); words != "" {
		b.WriteString(" " + words)
	}
	if len(e.Causes) > 0 {
		b.WriteString(": " + strings.Join(e.Causes, "; "))
	}
	if e.ID != "" {
		b.WriteString(" (errorId " + e.ID + ")")
	}
	return b.String()
}

// Hint says what to do about the error; empty when there is nothing to add.
func (e *Error) Hint() string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "Okta refused the access token: check that aerial.auth belongs to this account's Aerial org, and the clock"
	case e.Status == http.StatusForbidden && e.Method == http.MethodGet:
		return "the service app needs the scope okta.accounts.read and an admin role that covers the account and the org"
	case e.Status == http.StatusForbidden:
		return "the service app needs the scope okta.accounts.manage and an admin role that covers the account and the org"
	case e.Status == http.StatusNotFound && strings.Contains(e.Endpoint, "{id}"):
		return "the account does not manage an org with this id"
	case e.Status == http.StatusNotFound:
		return "check aerial.accountID and aerial.url; the sandbox has a URL of its own"
	case e.Status == http.StatusTooManyRequests:
		return "the account's limits are shared by all that use it: lower aerial.concurrency, or run when the others don't"
	case e.Status >= 300 && e.Status < 400:
		return "redirects are never followed: check aerial.url, and proxies on the way"
	case e.Status >= 500 && e.ID != "":
		return "Okta's side: see status.okta.com, and give Okta Support the errorId"
	case e.Status >= 500:
		return "Okta's side, or a proxy on the way: see status.okta.com"
	default:
		return ""
	}
}

// Refused says whether Okta looked at the call and refused to do it. It is false
// where something else stood in the way: credentials, a limit, a server that
// fails.
func (e *Error) Refused() bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return e.Status >= 400 && e.Status < 500
}

// AlreadyRequested says whether Okta refuses to be asked for an org's deletion
// because it has been asked before. Its words for that are unconfirmed.
func (e *Error) AlreadyRequested() bool {
	return e.Endpoint == deletionRequest && e.Status == http.StatusBadRequest &&
		slices.ContainsFunc(append(slices.Clone(e.Causes), e.Summary), func(words string) bool {
			return strings.Contains(strings.ToLower(words), "already")
		})
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

// hinted is an error with advice that is kept apart from it.
type hinted struct {
	error
	hint string
}

// Hint says what to do about the error.
func (h *hinted) Hint() string { return h.hint }

func (h *hinted) Unwrap() error { return h.error }

// authError is a request that was not sent, because there were no credentials
// for it.
type authError struct{ error }

func (e *authError) Unwrap() error { return e.error }

// apiError reads the answer's body, which is Okta's error body or, from
// something in between, anything at all.
func apiError(c *call, status int, body []byte) *Error {
	e := &Error{Method: c.method, Endpoint: c.endpoint, Status: status}
	var wire struct {
		ErrorCode    string `json:"errorCode"`
		ErrorSummary string `json:"errorSummary"`
		ErrorID      string `json:"errorId"`
		ErrorCauses  []struct {
			ErrorSummary string `json:"errorSummary"`
		} `json:"errorCauses"`
	}
	if json.Unmarshal(body, &wire) != nil {
		return e
	}
	e.Code = clean(wire.ErrorCode)
	e.Summary = clean(wire.ErrorSummary)
	e.ID = clean(wire.ErrorID)
	for _, cause := range wire.ErrorCauses {
		if s := clean(cause.ErrorSummary); s != "" {
			e.Causes = append(e.Causes, s)
		}
	}
	return e
}

// maxWords is how many characters of a server's words an error repeats.
const maxWords = 500

// tokenLike is what access tokens and assertions look like.
var tokenLike = regexp.MustCompile(`\beyJ[\w-]{8,}[\w.-]*`)

// clean makes a server's words fit for one line of a terminal: no line breaks,
// no escape sequences, no end of length, and no tokens, should it quote what it
// was sent.
func clean(s string) string {
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

// statusOf gives the HTTP status of the API error in err, or 0.
func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}
