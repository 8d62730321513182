package aerial

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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

// eachPage reads a list that may have several pages and hands over one after
// the other. take says whether a page brought anything new, and may end the
// list by an error. A page that can't be read, or whose next page can't be
// found, is an error and not handed over.
func eachPage[T any](ctx context.Context, c *Client, first *call, take func([]T) (fresh bool, err error)) error {
	visited := map[string]bool{}
	barren, entries := 0, 0
	at := *first
	for n := 1; ; n++ {
		visited[at.url.String()] = true
		next, page, err := onePage[T](ctx, c, &at)
		fresh := false
		if err == nil {
			entries += len(page)
			err = checkLength(entries, &at)
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
		at.url = next
	}
}

// checkLength refuses a list that is longer than any that can be meant, so that
// what is held of it has a bound.
func checkLength(entries int, list *call) error {
	switch {
	case entries > maxEntries:
		return fmt.Errorf("there is no end to it: gave up at more than %d entries", maxEntries)
	case list.read > maxFull*list.maxBody:
		return fmt.Errorf("there is no end to it: gave up at more than %d bytes", maxFull*list.maxBody)
	}
	return nil
}

// onePage reads a page and finds the next; nil when it is the last.
func onePage[T any](ctx context.Context, c *Client, call *call) (next *url.URL, page []T, err error) {
	page, header, err := fetch[[]T](ctx, c, call)
	if err != nil {
		return nil, nil, err
	}
	if page == nil {
		return nil, nil, errNull
	}
	target, err := nextLink(header)
	if err != nil || target == "" {
		return nil, page, err
	}
	next, err = c.follow(call.url, target)
	return next, page, err
}
