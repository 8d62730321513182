package simulator

import (
	"encoding/json"
	"fmt"
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
	scope  string   // what the token must be good for; empty at the token endpoint
	ssws   bool     // whether an org's SSWS token will do as well
	body   bool     // whether a JSON body is read
	handle func(*Simulator, *call) answer
}

const (
	scopeRead   = "okta.accounts.read"
	scopeManage = "okta.accounts.manage"
	scopeOrgs   = "okta.orgs.manage"
	scopeLogs   = "okta.logs.read"
)

// routes lists the endpoints. The handlers run with the lock held, except the
// token endpoint's, which verifies signatures first.
func routes() []route {
	aerial := func(method, path, scope string, handle func(*Simulator, *call) answer) route {
		return route{method: method, aerial: true, path: segments(path), scope: scope, body: method != http.MethodGet, handle: locked(handle)}
	}
	org := func(method, path, scope string, handle func(*Simulator, *call) answer) route {
		return route{method: method, path: segments(path), scope: scope, ssws: true, body: method != http.MethodGet, handle: locked(handle)}
	}
	return []route{
		{method: http.MethodPost, path: segments(tokenPath), handle: (*Simulator).token},

		aerial("GET", "/api/v1/accounts", scopeRead, (*Simulator).getAccount),
		aerial("PUT", "/api/v1/accounts", scopeManage, (*Simulator).putAccount),
		aerial("GET", "/api/v1/products", scopeRead, (*Simulator).getProducts),
		aerial("GET", "/api/v1/orgs", scopeRead, (*Simulator).listOrgs),
		aerial("POST", "/api/v1/orgs", scopeManage, (*Simulator).linkOrg),
		aerial("GET", "/api/v1/orgs/{org}", scopeRead, (*Simulator).getOrg),
		aerial("PUT", "/api/v1/orgs/{org}/status", scopeManage, (*Simulator).putStatus),
		aerial("GET", "/api/v1/orgs/{org}/products", scopeRead, (*Simulator).getOrgProducts),
		aerial("PUT", "/api/v1/orgs/{org}/products", scopeManage, (*Simulator).putOrgProducts),
		{
			method: http.MethodPost, aerial: true, path: segments("/api/v1/orgs/{org}/deletionRequest"),
			scope: scopeManage, handle: locked((*Simulator).requestDeletion),
		},
		aerial("GET", "/governance/api/v1/request-condition-templates", scopeRead, (*Simulator).listTemplates),
		aerial("GET", "/governance/api/v1/request-condition-templates/{template}", scopeRead, (*Simulator).getTemplate),

		org("POST", "/api/v1/orgs", scopeOrgs, (*Simulator).createOrg),
		org("GET", "/api/v1/org/privacy/aerial", scopeOrgs, (*Simulator).getConsent),
		org("POST", "/api/v1/org/privacy/aerial/grant", scopeOrgs, (*Simulator).grantConsent),
		org("POST", "/api/v1/org/privacy/aerial/revoke", scopeOrgs, (*Simulator).revokeConsent),
		org("GET", "/api/v1/logs", scopeLogs, (*Simulator).getLogs),
	}
}

func locked(handle func(*Simulator, *call) answer) func(*Simulator, *call) answer {
	return func(s *Simulator, c *call) answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		return handle(s, c)
	}
}

func segments(path string) []string { return strings.Split(path[1:], "/") }

// match finds the route of a call and what stands for its braces. Without a
// route, known reports whether the path exists under another method.
func (s *Simulator) match(c *call) (rt *route, known bool) {
	for i := range s.routes {
		rt := &s.routes[i]
		if rt.aerial != c.aerial || len(rt.path) != len(c.path) {
			continue
		}
		args := map[string]string{}
		if !slices.EqualFunc(rt.path, c.path, func(pattern, part string) bool {
			if name, ok := strings.CutPrefix(pattern, "{"); ok {
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

// admit does what happens at the arrival of a call: routing, limits,
// authentication, headers. What it returns carries the call out, or refuses
// it, after whatever wait.
func (s *Simulator) admit(c *call) func() answer {
	s.mu.Lock()
	refusal := s.limited(c)
	s.mu.Unlock()
	if refusal != nil {
		return func() answer { return *refusal }
	}
	rt, known := s.match(c)
	if rt == nil {
		return func() answer { return s.lost(c, known) }
	}
	if rt.scope != "" {
		refusal = s.authenticate(c, rt)
	}
	if refusal == nil && rt.body {
		refusal = s.checkBody(c)
	}
	if refusal != nil {
		return func() answer { return *refusal }
	}
	return func() answer {
		a := rt.handle(s, c)
		s.quota(c, &a)
		return a
	}
}

// lost refuses a path or a method that does not exist.
func (s *Simulator) lost(c *call, known bool) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known {
		return s.fail(http.StatusMethodNotAllowed, codeMethod, "The endpoint does not support the provided HTTP method")
	}
	return s.notFound(c.r.URL.Path, "Path")
}

// checkBody wants JSON that says that it is JSON.
func (s *Simulator) checkBody(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a answer
	switch mt := mediaType(c.r); {
	case c.r.Header.Get("Content-Type") == "":
		a = s.fail(http.StatusBadRequest, codeBadHeaders, "Bad request. Accept and/or Content-Type headers likely do not match supported values.")
	case mt != "application/json":
		a = s.fail(http.StatusUnsupportedMediaType, codeMediaType, "Bad request. Accept and/or Content-Type headers are likely not set to the supported values.")
	case len(c.body) > maxBody || !json.Valid(c.body):
		a = s.fail(http.StatusBadRequest, codeMalformed, "The request body was not well-formed.")
	default:
		return nil
	}
	return &a
}

// mediaType is the Content-Type without its parameters, or "" when it is
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

// limited refuses a call of the Aerial API that is one too many, at once or in
// this minute. The caller holds the lock.
func (s *Simulator) limited(c *call) *answer {
	if !c.aerial {
		return nil
	}
	now := s.opts.Now()
	if !c.slot {
		a := s.tooMany(0, 0, now.Add(time.Minute)) // the reset is a guess, as Okta's is
		return &a
	}
	limit := s.seed.Limits.PerMinute
	if limit == 0 {
		return nil
	}
	if start := now.Truncate(time.Minute); !start.Equal(s.minute.start) {
		s.minute = window{start: start}
	}
	if s.minute.used >= limit {
		a := s.tooMany(limit, 0, s.minute.start.Add(time.Minute))
		return &a
	}
	s.minute.used++
	return nil
}

// tooMany is a 429 with Okta's rate limit headers.
func (s *Simulator) tooMany(limit, remaining int, reset time.Time) answer {
	a := s.fail(http.StatusTooManyRequests, codeRateLimit, sayRateLimit)
	setQuota(a.header, limit, remaining, reset)
	return a
}

// quota adds the rate limit headers to a good answer where there is a limit.
func (s *Simulator) quota(c *call, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit := s.seed.Limits.PerMinute; c.aerial && limit > 0 {
		setQuota(a.header, limit, max(limit-s.minute.used, 0), s.minute.start.Add(time.Minute))
	}
}

func setQuota(h http.Header, limit, remaining int, reset time.Time) {
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(limit))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(remaining))
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(reset.Unix(), 10))
}

// object is a JSON object that is taken apart key by key; what is wrong with
// it is collected, as Okta lists all causes.
type object struct {
	at     string // where it stands, such as "admin.profile."
	fields map[string]json.RawMessage
	causes *[]string
}

// newObject takes the body of a call apart.
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

// text takes a string of lo to hi characters; with lo 0 it may be missing. hi 0
// is no limit. has reports whether the key was there.
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

// nested takes an object apart that stands in this one; nil when it is not
// there and need not be.
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

// done complains about the keys that nobody asked for.
func (o *object) done() {
	rest := make([]string, 0, len(o.fields))
	for key := range o.fields {
		rest = append(rest, key)
	}
	slices.Sort(rest)
	for _, key := range rest {
		o.complain("%s%s: The field is unknown", o.at, key)
	}
}
