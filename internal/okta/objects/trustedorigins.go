package objects

import (
	"net/url"
	"strings"
)

// trustedOrigins are the web sites that may call an org's API or be returned to.
var trustedOrigins = &Kind{
	Name: "trustedOrigins", Title: "trusted origin",
	Doc: "Web sites that may call the org from a browser, be redirected to, or embed it.",
	Key: "origin",
	Fields: []Field{
		{Name: "name", Required: true, Unique: true, Max: new(255), Doc: "The origin's name, unique in the org."},
		{Name: "origin", Required: true, Max: new(255), Doc: "The address, such as https://portal.example.com."},
		{
			Name: "scopes", Type: List, Required: true, Set: true, By: []string{"type"}, Max: new(3),
			Doc: "What the site may do.",
			Elem: &Field{Type: Mapping, Doc: "One thing that the site may do.", Fields: []Field{
				{
					Name: "type", Required: true, Enum: []string{"CORS", "IFRAME_EMBED", "REDIRECT"},
					Doc: "Call the API from a browser, embed pages of Okta, or be redirected to.",
				},
				words("allowedOktaApps", "What may be embedded besides the sign-in page, for IFRAME_EMBED.", true, "OKTA_ENDUSER"),
			}},
		},
		lifecycle,
	},
	Oddities: Oddities{
		Normalize: func(body map[string]any) {
			if s, ok := body["origin"].(string); ok {
				if normal := normalOrigin(s); normal != s {
					body["origin"] = normal
				}
			}
		},
		Key: normalOrigin,
		Check: func(_ string, body map[string]any) map[string]string {
			s, ok := body["origin"].(string)
			if !ok {
				return nil
			}
			switch u, err := url.Parse(s); {
			case err != nil, u.Scheme == "", u.Host == "":
				return map[string]string{"origin": "must be an address such as https://portal.example.com"}
			case u.User != nil:
				return map[string]string{"origin": "must not hold a user name or password"}
			}
			return nil
		},
	},
	API: API{
		Collection: "/api/v1/trustedOrigins",
		Query:      "limit=200",
		Paged:      true,
		Write:      "PUT",
		Lifecycle:  true,
		Scope:      "okta.trustedOrigins",
		Events:     []string{"security.trusted_origin."},
	},
}

// normalOrigin returns an origin with its scheme and host in lower case, and without a
// slash at its end.
func normalOrigin(s string) string {
	s = strings.TrimSuffix(s, "/")
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	host, _, _ := strings.Cut(rest, "/")
	if strings.ToLower(scheme) == scheme && strings.ToLower(host) == host { // as most are
		return s
	}
	return strings.ToLower(scheme) + "://" + strings.ToLower(host) + rest[len(host):]
}
