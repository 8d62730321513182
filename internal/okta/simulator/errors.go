package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Okta's error codes, as far as the simulated endpoints use them.
// https://developer.okta.com/docs/reference/error-codes/
const (
	codeValidation   = "E0000001"
	codeMalformed    = "E0000003"
	codeForbidden    = "E0000006"
	codeNotFound     = "E0000007"
	codeInternal     = "E0000009"
	codeInvalidToken = "E0000011"
	codeNoFeature    = "E0000015"
	codeBadHeaders   = "E0000019"
	codeMediaType    = "E0000021"
	codeMethod       = "E0000022"
	codeSearch       = "E0000031"
	codeRateLimit    = "E0000047"
	codePaging       = "E0000053"
)

const (
	sayForbidden = "You do not have permission to perform the requested action"
	sayRateLimit = "API call exceeded rate limit due to too many requests."
)

// answer is a response before it is sent. Nothing is written to the wire until
// the call has given back its slot: a client that has read an answer may rely
// on the slot being free.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    cut
}

// cut reports whether the connection is broken off instead of ended properly.
type cut uint8

const (
	uncut   cut = iota
	cutAll      // nothing is sent
	cutBody     // the first half of the body is sent
)

// oktaError is the body of every refusal of an API (but not of the token
// endpoint, which speaks OAuth).
type oktaError struct {
	Code    string      `json:"errorCode"`
	Summary string      `json:"errorSummary"`
	Link    string      `json:"errorLink"`
	ID      string      `json:"errorId"`
	Causes  []oktaCause `json:"errorCauses"`
}

type oktaCause struct {
	Summary string `json:"errorSummary"`
}

// jsonAnswer returns v as JSON.
func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		// Only types of this package come here; they marshal.
		return answer{status: http.StatusInternalServerError, header: http.Header{}}
	}
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"application/json"}},
		body:   body,
	}
}

// fail returns Okta's error body with an errorId of its own.
func (s *Simulator) fail(status int, code, summary string, causes ...string) answer {
	e := oktaError{Code: code, Summary: summary, Link: code, ID: s.newErrorID(), Causes: []oktaCause{}}
	for _, c := range causes {
		e.Causes = append(e.Causes, oktaCause{c})
	}
	return jsonAnswer(status, e)
}

// invalid refuses a body or a parameter; what names it, as in Okta's
// "Api validation failed: status".
func (s *Simulator) invalid(what string, causes ...string) answer {
	return s.fail(http.StatusBadRequest, codeValidation, "Api validation failed: "+what, causes...)
}

// notFound refuses an id; kind is the type of thing, as in "(Org)".
func (s *Simulator) notFound(id, kind string) answer {
	return s.fail(http.StatusNotFound, codeNotFound, fmt.Sprintf("Not found: Resource not found: %s (%s)", id, kind))
}

// forbidden refuses a caller that is known but not allowed.
func (s *Simulator) forbidden(causes ...string) answer {
	return s.fail(http.StatusForbidden, codeForbidden, sayForbidden, causes...)
}

// oauthError is the body of a refusal of the token endpoint.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// oauthFail refuses a token request: 401 when the client could not be
// authenticated, 400 otherwise.
func oauthFail(code, format string, args ...any) *answer {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	a := jsonAnswer(status, oauthError{code, fmt.Sprintf(format, args...)})
	return &a
}
