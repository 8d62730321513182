package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/org"
	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// configurations reads what orgs are configured with. Each org is compared as soon as
// it was read, and only what differs is kept.
type configurations struct {
	client   *org.Client
	inactive *inactive
	log      *slog.Logger
	// concurrency is how many orgs are read at the same time.
	concurrency int
	// own are the addresses that no blocklist may hold.
	own []netip.Prefix
	// every is for how long what was read counts; 0 reads anew each time.
	every time.Duration
	// kept is what was read, by org id.
	kept map[string]kept
	// oldest is when that of the last comparison was read which was read first.
	oldest time.Time
}

// setConfigurations prepares reading and writing the configuration of orgs.
func (r *Reconciler) setConfigurations(opts Options) error {
	access := AccessOptions{Environ: opts.Environ, Transport: r.base, Logger: r.log, Observer: opts.OrgObserver}
	if opts.After != nil {
		access.after = opts.After.access
	}
	var err error
	r.access, err = OpenAccess(r.cfg, r.journal, access)
	if err != nil {
		return err
	}
	r.culprits.access = r.access
	if opts.After != nil {
		r.culprits.seen = opts.After.culprits.seen
	}
	r.configurations = configurations{
		client: r.access.client, inactive: r.access.inactive, log: r.log, concurrency: r.cfg.Orgs.Concurrency, every: opts.Every,
		own: r.cfg.Guards.OwnAddresses,
	}
	return nil
}

// kept is a comparison that still counts.
type kept struct {
	at       time.Time
	target   objects.Target
	declared *objects.Declared
	found    *diff.Configuration
}

// job is one org whose configuration is compared.
type job struct {
	target objects.Target
	// base is nil outside of a review, or if the base doesn't declare the org.
	base, head *state.DesiredOrg
	// left is what interrupted changes left INACTIVE.
	left  leftover
	found *diff.Configuration
}

// compare reads the configuration of the declared orgs that the filter has, and
// sets in opts what differs, by their domains, and notes on what interrupted changes
// left. base is nil outside of a review. An org that can't be read doesn't keep others
// from being read. The error is that of ctx, or of the journal.
func (c *configurations) compare(ctx context.Context, base, head *state.Desired, actual *state.Actual, opts *diff.Options) error {
	left, err := c.inactive.list()
	if err != nil {
		return err
	}
	jobs := configured(base, head, actual, opts.Filter)
	opts.Notes = append(opts.Notes, unseen(left, jobs, actual, opts.Filter)...)
	var g errgroup.Group
	g.SetLimit(max(1, c.concurrency))
	var mu sync.Mutex
	shared := newSharedConfigurations()
	share := func(found *diff.Configuration) {
		mu.Lock()
		defer mu.Unlock()
		shared.share(found)
	}
	for i := range jobs {
		j := &jobs[i]
		j.left.all = left[j.target.OrgID]
		if j.found = c.recent(j, base != nil); j.found != nil {
			share(j.found)
			continue
		}
		g.Go(func() error {
			c.read(ctx, j)
			share(j.found)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if base == nil {
		c.keep(jobs)
	}
	if !declaresConfiguration(head) {
		return nil
	}
	all := make(map[string]*diff.Configuration, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		all[j.head.Domain] = j.found
		for _, one := range j.left.done {
			c.inactive.settle(j.head.Domain, one)
		}
		opts.Notes = append(opts.Notes, j.left.notes(j.head.Domain)...)
	}
	opts.Configuration = func(domain string) *diff.Configuration { return all[domain] }
	return nil
}

// configured returns the orgs whose configuration is declared and can be read: they
// are live and ACTIVE, and are to stay so. base is nil outside of a review.
func configured(base, head *state.Desired, actual *state.Actual, f Filter) []job {
	find := liveOrgs(actual)
	bases := map[string]*state.DesiredOrg{}
	if base != nil {
		for i := range base.Orgs {
			bases[base.Orgs[i].Domain] = &base.Orgs[i]
		}
	}
	var jobs []job
	for i := range head.Orgs {
		o := &head.Orgs[i]
		if o.Config == nil || len(o.Config.Objects) == 0 || o.Status == state.Inactive || !f.Has(o.Domain) {
			continue
		}
		if live := find(o); live != nil && live.Status == state.Active {
			jobs = append(jobs, job{
				target: objects.Target{Domain: o.Domain, OrgID: live.ID, ClientID: o.ClientID}, base: bases[o.Domain], head: o,
			})
		}
	}
	return jobs
}

// declaresConfiguration reports whether some org declares configuration.
func declaresConfiguration(d *state.Desired) bool {
	return slices.ContainsFunc(d.Orgs, func(o state.DesiredOrg) bool { return o.Config != nil && len(o.Config.Objects) > 0 })
}

// liveOrgs returns a function that finds the live org of a declared one, by its id or
// else its domain; nil if there is none, or not the one that is declared.
func liveOrgs(actual *state.Actual) func(*state.DesiredOrg) *state.Org {
	byKey := map[string]*state.Org{} // ids and domains; an id has no dot
	for i := range actual.Orgs {
		o := &actual.Orgs[i]
		byKey[o.ID], byKey[o.Domain] = o, o
	}
	delete(byKey, "")
	return func(o *state.DesiredOrg) *state.Org {
		live := byKey[o.Domain]
		if o.ID != "" {
			live = byKey[o.ID]
		}
		if live != nil && live.Domain != "" && live.Domain != o.Domain {
			return nil // renamed, or another org
		}
		return live
	}
}

// unread returns the configuration of an org that could not be read.
func unread(err error, declared int) *diff.Configuration {
	reason, id := org.Reason(err)
	return &diff.Configuration{Unknown: reason, ErrorID: id, Hint: text.Hint(err), Declared: declared}
}

// read reads and compares the configuration of one org.
func (c *configurations) read(ctx context.Context, j *job) {
	var err error
	defer func() {
		if err != nil {
			j.found = unread(err, len(j.head.Config.Objects))
		}
	}()
	defer rest.Recover(c.log, "comparing the configuration of "+j.target.Domain, &err)
	all := j.head.Config.Objects
	if j.base != nil && j.base.Config != nil {
		all = append(all[:len(all):len(all)], j.base.Config.Objects...)
	}
	j.found, err = c.judged(ctx, j.target, objects.ReadsOf(append(j.left.reads(), all...)), func(live *objects.Live) *diff.Configuration {
		j.left.match(j.head, live, time.Now())
		return diff.CompareConfiguration(j.left.declare(j.base), j.left.declare(j.head), live, c.own)
	})
}

// judged reads an org and compares it. If what differs is about who gets in, it reads
// what is needed to judge that as well, and compares again; what is counted is still what
// is declared and beside it.
func (c *configurations) judged(
	ctx context.Context, target objects.Target, reads objects.Reads, compare func(*objects.Live) *diff.Configuration,
) (*diff.Configuration, error) {
	live, err := c.client.Read(ctx, target, reads)
	if err != nil {
		return nil, err
	}
	found := compare(live)
	more := found.ToJudge(live)
	if reads.Has(more) {
		return found, nil
	}
	if live, err = c.client.Read(ctx, target, reads.With(more)); err != nil {
		return nil, fmt.Errorf("judging whether the changes lock people out: %w", err)
	}
	again := compare(live)
	if again.Head != nil {
		again.Head.CountAs(found.Head)
	}
	return again, nil
}

// recent returns what was found when the org was read last, if that still counts. It
// counts a little less long than it is to: a run that begins just as it ceases to count
// would miss it by seconds, and the next run may be far off.
func (c *configurations) recent(j *job, review bool) *diff.Configuration {
	k, found := c.kept[j.target.OrgID]
	if !found || review || len(j.left.all) > 0 || time.Since(k.at) >= c.every-c.every/20 || k.target != j.target {
		return nil
	}
	if k.declared != j.head.Config && !reflect.DeepEqual(k.declared, j.head.Config) {
		return nil
	}
	return k.found
}

// keep keeps what was found of the orgs that need not be read anew in the next run, and
// nothing of others.
func (c *configurations) keep(jobs []job) {
	now := time.Now()
	c.oldest = now
	next := make(map[string]kept, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		k := c.kept[j.target.OrgID]
		if k.found != j.found {
			k = kept{at: now, target: j.target, found: j.found}
		}
		k.declared = j.head.Config // the same, but of the manifests that are in memory
		if j.found.Unknown == "" && len(j.left.all) == 0 {
			next[j.target.OrgID] = k
		}
		if k.at.Before(c.oldest) {
			c.oldest = k.at
		}
	}
	if c.every > 0 {
		c.kept = next
	}
}

// ConfigurationRead returns when what the last plan knows of the configuration of orgs
// was read; of several times, the first. See Options.Every.
func (r *Reconciler) ConfigurationRead() time.Time { return r.configurations.oldest }

// forget has an org read anew in the next run, because it was written to.
func (c *configurations) forget(orgID string) { delete(c.kept, orgID) }

// recheck reads the configuration of the orgs whose objects a saved plan changes, and
// returns by their domains what of it still differs. The error is that of ctx.
func (c *configurations) recheck(ctx context.Context, plan *diff.Plan) (func(domain string) *diff.Configuration, error) {
	all := map[string]*diff.Configuration{}
	var g errgroup.Group
	g.SetLimit(max(1, c.concurrency))
	for start, end := 0, 0; start < len(plan.Changes); start = end {
		for end = start; end < len(plan.Changes) && plan.Changes[end].Org == plan.Changes[start].Org; end++ {
		}
		changes := plan.Changes[start:end]
		diffs := differences(changes)
		if len(diffs) == 0 {
			continue
		}
		found := &diff.Configuration{}
		all[changes[0].Org] = found
		g.Go(func() error {
			*found = *c.recheckOne(ctx, changes, diffs)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, nil
	}
	return func(domain string) *diff.Configuration { return all[domain] }, nil
}

// recheckOne is recheck for one org.
func (c *configurations) recheckOne(ctx context.Context, changes []diff.Change, diffs []objects.Difference) (found *diff.Configuration) {
	var err error
	defer func() {
		if err != nil {
			found = unread(err, len(diffs))
		}
	}()
	defer rest.Recover(c.log, "comparing the configuration of "+changes[0].Org, &err)
	found, err = c.judged(ctx, targetOf(changes), objects.ReadsFor(diffs), func(live *objects.Live) *diff.Configuration {
		return diff.RecheckConfiguration(changes, live, c.own)
	})
	return found
}

// differences returns what the changes of an org do to its objects, without blocked
// ones.
func differences(changes []diff.Change) []objects.Difference {
	var all []objects.Difference
	for i := range changes {
		if c := &changes[i]; c.Kind != "" && c.Blocked == "" {
			if d, ok := c.Difference(); ok {
				all = append(all, d)
			}
		}
	}
	return all
}

// hasObjects reports whether the plan changes objects of orgs.
func hasObjects(plan *diff.Plan) bool {
	return slices.ContainsFunc(plan.Changes, func(c diff.Change) bool { return c.Kind != "" })
}

// targetOf returns the org that the changes of objects are for.
func targetOf(changes []diff.Change) objects.Target {
	t := objects.Target{Domain: changes[0].Org}
	for i := range changes {
		if c := &changes[i]; c.Kind != "" {
			t.OrgID, t.ClientID = c.OrgID, c.ClientID
		}
	}
	return t
}

// configurer is what apply writes objects with.
type configurer struct {
	client    *org.Client
	contested *contested
	log       *slog.Logger
}

// Open implements apply.Configurer.
func (c configurer) Open(ctx context.Context, target objects.Target, all []objects.Difference) (apply.Editor, error) {
	editor, err := c.client.Open(ctx, target, all)
	if err != nil {
		return nil, err
	}
	return &recorder{editor, c.contested, target, c.log}, nil
}
