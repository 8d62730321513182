package org

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

// The codes of Okta that mean more than their status.
const (
	codeGone      = "E0000007" // the object isn't there
	codeNoFeature = "E0000015" // the org does not have it
	codeSettingUp = "E0000249" // group rules are still being set up
)

// place is where an object, a list or a setting is. The path is a template, which
// errors and metrics name, with the ids beside it.
type place struct {
	kind   *objects.Kind
	path   string
	parent string // for {parent}
	id     string // for {id}
	query  string
}

// collection returns the place of the list of a kind, or of a setting.
func collection(k *objects.Kind, parent string) place {
	return place{kind: k, path: k.API.Collection, parent: parent}
}

// object returns the place of one object of the list.
func (p place) object(id string) place {
	p.path, p.id, p.query = p.path+"/{id}", id, ""
	return p
}

// url returns the URL of the place at an org.
func (p place) url(home *url.URL) *url.URL {
	path := p.path
	if strings.Contains(path, "{") {
		path = strings.NewReplacer("{parent}", url.PathEscape(p.parent), "{id}", url.PathEscape(p.id)).Replace(path)
	}
	u := home.JoinPath(path)
	u.RawQuery = p.query
	return u
}

// call prepares a call; repeat says what it means to send it twice.
func (s *site) call(method string, p place, repeat rest.Repeat) *rest.Call {
	return &rest.Call{
		Method: method, Endpoint: p.path, URL: p.url(s.home),
		Policy: rest.Policy{
			Repeat:   repeat,
			Timeout:  s.opts.Timeout,
			Grace:    stopGrace,
			MaxBody:  maxBody,
			Attempts: maxAttempts,
			Backoff:  firstWait,
			Passing:  passes,
			// An attempt that ends by a long timeout is repeated once.
			Failing:   max(maxFailing, 2*s.opts.Timeout),
			Throttled: maxThrottled,
		},
	}
}

// passes reports whether a refusal is one that passes and did nothing: something is
// locked or not ready, or something before the API doesn't know a path that is there.
func passes(e *rest.Error) bool {
	return e.Status == http.StatusLocked || e.Code == codeSettingUp || e.Status == http.StatusNotFound && e.Code == ""
}

// gone reports whether err says that an object isn't there.
func gone(err error) bool {
	var e *rest.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code == codeGone
}

// do makes a call, within the limits of the org.
func (s *site) do(ctx context.Context, caller *rest.Caller, k *objects.Kind, call *rest.Call) error {
	name := bucket(call.Endpoint)
	maySend := call.MaySend
	call.MaySend = func(ctx context.Context) ([]byte, error) {
		err := s.limits.reserve(ctx, name, s.opts.Keys.Share)
		if err != nil || maySend == nil {
			return nil, err
		}
		return maySend(ctx)
	}
	err := caller.Do(context.WithValue(ctx, bucketKey{}, name), call)
	var e *rest.Error
	if !errors.As(err, &e) {
		return err
	}
	if hint := s.hint(k, e); hint != "" {
		err = text.WithHint(err, hint)
	}
	return err
}

// get makes a call that reads JSON.
func get[T any](ctx context.Context, s *site, caller *rest.Caller, p place) (v T, answer *rest.Answer, err error) {
	call := s.call(http.MethodGet, p, rest.Always)
	call.Read = func(a *rest.Answer) (err error) {
		answer = a
		v, err = rest.Decode[T](a)
		return err
	}
	err = s.do(ctx, caller, p.kind, call)
	return v, answer, err
}

// hint returns what to do about an answer that is not a success, to a call about a
// kind; nil if it is about none.
func (s *site) hint(k *objects.Kind, e *rest.Error) string {
	keys := s.opts.Keys
	switch {
	case e.Code == codeNoFeature && k != nil:
		return "the org lacks the feature that has these objects: ask Okta for it, or don't declare any for this org"
	case e.Status == http.StatusUnauthorized:
		return "the org refused the credentials: check " + keys.Auth + ", and that the service app or the token is of this org and active"
	case e.Status == http.StatusForbidden && k != nil:
		access := ".manage"
		if e.Method == http.MethodGet {
			access = ".read"
		}
		return "the service app needs the scope " + k.API.Scope + access + " and an admin role that covers the object"
	case e.Status == http.StatusNotFound && e.Code == "":
		return "no such API is there: check " + keys.URL + ", and that the org is active"
	case e.Status == http.StatusLocked:
		return "Okta is still busy with an earlier change: run again in a minute"
	case e.Status == http.StatusTooManyRequests:
		return "whatever calls the org shares its limits: lower " + keys.CallsPerOrg + " or " + keys.Share + ", or run when the others don't"
	}
	return e.CommonHint(keys.URL)
}

// during is an error with what was being done.
type during struct {
	what string
	err  error
}

func (d *during) Error() string { return d.what + ": " + d.err.Error() }

func (d *during) Unwrap() error { return d.err }

// wrap says of an error in what it happened.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &during{fmt.Sprintf(format, args...), err}
}

// Reason returns why a call failed and in what, on one line that is the same each
// time it fails for that reason, and apart from it the id that Okta gave the answer;
// empty if there is none.
func Reason(err error) (reason, id string) {
	var token *auth.Error
	var d *during
	switch {
	case errors.As(err, &token) && token.Refusal != nil:
		reason, id = rest.Reason(token.Refusal)
		return "getting a token: " + reason, id
	case errors.As(err, &d):
		reason, id = Reason(d.err)
		return text.Clean(d.what) + ": " + reason, id
	}
	return rest.Reason(err)
}
