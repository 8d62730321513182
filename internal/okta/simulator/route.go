package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// route is one endpoint.
type route struct {
	method string
	aerial bool
	path   []string // a segment in braces matches anything
	scope  string   // that the token needs; empty where no token is asked for
	ssws   bool     // an org's SSWS token is accepted as well
	body   bool     // a JSON body is read
	handle handler
}

type handler func(*Simulator, *call) *answer

const (
	scopeRead   = "okta.accounts.read"
	scopeManage = "okta.accounts.manage"
	scopeOrgs   = "okta.orgs.manage"
	scopeLogs   = "okta.logs.read"
)

// routes returns the endpoints. The handlers are called with the lock held,
// except the token endpoint's, which verifies signatures first.
func routes() []route {
	aerial := func(method, path, scope string, handle handler) route {
		return route{method: method, aerial: true, path: segments(path), scope: scope, body: method != http.MethodGet, handle: locked(handle)}
	}
	org := func(method, path, scope string, handle handler) route {
		return route{method: method, path: segments(path), scope: scope, ssws: true, body: method != http.MethodGet, handle: locked(handle)}
	}
	return []route{
		{method: http.MethodPost, path: segments(tokenPath), handle: (*Simulator).token},

		aerial("GET", "/api/v1/accounts", scopeRead, (*Simulator).getAccount),
		aerial("PUT", "/api/v1/accounts", scopeManage, (*Simulator).putAccount),
		aerial("GET", "/api/v1/products", scopeRead, (*Simulator).getProducts),
		aerial("GET", "/api/v1/orgs", scopeRead, (*Simulator).listOrgs),
		aerial("POST", "/api/v1/orgs", scopeManage, (*Simulator).linkOrg),
		aerial("GET", "/api/v1/orgs/{org}", scopeRead, managed((*Simulator).getOrg)),
		aerial("PUT", "/api/v1/orgs/{org}/status", scopeManage, managed((*Simulator).putStatus)),
		aerial("GET", "/api/v1/orgs/{org}/products", scopeRead, managed((*Simulator).getOrgProducts)),
		aerial("PUT", "/api/v1/orgs/{org}/products", scopeManage, managed((*Simulator).putOrgProducts)),
		{
			method: http.MethodPost, aerial: true, path: segments("/api/v1/orgs/{org}/deletionRequest"),
			scope: scopeManage, handle: locked(managed((*Simulator).requestDeletion)),
		},
		aerial("GET", "/governance/api/v1/request-condition-templates", scopeRead, (*Simulator).listTemplates),
		aerial("GET", "/governance/api/v1/request-condition-templates/{template}", scopeRead, (*Simulator).getTemplate),
		{
			method: http.MethodDelete, aerial: true, path: segments("/governance/api/v1/request-condition-templates/{template}"),
			scope: scopeManage, handle: locked((*Simulator).deleteTemplate),
		},

		{method: http.MethodGet, path: segments(wellKnownPath), handle: locked((*Simulator).getWellKnown)},

		org("POST", "/api/v1/orgs", scopeOrgs, (*Simulator).createOrg),
		org("GET", "/api/v1/org/privacy/aerial", scopeOrgs, (*Simulator).getConsent),
		org("POST", "/api/v1/org/privacy/aerial/grant", scopeOrgs, (*Simulator).grantConsent),
		org("POST", "/api/v1/org/privacy/aerial/revoke", scopeOrgs, (*Simulator).revokeConsent),
		org("GET", "/api/v1/logs", scopeLogs, (*Simulator).getLogs),
	}
}

func locked(handle handler) handler {
	return func(s *Simulator, c *call) *answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		return handle(s, c)
	}
}

// managed returns a handler for the managed org that the path names.
func managed(handle func(*Simulator, *call, *Org) *answer) handler {
	return func(s *Simulator, c *call) *answer {
		id := c.args["org"]
		if o := s.byID[id]; o != nil && o.Managed {
			return handle(s, c, o)
		}
		return s.notFound(id, "Org")
	}
}

func segments(path string) []string { return strings.Split(path[1:], "/") }

// match returns the route of a call, and sets the call's args. Without a route,
// known reports whether the path exists for another method.
func (s *Simulator) match(c *call) (rt *route, known bool) {
	table := s.routes
	if c.domain != "" {
		table = s.orgRoutes
	}
	for i := range table {
		rt := &table[i]
		if rt.aerial != c.aerial || len(rt.path) != len(c.path) {
			continue
		}
		var args map[string]string
		if !slices.EqualFunc(rt.path, c.path, func(pattern, part string) bool {
			if name, ok := strings.CutPrefix(pattern, "{"); ok {
				if args == nil {
					args = map[string]string{}
				}
				args[strings.TrimSuffix(name, "}")] = part
				return part != ""
			}
			return pattern == part
		}) {
			continue
		}
		known = true
		if rt.method == c.r.Method {
			c.args = args
			return rt, true
		}
	}
	return nil, known
}

// admit does what happens when a call arrives: routing, limits, authentication,
// headers. It returns a function that carries the call out, or returns the error.
func (s *Simulator) admit(c *call) func() *answer {
	s.mu.Lock()
	refusal := firstOf(s.limited(c), s.orgRefusal(c))
	if refusal == nil {
		refusal = s.take(c)
	}
	s.mu.Unlock()
	rt, known := s.match(c)
	switch {
	case refusal != nil:
	case rt == nil:
		return func() *answer { return s.noRoute(c, known) }
	default:
		if rt.scope != "" {
			refusal = s.authenticate(c, rt)
		}
		if refusal == nil && rt.body {
			refusal = s.checkBody(c)
		}
	}
	return func() *answer {
		if refusal != nil {
			return refusal
		}
		a := rt.handle(s, c)
		s.quota(c, a)
		return a
	}
}

func (s *Simulator) noRoute(c *call, known bool) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known {
		return s.fail(http.StatusMethodNotAllowed, codeMethod, "The endpoint does not support the provided HTTP method")
	}
	return s.notFound(c.r.URL.Path, "Path")
}

// checkBody requires JSON of the media type of JSON.
func (s *Simulator) checkBody(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch mt := mediaType(c.r); {
	case c.r.Header.Get("Content-Type") == "":
		return s.fail(http.StatusBadRequest, codeBadHeaders, "Bad request. Accept and/or Content-Type headers likely do not match supported values.")
	case mt != "application/json":
		return s.fail(http.StatusUnsupportedMediaType, codeMediaType, "Bad request. Accept and/or Content-Type headers are likely not set to the supported values.")
	case len(c.body) > maxBody || !json.Valid(c.body):
		return s.fail(http.StatusBadRequest, codeMalformed, "The request body was not well-formed.")
	}
	return nil
}

// mediaType returns the Content-Type without its parameters, or "" if it is
// missing or malformed.
func mediaType(r *http.Request) string {
	mt, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || (params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8")) {
		return ""
	}
	return mt
}

// window counts the calls of one minute.
type window struct {
	start time.Time
	used  int
}

// limited returns the error about too many calls of the Aerial API, at once or in
// this minute; otherwise nil. The caller holds the lock.
func (s *Simulator) limited(c *call) *answer {
	if !c.aerial {
		return nil
	}
	now := s.opts.Now()
	if !c.slot {
		return s.tooMany(0, now.Add(time.Minute)) // the reset is a guess, as Okta's is
	}
	limit := s.seed.Limits.PerMinute
	if limit == 0 {
		return nil
	}
	if start := now.Truncate(time.Minute); !start.Equal(s.minute.start) {
		s.minute = window{start: start}
	}
	if s.minute.used >= limit {
		return s.tooMany(limit, s.minute.start.Add(time.Minute))
	}
	s.minute.used++
	return nil
}

func (s *Simulator) tooMany(limit int, reset time.Time) *answer {
	a := s.fail(http.StatusTooManyRequests, codeRateLimit, sayRateLimit)
	setQuota(a.header, limit, 0, reset)
	return a
}

func (s *Simulator) quota(c *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit := s.seed.Limits.PerMinute; c.aerial && limit > 0 {
		setQuota(a.header, limit, max(limit-s.minute.used, 0), s.minute.start.Add(time.Minute))
	}
	if c.window != nil {
		setQuota(a.header, c.limit, max(c.limit-c.window.used, 0), c.window.start.Add(time.Minute))
	}
}

func setQuota(h http.Header, limit, remaining int, reset time.Time) {
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(limit))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(remaining))
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(reset.Unix(), 10))
}

// object is a JSON object whose keys are read one by one. Errors are collected, as
// Okta lists all causes.
type object struct {
	at     string // the path to it, such as "admin.profile."
	fields map[string]json.RawMessage
	causes *[]string
}

func newObject(text json.RawMessage) *object {
	o := &object{causes: &[]string{}}
	if json.Unmarshal(text, &o.fields) != nil || o.fields == nil {
		o.fields = map[string]json.RawMessage{}
		o.complain("the body must be a JSON object")
	}
	return o
}

func (o *object) complain(format string, args ...any) {
	*o.causes = append(*o.causes, fmt.Sprintf(format, args...))
}

// text reads a string of lo to hi characters. With lo 0 it may be missing; hi 0 is
// no limit. has reports whether the key is there.
func (o *object) text(key string, lo, hi int) (value string, has bool) {
	raw, has := o.fields[key]
	delete(o.fields, key)
	if !has || string(raw) == "null" {
		if lo > 0 {
			o.complain("%s%s: The field cannot be left blank", o.at, key)
		}
		return "", false
	}
	if json.Unmarshal(raw, &value) != nil {
		o.complain("%s%s: The field must be a string", o.at, key)
		return "", true
	}
	n := len([]rune(value))
	switch {
	case lo > 0 && strings.TrimSpace(value) == "":
		o.complain("%s%s: The field cannot be left blank", o.at, key)
	case n < lo, hi > 0 && n > hi:
		o.complain("%s%s: The field must have %d to %d characters, got %d", o.at, key, lo, hi, n)
	}
	return value, true
}

// nested returns an object within this one; nil if it is missing and optional.
func (o *object) nested(key string, required bool) *object {
	raw, has := o.fields[key]
	delete(o.fields, key)
	in := &object{at: o.at + key + ".", fields: map[string]json.RawMessage{}, causes: o.causes}
	if !has {
		if !required {
			return nil
		}
		o.complain("%s%s: The field cannot be left blank", o.at, key)
		return in
	}
	if json.Unmarshal(raw, &in.fields) != nil || in.fields == nil {
		in.fields = map[string]json.RawMessage{}
		o.complain("%s%s: The field must be an object", o.at, key)
	}
	return in
}

// done returns all errors, of which keys that were not read are the last.
func (o *object) done() []string {
	for _, key := range slices.Sorted(maps.Keys(o.fields)) {
		o.complain("%s%s: The field is unknown", o.at, key)
	}
	return *o.causes
}
