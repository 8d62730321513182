package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// sampled is how many orgs are looked at, if not all are.
const sampled = 3

// configured is an org whose configuration is declared, and its id.
type configured struct {
	*state.DesiredOrg
	id string
}

// configuration reads what is declared of the configuration of a few orgs, or of all: it
// shows whether each is the org that is meant, what signs in to it, and whether all
// that has to be read can be.
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
	problems := e.readAll(ctx, access, some)
	words := fmt.Sprintf("of %s that declare any, %d were read", count(len(all), "org"), len(some)-len(problems))
	if len(problems) == 0 {
		if len(some) <= sampled {
			words += ": " + domains(some)
		}
		return fine("%s", words)
	}
	first := problems[0]
	c := failed(fmt.Sprintf("%s, and %d can't be: %s", words, len(problems), first.Error()), text.Hint(first))
	for _, p := range problems[:min(len(problems), maxDetails)] {
		c.Details = append(c.Details, p.Error())
	}
	return c
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

// readAll reads the orgs, and returns what is wrong with them, sorted by org.
func (e *examination) readAll(ctx context.Context, access *reconcile.Access, orgs []configured) []error {
	problems := make([]error, len(orgs))
	var g errgroup.Group // whose functions return no errors
	g.SetLimit(e.cfg.Orgs.Concurrency)
	for i, o := range orgs {
		g.Go(func() error {
			limited, cancel := context.WithTimeout(ctx, e.opts.Timeout)
			defer cancel()
			if err := access.Check(limited, o.DesiredOrg, o.id); err != nil {
				problems[i] = text.WithHint(fmt.Errorf("%s: %s", o.Domain, e.words(limited, err, nil)), text.Hint(err))
			}
			return nil
		})
	}
	_ = g.Wait()
	return slices.DeleteFunc(problems, func(err error) bool { return err == nil })
}

func domains(orgs []configured) string {
	var all []string
	for _, o := range orgs {
		all = append(all, o.Domain)
	}
	return strings.Join(all, ", ")
}
