package simulator

import (
	"cmp"
	"net"
	"net/http"
	"strings"
)

// wellKnownPath is where an org tells everybody who it is.
const wellKnownPath = "/.well-known/okta-organization"

// organization is what an org tells of itself. No org here has a custom domain, to
// which the link "alternate" would lead.
type organization struct {
	ID       string          `json:"id"`
	Pipeline string          `json:"pipeline"`
	Settings struct{}        `json:"settings"`
	Links    map[string]href `json:"_links"`
}

func (s *Simulator) getWellKnown(c *call) *answer {
	host := c.r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	o := s.byDomain[cmp.Or(c.domain, strings.ToLower(host))]
	if o == nil && c.domain == "" {
		o = s.onlyCreator()
	}
	if o == nil {
		return s.notFound(host, "Org")
	}
	return wellKnown(o)
}

// wellKnown returns what an org tells of itself.
func wellKnown(o *Org) *answer {
	return jsonAnswer(http.StatusOK, organization{
		ID: o.ID, Pipeline: cmp.Or(o.Pipeline, "idx"), Links: map[string]href{"organization": {"https://" + o.Domain}},
	})
}

// onlyCreator returns the org that may create others, or nil if there is none or
// several. The config of a parent may have another host than its domain: that of the
// simulator, or the domain that the parent had before it was renamed.
func (s *Simulator) onlyCreator() *Org {
	var only *Org
	for _, o := range s.orgs {
		switch {
		case !o.Creator || o.Parent != "":
		case only != nil:
			return nil
		default:
			only = o
		}
	}
	return only
}
