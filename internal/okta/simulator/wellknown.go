package simulator

import "net/http"

// wellKnown answers who an org is, without authentication.
func (s *Simulator) wellKnown(o *Org) *answer {
	pipeline := "idx"
	if o.classic() {
		pipeline = "v1"
	}
	return jsonAnswer(http.StatusOK, doc{
		"id": o.ID, "pipeline": pipeline, "settings": doc{},
		"_links": doc{"organization": doc{"href": "https://" + o.Domain}},
	})
}
