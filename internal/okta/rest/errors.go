package rest

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

// Error is an answer of an API that is not a success.
type Error struct {
	// Method and Endpoint say which call it was; the endpoint is a template
	// such as "orgs/{id}/products".
	Method, Endpoint string
	// Status is the HTTP status.
	Status int
	// Code is Okta's code for the kind of error, such as "E0000006", or OAuth's,
	// such as "invalid_client"; empty when the body was not Okta's.
	Code string
	// Summary and Causes are Okta's words.
	Summary string
	Causes  []string
	// ID and RequestID are what Okta Support asks for.
	ID, RequestID string
	// RetryAfter is how long the server asks to wait, by its own clock; 0 when
	// it doesn't say.
	RetryAfter time.Duration
}

// newError reads an answer that is not a success. Its body is Okta's error body,
// OAuth's (RFC 6749, section 5.2) or, from something in between, anything at
// all; then only the status is known.
func newError(call *Call, a *Answer) *Error {
	e := &Error{
		Method: call.Method, Endpoint: call.Endpoint, Status: a.Status,
		RequestID: text.Clean(a.Header.Get(requestIDHeader)),
	}
	var body struct {
		Code    string `json:"errorCode"`
		Summary string `json:"errorSummary"`
		ID      string `json:"errorId"`
		Causes  []struct {
			Summary string `json:"errorSummary"`
		} `json:"errorCauses"`
		OAuthCode        string `json:"error"`
		OAuthDescription string `json:"error_description"`
	}
	if json.Unmarshal(a.Body, &body) != nil {
		return e
	}
	e.Code = text.Clean(cmp.Or(body.OAuthCode, body.Code))
	e.Summary = text.Clean(cmp.Or(body.OAuthDescription, body.Summary))
	e.ID = text.Clean(body.ID)
	for _, cause := range body.Causes {
		if s := text.Clean(cause.Summary); s != "" {
			e.Causes = append(e.Causes, s)
		}
	}
	return e
}

// requestIDHeader is how Okta names a request, in its answer and in the System Log.
const requestIDHeader = "X-Okta-Request-Id"

// ErrorID returns the id that Okta gave the error; empty if it gave none. It is for
// packages that don't import this one.
func (e *Error) ErrorID() string { return e.ID }

// Error returns status, code, words and error id on one line.
func (e *Error) Error() string {
	s := e.words()
	if id := e.id(); id != "" {
		s += " (" + id + ")"
	}
	return s
}

// id returns what Okta Support asks for, and what it is; empty if the answer had
// nothing like that.
func (e *Error) id() string {
	switch {
	case e.ID != "":
		return "errorId " + e.ID
	case e.RequestID != "":
		return "request id " + e.RequestID
	}
	return ""
}

// connection matches what names the two ends of a connection, one of which has
// another port each time.
var connection = regexp.MustCompile(`\b(read|write) \w+ \S+->\S+: `)

// Reason returns why a call failed, on one line that is the same each time it
// fails for that reason, and apart from it the id that Okta gave this answer;
// empty if there is none.
func Reason(err error) (reason, id string) {
	var e *Error
	if errors.As(err, &e) {
		return e.words(), e.id()
	}
	return text.Clean(connection.ReplaceAllString(err.Error(), "$1: ")), ""
}

// words returns status, code and words.
func (e *Error) words() string {
	var s strings.Builder
	fmt.Fprint(&s, e.Status)
	if e.Code != "" {
		s.WriteString(" " + e.Code)
		if !strings.HasPrefix(e.Code, "E") { // a word of OAuth's
			s.WriteString(":")
		}
	}
	if words := cmp.Or(e.Summary, http.StatusText(e.Status)); words != "" {
		s.WriteString(" " + words)
	}
	if len(e.Causes) > 0 {
		s.WriteString(": " + strings.Join(e.Causes, "; "))
	}
	return s.String()
}

// Refused reports whether Okta looked at the call and refused to do it. It is
// false where something else stood in the way: credentials, a limit, a server
// that fails.
func (e *Error) Refused() bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return e.Status >= 400 && e.Status < 500
}

// CommonHint returns what to do about a redirect and about a server that fails,
// whichever API it is; empty for any other answer. key is what the config calls
// the server's URL.
func (e *Error) CommonHint(key string) string {
	switch {
	case e.Status >= 300 && e.Status < 400:
		return "redirects are never followed: check " + key + ", and proxies on the way"
	case e.Status >= 500 && e.ID != "":
		return "Okta's side: see status.okta.com, and give Okta Support the errorId"
	case e.Status >= 500:
		return "Okta's side, or a proxy on the way: see status.okta.com"
	}
	return ""
}

// uncertain reports whether the answer leaves open what became of a write: only
// a 4xx says that nothing was done, except for 408, which may come from
// something between here and Okta.
func (e *Error) uncertain() bool {
	return e.Status < 400 || e.Status >= 500 || e.Status == http.StatusRequestTimeout
}

// UncertainError is a write that may or may not have taken effect: the answer
// was lost, cut, or a failure that says nothing about it. The caller has to
// look before it does anything else about it.
type UncertainError struct {
	Err error
}

// Uncertain returns an UncertainError for err; nil for nil.
func Uncertain(err error) error {
	if err == nil {
		return nil
	}
	return &UncertainError{Err: err}
}

// Error returns what went wrong and that the outcome is open.
func (e *UncertainError) Error() string {
	return e.Err.Error() + "; it may have taken effect all the same"
}

// Unwrap returns what went wrong.
func (e *UncertainError) Unwrap() error { return e.Err }

// Uncertain reports true. It is for packages that don't import this one.
func (e *UncertainError) Uncertain() bool { return true }

// UnsentError is a request that was not sent, because there were no credentials
// for it, or because Call.MaySend forbade it.
type UnsentError struct {
	Err error
}

// Error returns why.
func (e *UnsentError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *UnsentError) Unwrap() error { return e.Err }

// foreignError is an error of a connection, which may quote what came over it.
type foreignError struct{ error }

func (e *foreignError) Error() string { return text.Clean(e.error.Error()) }

func (e *foreignError) Unwrap() error { return e.error }

// lateError is the cause with which the context of an attempt ends. It wraps no
// error of a context: the caller's own has not ended, or that doesn't matter.
type lateError struct{ after string }

func (e *lateError) Error() string { return "no complete answer within " + e.after }

// unsent reports whether a request that ended in this error of http.Transport
// can't have reached the server: there was no connection to it, or none that can
// be trusted. Then it is certain that it did nothing.
func unsent(err error) bool {
	var op *net.OpError
	return untrusted(err) || noProxy(err) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// noProxy reports whether the way leads through a proxy that is named wrongly, or
// refuses us.
func noProxy(err error) bool { return errors.As(err, new(*web.ProxyError)) }

// untrusted reports whether the server's certificate was refused.
func untrusted(err error) bool {
	var cert *tls.CertificateVerificationError
	return errors.As(err, &cert)
}

// unknownHost reports whether the name of the server doesn't exist.
func unknownHost(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// WayHint returns what to do about an error of a connection; empty when there is
// nothing to add, as for nil. key is what the config calls the server's URL.
func WayHint(err error, key string) string {
	var late *lateError
	switch {
	case noProxy(err):
		return text.Hint(err)
	case untrusted(err):
		return "the server's certificate is not trusted here: check " + key + ", the system's root certificates, and proxies on the way"
	case unknownHost(err):
		return "there is no such host: check " + key + ", and that this machine's DNS works"
	case unsent(err):
		return "the server can't be reached: check " + key + ", DNS, firewall and proxy"
	case errors.As(err, &late):
		return "the server does not answer: check " + key + ", firewall and proxy"
	}
	return ""
}

// Recover is for the defer of a function that runs as a goroutine of its own,
// where a panic would end the whole program. It makes the panic the function's
// error and logs the stack. doing says what panicked, such as "reading orgs".
func Recover(log *slog.Logger, doing string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	what := text.Clean(fmt.Sprint(v))
	log.Error(doing+" panicked: this is a bug, please report it", "panic", what, "stack", string(debug.Stack()))
	*err = text.WithHint(
		fmt.Errorf("%s panicked: %s", doing, what),
		"this is a bug: please report it with the stack that the log shows")
}
