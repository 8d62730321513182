package importer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// survey is what a manifest can declare of an account.
type survey struct {
	opts     Options
	account  state.Account
	products []product // sorted by name
	groups   []group   // sorted by file
	orgs     []*org    // of all groups, sorted by domain
	// unread counts the orgs whose products could not be read.
	unread int
	// skipped are the comments on what can't be declared.
	skipped  []string
	warnings []string
}

// product is a product of the catalogue and its name in manifests.
type product struct {
	state.Product
	name string
}

// group is the orgs of one file.
type group struct {
	file  string
	title string // of the file, in a comment
	orgs  []*org
}

// org is what a manifest can declare of one org.
type org struct {
	live *state.Org
	// head is the line that begins the org's entry: its domain and its name.
	head string
	// id is empty unless several orgs have the domain.
	id string
	// cell and status are empty if they can't be declared.
	cell, status string
	// products are those that can be declared; nil if products are not managed.
	products bits
	// more means that the org has further products, which can't be declared.
	more      bool
	protected bool
	// notes are comments on the org.
	notes []string
}

func newSurvey(actual *state.Actual, opts Options) *survey {
	s := &survey{opts: opts, account: actual.Account}
	s.catalogue(actual.Catalog)
	index := map[string]int{}
	for i, p := range s.products {
		index[p.ID] = i
	}
	for _, same := range s.byDomain(actual.Orgs) {
		if live := s.choose(same); live != nil {
			id := ""
			if len(same) > 1 {
				id = live.ID
			}
			s.orgs = append(s.orgs, s.org(live, id, index))
		}
	}
	s.group()
	return s
}

// catalogue names the products that the account subscribes to.
func (s *survey) catalogue(all []state.Product) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b state.Product) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Name, b.Name))
	})
	all = slices.CompactFunc(all, func(a, b state.Product) bool { return a.ID == b.ID })
	all = slices.DeleteFunc(all, func(p state.Product) bool {
		if state.ValidProductID(p.ID) {
			return false
		}
		s.skip(label("product", p.ID, p.Name), "a manifest can't have such an id")
		return true
	})
	names := productNames(all)
	for _, p := range all {
		s.products = append(s.products, product{p, names[p.ID]})
	}
	slices.SortFunc(s.products, func(a, b product) int { return strings.Compare(a.name, b.name) })
}

// byDomain returns the orgs whose domain can be declared, sorted by domain, those
// with the same domain together and sorted by id.
func (s *survey) byDomain(live []state.Org) [][]*state.Org {
	sorted := make([]*state.Org, len(live))
	for i := range live {
		sorted[i] = &live[i]
	}
	slices.SortFunc(sorted, func(a, b *state.Org) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), strings.Compare(a.ID, b.ID))
	})
	var all [][]*state.Org
	for i, o := range sorted {
		switch {
		case o.Domain == "":
			s.skipOrg(o, "Okta lists it without a domain")
		case !state.ValidDomain(o.Domain):
			s.skipOrg(o, "a manifest can't have such a domain")
		case i > 0 && sorted[i-1].Domain == o.Domain:
			all[len(all)-1] = append(all[len(all)-1], o)
		default:
			all = append(all, []*state.Org{o})
		}
	}
	return all
}

// choose returns the one of several orgs with the same domain that is declared:
// the Aerial org, else an active one, else that with the first id; nil if none
// of several has a valid id.
func (s *survey) choose(orgs []*state.Org) *state.Org {
	if len(orgs) == 1 {
		return orgs[0]
	}
	rank := func(o *state.Org) int {
		switch {
		case !state.ValidID(o.ID):
			return 3
		case o.AerialOrg:
			return 0
		case o.Status == state.Active:
			return 1
		default:
			return 2
		}
	}
	best := slices.MinFunc(orgs, func(a, b *state.Org) int { return cmp.Compare(rank(a), rank(b)) })
	if !state.ValidID(best.ID) {
		best = nil
	}
	for _, o := range orgs {
		if o != best {
			s.skipOrg(o, "another org has the same domain")
		}
	}
	return best
}

// skipOrg notes an org that can't be declared.
func (s *survey) skipOrg(o *state.Org, why string) {
	s.skip(label("org", o.ID, o.Domain, o.Name), why)
}

// skip notes something that can't be declared.
func (s *survey) skip(what, why string) {
	s.skipped = append(s.skipped, what+": "+why)
	s.warnings = append(s.warnings, what+" is not declared: "+why)
}

// label returns the name of something for messages: its id and what else is known
// of it, as in `org "00o1" (acme.okta.com, Acme)`.
func label(kind, id string, more ...string) string {
	var known []string
	for _, m := range more {
		if m = line(m); m != "" {
			known = append(known, m)
		}
	}
	name := fmt.Sprintf("%s %q", kind, line(id))
	if len(known) > 0 {
		name += " (" + strings.Join(known, ", ") + ")"
	}
	return name
}

// org returns what can be declared of a live org. index is that of products by id.
func (s *survey) org(live *state.Org, id string, index map[string]int) *org {
	o := &org{live: live, id: id, head: "  - domain: " + strictyaml.Scalar(live.Domain) + comment(live.Name)}
	note := func(format string, args ...any) string {
		msg := fmt.Sprintf(format, args...)
		o.notes = append(o.notes, msg)
		return msg
	}
	warn := func(msg string) { s.warnings = append(s.warnings, live.Domain+": "+msg) }
	if live.AerialOrg || live.Domain == s.opts.AerialDomain {
		note("The Aerial org, where the API clients of the account are registered.")
		o.protected = true
	} else if slices.Contains(s.opts.ParentDomains, live.Domain) {
		note("A parent: other orgs are created through it.")
		o.protected = true
	}
	switch {
	case state.ValidCell(live.Cell):
		o.cell = live.Cell
	case live.Cell == "":
		warn(note("cell not declared: Okta returns none"))
	default:
		warn(note("cell not declared: Aerial does not support %q", line(live.Cell)))
	}
	switch {
	case live.Status == state.Active, live.Status == state.Inactive:
		o.status = string(live.Status)
	case live.Status == "":
		warn(note("status not managed: Okta returns none"))
	default:
		warn(note("status not managed: %q can't be declared", line(string(live.Status))))
	}
	s.orgProducts(o, index, note, warn)
	return o
}

func (s *survey) orgProducts(o *org, index map[string]int, note func(string, ...any) string, warn func(string)) {
	live := o.live
	if live.Unknown != "" || live.Products == nil {
		s.unread++
		why := cmp.Or(live.Unknown, "they were not requested")
		const unread = "products not managed, because they could not be read: "
		note("%s", unread+line(why)) // without an id that differs each time
		if live.ErrorID != "" {
			why += " (" + live.ErrorID + ")"
		}
		warn(unread + line(why))
		return
	}
	o.products = newBits(len(s.products))
	var foreign []string
	for _, id := range live.Products {
		if i, ok := index[id]; ok {
			o.products.add(i)
		} else if !slices.Contains(foreign, line(id)) {
			foreign = append(foreign, line(id))
		}
	}
	if len(foreign) == 0 {
		return
	}
	slices.Sort(foreign)
	// The account would have to subscribe to them before they can be declared.
	if o.products.empty() {
		warn(note("products not managed: the account does not subscribe to %s", strings.Join(foreign, ", ")))
		o.products = nil
		return
	}
	warn(note("products managed in part: the account does not subscribe to %s", strings.Join(foreign, ", ")))
	o.more = true
}

func (s *survey) group() {
	at := map[string]int{}
	for _, o := range s.orgs {
		g := s.groupOf(o)
		i, ok := at[g.file]
		if !ok {
			i = len(s.groups)
			at[g.file] = i
			s.groups = append(s.groups, g)
		}
		s.groups[i].orgs = append(s.groups[i].orgs, o)
	}
	slices.SortFunc(s.groups, func(a, b group) int { return strings.Compare(a.file, b.file) })
}

// groupOf returns the group of an org, without orgs.
func (s *survey) groupOf(o *org) group {
	switch s.opts.Split {
	case ByCell:
		if o.cell != "" {
			return group{file: o.cell + ".yaml", title: "Orgs in the cell " + o.cell + "."}
		}
		return group{file: "other.yaml", title: "Orgs whose cell can't be declared."}
	case ByStatus:
		switch state.Status(o.status) {
		case state.Active:
			return group{file: "active.yaml", title: "Active orgs."}
		case state.Inactive:
			return group{file: "inactive.yaml", title: "Inactive orgs: nobody can sign in to them, and they are not billed."}
		default:
			return group{file: "other.yaml", title: "Orgs whose status can't be declared."}
		}
	default:
		return group{file: OrgsFile}
	}
}

// maxLine is how many characters of a foreign text a comment has.
const maxLine = 160

func line(s string) string { return text.OneLine(s, maxLine) }
