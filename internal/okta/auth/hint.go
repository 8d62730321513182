package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"reconciler/internal/okta/rest"
)

// maxSkew is how far clocks may be apart before it is worth a word: Okta
// forgives some minutes, and a machine that keeps time is within a second.
const maxSkew = time.Minute

// Hint says in one line what is probably wrong and what to do about it, with
// the names of the config's keys; empty when there is nothing to add.
func (e *Error) Hint() string {
	if hint := rest.WayHint(e.Err, "orgURL"); hint != "" {
		return hint
	}
	if errors.Is(e.Err, errTimeout) {
		return "the server does not answer: check orgURL, firewall and proxy"
	}
	if e.Err != nil || e.hint != "" {
		return e.hint
	}
	hint := e.codeHint()
	if e.Skew.Abs() >= maxSkew && (e.Code == "invalid_client" || e.Code == "invalid_dpop_proof") {
		way := "ahead of"
		if e.Skew < 0 {
			way = "behind"
		}
		skew := fmt.Sprintf("this machine's clock is %s %s Okta's: set it (NTP)", e.Skew.Abs(), way)
		if e.aboutTime() || hint == "" {
			return skew
		}
		return skew + "; or " + hint
	}
	return hint
}

// aboutTime says whether the refusal speaks of time itself.
func (e *Error) aboutTime() bool {
	d := strings.ToLower(e.Description)
	for _, w := range []string{"expir", "'exp'", "'iat'", "issued", "future", "not yet", "clock"} {
		if strings.Contains(d, w) {
			return true
		}
	}
	return false
}

// codeHint goes by the code and, as Okta puts many mistakes under
// invalid_client, by words of the description. The descriptions are those that
// Okta's help centre shows, such as "The client_assertion JWT kid is invalid."
func (e *Error) codeHint() string {
	desc := strings.ToLower(e.Description)
	says := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(desc, w) {
				return true
			}
		}
		return false
	}
	switch e.Code {
	case "invalid_client":
		switch {
		case says("kid"):
			return "Okta knows no active key of this app by that id: check keyID, and that the public key is registered and active at the app"
		case says("signature"):
			return "the private key is not the other half of the public key registered under keyID, or was registered for another algorithm"
		case says("audience", "aud "):
			return "orgURL must be the domain at which the app lives, exactly (not a custom domain, not the -admin one)"
		case e.aboutTime():
			return "the time in the assertion is not accepted: compare this machine's clock with Okta's (NTP)"
		case says("client_id", "issuer", "subject", "'iss'", "'sub'", "not found", "unknown client"):
			return "check clientID, and that the app is active in the org at orgURL"
		case says("jti", "replay", "already"):
			return "an assertion was used twice: does a proxy on the way repeat requests?"
		default:
			return "check clientID, keyID, the private key, and that the app is active in the org at orgURL"
		}
	case "invalid_scope", "consent_required", "access_denied":
		return grantHint(strings.Join(e.Scopes, ", "))
	case "unauthorized_client", "unsupported_grant_type":
		return "the app must be an API Services app that authenticates with a public key (client_credentials, private_key_jwt)"
	case "invalid_dpop_proof", "use_dpop_nonce":
		return "Okta did not accept the DPoP proof: does a proxy on the way drop or change headers?"
	}
	return e.statusHint()
}

func grantHint(scopes string) string {
	return fmt.Sprintf("grant %s to the app (Okta API Scopes) and give it an admin role that covers it", scopes)
}

// statusHint is for answers that tell nothing but a status.
func (e *Error) statusHint() string {
	switch {
	case e.Status >= 300 && e.Status < 400:
		return "a token is never fetched through a redirect: set orgURL to where it leads"
	case e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed:
		return "no token endpoint is there: check that orgURL is the URL of an Okta org"
	case e.Status == http.StatusForbidden:
		return "something before the token endpoint refused: a proxy, or a network zone of the org"
	case e.Status == http.StatusTooManyRequests && e.RetryAfter > 0:
		return "too many token requests, from whatever shares the org: try again in " + e.RetryAfter.String()
	case e.Status == http.StatusTooManyRequests:
		return "too many token requests, from whatever shares the org: try again in a minute"
	case e.Status >= 500:
		return "Okta has trouble (https://status.okta.com), or a proxy on the way: try again later"
	}
	return ""
}
