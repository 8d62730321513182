package parent

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
)

// Error is an answer of the parent that is not a success.
type Error struct {
	// Method and Endpoint say which call it was.
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

// codeNoFeature is Okta's for a feature that the org does not have.
const codeNoFeature = "E0000015"

// Hint says what to do about the error; empty when there is nothing to add.
func (e *Error) Hint() string {
	switch {
	case e.Code == codeNoFeature:
		return "the parent has no Org Creator API: ask Okta Support to switch it on there"
	case e.Status == http.StatusUnauthorized:
		return "Okta refused the parent's credentials: check `auth` of this parent in the config; an API token dies with its owner, and after 30 days without use"
	case e.Status == http.StatusForbidden:
		return "the API token's owner must be a super admin of the parent; a service app needs that role and the scope okta.orgs.manage"
	case e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed:
		return "no such API is there: check `url` of this parent in the config"
	case e.Status == http.StatusTooManyRequests:
		return "Okta makes ten orgs a minute for a parent; whoever else creates orgs there counts too"
	case e.Status >= 300 && e.Status < 400:
		return "redirects are never followed: check `url` of this parent in the config, and proxies on the way"
	case e.Status >= 500 && e.ID != "":
		return "Okta's side: see status.okta.com, and give Okta Support the errorId"
	case e.Status >= 500:
		return "Okta's side, or a proxy on the way: see status.okta.com"
	default:
		return ""
	}
}

// Taken says whether err is Okta's refusal to make an org because its subdomain
// is in use. So the org exists, though it may be somebody else's.
//
// Okta documents the status and the code of a validation that failed. Its
// words for this one are unconfirmed, so any cause will do that is about the
// subdomain and about being there already.
func Taken(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusBadRequest || e.Code != "E0000001" {
		return false
	}
	return slices.ContainsFunc(append(slices.Clone(e.Causes), e.Summary), func(cause string) bool {
		cause = strings.ToLower(cause)
		about := strings.Contains(cause, "subdomain")
		for _, words := range []string{"already exists", "already in use", "already taken", "must be unique", "not available", "is taken", "not unique"} {
			if about && strings.Contains(cause, words) {
				return true
			}
		}
		return false
	})
}
