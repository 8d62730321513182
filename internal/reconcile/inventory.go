package reconcile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// Inventory is what is known of all orgs and products: those of the manifests, and those
// of the account as they were read last.
type Inventory struct {
	// Orgs are sorted by domain.
	Orgs []OrgItem
	// declared and live are the products of the manifests and the account.
	declared accountDeclared
	live     accountLive
}

// OrgItem is an org of the inventory. Its JSON form is a public interface.
type OrgItem struct {
	Domain string `json:"domain"`
	// ID, Cell, Name, Status and Products are what is live; empty where the org is not.
	// Products are ids; null if they were not read, as nothing is declared of them.
	ID       string       `json:"id"`
	Cell     string       `json:"cell"`
	Name     string       `json:"name"`
	Status   state.Status `json:"status"`
	Products []string     `json:"products"`
	// Managed reports whether the org is declared. What follows is from the manifests.
	Managed          bool                `json:"managed"`
	DeclaredStatus   state.Status        `json:"declaredStatus"`
	DeclaredProducts []string            `json:"declaredProducts"`
	ProductPolicy    state.ProductPolicy `json:"productPolicy,omitempty"`
	Labels           map[string]string   `json:"labels"`
	Owner            string              `json:"owner"`
	Mode             state.Mode          `json:"mode"`
	Protected        bool                `json:"protected"`
	// Drifted is how many fields differ, and Since when the first of them was first
	// seen; null if none does.
	Drifted int        `json:"drifted"`
	Since   *time.Time `json:"since"`
	// Inactive is since when and by whom the org is INACTIVE; null if it isn't.
	Inactive *Inactive `json:"inactive"`
	// Changed is when what is declared or live of the org was first read as it is.
	Changed time.Time `json:"changed"`
	// DeclaredAt is where the org is declared; left out if it isn't, and if the daemon
	// has not compared since its start.
	DeclaredAt *Place `json:"declaredAt,omitempty"`
}

// Inactive is since when an org is INACTIVE.
type Inactive struct {
	Since time.Time `json:"since"`
	// OrEarlier is set if it was INACTIVE when it was first read.
	OrEarlier bool `json:"orEarlier,omitempty"`
	// By is who deactivated it: who ran our run, or the actor of Okta's System Log;
	// empty if that is not known. Run is the run, if it was one of ours.
	By  string `json:"by"`
	Run string `json:"run,omitempty"`
}

// ProductItem is a product with the number of orgs. Its JSON form is a public interface.
type ProductItem struct {
	ID string `json:"id"`
	// Name is that of the manifests, or else of the account.
	Name string `json:"name"`
	// Have is how many live orgs have it, and Inactive how many of them are INACTIVE:
	// these are not billed.
	Have     int `json:"have"`
	Inactive int `json:"inactive"`
	// Want is how many orgs are declared to have it, and WantActive how many of them are
	// not declared INACTIVE, which is what Limit is about.
	Want       int `json:"want"`
	WantActive int `json:"wantActive"`
	// Limit is that of the manifests; null if they have none.
	Limit *int `json:"limit"`
}

// accountDeclared and accountLive are the two sides of the account in the history, whose
// org is "".
type accountDeclared struct {
	Name string `json:"name,omitempty"`
	// Products are the ids of products by their names, and Limits their limits by id.
	Products map[string]string `json:"products,omitempty"`
	Limits   map[string]int    `json:"limits,omitempty"`
}

type accountLive struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Products are the names of products by their ids.
	Products map[string]string `json:"products,omitempty"`
}

// accountState returns what the history has of the account.
func accountState(desired *state.Desired, actual *state.Actual, commit string) (history.OrgState, error) {
	declared := accountDeclared{Name: desired.Account.Name, Products: desired.Products}
	for id, limit := range desired.Limits {
		if declared.Limits == nil {
			declared.Limits = map[string]int{}
		}
		declared.Limits[id] = limit.Max
	}
	live := accountLive{ID: actual.Account.ID, Name: actual.Account.Name, Products: map[string]string{}}
	for _, p := range actual.Catalog {
		live.Products[p.ID] = p.Name
	}
	s := history.OrgState{At: time.Now().UTC(), Commit: commit}
	var err error
	if s.Declared, err = marshal(declared); err == nil {
		s.Live, err = marshal(live)
	}
	return s, err
}

// InventoryOf returns the inventory that states and open drift add up to. states calls add
// with each. since returns since when an org is INACTIVE, given since when it is as it is;
// it may be nil.
func InventoryOf(states func(add func(*history.OrgState) error) error, drift []history.Drift, since func(domain string, changed time.Time) (*Inactive, error)) (*Inventory, error) {
	inv := &Inventory{}
	if err := states(inv.add); err != nil {
		return nil, err
	}
	slices.SortFunc(inv.Orgs, func(a, b OrgItem) int { return strings.Compare(a.Domain, b.Domain) })
	for i := range drift {
		d := &drift[i]
		k, found := slices.BinarySearchFunc(inv.Orgs, d.Org, func(o OrgItem, domain string) int { return strings.Compare(o.Domain, domain) })
		if !found {
			continue
		}
		o := &inv.Orgs[k]
		o.Drifted++
		if o.Since == nil || d.Since.Before(*o.Since) {
			o.Since = &d.Since
		}
	}
	if since == nil {
		return inv, nil
	}
	for i := range inv.Orgs {
		o := &inv.Orgs[i]
		if o.Status != state.Inactive {
			continue
		}
		var err error
		if o.Inactive, err = since(o.Domain, o.Changed); err != nil {
			return nil, err
		}
	}
	return inv, nil
}

// add adds an org, or the account.
func (inv *Inventory) add(s *history.OrgState) error {
	if s.Org == "" {
		return inv.account(s)
	}
	o, err := orgItem(s)
	if err == nil && o != nil {
		inv.Orgs = append(inv.Orgs, *o)
	}
	return err
}

func (inv *Inventory) account(s *history.OrgState) error {
	err := json.Unmarshal(s.Declared, &inv.declared)
	if err == nil {
		err = json.Unmarshal(s.Live, &inv.live)
	}
	if err != nil {
		return fmt.Errorf("what the history has of the account can't be read: %w", err)
	}
	return nil
}

// orgItem returns an org as a state has it; nil if it is neither declared nor live.
func orgItem(s *history.OrgState) (*OrgItem, error) {
	declared, live, err := sidesOf(s)
	if err != nil || declared == nil && live == nil { // gone
		return nil, err
	}
	o := &OrgItem{Domain: s.Org, ID: s.OrgID, Changed: s.At, Labels: map[string]string{}}
	if live != nil {
		o.ID, o.Cell, o.Name, o.Status, o.Products = live.ID, live.Cell, live.Name, live.Status, live.Products
	}
	if declared != nil {
		o.Managed, o.DeclaredStatus, o.DeclaredProducts = true, declared.Status, declared.Products
		o.ProductPolicy, o.Owner, o.Mode, o.Protected = declared.ProductPolicy, declared.Owner, declared.Mode, declared.Protected
		if declared.Labels != nil {
			o.Labels = declared.Labels
		}
	}
	return o, nil
}

// skipped is a JSON value that is not read.
type skipped struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*skipped) UnmarshalJSON([]byte) error { return nil }

// sidesOf returns both sides of an org without their configuration; nil for one that is
// not there.
func sidesOf(s *history.OrgState) (*declaredState, *liveState, error) {
	var declared *struct {
		declaredState
		Configuration skipped `json:"configuration"`
	}
	var live *struct {
		liveState
		Configuration skipped `json:"configuration"`
	}
	var err error
	if len(s.Declared) > 0 {
		err = json.Unmarshal(s.Declared, &declared)
	}
	if err == nil && len(s.Live) > 0 {
		err = json.Unmarshal(s.Live, &live)
	}
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("what the history has of %s can't be read: %w", s.Org, err)
	case declared == nil && live == nil:
		return nil, nil, nil
	case declared == nil:
		return nil, &live.liveState, nil
	case live == nil:
		return &declared.declaredState, nil, nil
	}
	return &declared.declaredState, &live.liveState, nil
}

// wants reports whether an org is declared to have a product.
func (o *OrgItem) wants(id string) bool {
	return o.ProductPolicy != state.Ignore && slices.Contains(o.DeclaredProducts, id)
}

// InventoryQuery selects of the inventory and of what happened. Zero fields select all.
type InventoryQuery struct {
	// Orgs are domains.
	Orgs []string
	// Product is a product's name or id.
	Product string
	// Labels are those of the orgs.
	Labels state.Selector
	// Declared has Product and Status mean what is declared, and not what is live.
	Declared bool
	Status   state.Status
	Drifted  bool
	// Since selects orgs that changed since, drift that began since, and runs and changes
	// that began since.
	Since time.Time
	// Run selects the changes of one run, and Outcome those that ended so.
	Run, Outcome string
	// After is the Next of the page before, and Limit how many items a page has; 0 is
	// all.
	After string
	Limit int
}

// Page is a part of a list. Its JSON form is a public interface.
type Page[T any] struct {
	// Items is never null.
	Items []T `json:"items"`
	// Next is the After of the next page; empty if this is the last one.
	Next string `json:"next"`
	// Account is the id of the account, and AsOf when it was last compared with the
	// manifests; null if that is not known.
	Account string     `json:"account"`
	AsOf    *time.Time `json:"asOf"`
	// Unread is how many live orgs that the query selects, but for its product, there are
	// whose products are not read, as the manifests don't manage them.
	Unread int `json:"unread"`
	// ProductNames are the names of products by their ids.
	ProductNames map[string]string `json:"productNames"`
	// Quiet counts the runs in which nothing happened, of a list of runs.
	Quiet *history.Quiet `json:"quiet,omitempty"`
}

// QueryError is a query that can't be answered, because it is wrong.
type QueryError struct{ Err error }

func (e *QueryError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *QueryError) Unwrap() error { return e.Err }

// product returns the id of a product from its name or id; "" for "".
func (inv *Inventory) product(name string) (string, error) {
	if name == "" || state.ValidProductID(name) {
		return name, nil
	}
	if id, ok := inv.declared.Products[name]; ok {
		return id, nil
	}
	if id := strings.ToUpper(name); state.ValidProductID(id) {
		return id, nil
	}
	var found []string
	names := slices.Collect(maps.Keys(inv.declared.Products))
	for id, live := range inv.live.Products {
		if strings.EqualFold(live, name) {
			found = append(found, id)
		}
		names = append(names, live)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	slices.Sort(names)
	return "", &QueryError{text.WithHint(fmt.Errorf("no product is called %q%s", text.OneLine(name, 100), strictyaml.DidYouMean(name, names)),
		`"reconciler get products" lists them`)}
}

// names returns the names of all products that have one, by their ids.
func (inv *Inventory) names() map[string]string {
	names := maps.Clone(inv.live.Products)
	if names == nil {
		names = map[string]string{}
	}
	for _, id := range inv.declared.Products {
		names[id] = inv.ProductName(id)
	}
	return names
}

// unread counts the live orgs that q selects, but for its product, whose products are not
// read.
func (inv *Inventory) unread(q *InventoryQuery) (n int) {
	for i := range inv.Orgs {
		if o := &inv.Orgs[i]; o.Status != "" && o.Products == nil && q.selects(o) {
			n++
		}
	}
	return n
}

// ProductName returns the name of a product; its id if it has none.
func (inv *Inventory) ProductName(id string) string {
	var names []string
	for name, of := range inv.declared.Products {
		if of == id {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return slices.Min(names)
	}
	return cmp.Or(inv.live.Products[id], id)
}

// selects reports whether q selects an org, by all but its product.
func (q *InventoryQuery) selects(o *OrgItem) bool {
	status := o.Status
	if q.Declared {
		status = o.DeclaredStatus
	}
	return q.hasOrg(o.Domain) && q.Labels.Has(o.Labels) && (!q.Declared || o.Managed) &&
		(q.Status == "" || status == q.Status) && (!q.Drifted || o.Drifted > 0) && (q.Since.IsZero() || !o.Changed.Before(q.Since))
}

func (q *InventoryQuery) hasOrg(domain string) bool {
	return len(q.Orgs) == 0 || slices.Contains(q.Orgs, domain)
}

// byOrg returns what reports whether q's orgs, labels, status and drift select an org; nil
// if they select all.
func (q *InventoryQuery) byOrg(inv *Inventory) func(domain string) bool {
	if q.Labels.IsZero() && q.Status == "" && !q.Drifted && !q.Declared {
		if len(q.Orgs) == 0 {
			return nil
		}
		return q.hasOrg
	}
	some := *q
	some.Since = time.Time{}
	selected := map[string]bool{}
	for i := range inv.Orgs {
		if some.selects(&inv.Orgs[i]) {
			selected[inv.Orgs[i].Domain] = true
		}
	}
	return func(domain string) bool { return selected[domain] }
}

// ListOrgs returns the orgs that q selects.
func (inv *Inventory) ListOrgs(q *InventoryQuery) (*Page[OrgItem], error) {
	product, err := inv.product(q.Product)
	if err != nil {
		return nil, err
	}
	var all []OrgItem
	for i := range inv.Orgs {
		o := &inv.Orgs[i]
		has := product == "" || slices.Contains(o.Products, product)
		if product != "" && q.Declared {
			has = o.wants(product)
		}
		if has && q.selects(o) {
			all = append(all, *o)
		}
	}
	return pageOf(all, q, func(o *OrgItem) string { return o.Domain }), nil
}

// ListProducts returns the products of the manifests, the account and the orgs, with the
// number of orgs that q selects.
func (inv *Inventory) ListProducts(q *InventoryQuery) (*Page[ProductItem], error) {
	only, err := inv.product(q.Product)
	if err != nil {
		return nil, err
	}
	all := map[string]*ProductItem{}
	item := func(id string) *ProductItem {
		if all[id] == nil {
			all[id] = &ProductItem{ID: id, Name: inv.ProductName(id)}
		}
		return all[id]
	}
	for id := range inv.live.Products {
		item(id)
	}
	for _, id := range inv.declared.Products {
		item(id)
	}
	for i := range inv.Orgs {
		if o := &inv.Orgs[i]; q.selects(o) {
			o.count(item)
		}
	}
	for id, limit := range inv.declared.Limits {
		item(id).Limit = &limit
	}
	var list []ProductItem
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if only == "" || id == only {
			list = append(list, *all[id])
		}
	}
	return pageOf(list, q, func(p *ProductItem) string { return p.ID }), nil
}

// count adds an org to the products that it has and wants.
func (o *OrgItem) count(item func(id string) *ProductItem) {
	for _, id := range o.Products {
		p := item(id)
		p.Have++
		if o.Status == state.Inactive {
			p.Inactive++
		}
	}
	if o.ProductPolicy == state.Ignore {
		return
	}
	for _, id := range o.DeclaredProducts {
		p := item(id)
		p.Want++
		if o.DeclaredStatus != state.Inactive {
			p.WantActive++
		}
	}
}

// pageOf returns the page of a list that q asks for. The list is sorted by the key.
func pageOf[T any](all []T, q *InventoryQuery, key func(*T) string) *Page[T] {
	if q.After != "" {
		i, _ := slices.BinarySearchFunc(all, q.After, func(item T, after string) int {
			if key(&item) <= after {
				return -1
			}
			return 1
		})
		all = all[i:]
	}
	page := &Page[T]{Items: append([]T{}, all...)}
	if q.Limit > 0 && len(all) > q.Limit {
		page.Items = page.Items[:q.Limit]
		page.Next = key(&page.Items[q.Limit-1])
	}
	return page
}

// DriftItem is open drift with what the history knows of it. Its JSON form is a public
// interface.
type DriftItem struct {
	Drift
	// LastSeen is when a run saw it last, and Times how many runs did. Run is the run
	// that saw it first.
	LastSeen time.Time `json:"lastSeen"`
	Times    int       `json:"times"`
	Run      string    `json:"run"`
	// Unknown is why it will never be known who caused it.
	Unknown string `json:"unknown,omitempty"`
}

// driftKey is by what lists of drift are sorted. A domain has no space.
func driftKey(d *DriftItem) string { return d.Org + " " + d.Field }

// ListDrift returns the open drift that q selects.
func (inv *Inventory) ListDrift(open []history.Drift, q *InventoryQuery) (*Page[DriftItem], error) {
	product, err := inv.product(q.Product)
	if err != nil {
		return nil, err
	}
	selected := q.byOrg(inv)
	var all []DriftItem
	for i := range open {
		d, err := driftFrom(&open[i])
		if err != nil {
			return nil, err
		}
		if selected != nil && !selected(d.Org) || !q.Since.IsZero() && d.Since.Before(q.Since) ||
			product != "" && (d.Field != diff.FieldOf(diff.UpdateProducts) || slices.Contains(d.Desired.List(), product) == slices.Contains(d.Actual.List(), product)) {
			continue
		}
		all = append(all, DriftItem{Drift: d, LastSeen: open[i].LastSeen, Times: open[i].Times, Run: open[i].Run, Unknown: open[i].Unknown})
	}
	slices.SortStableFunc(all, func(a, b DriftItem) int { return strings.Compare(driftKey(&a), driftKey(&b)) })
	return pageOf(all, q, driftKey), nil
}

// RunItem is a run of the history. Its JSON form is a public interface.
type RunItem struct {
	ID      string `json:"id"`
	Command string `json:"command"`
	Trigger string `json:"trigger,omitempty"`
	Mode    string `json:"mode,omitempty"`
	// By is who ran it, and RequestedBy who asked a daemon for it.
	By          string    `json:"by"`
	RequestedBy string    `json:"requestedBy,omitempty"`
	Started     time.Time `json:"started"`
	// Finished is null while it goes on, and if it was interrupted.
	Finished *time.Time `json:"finished"`
	Commit   string     `json:"commit"`
	Signer   string     `json:"signer,omitempty"`
	Digest   string     `json:"digest,omitempty"`
	// Result is empty while it goes on.
	Result string `json:"result"`
	Error  string `json:"error,omitempty"`
	// Changes counts its changes by outcome; null while it goes on, and if it was
	// interrupted.
	Changes *RunChanges `json:"changes"`
}

// RunChanges counts the changes of a run by outcome.
type RunChanges struct {
	Applied int `json:"applied"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	Blocked int `json:"blocked"`
}

// RunItemOf returns a run of the history as lists have it.
func RunItemOf(r *history.Run) RunItem {
	item := RunItem{
		ID: r.ID, Command: r.Command, Trigger: r.Trigger, Mode: r.Mode, By: r.By, Started: r.Started,
		Commit: r.Commit, Signer: r.Signer, Digest: r.Digest, Result: r.Result, Error: r.Error,
	}
	if !r.Finished.IsZero() {
		item.Finished = &r.Finished
	}
	var record struct {
		RequestedBy string      `json:"requestedBy"`
		Changes     *RunChanges `json:"changes"`
	}
	if json.Unmarshal(r.Record, &record) == nil {
		item.RequestedBy, item.Changes = record.RequestedBy, record.Changes
	}
	return item
}

// concerns reports whether a change gives or takes a product.
func concerns(e *history.Entry, product string) bool {
	if e.Action != string(diff.UpdateProducts) {
		return false
	}
	var before, after []string
	if json.Unmarshal(e.Before, &before) != nil || json.Unmarshal(e.After, &after) != nil {
		return false
	}
	return slices.Contains(before, product) != slices.Contains(after, product)
}
