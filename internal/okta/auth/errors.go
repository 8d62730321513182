package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

// maxSkew is how far clocks may be apart before it is worth a word: Okta
// forgives some minutes, and a machine that keeps time is within a second.
const maxSkew = time.Minute

// Error is a token call that failed.
type Error struct {
	// URL is the token endpoint and Scopes what was asked for.
	URL    string
	Scopes []string
	// Refusal is Okta's answer; nil when there was none, or not a proper one.
	Refusal *rest.Error
	// Err is what went wrong.
	Err error

	hint string
}

// failed returns the Error of an exchange.
func (x *exchange) failed(err error) error {
	e := &Error{URL: x.tokenURL.String(), Scopes: x.scopes, Err: err}
	if errors.As(err, &e.Refusal) {
		e.hint = x.refusalHint(e.Refusal)
	} else {
		e.hint = text.Hint(err)
	}
	return e
}

// Error returns one line, without the hint.
func (e *Error) Error() string {
	what := e.Err.Error()
	if e.Refusal != nil {
		what = "HTTP " + what
	}
	return fmt.Sprintf("getting a token from %q for %q: %s", e.URL, strings.Join(e.Scopes, " "), what)
}

// Unwrap returns what went wrong, unless it is a refusal: whoever looks for a
// *rest.Error means the answer to the call that needed the token, and that call
// was not sent.
func (e *Error) Unwrap() error {
	if e.Refusal != nil {
		return nil
	}
	return e.Err
}

// Hint returns in one line what is probably wrong and what to do about it, with
// the names of the config's keys; empty when there is nothing to add.
func (e *Error) Hint() string { return e.hint }

// refusalHint returns the hint of a refusal.
func (x *exchange) refusalHint(e *rest.Error) string {
	hint, description := statusHint(e), strings.ToLower(e.Summary)
	for _, h := range codeHints {
		if h.code == e.Code && h.words.MatchString(description) {
			hint = h.hint
			break
		}
	}
	key := x.opt.Keys
	hint = strings.NewReplacer("{org}", key.OrgURL, "{client}", key.ClientID, "{key}", key.KeyID, "{scopes}", strings.Join(x.scopes, ", ")).Replace(hint)
	if x.skew.Abs() < maxSkew || e.Code != "invalid_client" && e.Code != "invalid_dpop_proof" {
		return hint
	}
	way := "ahead of"
	if x.skew < 0 {
		way = "behind"
	}
	skew := fmt.Sprintf("this machine's clock is %s %s Okta's: set it (NTP)", x.skew.Abs(), way)
	if aboutTime.MatchString(description) {
		return skew
	}
	return skew + "; or " + hint
}

var (
	anything  = regexp.MustCompile("")
	aboutTime = regexp.MustCompile("expir|'exp'|'iat'|issued|future|not yet|clock")
)

const grantHint = "grant {scopes} to the app (Okta API Scopes) and give it an admin role that covers it"

// codeHints go by the code and, as Okta puts many mistakes under invalid_client,
// by words of the description; the first that matches counts. The descriptions
// are those that Okta's help centre shows, such as "The client_assertion JWT kid
// is invalid." Names in braces stand for the config's keys.
var codeHints = []struct {
	code  string
	words *regexp.Regexp
	hint  string
}{
	{"invalid_client", regexp.MustCompile("kid"), "Okta knows no active key of this app by that id: check {key}, and that the public key is registered and active at the app"},
	{"invalid_client", regexp.MustCompile("signature"), "the private key is not the other half of the public key registered under {key}, or was registered for another algorithm"},
	{"invalid_client", regexp.MustCompile("audience|aud "), "{org} must be the domain at which the app lives, exactly (not a custom domain, not the -admin one)"},
	{"invalid_client", aboutTime, "the time in the assertion is not accepted: compare this machine's clock with Okta's (NTP)"},
	{"invalid_client", regexp.MustCompile("client_id|issuer|subject|'iss'|'sub'|not found|unknown client"), "check {client}, and that the app is active in the org at {org}"},
	{"invalid_client", regexp.MustCompile("jti|replay|already"), "an assertion was used twice: does a proxy on the way repeat requests?"},
	{"invalid_client", anything, "check {client}, {key}, the private key, and that the app is active in the org at {org}"},
	{"invalid_scope", anything, grantHint},
	{"consent_required", anything, grantHint},
	{"access_denied", anything, grantHint},
	{"access_denied_by_aerial", anything, "Okta Aerial refuses the app: " + grantHint},
	{"aerial_admin_access_denied", anything, "Okta Aerial refuses the app's administrator role: " + grantHint},
	{"invalid_client_aerial_authorization_server", anything, "{org} must be the Aerial org of the account, in which the app is registered"},
	{"unauthorized_client", anything, "the app must be an API Services app that authenticates with a public key (client_credentials, private_key_jwt)"},
	{"unsupported_grant_type", anything, "the app must be an API Services app that authenticates with a public key (client_credentials, private_key_jwt)"},
	{"invalid_dpop_proof", anything, "Okta did not accept the DPoP proof: does a proxy on the way drop or change headers?"},
	{"use_dpop_nonce", anything, "Okta did not accept the DPoP proof: does a proxy on the way drop or change headers?"},
}

// statusHint returns the hint of an answer that says nothing but a status.
func statusHint(e *rest.Error) string {
	switch {
	case e.Status >= 300 && e.Status < 400:
		return "a token is never fetched through a redirect: set {org} to where it leads"
	case e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed:
		return "no token endpoint is there: check that {org} is the URL of an Okta org"
	case e.Status == http.StatusForbidden:
		return "something before the token endpoint refused: a proxy, or a network zone of the org"
	case e.Status == http.StatusTooManyRequests:
		return "too many token requests, from whatever shares the org: try again in " + cmp.Or(e.RetryAfter, time.Minute).String()
	case e.Status >= 500:
		return "Okta has trouble (https://status.okta.com), or a proxy on the way: try again later"
	}
	return ""
}
