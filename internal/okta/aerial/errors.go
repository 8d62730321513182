package aerial

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
)

// Error is an answer of the API that is not a success.
type Error struct {
	// Method and Endpoint say which call it was; the endpoint is a template
	// such as "orgs/{id}/products".
	Method   string
	Endpoint string
	// Status is the HTTP status.
	Status int
	// Body is what Okta says.
	rest.Body
	// RetryAfter is how long a 429 or 503 asked to wait, by the server's clock;
	// 0 when it didn't say.
	RetryAfter time.Duration
}

// Error gives one line: status, code, words and error id.
func (e *Error) Error() string { return e.Line(e.Status) }

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

// UncertainError is a write that may or may not have taken effect. The caller
// has to look before doing anything about it.
type UncertainError = rest.UncertainError

// authError is a request that was not sent, because there were no credentials
// for it.
type authError struct{ error }

func (e *authError) Unwrap() error { return e.error }

// statusOf gives the HTTP status of the API error in err, or 0.
func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}
