package importer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// OrgConfiguration is what came of reading the configuration of one declared org.
type OrgConfiguration struct {
	// Domain is that of the declared org.
	Domain string
	// Live is what the org is configured with; nil if it couldn't be read. Unread is
	// the reason then.
	Live   *objects.Live
	Unread string
}

// ConfigurationOptions are the options of Configuration.
type ConfigurationOptions struct {
	// Kinds are the kinds that were read, without those of children.
	Kinds []*objects.Kind
	// Load loads manifests. The positions of what it returns have the names of the
	// files.
	Load func([]File) (*state.Desired, error)
}

// ConfigurationResult is what becomes of the manifests.
type ConfigurationResult struct {
	// Files are all manifests, changed or not, in their order.
	Files []File
	// Baselines are the names of the new baselines. Objects counts the objects that
	// are declared of all orgs, and Orgs the orgs that were read.
	Baselines     []string
	Objects, Orgs int
	// Warnings are about what is not declared, one line each.
	Warnings []string
}

// Configuration returns the manifests with what the orgs are configured with: what
// several of them share is added as baselines, and the rest becomes their
// configuration. Baselines that an org has already are kept, and its configuration of
// the kinds that were read is written anew. All else stays as it is, and so do orgs
// that couldn't be read.
//
// objects.Compare finds no difference between the result and what was read. What a
// manifest can't declare is left out, with a comment in its place.
func Configuration(files []File, orgs []OrgConfiguration, opts ConfigurationOptions) (*ConfigurationResult, error) {
	before, err := opts.Load(files)
	if err != nil {
		return nil, err
	}
	c := &configuration{files: files, opts: opts, out: map[exclusion]string{}}
	for i := range orgs {
		if o := &orgs[i]; o.Live != nil {
			c.members = append(c.members, &member{domain: o.Domain, live: o.Live})
		} else {
			c.unread = append(c.unread, o)
		}
	}
	slices.SortFunc(c.members, func(a, b *member) int { return cmp.Compare(a.domain, b.domain) })
	if err := c.readBases(); err != nil {
		return nil, err
	}
	for range maxRounds {
		r, err := c.write()
		if err != nil {
			return nil, err
		}
		after, err := opts.Load(r.Files)
		if err != nil {
			return nil, fmt.Errorf("what was read can't be declared: %w", err)
		}
		if err := c.sameElse(before, after); err != nil {
			return nil, err
		}
		excluded, rest := c.exclude(after)
		if excluded {
			continue
		}
		r.Warnings = append(r.Warnings, rest...)
		return r, c.complete(after)
	}
	return nil, errors.New("what was read can't be declared: the manifests would differ from it again and again")
}

// maxRounds is how often what can't be declared is left out before the import fails.
const maxRounds = 50

// configuration is an import of the configuration of orgs.
type configuration struct {
	files   []File
	opts    ConfigurationOptions
	members []*member
	unread  []*OrgConfiguration
	// out are the objects that can't be declared, and why.
	out map[exclusion]string
}

// exclusion is an object of one org that is left out.
type exclusion struct {
	domain string
	ref    objects.Ref
}

// member is an org whose configuration was read.
type member struct {
	domain string
	live   *objects.Live
	// base is what the baselines of the manifests declare of the org.
	base []*objects.Object
	// variable are those of base whose keys have variables.
	variable map[objects.Ref]bool
	// baseline names the new baselines that the org takes.
	baselines []string

	// entries are what can be declared, in the order of what is live.
	entries []*entry
	// shared are the objects that it gets from new baselines.
	shared map[objects.Ref]*shared
	// notes are about objects that can't be declared, by kind.
	notes map[*objects.Kind][]string
}

// readBases finds what the orgs get from the baselines that there are already.
func (c *configuration) readBases() error {
	stripped, err := c.edit(func(p *place, _ *member) { p.strip() })
	if err != nil {
		return err
	}
	desired, err := c.opts.Load(stripped)
	if err != nil {
		return fmt.Errorf("without the configuration of the orgs, the manifests have mistakes: %w", err)
	}
	for _, m := range c.members {
		o := declared(desired, m.domain)
		if o == nil {
			return fmt.Errorf("%s is not declared any more", m.domain)
		}
		if o.Config == nil {
			continue
		}
		m.variable = map[objects.Ref]bool{}
		for _, b := range o.Config.Objects {
			if !c.reads(b.Ref.Kind) {
				continue
			}
			m.base = append(m.base, b)
			if b.Variable {
				m.variable[b.Ref] = true
			}
		}
	}
	return nil
}

// declared returns the declared org of a domain, or nil.
func declared(d *state.Desired, domain string) *state.DesiredOrg {
	i, found := slices.BinarySearchFunc(d.Orgs, domain, func(o state.DesiredOrg, domain string) int { return strings.Compare(o.Domain, domain) })
	if !found {
		return nil
	}
	return &d.Orgs[i]
}

// reads reports whether objects of the kind were read to be imported.
func (c *configuration) reads(k *objects.Kind) bool {
	return k != nil && (slices.Contains(c.opts.Kinds, k) || k.Parent != nil && slices.Contains(c.opts.Kinds, k.Parent))
}

// exclude leaves out the objects of which the result differs from what was read, and
// reports whether there are any. The rest are differences that baselines of the
// manifests make and that no configuration can lay anything over.
func (c *configuration) exclude(after *state.Desired) (excluded bool, rest []string) {
	n := len(c.out)
	for _, m := range c.members {
		o := declared(after, m.domain)
		if o == nil || o.Config == nil {
			continue
		}
		differs := func(ref objects.Ref, reason string) {
			if !c.leaveOut(m, ref, reason) {
				rest = append(rest, fmt.Sprintf("%s: %s %q differs from what a baseline declares: %s", m.domain, ref.Kind.Title, line(ref.Object()), line(reason)))
			}
		}
		found, err := objects.Compare(c.only(o.Config), m.live)
		var ambiguous *objects.AmbiguousError
		if errors.As(err, &ambiguous) {
			differs(ambiguous.Object.Ref, ambiguous.Reason)
			continue
		}
		for i := range found.Differences {
			d := &found.Differences[i]
			reason := "it can't be declared as it is"
			if len(d.Fields) > 0 {
				reason = d.Fields[0].Path + " can't be declared as it is"
			}
			differs(d.Ref, reason)
		}
		for i := range found.Unfixable {
			differs(found.Unfixable[i].Ref, found.Unfixable[i].Reason)
		}
	}
	return len(c.out) > n, rest
}

// only returns the objects of the kinds that were read.
func (c *configuration) only(d *objects.Declared) *objects.Declared {
	return &objects.Declared{Objects: slices.DeleteFunc(slices.Clone(d.Objects), func(o *objects.Object) bool { return !c.reads(o.Ref.Kind) })}
}

// leaveOut has an object left out, and reports whether it is one that this import
// declares; of an order, all objects that it is about.
func (c *configuration) leaveOut(m *member, ref objects.Ref, reason string) (done bool) {
	base := m.inBase()
	for _, e := range m.entries {
		whole := ref.Name == "" && siblings(e.ref) == ref && e.ordered()
		key := exclusion{m.domain, e.ref}
		if e.ref != ref && !whole || base[e.ref] || c.out[key] != "" {
			continue
		}
		c.out[key] = text.OneLine(reason, maxLine)
		done = true
	}
	return done
}

// complete returns an error unless all that was to be declared is.
func (c *configuration) complete(after *state.Desired) error {
	for _, m := range c.members {
		have := map[objects.Ref]bool{}
		if o := declared(after, m.domain); o != nil && o.Config != nil {
			for _, d := range o.Config.Objects {
				have[d.Ref] = true
			}
		}
		for _, e := range m.entries {
			if !have[e.ref] {
				return fmt.Errorf("the manifests can't be changed: the %s %q of %s would not be declared; write the org's entry without merge keys (<<)",
					e.ref.Kind.Title, line(e.ref.Object()), m.domain)
			}
		}
	}
	return nil
}

// sameElse returns an error if the manifests say anything else than before, but for what
// was read.
func (c *configuration) sameElse(before, after *state.Desired) error {
	if len(before.Orgs) != len(after.Orgs) {
		return fmt.Errorf("the manifests can't be changed: of %d orgs, %d would be left", len(before.Orgs), len(after.Orgs))
	}
	members := map[string]bool{}
	for _, m := range c.members {
		members[m.domain] = true
	}
	other := func(o *state.DesiredOrg) string {
		var all []any
		if o.Config == nil {
			return ""
		}
		for _, d := range o.Config.Objects {
			if !members[o.Domain] || !c.reads(d.Ref.Kind) {
				all = append(all, d.Ref.Kind.Name, d.Ref.Type, d.Ref.Object(), d.Absent, d.System, d.Body)
			}
		}
		return fmt.Sprint(all...)
	}
	for i := range before.Orgs {
		a, b := &before.Orgs[i], &after.Orgs[i]
		if fmt.Sprint(essence(a)) != fmt.Sprint(essence(b)) || other(a) != other(b) {
			return fmt.Errorf("the manifests can't be changed: they would say something else of %s; write its entry in block style, without anchors and merge keys", a.Domain)
		}
	}
	return nil
}

// essence returns what is declared of an org, without its configuration and places.
func essence(o *state.DesiredOrg) []any {
	var create state.Create
	if o.Create != nil {
		create = *o.Create
	}
	return []any{o.Domain, o.ID, o.Cell, o.Status, o.Products, o.ProductPolicy, o.Mode, o.Protected, create, o.RequestDeletion, o.Labels, o.Vars, o.Owner, o.ClientID}
}
