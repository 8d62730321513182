package aerial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
	"reconciler/internal/text"
	"reconciler/internal/web/trace"
)

const (
	// queueSize is how many orgs may wait for their products to be read before
	// the reader of the list reads some itself.
	queueSize = 1000
	// maxMisses is how many product reads may fail in a row, without a success
	// between, before the API counts as down.
	maxMisses = 20
	// maxHeld is how many bytes the products of all orgs may take in memory: a
	// hundred products for each of a hundred thousand orgs.
	maxHeld = 256 << 20
)

// Observe reads the account, the products it subscribes to, all managed orgs,
// and the products of those orgs for which the function products returns true
// (nil: of all). The result is whole: an account, a catalogue or a page that
// can't be read is an error, and so is a fleet so large that it can't be real
// and would not fit in memory.
//
// The one exception is the products of a single org. If they are refused, or
// fail after all retries, the org's Unknown says why and the others go on. But
// refused credentials, account limits that leave no room, or one org after the
// other failing concern all orgs, and are an error.
//
// products is called for each org, again for one that changed while the list
// was read, and never twice at the same time. A panic, there or anywhere below,
// is an error too.
func (c *Client) Observe(ctx context.Context, products func(state.Org) bool) (*state.Actual, error) {
	o := &observation{
		client:   c,
		products: products,
		orgs:     map[string]*entry{},
		queue:    make(chan *entry, queueSize),
	}
	// Whatever fails ends the reading of orgs, but not that of the account and the catalogue,
	// whose errors come first: what makes all of them fail, such as a wrong key, is the same
	// error each time, whichever of them notices it first.
	var account, catalog error
	g, orgs := errgroup.WithContext(ctx)
	start := func(f func() error) {
		g.Go(func() (err error) {
			defer rest.Recover(c.log, "reading the account's orgs", &err)
			return f()
		})
	}
	start(func() error {
		o.account, account = c.Account(ctx)
		return account
	})
	start(func() error {
		o.catalog, catalog = c.Products(ctx)
		return catalog
	})
	// The list is read page after page, and each page is work for the others.
	// So it has a slot of its own: one reader for the list and one less than
	// there are slots for products. When the list is read, its reader becomes
	// one of the others.
	start(func() error {
		err := c.Orgs(orgs, func(page []state.Org) error { return o.listed(orgs, page) })
		close(o.queue)
		if err != nil {
			return err
		}
		return o.drain(orgs)
	})
	for range c.concurrency - 1 {
		start(func() error { return o.drain(orgs) })
	}
	first := g.Wait()
	for _, err := range []error{account, catalog, first} {
		if err != nil {
			return nil, err
		}
	}
	return o.actual(), nil
}

// observation is an Observe under way.
type observation struct {
	client   *Client
	products func(state.Org) bool // reports whether they are read

	account state.Account
	catalog []state.Product
	orgs    map[string]*entry // by id; touched only by the list's reader
	queue   chan *entry
	misses  atomic.Int32 // product reads that failed since the last success
	held    atomic.Int64 // bytes that the products take
}

// entry is one org. What the list says and what the product read says are kept
// apart, because they may arrive at the same time.
type entry struct {
	id     string
	domain string // as it was listed first
	org    state.Org
	queued bool

	products []string
	unknown  string
	errorID  string
	hint     string
}

// listed takes a page of the list.
func (o *observation) listed(ctx context.Context, page []state.Org) error {
	for _, org := range page {
		e := o.orgs[org.ID]
		if e == nil {
			e = &entry{id: org.ID, domain: org.Domain}
			o.orgs[org.ID] = e
		}
		e.org = org
		if e.queued || o.products != nil && !o.products(org) {
			continue
		}
		e.queued = true
		select {
		case o.queue <- e:
		default:
			if err := o.read(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// drain reads the products of queued orgs until there are no more.
func (o *observation) drain(ctx context.Context) error {
	for {
		select {
		case e, more := <-o.queue:
			if !more {
				return nil
			}
			if err := o.read(ctx, e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// read reads the products of one org. Its error is one that concerns all orgs.
func (o *observation) read(ctx context.Context, e *entry) error {
	within, span := trace.Start(ctx, "org")
	ids, err := o.client.orgProducts(within, e.id)
	endSpan(span, e, err)
	switch {
	case err == nil:
		o.misses.Store(0)
		e.products = ids
		return o.hold(ids)
	case ctx.Err() != nil || o.concernsAll(err):
		return fmt.Errorf("reading the products of the org %q: %w", cmp.Or(e.domain, e.id), err)
	default:
		e.unknown, e.errorID = rest.Reason(err)
		e.hint = text.Hint(err)
	}
	return nil
}

// endSpan ends the span of reading the products of one org.
func endSpan(span trace.Span, e *entry, err error) {
	span.Set("okta.org.domain", e.domain)
	span.Set("okta.org.id", e.id)
	span.Set("reconciler.part", "products")
	span.End(err)
}

// hold counts what the ids take.
func (o *observation) hold(ids []string) error {
	const header = 16 // what a string takes besides its characters
	size := int64(cap(ids)) * header
	for _, id := range ids {
		size += int64(len(id))
	}
	if o.held.Add(size) > maxHeld {
		return fmt.Errorf("the products of the orgs take more than %d bytes: no fleet has so many", maxHeld)
	}
	return nil
}

// concernsAll reports whether any other org would fail like this too.
func (o *observation) concernsAll(err error) bool {
	var unsent *rest.UnsentError
	var e *rest.Error
	switch {
	case errors.As(err, &unsent): // no credentials
		return true
	case errors.As(err, &e) && (e.Status == http.StatusUnauthorized || e.Status == http.StatusTooManyRequests):
		return true
	case errors.As(err, &e) && e.Status >= 400 && e.Status < 500:
		return false
	}
	return o.misses.Add(1) >= maxMisses
}

// actual puts together what was read.
func (o *observation) actual() *state.Actual {
	a := &state.Actual{Account: o.account, Catalog: o.catalog, Orgs: make([]state.Org, 0, len(o.orgs))}
	for _, e := range o.orgs {
		e.org.Products, e.org.Unknown, e.org.ErrorID, e.org.Hint = e.products, e.unknown, e.errorID, e.hint
		a.Orgs = append(a.Orgs, e.org)
	}
	slices.SortFunc(a.Orgs, func(a, b state.Org) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), strings.Compare(a.ID, b.ID))
	})
	return a
}
