package aerial

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"reconciler/internal/okta/rest"
)

const (
	// maxPages ends a list that has no end: that of 100,000 orgs.
	maxPages = 1000
	// maxBarren is how many pages in a row may bring nothing new before the
	// list counts as one that goes in circles.
	maxBarren = 3
	// maxEntries is how many entries all pages together may have.
	maxEntries = 100_000
	// maxFull is how many answers of the greatest length all pages together may
	// amount to. For orgs that is 250 MB, or 2.6 kB for each of a hundred
	// thousand.
	maxFull = 25
)

var errNull = errors.New("the answer is null instead of a list")

// eachPage reads a list that may have several pages and calls take with one
// after the other. take reports whether a page brought anything new, and may end
// the list by an error. A page that can't be read, or whose next page can't be
// found, is an error and not passed on.
func eachPage[T any](ctx context.Context, c *Client, first *rest.Call, take func([]T) (fresh bool, err error)) error {
	visited := map[string]bool{}
	barren, entries, size := 0, 0, int64(0)
	at := *first
	for n := 1; ; n++ {
		visited[at.URL.String()] = true
		next, page, bytes, err := onePage[T](ctx, c, &at)
		fresh := false
		if err == nil {
			entries += len(page)
			size += bytes
			err = checkLength(entries, size, at.Policy.MaxBody)
		}
		if err == nil {
			fresh, err = take(page)
		}
		if barren++; fresh {
			barren = 0
		}
		switch {
		case err != nil:
		case next == nil:
			return nil
		case visited[next.String()]:
			err = errors.New("the pages go in circles: the next one was read before")
		case barren == maxBarren:
			err = fmt.Errorf("the pages go in circles: %d in a row brought nothing new", barren)
		case n == maxPages:
			err = fmt.Errorf("there is no end to it: gave up after %d pages", n)
		}
		if err != nil && n > 1 {
			return fmt.Errorf("page %d: %w", n, err)
		}
		if err != nil {
			return err
		}
		at.URL = next
	}
}

// checkLength refuses a list that is longer than any that can be meant, so that
// what is held of it has a bound.
func checkLength(entries int, size, maxPage int64) error {
	switch {
	case entries > maxEntries:
		return fmt.Errorf("there is no end to it: gave up at more than %d entries", maxEntries)
	case size > maxFull*maxPage:
		return fmt.Errorf("there is no end to it: gave up at more than %d bytes", maxFull*maxPage)
	}
	return nil
}

// onePage reads a page and finds the next; nil when it is the last.
func onePage[T any](ctx context.Context, c *Client, call *rest.Call) (next *url.URL, page []T, size int64, err error) {
	page, answer, err := fetch(ctx, c, call, func(page []T) error {
		if page == nil {
			return errNull
		}
		return nil
	})
	if err != nil {
		return nil, nil, 0, err
	}
	target, err := nextLink(call.URL, answer.Header)
	if err == nil && target != "" {
		next, err = c.follow(call.URL, target)
	}
	return next, page, int64(len(answer.Body)), err
}
