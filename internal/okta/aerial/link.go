package aerial

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
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

// nextLink gives the target of the link with rel="next", or "" when there is
// none. A header that can't be read is an error: taking it for "no next page"
// would lose orgs.
func nextLink(h http.Header) (string, error) {
	next := ""
	for _, v := range h.Values("Link") {
		links, err := parseLinks(v)
		if err != nil {
			return "", fmt.Errorf("malformed Link header: %w", err)
		}
		for _, l := range links {
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

// follow resolves the target of a next link that came with the answer to from.
// It is followed as it is, but never away from the configured origin: the
// access token goes along.
func (c *Client) follow(from *url.URL, target string) (*url.URL, error) {
	u, err := from.Parse(target)
	if err != nil {
		return nil, errors.New("the next page's URL is malformed")
	}
	home := web.OriginOf(c.base)
	if u.Opaque != "" || u.User != nil || !home.Has(u) {
		return nil, text.WithHint(
			fmt.Errorf("the next page is on %q, not on %q, and is not followed", web.OriginOf(u), home),
			"a token must not travel to another host: check "+c.keys.URL+", and proxies that rewrite answers")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// parseLinks reads one Link header field, which may hold several links. It
// takes what RFC 8288 allows (commas inside URLs and quotes, empty list
// elements, parameters in any order and without values) and values without
// quotes that should have them. Only a link's first rel counts; a link with an
// anchor is about something else than this answer and is passed over (RFC 8288,
// sections 3.2 and 3.3).
func parseLinks(s string) ([]link, error) {
	p := &linkParser{rest: s}
	var links []link
	for {
		p.skip(" \t,")
		if p.rest == "" {
			return links, nil
		}
		l, anchored, err := p.link()
		if err != nil {
			return nil, err
		}
		if !anchored {
			links = append(links, l)
		}
		p.skip(" \t")
		if p.rest != "" && p.rest[0] != ',' {
			return nil, fmt.Errorf("expected a comma before %q", excerpt(p.rest))
		}
	}
}

type linkParser struct {
	rest string
}

func (p *linkParser) skip(chars string) { p.rest = strings.TrimLeft(p.rest, chars) }

// accept takes c off the front, if it is there.
func (p *linkParser) accept(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// until takes everything before the first of chars.
func (p *linkParser) until(chars string) string {
	i := strings.IndexAny(p.rest, chars)
	if i < 0 {
		i = len(p.rest)
	}
	s := p.rest[:i]
	p.rest = p.rest[i:]
	return s
}

func (p *linkParser) link() (l link, anchored bool, err error) {
	if !p.accept('<') {
		return l, false, fmt.Errorf("expected a URL in <> at %q", excerpt(p.rest))
	}
	l.target = p.until(">")
	if !p.accept('>') {
		return l, false, errors.New("a URL has no closing >")
	}
	related := false
	for {
		p.skip(" \t")
		if !p.accept(';') {
			return l, anchored, nil
		}
		name, value, err := p.param()
		if err != nil {
			return l, false, err
		}
		switch name {
		case "rel":
			if !related {
				related = true
				l.rels = strings.Fields(strings.ToLower(value))
			}
		case "anchor":
			anchored = true
		}
	}
}

func (p *linkParser) param() (name, value string, err error) {
	p.skip(" \t")
	name = strings.ToLower(p.until(" \t=;,"))
	p.skip(" \t")
	if !p.accept('=') {
		return name, "", nil
	}
	p.skip(" \t")
	if p.accept('"') {
		value, err = p.quoted()
		return name, value, err
	}
	return name, p.until(" \t;,"), nil
}

// quoted reads the rest of a quoted string, whose opening quote is gone.
func (p *linkParser) quoted() (string, error) {
	var b strings.Builder
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '"':
			p.rest = p.rest[i+1:]
			return b.String(), nil
		case '\\':
			i++
			if i < len(p.rest) {
				b.WriteByte(p.rest[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("a quote is not closed")
}

// excerpt is enough of s to find the place. It may hold an opaque cursor, and
// so is short.
func excerpt(s string) string {
	if r := []rune(s); len(r) > 20 {
		return string(r[:20]) + "…"
	}
	return s
}
