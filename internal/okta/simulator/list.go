package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultPage = 25
	maxPage     = 100
)

var orgGrammar = grammar{attributes: map[string]attribute{
	"subdomain": {kind: textual, ops: []string{"eq", "sw"}},
	"aerialOrg": {kind: boolean, ops: []string{"eq"}},
	"status":    {kind: textual, ops: []string{"eq"}},
}}

// listOrgs returns a page of the managed orgs. Their order never changes, so that
// an org that is linked between two pages is on at most one of them.
func (s *Simulator) listOrgs(c *call) *answer {
	q := c.r.URL.Query()
	limit := defaultPage
	if text := q.Get("limit"); q.Has("limit") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return s.invalid("limit", fmt.Sprintf("limit: The limit must be a number from 1 to %d", maxPage))
		}
		limit = n
	}
	match, problem := parseFilter(q.Get("filter"), orgGrammar)
	if problem != "" {
		return s.fail(http.StatusBadRequest, codeSearch, "Invalid search criteria.", problem)
	}
	back := q.Has("before")
	if back && q.Has("after") {
		return s.fail(http.StatusBadRequest, codePaging, "Invalid paging request.", "Only one of after and before can be given")
	}
	at := -1 // before the first org
	if back || q.Has("after") {
		n, ok := s.readCursor(q.Get("after")+q.Get("before"), q.Get("filter"))
		if !ok {
			return s.fail(http.StatusBadRequest, codePaging, "Invalid paging request.", "The cursor is not one of this query")
		}
		at = n
	}
	return s.page(c, s.matching(match), at, limit, back)
}

func (s *Simulator) matching(match matcher) []int {
	var all []int
	for i, o := range s.orgs {
		if o.Managed && match(o.attribute) {
			all = append(all, i)
		}
	}
	return all
}

func (o *Org) attribute(name string) string {
	switch name {
	case "subdomain":
		return o.subdomain()
	case "aerialOrg":
		return strconv.FormatBool(o.AerialOrg)
	default:
		return o.Status
	}
}

// page returns the orgs after the index at, or those before it.
func (s *Simulator) page(c *call, matches []int, at, limit int, back bool) *answer {
	lo := 0
	for lo < len(matches) && (matches[lo] < at || !back && matches[lo] == at) {
		lo++
	}
	hi := min(lo+limit, len(matches))
	if back {
		lo, hi = max(lo-limit, 0), lo
	}
	out := []orgBody{}
	for _, i := range matches[lo:hi] {
		out = append(out, s.body(c, s.orgs[i]))
	}
	a := jsonAnswer(http.StatusOK, out)
	link(a, "self", c.url, c.r.URL.Query())
	filter := c.r.URL.Query().Get("filter")
	if hi < len(matches) && hi > 0 {
		link(a, "next", c.url, cursorQuery(c, "after", s.cursor(matches[hi-1], filter)))
	}
	if lo > 0 && lo < len(matches) {
		link(a, "prev", c.url, cursorQuery(c, "before", s.cursor(matches[lo], filter)))
	}
	return a
}

// link adds a Link header (RFC 8288) of its own for each relation, as Okta does.
func link(a *answer, rel, to string, query url.Values) {
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	a.header.Add("Link", fmt.Sprintf("<%s>; rel=%q", to, rel))
}

func cursorQuery(c *call, name, cursor string) url.Values {
	q := c.r.URL.Query()
	q.Del("after")
	q.Del("before")
	q.Set(name, cursor)
	return q
}

// cursor returns an index in an opaque form, bound to its query and protected
// against changes by the client.
func (s *Simulator) cursor(index int, query string) string {
	at := strconv.Itoa(index)
	return base64.RawURLEncoding.EncodeToString([]byte(at + ":" + s.seal(at, query)))
}

func (s *Simulator) readCursor(cursor, query string) (index int, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, false
	}
	at, seal, _ := strings.Cut(string(text), ":")
	index, err = strconv.Atoi(at)
	return index, err == nil && hmac.Equal([]byte(seal), []byte(s.seal(at, query)))
}

func (s *Simulator) seal(index, query string) string {
	mac := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(mac, "%s %s", index, query)
	return string(mac.Sum(nil)[:12])
}
