package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Okta's error codes of the simulated endpoints.
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
	codeCursor       = "E0000029"
	codeRateLimit    = "E0000047"
	codeActiveApp    = "E0000056"
	codeReadOnly     = "E0000077"
	codeRoleTwice    = "E0000090"
	codeFeature      = "E0000141"
	codePriorities   = "E0000239"
	codePaging       = "E0000053"
	codeTaken        = "E0000088"
	codeOrgName      = "E0000089"
	codeReserved     = "E0000170"
	codeLocked       = "E0000171"
	codeLong         = "E0000172"
)

const (
	sayForbidden = "You do not have permission to perform the requested action"
	sayRateLimit = "API call exceeded rate limit due to too many requests."
)

// answer is a response before it is sent. It is sent after the call has released
// its slot, so that a client that has read an answer finds the slot free.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    cut
}

// cut is how the connection is closed.
type cut uint8

const (
	uncut   cut = iota
	cutAll      // before anything is sent
	cutBody     // in the middle of the body
)

// oktaError is the body of every error of an API. Those of the token endpoint are
// OAuth's.
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

// jsonAnswer returns v as JSON. v is of a type of this package, which always
// marshals.
func jsonAnswer(status int, v any) *answer {
	body, _ := json.Marshal(v)
	return &answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

// fail returns Okta's error body with a new errorId. The caller holds the lock.
func (s *Simulator) fail(status int, code, summary string, causes ...string) *answer {
	e := oktaError{Code: code, Summary: summary, Link: code, ID: s.newErrorID(), Causes: []oktaCause{}}
	for _, c := range causes {
		e.Causes = append(e.Causes, oktaCause{c})
	}
	return jsonAnswer(status, e)
}

// invalid returns the error about a body or a parameter; what names it, as in
// Okta's "Api validation failed: status".
func (s *Simulator) invalid(what string, causes ...string) *answer {
	return s.fail(http.StatusBadRequest, codeValidation, "Api validation failed: "+what, causes...)
}

// notFound returns the error about an unknown id; kind is its type, as in "Org".
func (s *Simulator) notFound(id, kind string) *answer {
	return s.fail(http.StatusNotFound, codeNotFound, fmt.Sprintf("Not found: Resource not found: %s (%s)", id, kind))
}

func (s *Simulator) forbidden(causes ...string) *answer {
	return s.fail(http.StatusForbidden, codeForbidden, sayForbidden, causes...)
}

// oauthError is the body of an error of the token endpoint.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// oauthFail returns an error of the token endpoint: 401 if the client could not be
// authenticated, 400 otherwise.
func oauthFail(code, format string, args ...any) *answer {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	return jsonAnswer(status, oauthError{code, fmt.Sprintf(format, args...)})
}
