package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"reconciler/internal/git/links"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

// ErrNoHistory means that there is no history, as there is no state folder to keep it in.
var ErrNoHistory = errors.New("there is no history: no state folder is configured")

// InventoryReader answers queries from the history, or without one from what runs of this
// process have found. Its methods may be called at the same time.
type InventoryReader struct {
	history *history.Store
	account string
	memory  *memory
	// places are known in a daemon alone.
	places     *places
	repository links.Repository

	mu sync.Mutex
	// inv is the inventory as of head; nil if there is none yet.
	inv  *Inventory
	head string
}

// NewInventoryReader returns a reader of a history. account is the id of its account.
func NewInventoryReader(h *history.Store, account string) *InventoryReader {
	return &InventoryReader{history: h, account: account}
}

// Inventory returns a reader of what runs have found.
func (r *Reconciler) Inventory() *InventoryReader {
	reader := NewInventoryReader(r.history, r.cfg.Aerial.AccountID)
	reader.places, reader.repository = r.places, r.repository
	if r.cfg.State.Dir == "" {
		reader.memory = r.memory
	}
	return reader
}

// memory is what the runs of this process have found, where there is no state folder.
type memory struct {
	mu     sync.Mutex
	states map[string]history.OrgState
	drift  []history.Drift
	// made are the changes that the last comparison was followed by.
	made []Made
	at   time.Time
}

// each calls add with each state. m.mu is held.
func (m *memory) each(add func(*history.OrgState) error) error {
	for _, domain := range slices.Sorted(maps.Keys(m.states)) {
		s := m.states[domain]
		if err := add(&s); err != nil {
			return err
		}
	}
	return nil
}

// Remember keeps in memory what a run found, for Inventory, where there is no state folder
// to keep it in. drift is what it did not repair.
func (r *Reconciler) Remember(plan *diff.Plan, result *apply.Result, drift []Drift) error {
	if r.cfg.State.Dir != "" {
		return nil
	}
	m := r.memory
	states := r.states(plan, result)
	var kept []history.Drift
	for i := range drift {
		d, err := keptDrift(&drift[i])
		if err != nil {
			return err
		}
		d.Since = drift[i].Since
		kept = append(kept, d)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	made, err := m.madeBy(plan, result, states)
	if err != nil {
		return err
	}
	if m.states == nil {
		m.states = map[string]history.OrgState{}
	}
	for _, s := range states {
		m.states[s.Org] = s
	}
	m.drift, m.made, m.at = kept, made, time.Now().UTC()
	return nil
}

// Read returns the inventory. It is computed anew only if something was added to the
// history since.
func (r *InventoryReader) Read() (*Inventory, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memory != nil {
		r.memory.mu.Lock()
		defer r.memory.mu.Unlock()
		return InventoryOf(r.memory.each, r.memory.drift, nil)
	}
	head, err := r.history.Head()
	if err != nil || r.inv != nil && head == r.head {
		return r.inv, err
	}
	drift, err := r.history.Drifts()
	if err != nil {
		return nil, err
	}
	inv, err := InventoryOf(r.history.EachLastState, drift, r.inactive)
	if err != nil {
		return nil, err
	}
	r.inv, r.head = inv, head
	return inv, nil
}

// maxStates is how many states of an org are looked at for when it was deactivated.
const maxStates = 100

// inactive returns since when an org is INACTIVE, given the time of its newest state.
func (r *InventoryReader) inactive(domain string, first time.Time) (*Inactive, error) {
	var before time.Time // when it was read as something else
	for range maxStates {
		s, err := r.history.At(domain, first.Add(-1))
		if err != nil {
			return nil, err
		}
		if s == nil || !s.At.Before(first) {
			break
		}
		_, live, err := sidesOf(s)
		if err != nil {
			return nil, err
		}
		if live == nil || live.Status != state.Inactive {
			before = s.At
			break
		}
		first = s.At
	}
	found := &Inactive{Since: first, OrEarlier: before.IsZero()}
	entries, err := r.history.Entries(history.Query{
		Types: []history.Type{history.TypeChange, history.TypeDrift}, Org: domain, Since: before, Until: first.Add(1),
	})
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if who := deactivated(&entries[i]); who != nil {
			return who, nil
		}
	}
	return found, nil
}

// deactivated returns what an entry says of the deactivation of its org; nil if it isn't
// about one.
func deactivated(e *history.Entry) *Inactive {
	is := func(raw json.RawMessage) bool {
		var s string
		return json.Unmarshal(raw, &s) == nil && s == string(state.Inactive)
	}
	switch {
	case e.Type == history.TypeChange && e.Action == string(diff.SetStatus) && e.Outcome == string(apply.Applied) && is(e.After):
		return &Inactive{Since: e.Time, By: e.By, Run: e.Run}
	case e.Type == history.TypeDrift && e.Field == diff.FieldOf(diff.SetStatus) && is(e.Before) && e.Cause != nil:
		return &Inactive{Since: e.Cause.Time, By: e.Cause.Who()}
	case e.Type == history.TypeDrift && e.Field == diff.FieldOf(diff.SetStatus) && is(e.Before) && e.Since != nil:
		return &Inactive{Since: *e.Since}
	}
	return nil
}

// AsOf returns when the account was last compared with the manifests; nil if that is not
// known.
func (r *InventoryReader) AsOf() (*time.Time, error) {
	if r.memory != nil {
		r.memory.mu.Lock()
		defer r.memory.mu.Unlock()
		if r.memory.at.IsZero() {
			return nil, nil
		}
		at := r.memory.at
		return &at, nil
	}
	const recent = 50
	runs, err := r.history.Runs("", recent)
	if err != nil {
		return nil, err
	}
	quiet, err := r.history.QuietRuns()
	if err != nil {
		return nil, err
	}
	var at time.Time
	newest := true
	for i := range runs {
		if runs[i].Finished.IsZero() {
			continue
		}
		if Result(runs[i].Result).Success() {
			at = runs[i].Finished
			break
		}
		newest = false
	}
	// Runs that are only counted ended as the one before them.
	if newest && quiet.Last.After(at) {
		at = quiet.Last
	}
	if at.IsZero() {
		return nil, nil
	}
	return &at, nil
}

// Orgs returns the orgs that q selects.
func (r *InventoryReader) Orgs(q *InventoryQuery) (*Page[OrgItem], error) {
	page, err := read(r, q, func(inv *Inventory) (*Page[OrgItem], error) { return inv.ListOrgs(q) })
	if err != nil {
		return nil, err
	}
	for i := range page.Items {
		page.Items[i].DeclaredAt = r.places.of(page.Items[i].Domain)
	}
	return page, nil
}

// Products returns the products, with the number of orgs that q selects.
func (r *InventoryReader) Products(q *InventoryQuery) (*Page[ProductItem], error) {
	return read(r, q, func(inv *Inventory) (*Page[ProductItem], error) { return inv.ListProducts(q) })
}

// Drift returns the open drift that q selects.
func (r *InventoryReader) Drift(q *InventoryQuery) (*Page[DriftItem], error) {
	return read(r, q, func(inv *Inventory) (*Page[DriftItem], error) {
		open, err := r.open()
		if err != nil {
			return nil, err
		}
		return inv.ListDrift(open, q)
	})
}

func (r *InventoryReader) open() ([]history.Drift, error) {
	if r.memory == nil {
		return r.history.Drifts()
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	return r.memory.drift, nil
}

// read returns a page of the inventory, with what all pages have.
func read[T any](r *InventoryReader, q *InventoryQuery, list func(*Inventory) (*Page[T], error)) (*Page[T], error) {
	inv, err := r.Read()
	if err != nil {
		return nil, err
	}
	page, err := list(inv)
	if err != nil {
		return nil, err
	}
	page.Account, page.Unread, page.ProductNames = r.account, inv.unread(q), inv.names()
	page.AsOf, err = r.AsOf()
	return page, err
}

// scanned is how many entries or runs are read at a time, of which some are selected.
const scanned = 1000

// batch returns how many entries or runs to read at a time.
func (q *InventoryQuery) batch(selecting bool) int {
	if selecting || q.Limit == 0 {
		return scanned
	}
	return q.Limit + 1
}

// Runs returns the runs that q selects, newest first: those that are kept, that go on, or
// were interrupted. Of a query of orgs, products or an outcome these are the runs that
// attempted such a change.
func (r *InventoryReader) Runs(q *InventoryQuery) (*Page[RunItem], error) {
	if r.memory != nil {
		return nil, ErrNoHistory
	}
	return read(r, q, func(inv *Inventory) (*Page[RunItem], error) {
		attempted, err := r.attempted(inv, q)
		if err != nil {
			return nil, err
		}
		quiet, err := r.history.QuietRuns()
		if err != nil {
			return nil, err
		}
		page := &Page[RunItem]{Items: []RunItem{}, Quiet: &quiet}
		batch := q.batch(attempted != nil)
		for before := q.After; ; {
			runs, err := r.history.Runs(before, batch)
			if err != nil {
				return nil, err
			}
			for i := range runs {
				run := &runs[i]
				if attempted != nil && !attempted[run.ID] || !q.Since.IsZero() && run.Started.Before(q.Since) {
					continue
				}
				if q.Limit > 0 && len(page.Items) == q.Limit {
					page.Next = page.Items[q.Limit-1].ID
					return page, nil
				}
				page.Items = append(page.Items, RunItemOf(run))
			}
			if len(runs) < batch {
				return page, nil
			}
			before = runs[len(runs)-1].ID
		}
	})
}

// attempted returns the runs with changes that q selects, if it selects by more than time;
// nil if it doesn't.
func (r *InventoryReader) attempted(inv *Inventory, q *InventoryQuery) (map[string]bool, error) {
	if q.Product == "" && q.Outcome == "" && q.byOrg(inv) == nil {
		return nil, nil
	}
	all := *q
	all.After, all.Limit, all.Run = "", 0, ""
	changes, err := r.changes(inv, &all)
	if err != nil {
		return nil, err
	}
	runs := map[string]bool{}
	for i := range changes.Items {
		runs[changes.Items[i].Run] = true
	}
	return runs, nil
}

// Changes returns the changes that q selects, newest first.
func (r *InventoryReader) Changes(q *InventoryQuery) (*Page[history.Entry], error) {
	if r.memory != nil {
		return nil, ErrNoHistory
	}
	return read(r, q, func(inv *Inventory) (*Page[history.Entry], error) { return r.changes(inv, q) })
}

func (r *InventoryReader) changes(inv *Inventory, q *InventoryQuery) (*Page[history.Entry], error) {
	product, err := inv.product(q.Product)
	if err != nil {
		return nil, err
	}
	find := history.Query{Types: []history.Type{history.TypeChange}, Since: q.Since, Run: q.Run}
	if len(q.Orgs) == 1 {
		find.Org = q.Orgs[0]
	}
	if q.After != "" {
		if find.Before, err = strconv.ParseInt(q.After, 10, 64); err != nil || find.Before < 1 {
			return nil, &QueryError{fmt.Errorf("%q is not the end of a page of changes", text.OneLine(q.After, 40))}
		}
	}
	selected := q.byOrg(inv)
	find.Limit = q.batch(selected != nil || product != "" || q.Outcome != "")
	page := &Page[history.Entry]{Items: []history.Entry{}}
	for {
		entries, err := r.history.Entries(find)
		if err != nil {
			return nil, err
		}
		for i := range entries {
			e := &entries[i]
			if selected != nil && !selected(e.Org) || product != "" && !concerns(e, product) || q.Outcome != "" && e.Outcome != q.Outcome {
				continue
			}
			if q.Limit > 0 && len(page.Items) >= q.Limit && page.Items[len(page.Items)-1].Seq > 0 {
				page.Next = strconv.FormatInt(page.Items[len(page.Items)-1].Seq, 10)
				return page, nil
			}
			page.Items = append(page.Items, *e)
		}
		if len(entries) < find.Limit || entries[len(entries)-1].Seq == 0 {
			return page, nil
		}
		find.Before = entries[len(entries)-1].Seq
	}
}

// OrgDetail is all that is known of one org. Its JSON form is a public interface.
type OrgDetail struct {
	OrgItem
	Drift []DriftItem `json:"drift"`
	// Declared and Live are both sides, as "history org" has them; null where there is
	// none.
	Declared json.RawMessage `json:"declared"`
	Live     json.RawMessage `json:"live"`
	Commit   string          `json:"commit"`
	// CommitLink is the web address of Commit; left out if it has none.
	CommitLink string `json:"commitLink,omitempty"`
	// Places are where fields are declared, by their names; those that aren't here are
	// where the org is.
	Places map[string]*Place `json:"places,omitempty"`
}

// Org returns what is known of an org; nil if nothing is.
func (r *InventoryReader) Org(domain string) (*OrgDetail, error) {
	q := &InventoryQuery{Orgs: []string{domain}}
	found, err := r.Orgs(q)
	if err != nil || len(found.Items) == 0 {
		return nil, err
	}
	drift, err := r.Drift(q)
	if err != nil {
		return nil, err
	}
	detail := &OrgDetail{OrgItem: found.Items[0], Drift: drift.Items, Places: r.places.inside(domain)}
	s, err := r.state(domain)
	if err == nil && s != nil {
		detail.Declared, detail.Live, detail.Commit = s.Declared, s.Live, s.Commit
		detail.CommitLink = r.CommitLink(s.Commit)
	}
	return detail, err
}

// state returns the newest state of an org; nil if there is none.
func (r *InventoryReader) state(domain string) (*history.OrgState, error) {
	if r.memory == nil {
		return r.history.At(domain, time.Time{})
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	if s, ok := r.memory.states[domain]; ok {
		return &s, nil
	}
	return nil, nil
}

// Run returns a run; nil if there is none.
func (r *InventoryReader) Run(id string) (*history.Run, error) {
	if r.memory != nil {
		return nil, nil
	}
	return r.history.FindRun(id)
}
