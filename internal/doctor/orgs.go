package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

const (
	// sampled is how many orgs are looked at, if not all are.
	sampled = 3
	// maxLines is how many orgs of which something is wrong have a line of text.
	maxLines = 10
)

// configured is an org whose configuration is declared, and its id.
type configured struct {
	*state.DesiredOrg
	id string
}

// finding is what came of looking at one org.
type finding struct {
	org string
	reconcile.AccessCheck
}

// configuration tries the way into a few orgs, or into all: what signs in, whether each
// is the org that is meant, whether all that is declared can be read, and whether a token
// can be had that may write it.
func (e *examination) configuration(ctx context.Context) Check {
	desired := e.desired.Load()
	if desired == nil {
		return fine("there are no good manifests that declare any")
	}
	all := e.configured(desired)
	if len(all) == 0 {
		return fine("no live org declares any")
	}
	some := all
	if !e.opts.AllOrgs {
		some = sample(all)
	}
	access, err := reconcile.OpenAccess(e.cfg, e.journal, reconcile.AccessOptions{
		Environ: e.opts.Environ, Transport: e.opts.Transport, Logger: e.opts.Logger,
	})
	if err != nil {
		return e.trouble(ctx, err, nil)
	}
	return e.judge(len(all), e.tryAll(ctx, access, some))
}

// judge makes a check of what was found in some of so many orgs.
func (e *examination) judge(declaring int, found []finding) Check {
	var unread, unwritable []finding
	var fineOnes []string
	for i := range found {
		switch f := &found[i]; {
		case f.Read != nil:
			unread = append(unread, *f)
		case f.Manage != nil:
			unwritable = append(unwritable, *f)
		default:
			fineOnes = append(fineOnes, fmt.Sprintf("%s: by %s", f.org, f.Way))
		}
	}
	words := fmt.Sprintf("of %s that declare any, %s read", count(declaring, "org"), were(len(found)-len(unread)))
	switch {
	case len(unread) > 0:
		return several(fmt.Sprintf("%s, and %d can't be", words, len(unread)), unread, func(f *finding) error { return f.Read })
	case len(unwritable) > 0:
		c := several(fmt.Sprintf("%s, and %d can't be written", words, len(unwritable)), unwritable, func(f *finding) error { return f.Manage })
		if e.cfg.Mode != config.Apply {
			c.Status = Warning
		}
		return c
	}
	c := fine("%s, %s", words, ways(found))
	c.Details = fineOnes[:min(len(fineOnes), maxDetails)]
	return c
}

// were returns a number with its verb.
func were(n int) string {
	if n == 1 {
		return "1 was"
	}
	return fmt.Sprintf("%d were", n)
}

// several makes a failure of orgs of which something is wrong: the first stands in the
// message, and the next few in lines of their own.
func several(words string, orgs []finding, problem func(*finding) error) Check {
	first := problem(&orgs[0])
	c := failed(fmt.Sprintf("%s: %s: %s", words, orgs[0].org, first), text.Hint(first))
	for i := range orgs[:min(len(orgs), maxDetails)] {
		err := problem(&orgs[i])
		detail := orgs[i].org + ": " + err.Error()
		if hint := text.Hint(err); hint != "" {
			detail += "; hint: " + hint
		}
		c.Details = append(c.Details, detail)
	}
	c.Shown = min(len(orgs), maxLines) - 1
	if more := len(orgs) - maxLines; more > 0 {
		c.Details = slices.Insert(c.Details, maxLines, fmt.Sprintf("and %d more", more))
		c.Shown++
	}
	return c
}

// ways counts by what signs in to the orgs, as in "3 by the service app of the manifest".
func ways(found []finding) string {
	counts := map[string]int{}
	for i := range found {
		counts[found[i].Way]++
	}
	var parts []string
	for _, way := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d by %s", counts[way], way))
	}
	words := strings.Join(parts, ", ")
	if len(found) <= sampled {
		words += ": " + domains(found)
	}
	return words
}

// configured returns the live, ACTIVE orgs of which configuration is declared, sorted by
// domain.
func (e *examination) configured(desired *state.Desired) []configured {
	live := map[string]state.Org{} // by id and by domain; an id has no dot
	for _, o := range e.live {
		live[o.ID], live[o.Domain] = o, o
	}
	var all []configured
	for i := range desired.Orgs {
		o := &desired.Orgs[i]
		found, ok := live[cmp.Or(o.ID, o.Domain)]
		if ok && found.Status == state.Active && o.Config != nil && len(o.Config.Objects) > 0 {
			all = append(all, configured{o, found.ID})
		}
	}
	slices.SortFunc(all, func(a, b configured) int { return strings.Compare(a.Domain, b.Domain) })
	return all
}

// sample returns a few orgs, the same each time: the first, the last, and those in
// between at equal distances.
func sample(all []configured) []configured {
	if len(all) <= sampled {
		return all
	}
	var some []configured
	for i := range sampled {
		some = append(some, all[i*(len(all)-1)/(sampled-1)])
	}
	return some
}

// tryAll tries the way into the orgs, and returns what came of it in their order.
func (e *examination) tryAll(ctx context.Context, access *reconcile.Access, orgs []configured) []finding {
	found := make([]finding, len(orgs))
	var g errgroup.Group // whose functions return no errors
	g.SetLimit(e.cfg.Orgs.Concurrency)
	for i, o := range orgs {
		g.Go(func() error {
			limited, cancel := context.WithTimeout(ctx, e.opts.Timeout)
			defer cancel()
			c := access.Check(limited, o.DesiredOrg, o.id)
			worded := func(err error) error {
				if err == nil {
					return nil
				}
				return text.WithHint(errors.New(e.words(limited, err, nil)), text.Hint(err))
			}
			c.Read, c.Manage = worded(c.Read), worded(c.Manage)
			found[i] = finding{o.Domain, c}
			return nil
		})
	}
	_ = g.Wait()
	return found
}

func domains(found []finding) string {
	var all []string
	for i := range found {
		all = append(all, found[i].org)
	}
	return strings.Join(all, ", ")
}
