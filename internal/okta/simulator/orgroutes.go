package simulator

import (
	"cmp"
	"net/http"
	"strings"
	"time"
)

// orgEndpoint returns an endpoint of an org's own API. A lifecycle call may have no
// body.
func orgEndpoint(method, path, scope string, handle handler) route {
	body := (method == http.MethodPost || method == http.MethodPut) && !strings.Contains(path, "/lifecycle/")
	return route{method: method, path: segments(path), scope: scope, ssws: true, body: body, handle: locked(handle)}
}

// orgRoutes returns the endpoints of an org's own API at /org/{domain}, which has
// those of a parent as well.
func orgRoutes() []route {
	all := []route{
		orgEndpoint("GET", behaviors.path, "okta.behaviors.read", orgRoute((*orgCall).listBehaviors)),
		orgEndpoint("GET", policies.path, "okta.policies.read", orgRoute((*orgCall).listPolicies)),
		orgEndpoint("GET", featureSet.path, "okta.features.read", orgRoute(func(m *orgCall) *answer { return m.listFeatures(m.st.set("features").items) })),
		orgEndpoint("GET", featureSet.path+"/{id}", "okta.features.read", feature(func(m *orgCall, _ *set, it *item) *answer {
			return firstOf(m.query(), jsonAnswer(http.StatusOK, m.viewFeature(it)))
		})),
		orgEndpoint("GET", featureSet.path+"/{id}/dependencies", "okta.features.read", feature(func(m *orgCall, t *set, it *item) *answer {
			return m.listFeatures(t.dependencies(it))
		})),
		orgEndpoint("GET", featureSet.path+"/{id}/dependents", "okta.features.read", feature(func(m *orgCall, t *set, it *item) *answer {
			return m.listFeatures(t.dependents(it))
		})),
		{method: http.MethodPost, path: segments(featureSet.path + "/{id}/{change}"), scope: "okta.features.manage", ssws: true, handle: locked(feature((*orgCall).switchFeature))},

		orgEndpoint("GET", "/api/v1/apps/{app}/grants", "okta.appGrants.read", inApp(reader, (*orgCall).listGrants)),
		orgEndpoint("POST", "/api/v1/apps/{app}/grants", "okta.appGrants.manage", inApp(super, (*orgCall).addGrant)),
		orgEndpoint("GET", "/oauth2/v1/clients/{client}/roles", "okta.roles.read", ofClient((*orgCall).listRoles)),
		orgEndpoint("POST", "/oauth2/v1/clients/{client}/roles", "okta.roles.manage", ofClient((*orgCall).assignRole)),
		orgEndpoint("DELETE", "/api/v1/api-tokens/current", "okta.apiTokens.manage", orgRoute((*orgCall).revokeToken)),
	}
	// Group rules come before groups, one of whose ids "rules" is not.
	for _, k := range []*kind{groupRules, groups, zones, origins, behaviors, policies, apps} {
		all = append(all, k.objectRoutes(k.own)...)
	}
	all = append(all, policyRules.objectRoutes(ofPolicy)...)
	for _, g := range settings {
		all = append(all, g.routes()...)
	}
	for _, r := range routes() {
		if !r.aerial {
			all = append(all, r)
		}
	}
	return all
}

// edgeNotFound is the 404 of Okta's edge, which has no errorCode.
func edgeNotFound() *answer {
	return jsonAnswer(http.StatusNotFound, doc{"status": http.StatusNotFound, "message": "Resource not found"})
}

// orgRefusal returns the error about an org that can't be called. The caller holds
// the lock. How an inactive org answers is unconfirmed.
func (s *Simulator) orgRefusal(c *call) *answer {
	o := s.byDomain[c.domain]
	switch {
	case c.domain == "":
		return nil
	case o == nil || !s.ready(o):
		return edgeNotFound()
	case o.Status == inactive && c.path[0] != ".well-known":
		return s.forbidden("The org is not active")
	}
	return nil
}

// defaultBucket is the limit of a bucket of an org per minute if the seed has none.
const defaultBucket = 10_000

// Bucket is the rate limit of a bucket of each org.
type Bucket struct {
	// Path is the bucket's, such as /api/v1/groups/{id} or /api/v1/zones; empty
	// means all that have no limit of their own.
	Path string `yaml:"path,omitempty"`
	// PerMinute is how many calls it allows per minute.
	PerMinute int `yaml:"perMinute"`
}

// bucket returns the rate limit bucket of a call of an org.
func (c *call) bucket() string {
	if len(c.path) < 3 || c.path[0] != "api" {
		return "/" + c.path[0]
	}
	b := "/" + strings.Join(c.path[:3], "/")
	if len(c.path) == 4 && (c.path[2] == "groups" && c.path[3] != "rules" || c.path[2] == "apps") {
		b += "/{id}"
	}
	return b
}

func (s *Simulator) bucketLimit(bucket string) int {
	limit := 0
	for _, b := range s.seed.Limits.Buckets {
		if b.Path == bucket {
			return b.PerMinute
		}
		if b.Path == "" {
			limit = b.PerMinute
		}
	}
	return cmp.Or(limit, defaultBucket)
}

// take takes a call from its bucket, and returns the error if there is none left.
// The caller holds the lock.
func (s *Simulator) take(c *call) *answer {
	o := s.byDomain[c.domain]
	if o == nil || c.path[0] == ".well-known" {
		return nil
	}
	now, bucket := s.opts.Now(), c.bucket()
	windows := s.state(o).windows
	w := windows[bucket]
	if start := now.Truncate(time.Minute); w == nil || !start.Equal(w.start) {
		w = &window{start: start}
		windows[bucket] = w
	}
	limit := s.bucketLimit(bucket)
	c.limit, c.window = limit, w
	if w.used >= limit {
		return s.tooMany(limit, w.start.Add(time.Minute))
	}
	w.used++
	return nil
}

// SetBucket sets the rate limit of a bucket of each org, such as /api/v1/zones.
func (s *Simulator) SetBucket(path string, perMinute int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.seed.Limits.Buckets {
		if b.Path == path {
			s.seed.Limits.Buckets[i].PerMinute = perMinute
			return
		}
	}
	s.seed.Limits.Buckets = append(s.seed.Limits.Buckets, Bucket{path, perMinute})
}

// OrgRequests returns how many calls an org's own API got at /org/{domain}, by
// method. Calls of the token endpoint count as TOKEN, so that POST are the writes.
func (s *Simulator) OrgRequests(domain string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for method, count := range s.orgCalls[strings.ToLower(domain)] {
		n[method] = count
	}
	return n
}

// countOrg counts a call of an org.
func (s *Simulator) countOrg(c *call) {
	n := s.orgCalls[c.domain]
	if n == nil {
		n = map[string]int{}
		s.orgCalls[c.domain] = n
	}
	if c.isToken() {
		n["TOKEN"]++
	} else {
		n[c.r.Method]++
	}
}
