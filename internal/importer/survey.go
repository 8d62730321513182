package importer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// survey is what a manifest can say of an account.
type survey struct {
	opts     Options
	account  state.Account
	products []product // sorted by name
	groups   []group   // sorted by file
	orgs     []*org    // of all groups, sorted by domain
	// left are the comments on what can't be declared.
	left     []string
	warnings []string
}

// product is a product of the catalogue and the name that manifests give it.
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

// org is what a manifest can say of one org.
type org struct {
	live *state.Org
	// head is the line that begins the org's entry: its domain and its name.
	head string
	// id is empty unless the domain alone doesn't tell which org is meant.
	id string
	// cell and status are empty when they can't be declared.
	cell, status string
	// products are those that can be declared; nil when products are not
	// managed.
	products bits
	// more says that the org has further products, which can't be declared.
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
	for _, o := range declarable(actual.Orgs, s.leaveOut) {
		s.orgs = append(s.orgs, s.org(o.live, o.id, index))
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
		s.leave(label("product", p.ID, p.Name), "a manifest doesn't take such an id")
		return true
	})
	names := productNames(all)
	for _, p := range all {
		s.products = append(s.products, product{p, names[p.ID]})
	}
	slices.SortFunc(s.products, func(a, b product) int { return strings.Compare(a.name, b.name) })
}

// named is a live org and, where its domain is not enough, the id to name it by.
type named struct {
	live *state.Org
	id   string
}

// declarable returns the orgs that a manifest can name, sorted by domain, and
// tells of the others.
func declarable(live []state.Org, leaveOut func(o *state.Org, why string)) []named {
	byDomain := map[string][]*state.Org{}
	var domains []string
	sorted := make([]*state.Org, len(live))
	for i := range live {
		sorted[i] = &live[i]
	}
	slices.SortFunc(sorted, func(a, b *state.Org) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), strings.Compare(a.ID, b.ID))
	})
	for _, o := range sorted {
		switch {
		case o.Domain == "":
			leaveOut(o, "Okta lists it without a domain")
		case !state.ValidDomain(o.Domain):
			leaveOut(o, "a manifest doesn't take such a domain")
		default:
			if byDomain[o.Domain] == nil {
				domains = append(domains, o.Domain)
			}
			byDomain[o.Domain] = append(byDomain[o.Domain], o)
		}
	}
	var all []named
	for _, domain := range domains {
		if n, ok := foremost(byDomain[domain], leaveOut); ok {
			all = append(all, n)
		}
	}
	return all
}

// foremost returns the one of several orgs with the same domain that is declared:
// the Aerial org, else an active one, else that with the first id. They are in
// the order of their ids.
func foremost(orgs []*state.Org, leaveOut func(o *state.Org, why string)) (named, bool) {
	if len(orgs) == 1 {
		return named{live: orgs[0]}, true
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
		best = nil // nothing tells them apart
	}
	for _, o := range orgs {
		if o != best {
			leaveOut(o, "another org has the same domain")
		}
	}
	if best == nil {
		return named{}, false
	}
	return named{best, best.ID}, true
}

// leaveOut notes an org that can't be declared.
func (s *survey) leaveOut(o *state.Org, why string) {
	s.leave(label("org", o.ID, o.Domain, o.Name), why)
}

// leave notes something that can't be declared.
func (s *survey) leave(what, why string) {
	s.left = append(s.left, what+": "+why)
	s.warnings = append(s.warnings, what+" is not declared: "+why)
}

// label names something by its id and whatever else is known of it, as in
// `org "00o1" (acme.okta.com, Acme)`.
func label(kind, id string, more ...string) string {
	known := slices.DeleteFunc(more, func(s string) bool { return line(s) == "" })
	for i := range known {
		known[i] = line(known[i])
	}
	text := fmt.Sprintf("%s %q", kind, line(id))
	if len(known) > 0 {
		text += " (" + strings.Join(known, ", ") + ")"
	}
	return text
}

// org says of a live org what can be said. index finds products by id.
func (s *survey) org(live *state.Org, id string, index map[string]int) *org {
	o := &org{live: live, id: id, head: "  - domain: " + strictyaml.Scalar(live.Domain) + comment(live.Name)}
	note := func(format string, args ...any) string {
		text := fmt.Sprintf(format, args...)
		o.notes = append(o.notes, text)
		return text
	}
	warn := func(text string) {
		s.warnings = append(s.warnings, live.Domain+": "+text)
	}
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
		warn(note("cell not declared: Okta does not tell it"))
	default:
		warn(note("cell not declared: %q is none that Aerial supports", line(live.Cell)))
	}
	switch {
	case live.Status == state.Active, live.Status == state.Inactive:
		o.status = string(live.Status)
	case live.Status == "":
		warn(note("status not managed: Okta does not tell it"))
	default:
		warn(note("status not managed: %q can't be declared", line(string(live.Status))))
	}
	s.orgProducts(o, index, note, warn)
	return o
}

// errorID is what Okta Support asks for. It is another one each time, and would
// be a change in the text where nothing changed.
var errorID = regexp.MustCompile(` ?\(errorId [^)]*\)`)

func (s *survey) orgProducts(o *org, index map[string]int, note func(string, ...any) string, warn func(string)) {
	live := o.live
	if live.Unknown != "" || live.Products == nil {
		why := cmp.Or(live.Unknown, "nobody tried to")
		const unread = "products not managed, because they could not be read: "
		note("%s", unread+line(errorID.ReplaceAllString(why, "")))
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
	// What the account doesn't subscribe to can't be declared: the diff would
	// ask to buy it.
	if o.products.empty() {
		warn(note("products not managed: the account does not subscribe to %s", strings.Join(foreign, ", ")))
		o.products = nil
		return
	}
	warn(note("products managed in part: the account does not subscribe to %s", strings.Join(foreign, ", ")))
	o.more = true
}

// group spreads the orgs over files.
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

// groupOf returns the file that an org belongs into.
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

// maxLine is how much of somebody else's words a comment repeats.
const maxLine = 160

// line makes words of any kind fit for a comment: one line of printable
// characters, cut where it gets long.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return ' '
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxLine {
		s = string(r[:maxLine]) + "…"
	}
	return s
}
