package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/git/source"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// known is what Okta has said of orgs, in this process and, by the journal, in
// earlier ones.
type known struct {
	orgs map[diff.KnownOrg]bool
	// unsaved are those that the journal doesn't have.
	unsaved map[diff.KnownOrg]bool
	// unreadable are the ids of the orgs of which the journal has rows that can't be
	// read.
	unreadable map[string]bool
	// unkept is the error of the journal that was logged last; empty since it took
	// what it was given.
	unkept string
}

// guard sets in g what is known.
func (k *known) guard(g *diff.Guards) { g.Known, g.Unreadable = k.list(), k.unreadable }

// list returns all of it, sorted.
func (k *known) list() []diff.KnownOrg {
	return slices.SortedFunc(maps.Keys(k.orgs), func(a, b diff.KnownOrg) int {
		if a.ID != b.ID {
			return strings.Compare(a.ID, b.ID)
		}
		return strings.Compare(a.Domain, b.Domain)
	})
}

// add adds what Okta says, or what the journal has of it.
func (k *known) add(all []diff.KnownOrg, saved bool) {
	if k.orgs == nil {
		k.orgs, k.unsaved = map[diff.KnownOrg]bool{}, map[diff.KnownOrg]bool{}
	}
	for _, o := range all {
		if saved {
			delete(k.unsaved, o)
		} else if !k.orgs[o] {
			k.unsaved[o] = true
		}
		k.orgs[o] = true
	}
}

// recall reads what the journal has.
func (r *Reconciler) recall() error {
	all, err := r.journal.Orgs(r.cfg.Aerial.AccountID)
	var rows *journal.RowsError
	if err != nil && !errors.As(err, &rows) && !unknowable(err) {
		return err
	}
	r.known.unreadable = map[string]bool{}
	if rows != nil { // which are alarms
		for _, row := range rows.Rows {
			r.known.unreadable[row.Keys["org_id"]] = true
		}
	}
	var orgs []diff.KnownOrg
	for _, o := range all {
		orgs = append(orgs, diff.KnownOrg{ID: o.ID, Domain: o.Domain, Aerial: o.Aerial})
	}
	r.known.add(orgs, true)
	return nil
}

// checkWhole returns an error if a declared org was in the account in an earlier run,
// is not on the list, and is in the account all the same: then the list is not whole,
// and the org would be created or linked a second time.
func (r *Reconciler) checkWhole(ctx context.Context, desired *state.Desired, actual *state.Actual) error {
	listed := map[string]bool{} // ids and domains; an id has no dot
	for i := range actual.Orgs {
		listed[actual.Orgs[i].ID], listed[actual.Orgs[i].Domain] = true, true
	}
	missing := map[string]bool{}
	for i := range desired.Orgs {
		if o := &desired.Orgs[i]; !listed[o.Domain] {
			missing[o.Domain] = true
		}
	}
	for _, k := range r.known.list() {
		if !missing[k.Domain] || listed[k.ID] {
			continue
		}
		if org, err := r.read.Org(ctx, k.ID); err == nil && org.ID == k.ID {
			return text.WithHint(
				fmt.Errorf("the list of orgs is not whole: %s (%s) is not on it, and Okta has it in the account", k.Domain, k.ID),
				"run again; if it stays like this, check proxies that rewrite answers")
		}
	}
	return ctx.Err()
}

// learn notes what the actual state says of orgs; saveKnown keeps it.
func (r *Reconciler) learn(actual *state.Actual) { r.known.add(diff.KnownOrgs(actual), false) }

// identify asks configured parents for their ids, before a plan takes effect that
// deactivates or deletes an org: one of whose domain there is no trace may be that
// org, by another name. It sets in g what is known now, and reports whether that is
// more. A parent that can't be asked stays unknown.
func (r *Reconciler) identify(ctx context.Context, plan *diff.Plan, actual *state.Actual, g *diff.Guards) (learned bool) {
	if !slices.ContainsFunc(plan.Changes, func(c diff.Change) bool { return c.Deactivates() && !c.Barred() }) {
		return false
	}
	for _, domain := range g.Unidentified(actual) {
		i := slices.IndexFunc(r.cfg.Parents, func(p config.Parent) bool { return p.Domain == domain })
		id, err := r.parentID(ctx, &r.cfg.Parents[i])
		if err != nil {
			r.log.Warn("it is not known which org a parent is; if it was renamed, it isn't recognized",
				"parent", r.cfg.Parents[i].Name, "error", err, "hint", text.Hint(err))
			continue
		}
		r.known.add([]diff.KnownOrg{{ID: id, Domain: domain}}, false)
		learned = true
	}
	r.known.guard(g)
	return learned
}

func (r *Reconciler) parentID(ctx context.Context, p *config.Parent) (string, error) {
	client, err := OpenParent(p, r.base, r.log)
	if err != nil {
		return "", err
	}
	return client.OrgID(ctx)
}

// saveKnown writes to the journal what it doesn't have yet. If that fails, the next
// plan tries again: nothing is taken from an org meanwhile, because that needs the
// journal too. The same error is logged once.
func (r *Reconciler) saveKnown() {
	if !r.cfg.State.IsSet() || len(r.known.unsaved) == 0 {
		return
	}
	var all []journal.Org
	for o := range r.known.unsaved {
		all = append(all, journal.Org{ID: o.ID, Domain: o.Domain, Aerial: o.Aerial})
	}
	if err := r.journal.KnowOrgs(r.cfg.Aerial.AccountID, all...); err != nil {
		if r.known.unkept != err.Error() {
			r.log.Warn("the journal could not keep what Okta says of orgs", "error", err, "hint", text.Hint(err))
		}
		r.known.unkept = err.Error()
		return
	}
	r.known.unkept = ""
	clear(r.known.unsaved)
}

// Domains returns, sorted, the domains of the orgs that are known without asking
// anybody: by what earlier runs found, and by manifests on disk. It may lack some,
// and knows none before the first run.
func Domains(cfg *config.Config, j *journal.Journal) ([]string, error) {
	orgs, err := j.Orgs(cfg.Aerial.AccountID)
	if err != nil && !unreadable(err) {
		return nil, err
	}
	creations, err := j.Creations(cfg.Aerial.AccountID)
	if err != nil && !unreadable(err) {
		return nil, err
	}
	all := map[string]bool{}
	for _, o := range orgs {
		all[o.Domain] = true
	}
	for i := range creations {
		all[creations[i].Domain] = true
	}
	if cfg.Manifests != "" {
		snap, err := source.Local(cfg.Manifests)
		if err != nil {
			return nil, err
		}
		d, err := LoadDesired(snap, LoadOptions(cfg))
		if err != nil {
			return nil, err
		}
		for i := range d.State.Orgs {
			all[d.State.Orgs[i].Domain] = true
		}
	}
	delete(all, "") // of an org that Okta once listed without a domain
	return slices.Sorted(maps.Keys(all)), nil
}
