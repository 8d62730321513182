package reconcile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
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
	// known are the orgs as states have them, by domain.
	known map[string]*knownOrg
	// differing are how many fields differ, by org and object.
	differing map[orgObject]int
	// products are those of all orgs; allProducts makes them.
	productsOnce sync.Once
	products     []*ProductItem
}

// knownOrg is an org as its newest state has it, without what differs.
type knownOrg struct {
	item     OrgItem
	objects  []*knownObject
	features []diff.Feature
}

// OrgItem is an org of the inventory. Its JSON form is a public interface.
type OrgItem struct {
	Domain string `json:"domain"`
	// State is how the org compares with what is declared.
	State SyncState `json:"state"`
	// Unknown is why the last run that compared the org could not read it; empty if it
	// could. UnknownPart is diff.PartConfiguration if it is its configuration alone, and
	// UnknownHint what to do about it.
	Unknown     string `json:"unknown,omitempty"`
	UnknownPart string `json:"unknownPart,omitempty"`
	UnknownHint string `json:"unknownHint,omitempty"`
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
	// Parent is the domain of the org's parent, where the manifests name one.
	Parent    string     `json:"parent,omitempty"`
	Mode      state.Mode `json:"mode"`
	Protected bool       `json:"protected"`
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

// SyncState is how an org, or an object of one, compares with what is declared, in one
// word.
type SyncState string

const (
	InSync  SyncState = "in-sync"
	Drifted SyncState = "drifted"
	// Missing: it is declared, and isn't live.
	Missing SyncState = "missing"
	// Unknown: it could not be read.
	Unknown SyncState = "unknown"
	// Unmanaged: it is live, and nobody declares it.
	Unmanaged SyncState = "unmanaged"
)

// SyncStates returns all states, the worst first.
func SyncStates() []SyncState { return []SyncState{Drifted, Missing, Unknown, Unmanaged, InSync} }

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
	// Unknown are the declared orgs that could not be read, by their domains.
	Unknown map[string]unknownOrg `json:"unknown,omitempty"`
}

// unknownOrg is why an org could not be read, as diff.Unknown has it.
type unknownOrg struct {
	Error string `json:"error"`
	Part  string `json:"part,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// accountState returns what the history has of the account.
func accountState(desired *state.Desired, actual *state.Actual, unknown map[string]unknownOrg, commit string) (history.OrgState, error) {
	declared := accountDeclared{Name: desired.Account.Name, Products: desired.Products}
	for id, limit := range desired.Limits {
		if declared.Limits == nil {
			declared.Limits = map[string]int{}
		}
		declared.Limits[id] = limit.Max
	}
	live := accountLive{ID: actual.Account.ID, Name: actual.Account.Name, Products: map[string]string{}, Unknown: unknown}
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

// inactiveSince returns since when an org is INACTIVE, given since when it is as it is.
type inactiveSince func(domain string, changed time.Time) (*Inactive, error)

// InventoryOf returns the inventory that states and open drift add up to. states calls add
// with each. since may be nil.
func InventoryOf(states func(add func(*history.OrgState) error) error, drift []history.Drift, since inactiveSince) (*Inventory, error) {
	inv := &Inventory{known: map[string]*knownOrg{}}
	if err := states(inv.add(since)); err != nil {
		return nil, err
	}
	inv.compare(drift)
	return inv, nil
}

// compare sets Orgs, and what drift says of them.
func (inv *Inventory) compare(drift []history.Drift) {
	inv.Orgs = make([]OrgItem, 0, len(inv.known))
	for _, domain := range slices.Sorted(maps.Keys(inv.known)) {
		o := inv.known[domain].item
		if u, is := inv.live.Unknown[domain]; is && o.Managed {
			o.Unknown, o.UnknownPart, o.UnknownHint = u.Error, u.Part, u.Hint
		}
		inv.Orgs = append(inv.Orgs, o)
	}
	inv.differing = map[orgObject]int{}
	for i := range drift {
		d := &drift[i]
		if d.Kind != "" {
			object, _, _ := strings.Cut(d.Field, ": ")
			inv.differing[orgObject{d.Org, object}]++
		}
		o := inv.org(d.Org)
		if o == nil {
			continue
		}
		o.Drifted++
		if o.Since == nil || d.Since.Before(*o.Since) {
			o.Since = &d.Since
		}
	}
	for i := range inv.Orgs {
		inv.Orgs[i].State = inv.Orgs[i].syncState()
	}
}

// syncState returns the state of the org by all else.
func (o *OrgItem) syncState() SyncState {
	switch {
	case !o.Managed:
		return Unmanaged
	case o.Unknown != "":
		return Unknown
	case o.Status == "":
		return Missing
	case o.Drifted > 0:
		return Drifted
	}
	return InSync
}

// org returns the org with a domain; nil if there is none.
func (inv *Inventory) org(domain string) *OrgItem {
	k, found := slices.BinarySearchFunc(inv.Orgs, domain, func(o OrgItem, domain string) int { return strings.Compare(o.Domain, domain) })
	if !found {
		return nil
	}
	return &inv.Orgs[k]
}

// add returns what adds an org, or the account.
func (inv *Inventory) add(since inactiveSince) func(s *history.OrgState) error {
	shared := newSharedOrgs()
	return func(s *history.OrgState) error {
		if s.Org == "" {
			return inv.account(s)
		}
		o, err := knownOf(s)
		if err != nil {
			return err
		}
		if o == nil {
			delete(inv.known, s.Org)
			return nil
		}
		if since != nil && o.item.Status == state.Inactive {
			if o.item.Inactive, err = since(s.Org, s.At); err != nil {
				return err
			}
		}
		shared.share(o)
		inv.known[s.Org] = o
		return nil
	}
}

func (inv *Inventory) account(s *history.OrgState) error {
	inv.declared, inv.live = accountDeclared{}, accountLive{} // maps of another inventory stay as they are
	err := json.Unmarshal(s.Declared, &inv.declared)
	if err == nil {
		err = json.Unmarshal(s.Live, &inv.live)
	}
	if err != nil {
		return fmt.Errorf("what the history has of the account can't be read: %w", err)
	}
	return nil
}

// knownOf returns an org as a state has it; nil if it is neither declared nor live.
func knownOf(s *history.OrgState) (*knownOrg, error) {
	declared, live, err := sidesOf(s)
	if err != nil || declared == nil && live == nil { // gone
		return nil, err
	}
	known := &knownOrg{item: OrgItem{Domain: s.Org, ID: s.OrgID, Changed: s.At, Labels: map[string]string{}}}
	o := &known.item
	if live != nil {
		o.ID, o.Cell, o.Name, o.Status, o.Products = live.ID, live.Cell, live.Name, live.Status, live.Products
		known.features = live.Features
	}
	if declared != nil {
		o.Managed, o.DeclaredStatus, o.DeclaredProducts = true, declared.Status, declared.Products
		o.ProductPolicy, o.Owner, o.Mode, o.Protected = declared.ProductPolicy, declared.Owner, declared.Mode, declared.Protected
		o.Parent = declared.Parent
		if declared.Labels != nil {
			o.Labels = declared.Labels
		}
	}
	known.objects = objectsOf(declared, live)
	return known, nil
}

// sidesOf returns both sides of an org; nil for one that is not there. Of their
// configuration it has which objects there are.
func sidesOf(s *history.OrgState) (*declaredSide, *liveSide, error) {
	var declared *declaredSide
	var live *liveSide
	var err error
	if len(s.Declared) > 0 {
		err = json.Unmarshal(s.Declared, &declared)
	}
	if err == nil && len(s.Live) > 0 {
		err = json.Unmarshal(s.Live, &live)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("what the history has of %s can't be read: %w", s.Org, err)
	}
	return declared, live, nil
}

// declaredSide and liveSide are the two sides of an org with the names of the objects of
// their configuration alone.
type declaredSide struct {
	declaredState
	Configuration map[string]presence `json:"configuration"`
}

type liveSide struct {
	liveState
	Configuration map[string]presence `json:"configuration"`
}

// presence reports whether a JSON value, which is not read otherwise, is another than
// null.
type presence bool

// UnmarshalJSON implements json.Unmarshaler.
func (p *presence) UnmarshalJSON(data []byte) error {
	*p = string(data) != "null"
	return nil
}

// wants reports whether an org is declared to have a product.
func (o *OrgItem) wants(id string) bool {
	return o.ProductPolicy != state.Ignore && slices.Contains(o.DeclaredProducts, id)
}

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

// ListProducts returns the products of the manifests, the account and the orgs, with the
// number of orgs that q selects.
func (inv *Inventory) ListProducts(q *InventoryQuery) (*Page[ProductItem], error) {
	only, err := inv.product(q.Product)
	if err != nil {
		return nil, err
	}
	all := inv.allProducts()
	if !q.anyOrg() || len(q.Orgs) > 0 || !q.Since.IsZero() {
		all = inv.countProducts(q)
	}
	if only != "" {
		all = slices.DeleteFunc(slices.Clone(all), func(p *ProductItem) bool { return p.ID != only })
	}
	return pageOf(all, q, func(p *ProductItem) string { return p.ID }), nil
}

// allProducts returns the products with the number of all orgs, sorted by id. They are
// counted when they are asked for first: most pages name them.
func (inv *Inventory) allProducts() []*ProductItem {
	inv.productsOnce.Do(func() { inv.products = inv.countProducts(&InventoryQuery{}) })
	return inv.products
}

// countProducts returns the products with the number of orgs that q selects, but for its
// product, sorted by id.
func (inv *Inventory) countProducts(q *InventoryQuery) []*ProductItem {
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
		if o := &inv.Orgs[i]; q.selects(o) && q.inState(o.State) {
			o.count(item)
		}
	}
	for id, limit := range inv.declared.Limits {
		item(id).Limit = &limit
	}
	list := make([]*ProductItem, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[id])
	}
	return list
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
