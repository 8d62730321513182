package aerial

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

// nextLink returns the target of the link to the next page, or "" when there is
// none. An answer that says that it is that of another call than asked is an error.
func nextLink(asked *url.URL, h http.Header) (string, error) {
	return rest.NextLink(h, func(self string) error { return checkSelf(asked, self) })
}

// checkSelf refuses an answer that names another org as what it is about.
func checkSelf(asked *url.URL, self string) error {
	u, err := asked.Parse(self)
	if err != nil {
		return nil // it is only informative
	}
	const orgs = "/api/v1/orgs/" // what stands before it may be a proxy's
	_, want, known := strings.Cut(asked.Path, orgs)
	if _, got, ok := strings.Cut(u.Path, orgs); known && ok && got != want {
		return fmt.Errorf("the answer is that of \"orgs/%s\", not of \"orgs/%s\"", text.Clean(got), want)
	}
	return nil
}

// follow resolves the target of a next link that came with the answer to from.
func (c *Client) follow(from *url.URL, target string) (*url.URL, error) {
	return rest.Follow(c.base, from, target, c.keys.URL)
}
