package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

// link is one link of a Link header (RFC 8288).
type link struct {
	target string
	rels   []string // in lower case
}

// NextLink returns the target of the link with rel="next", or "" when there is
// none. A header that can't be read is an error: taking it for "no next page"
// would lose what is on it. checkSelf judges what the answer says that it is the
// answer to; nil if that doesn't matter.
func NextLink(h http.Header, checkSelf func(target string) error) (string, error) {
	next := ""
	for _, v := range h.Values("Link") {
		links, err := parseLinks(v)
		if err != nil {
			return "", fmt.Errorf("malformed Link header: %w", err)
		}
		for _, l := range links {
			if checkSelf != nil && slices.Contains(l.rels, "self") {
				if err := checkSelf(l.target); err != nil {
					return "", err
				}
			}
			switch {
			case !slices.Contains(l.rels, "next"):
			case l.target == "":
				return "", errors.New("the Link header names an empty next page")
			case next != "" && next != l.target:
				return "", errors.New("the Link headers name two different next pages")
			default:
				next = l.target
			}
		}
	}
	return next, nil
}

// Follow resolves the target of a next link that came with the answer to from.
// It is followed as it is, but never away from the origin of home: the access
// token goes along. key is what the config calls the URL of home.
func Follow(home, from *url.URL, target, key string) (*url.URL, error) {
	u, err := from.Parse(target)
	if err != nil {
		return nil, errors.New("the next page's URL is malformed")
	}
	origin := web.OriginOf(home)
	if u.Opaque != "" || u.User != nil || !origin.Has(u) {
		return nil, text.WithHint(
			fmt.Errorf("the next page is on %q, not on %q, and is not followed", web.OriginOf(u), origin),
			"a token must not travel to another host: check "+key+", and proxies that rewrite answers")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

var (
	linkTarget = regexp.MustCompile(`^<([^>]*)>`)
	// linkParam matches a parameter: its name, and its value in quotes or
	// without.
	linkParam  = regexp.MustCompile(`(?s)^[ \t]*;[ \t]*([^ \t=;,]*)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^" \t;,][^ \t;,]*)?))?`)
	linkEscape = regexp.MustCompile(`(?s)\\(.)`)
)

// parseLinks reads one Link header field, which may hold several links. It
// takes what RFC 8288 allows (commas inside URLs and quotes, empty list
// elements, parameters in any order and without values) and values without
// quotes that should have them. Only a link's first rel counts; a link with an
// anchor is about something else than this answer and is skipped (RFC 8288,
// sections 3.2 and 3.3).
func parseLinks(s string) ([]link, error) {
	var links []link
	for {
		if s = strings.TrimLeft(s, " \t,"); s == "" {
			return links, nil
		}
		target := linkTarget.FindStringSubmatch(s)
		switch {
		case target == nil && s[0] == '<':
			return nil, errors.New("a URL has no closing >")
		case target == nil:
			return nil, fmt.Errorf("expected a URL in <> at %q", excerpt(s))
		}
		l := link{target: target[1]}
		s = s[len(target[0]):]
		anchored := false
		for p := linkParam.FindStringSubmatch(s); p != nil; p = linkParam.FindStringSubmatch(s) {
			s = s[len(p[0]):]
			switch name := strings.ToLower(p[1]); {
			case name == "rel" && l.rels == nil:
				l.rels = strings.Fields(strings.ToLower(linkEscape.ReplaceAllString(p[2], "$1") + p[3]))
			case name == "anchor":
				anchored = true
			}
		}
		switch s = strings.TrimLeft(s, " \t"); {
		case strings.HasPrefix(s, `"`):
			return nil, errors.New("a quote is not closed")
		case s != "" && s[0] != ',':
			return nil, fmt.Errorf("expected a comma before %q", excerpt(s))
		case !anchored:
			links = append(links, l)
		}
	}
}

// excerpt returns enough of s to find the place. It may hold an opaque cursor,
// and so is short.
func excerpt(s string) string {
	if r := []rune(s); len(r) > 20 {
		return string(r[:20]) + "…"
	}
	return s
}
