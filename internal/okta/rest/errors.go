package rest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"

	"reconciler/internal/text"
)

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

// Wire is the transport that sends, below those that put credentials on. It
// marks its errors, so that OnWire can tell theirs from its own.
type Wire struct{ http.RoundTripper }

// RoundTrip sends the request.
func (w Wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, &wireError{err}
	}
	return resp, nil
}

type wireError struct{ error }

func (e *wireError) Unwrap() error { return e.error }

// OnWire gives the error of sending that is in the chain of err; nil when there
// is none, and so the request never came as far as a Wire.
func OnWire(err error) error {
	var sending *wireError
	if !errors.As(err, &sending) {
		return nil
	}
	return sending.error
}

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

// WayHint gives advice for an error of http.Transport that says there is no way
// to the server, or none that can be trusted. key is where the config has the
// server's URL. It is empty for any other error, and for nil.
func WayHint(err error, key string) string {
	var dns *net.DNSError
	switch {
	case Untrusted(err):
		return "the server's certificate is not trusted here: check " + key + ", the system's root certificates, and proxies on the way"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no such host: check " + key + ", and that this machine's DNS works"
	case Unsent(err):
		return "there is no way to the server: check " + key + ", DNS, firewall and proxy"
	default:
		return ""
	}
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
