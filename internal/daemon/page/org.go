package page

import (
	"cmp"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// oneOrg is the page of one org.
type oneOrg struct {
	*reconcile.OrgDetail
	// Headline is the state of the org and the reason for it.
	Headline headline
	// Outdated is how old the comparison is, in words; empty if the last run made it.
	Outdated string
	Compared *time.Time
	Fields   []orgField
	// MoreFields is how many fields drift that the page doesn't show.
	MoreFields int
	Products   []orgProduct
	Kinds      []orgKind
	Entries    []entry
	// Windows are what windows hold of the org.
	Windows []freeze.Hold
	// ReportOnly is set where the daemon writes nothing.
	ReportOnly bool
	// Console is the address of Okta's admin console; empty if it isn't known.
	Console string
}

// orgField is one field that drifts, with what can be done about it and where it is
// declared.
type orgField struct {
	fieldDrift
	Next  string
	Place *reconcile.Place
	Times int
	Run   string
	// Declared and Live are both sides of a field of an object.
	Declared, Live string
}

func (p *Pages) org(w http.ResponseWriter, r *http.Request) {
	domain := strings.ToLower(r.PathValue("domain"))
	detail, err := p.opts.Source.Org(domain)
	if err != nil {
		code, problem, hint := p.opts.Failure(err)
		p.Error(w, r, code, problem, hint)
		return
	}
	if detail == nil {
		p.Error(w, r, http.StatusNotFound, "no org "+brief(domain)+" is declared, and none was live when the account was read last", "")
		return
	}
	names := p.productNames()
	s := p.opts.Source.Status()
	o := &oneOrg{
		OrgDetail: detail, Headline: headlineOfOrg(&detail.OrgItem), Outdated: s.Outdated, Compared: s.Compared,
		Products: productsOf(&detail.OrgItem, names), Console: console(detail.Domain), ReportOnly: s.Mode == state.Report,
	}
	for _, held := range s.Windows {
		if detail.Managed && (len(held.Orgs) == 0 || held.Orgs.Match(domain)) {
			o.Windows = append(o.Windows, held)
		}
	}
	o.MoreFields = max(0, len(detail.Drift)-maxOrgFields)
	for i := range detail.Drift[:min(len(detail.Drift), maxOrgFields)] {
		o.Fields = append(o.Fields, o.field(&s, &detail.Drift[i], names))
	}
	o.Kinds = kindsOf(detail.Objects)
	for i := range detail.History {
		o.Entries = append(o.Entries, entryOf(&detail.History[i], names))
	}
	p.showWith(w, r, http.StatusOK, "org.html", &view{Title: detail.Domain, Section: sectionOrgs, Data: o}, &s)
}

// productNames returns the names of products by their ids; fewer if they can't be read,
// which another page says.
func (p *Pages) productNames() map[string]string {
	page, err := p.opts.Source.Products(&reconcile.InventoryQuery{Limit: 1})
	if err != nil {
		return nil
	}
	return page.ProductNames
}

// headlineOfOrg returns the state of an org.
func headlineOfOrg(o *reconcile.OrgItem) headline {
	word := strings.ReplaceAll(string(o.State), "-", " ")
	h := headline{Word: word, Level: "warn"}
	if word != "" {
		h.Word = strings.ToUpper(word[:1]) + word[1:]
	}
	switch o.State {
	case reconcile.InSync:
		h.Level, h.Text = "good", "all that is declared of the org is live"
	case reconcile.Drifted:
		h.Text = text.Plural(o.Drifted, "field") + " " + differ(o.Drifted) + " from what is declared"
	case reconcile.Missing:
		h.Text = "the org is declared, but the account has no org with this domain"
	case reconcile.Unknown:
		h.Level, h.Text = "bad", o.Unknown
		if o.UnknownPart != "" {
			h.Text = "the " + o.UnknownPart + " of the org can't be read: " + o.Unknown
		}
	case reconcile.Unmanaged:
		h.Level, h.Text = "calm", "the org is live, but in no manifest: nothing is ever written to it"
	}
	return h
}

func differ(n int) string {
	if n == 1 {
		return "differs"
	}
	return "differ"
}

// field returns how the page shows drift.
func (o *oneOrg) field(s *api.Status, d *reconcile.DriftItem, names map[string]string) orgField {
	f := orgField{fieldDrift: itemOf(s, d, names), Times: d.Times, Run: d.Run, Next: nextStep(s, &d.Drift), Declared: report.Value(d.Desired, nil), Live: report.Value(d.Actual, nil)}
	object, _, _ := strings.Cut(d.Field, ": ")
	f.Place = cmp.Or(o.Places[d.Field], o.Places[object], o.DeclaredAt)
	return f
}

// nextStep returns what somebody can do about drift; empty if nothing has to be done.
func nextStep(s *api.Status, d *reconcile.Drift) string {
	switch {
	case d.Hint != "":
		return d.Hint
	case d.Blocked != "":
		return diff.NextStep(d.Blocked)
	case d.Old:
		return "see why the org can't be read"
	case s.Mode == state.Report:
		return "take the change back in Okta, declare it, or have the daemon apply"
	case len(s.Refusals) > 0:
		return s.Refusals[0].Message
	}
	return ""
}

// orgProduct is a product that an org has, or is declared to have.
type orgProduct struct {
	ID, Name       string
	Declared, Live bool
	Cell           cell
}

// productsOf returns the products of an org by name.
func productsOf(o *reconcile.OrgItem, names map[string]string) []orgProduct {
	ids := slices.Concat(o.DeclaredProducts, o.Products)
	slices.Sort(ids)
	var all []orgProduct
	for _, id := range slices.Compact(ids) {
		all = append(all, orgProduct{
			ID: id, Name: cmp.Or(names[id], id), Cell: productCell(o, id),
			Declared: o.ProductPolicy != state.Ignore && slices.Contains(o.DeclaredProducts, id), Live: slices.Contains(o.Products, id),
		})
	}
	slices.SortFunc(all, func(a, b orgProduct) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
	return all
}

// orgKind are the objects of one kind of an org.
type orgKind struct {
	Kind                                                   string
	Declared, InSync, Drifted, Missing, Unknown, Unmanaged int
	Objects                                                []orgObject
	// More is how many objects the page doesn't name.
	More int
}

// orgObject is an object as the page names it.
type orgObject struct{ reconcile.ObjectItem }

// Name returns what the page calls the object.
func (o *orgObject) Name() string {
	if o.Type != "" && o.Type != o.Object {
		return o.Type + "/" + o.Object
	}
	return o.Object
}

// Counts returns the numbers of a kind in words.
func (k *orgKind) Counts() string {
	var words []string
	for _, n := range []struct {
		n    int
		word string
	}{
		{k.Declared, "declared"}, {k.Drifted, "drifted"}, {k.Missing, "missing"}, {k.Unknown, "unknown"}, {k.Unmanaged, "unmanaged"},
	} {
		if n.n > 0 {
			number, _ := thousands(n.n)
			words = append(words, number+" "+n.word)
		}
	}
	return strings.Join(words, ", ")
}

// Open reports whether the page shows the objects without being asked.
func (k *orgKind) Open() bool { return k.Drifted+k.Missing > 0 }

const (
	// maxOrgFields is how many differences the page of an org shows, and maxOrgObjects how
	// many objects of each kind.
	maxOrgFields  = 80
	maxOrgObjects = 50
)

// kindsOf returns the objects of an org by kind, those that differ first.
func kindsOf(all []reconcile.ObjectItem) []orgKind {
	kinds := map[string]*orgKind{}
	for i := range all {
		o := &all[i]
		k := kinds[o.Kind]
		if k == nil {
			k = &orgKind{Kind: o.Kind}
			kinds[o.Kind] = k
		}
		k.add(o)
		k.Objects = append(k.Objects, orgObject{*o})
	}
	var sorted []orgKind
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[name]
		slices.SortStableFunc(k.Objects, func(a, b orgObject) int {
			return cmp.Compare(rankOf(a.State), rankOf(b.State))
		})
		if k.More = max(0, len(k.Objects)-maxOrgObjects); k.More > 0 {
			k.Objects = k.Objects[:maxOrgObjects]
		}
		sorted = append(sorted, *k)
	}
	return sorted
}

// rankOf returns the place of a state among all, the worst first.
func rankOf(s reconcile.SyncState) int { return slices.Index(reconcile.SyncStates(), s) }

// add counts an object.
func (k *orgKind) add(o *reconcile.ObjectItem) {
	if o.State != reconcile.Unmanaged {
		k.Declared++
	}
	switch o.State {
	case reconcile.InSync:
		k.InSync++
	case reconcile.Drifted:
		k.Drifted++
	case reconcile.Missing:
		k.Missing++
	case reconcile.Unknown:
		k.Unknown++
	default:
		k.Unmanaged++
	}
}

// oktaDomain is a domain of Okta's own, which an admin console belongs to.
var oktaDomain = regexp.MustCompile(`^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.(okta|oktapreview|okta-emea)\.com$`)

// console returns the address of the admin console of an org; empty for a domain that
// isn't Okta's.
func console(domain string) string {
	m := oktaDomain.FindStringSubmatch(domain)
	if m == nil {
		return ""
	}
	return "https://" + m[1] + "-admin." + m[2] + ".com"
}

// Named returns the labels of the org as KEY=VALUE, sorted.
func (o *oneOrg) Named() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(o.Labels)) {
		all = append(all, name+"="+o.Labels[name])
	}
	return all
}
