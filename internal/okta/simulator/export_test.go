package simulator

import "strings"

// Endpoint is an endpoint of an org's own API.
type Endpoint struct{ Method, Path, Scope string }

// OrgEndpoints returns the endpoints of an org's own API.
func OrgEndpoints() []Endpoint {
	var all []Endpoint
	for _, r := range orgRoutes() {
		all = append(all, Endpoint{r.method, "/" + strings.Join(r.path, "/"), r.scope})
	}
	return all
}
