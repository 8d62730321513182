package aerial

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"reconciler/internal/okta/rest"
)

// hint returns what to do about an answer that is not a success.
func (c *Client) hint(e *rest.Error) string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "Okta refused the access token: check that " + c.keys.Auth + " belongs to this account's Aerial org, and the clock"
	case e.Status == http.StatusForbidden && e.Method == http.MethodGet:
		return "the service app needs the scope okta.accounts.read and an admin role that covers the account and the org"
	case e.Status == http.StatusForbidden:
		return "the service app needs the scope okta.accounts.manage and an admin role that covers the account and the org"
	case e.Status == http.StatusNotFound && e.Method == http.MethodPost && e.Endpoint == "orgs":
		return "Okta knows no such org: it may be renamed or deleted, its domain, id or cell may be wrong in the manifest, or it is so new that it hasn't settled yet"
	case e.Status == http.StatusNotFound && strings.Contains(e.Endpoint, "{id}"):
		return "the account does not manage an org with this id"
	case e.Status == http.StatusNotFound:
		return "check " + c.keys.AccountID + " and " + c.keys.URL + "; the sandbox has a URL of its own"
	case e.Status == http.StatusTooManyRequests:
		return "the account's limits are shared by all that use it: lower " + c.keys.Concurrency + ", or run when the others don't"
	}
	return e.CommonHint(c.keys.URL)
}

// alreadyRequested is Okta's refusal of a request for an org's deletion because
// there is one already.
type alreadyRequested struct{ error }

// AlreadyRequested reports true. It is for packages that don't import this one.
func (alreadyRequested) AlreadyRequested() bool { return true }

// Unwrap returns Okta's refusal.
func (a alreadyRequested) Unwrap() error { return a.error }

// markRequested marks a refusal that says that the deletion was requested before.
// Okta's words for that are unconfirmed.
func markRequested(err error) error {
	var e *rest.Error
	if errors.As(err, &e) && e.Status == http.StatusBadRequest &&
		slices.ContainsFunc(append(slices.Clone(e.Causes), e.Summary), func(words string) bool {
			return strings.Contains(strings.ToLower(words), "already")
		}) {
		return alreadyRequested{err}
	}
	return err
}
