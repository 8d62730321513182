package simulator

import (
	"net/url"
	"strings"
)

var origins = &kind{
	name: "trustedOrigins", path: "/api/v1/trustedOrigins", scope: "okta.trustedOrigins", prefix: "tos", entity: "TrustedOrigin", target: "TrustedOrigin",
	events: events{
		"security.trusted_origin.create", "security.trusted_origin.update", "security.trusted_origin.activate",
		"security.trusted_origin.deactivate", "security.trusted_origin.delete",
	},
	born: active, honours: true,
	page: 20, most: 200,
	parameters: []string{"q", "filter"},
	filter: &grammar{attributes: map[string]attribute{
		"name": {kind: textual, ops: []string{"eq"}}, "origin": {kind: textual, ops: []string{"eq"}}, "status": {kind: textual, ops: []string{"eq"}},
	}},
	shape: func(*orgCall, doc) *shape {
		return fields("name origin scopes", map[string]*shape{
			"name": text(1, 255), "origin": text(1, 255).like(isOrigin, "an origin such as https://www.example.com"),
			"scopes": list(fields("type", map[string]*shape{
				"type": oneOf("CORS", "REDIRECT", "IFRAME_EMBED"), "allowedOktaApps": list(oneOf("OKTA_ENDUSER"), 0, 0),
			}), 1, 3),
		})
	},
	check: func(m *orgCall, t *set, it *item, body doc) *answer {
		var p problems
		seen := map[string]bool{}
		scopes, _ := body["scopes"].([]any)
		for _, scope := range scopes {
			name := digText(scope, "type")
			if seenBefore(seen, name) {
				p.add("scopes", "The scope %s is there twice", name)
			}
			if dig(scope, "allowedOktaApps") != nil && name != "IFRAME_EMBED" {
				p.add("scopes", "Only IFRAME_EMBED can have allowedOktaApps")
			}
		}
		for _, other := range t.items {
			if other != it && bareOrigin(digText(other.body, "origin")) == bareOrigin(digText(body, "origin")) {
				p.add("origin", sayExists)
			}
		}
		return firstOf(m.bad(p), m.newName(t, it, "name", "", body))
	},
	fill: func(_ *orgCall, _ *item, body doc) doc {
		scopes, _ := body["scopes"].([]any)
		kept := make([]any, len(scopes))
		for i, scope := range scopes {
			kept[i] = scope
			if digText(scope, "type") == "IFRAME_EMBED" {
				kept[i] = filled(scope.(doc), doc{"allowedOktaApps": []any{"OKTA_ENDUSER"}})
			}
		}
		body["scopes"] = kept
		return body
	},
	view: func(m *orgCall, t *set, it *item, out doc) {
		out["createdBy"], out["lastUpdatedBy"] = it.by, it.by
		out["_links"] = m.links(m.base+t.kind.path+"/"+it.id, it, "GET", "PUT", "DELETE")
	},
}

// isOrigin reports whether a text is a scheme and a host, which a slash may follow.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && (u.Path == "" || u.Path == "/") &&
		u.RawQuery == "" && u.Fragment == "" && u.User == nil && !strings.ContainsAny(text, "?# ")
}

// bareOrigin returns an origin in the form in which two that mean the same are
// equal.
func bareOrigin(origin string) string { return strings.TrimSuffix(strings.ToLower(origin), "/") }
