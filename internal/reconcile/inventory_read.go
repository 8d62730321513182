package reconcile

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"reconciler/internal/git/links"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

// ErrNoHistory means that there is no history, as there is no state folder to keep it in.
var ErrNoHistory = errors.New("there is no history: no state folder is configured")

// InventoryReader answers queries from the history, or without one from what runs of this
// process have found. Its methods may be called at the same time. Nothing is read twice
// while the history stays as it is, and of what is new only the orgs that it is about.
type InventoryReader struct {
	history *history.Store
	account string
	memory  *memory
	// places are known in a daemon alone.
	places     *places
	repository links.Repository
	now        func() time.Time

	*latest
}

// latest is what was read last. Readers that are made when the config is read again go on
// with it.
type latest struct {
	moment atomic.Pointer[moment] // nil if nothing was read yet
	// mu is held while something is read: who comes meanwhile gets moment.
	mu sync.Mutex
	// drifts and values are what is decoded of open drift.
	drifts history.DriftCache
	values map[string]diff.Value
}

// moment is what is known at one time. It is never changed.
type moment struct {
	inv   *Inventory
	drift []DriftItem // sorted by driftKey
	quiet history.Quiet
	asOf  *time.Time

	version  history.Version
	position history.Position
	runs     int // of memory
	// at is when it was read, and cost how long that took.
	at   time.Time
	cost time.Duration
}

// NewInventoryReader returns a reader of a history. account is the id of its account.
func NewInventoryReader(h *history.Store, account string) *InventoryReader {
	return &InventoryReader{history: h, account: account, now: time.Now, latest: &latest{}}
}

// Inventory returns a reader of what runs have found.
func (r *Reconciler) Inventory() *InventoryReader {
	reader := NewInventoryReader(r.history, r.cfg.Aerial.AccountID)
	reader.places, reader.repository, reader.latest = r.places, r.repository, r.latest
	if !r.cfg.State.IsSet() {
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
	// runs counts them.
	runs int
}

// state returns the newest state of an org; nil if there is none.
func (m *memory) state(domain string) *history.OrgState {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.states[domain]; ok {
		return &s
	}
	return nil
}

// read returns the inventory, and what it is made of.
func (m *memory) read() (*moment, error) {
	m.mu.Lock()
	states, drift := maps.Clone(m.states), m.drift // runs replace them, and change nothing in them
	at, runs := m.at, m.runs
	m.mu.Unlock()
	inv, err := InventoryOf(func(add func(*history.OrgState) error) error {
		for _, domain := range slices.Sorted(maps.Keys(states)) {
			s := states[domain]
			if err := add(&s); err != nil {
				return err
			}
		}
		return nil
	}, drift, nil)
	if err != nil {
		return nil, err
	}
	now := &moment{inv: inv, runs: runs}
	if !at.IsZero() {
		now.asOf = &at
	}
	now.drift, _, err = driftItems(drift, nil)
	return now, err
}

// Remember keeps in memory what a run found, for Inventory, where there is no state folder
// to keep it in. drift is what it did not repair.
func (r *Reconciler) Remember(plan *diff.Plan, result *apply.Result, drift []Drift) error {
	if r.cfg.State.IsSet() {
		return nil
	}
	m := r.memory
	var states []history.OrgState
	_ = r.eachState(plan, result, func(s *history.OrgState) error { // which fails by nothing else
		states = append(states, *s)
		return nil
	})
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
	m.runs++
	return nil
}

// Read returns the inventory.
func (r *InventoryReader) Read() (*Inventory, error) {
	now, err := r.read()
	if err != nil {
		return nil, err
	}
	return now.inv, nil
}

// Changed reads what is new, so that who asks next neither gets what was before nor has to
// wait. Others get that meanwhile. Where nothing was ever read, it does nothing.
func (r *InventoryReader) Changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moment.Load() != nil {
		_, _ = r.refresh() // the next query says why not
	}
}

const (
	// pause is for how many times as long as it took to look at what is new it is not done
	// again: during a run the history changes all the time, and readers must not slow it.
	pause = 10
	// cheap is how long that may take at most for no pause.
	cheap = 10 * time.Millisecond
)

// read returns what is known now. While somebody reads what is new, others get what was
// read before; only the first have to wait.
func (r *InventoryReader) read() (*moment, error) {
	last := r.moment.Load()
	switch {
	case last == nil:
		r.mu.Lock()
	case last.cost > cheap && r.now().Sub(last.at) < pause*last.cost, !r.mu.TryLock():
		return last, nil
	}
	defer r.mu.Unlock()
	return r.refresh()
}

// InventoryVersion changes when what can be read changes.
type InventoryVersion struct {
	history  history.Version
	position history.Position
	runs     int // of memory
}

// Version returns the version of what can be read now. With news, it stays the same over runs
// that find the same, whose number and time are all that they change. read reports whether
// queries are answered from that version already: while it is being read, queries are
// answered from the one before.
func (r *InventoryReader) Version(news bool) (v InventoryVersion, read bool, err error) {
	last := r.moment.Load()
	if r.memory != nil {
		r.memory.mu.Lock()
		v.runs = r.memory.runs
		r.memory.mu.Unlock()
		return v, last != nil && last.runs == v.runs, nil
	}
	if v.history, err = r.history.Version(); err != nil {
		return v, false, err
	}
	if news && last != nil && last.version != v.history {
		if last, err = r.read(); err != nil {
			return v, false, err
		}
	}
	read = last != nil && last.version == v.history
	if news && read {
		v = InventoryVersion{position: last.position}
	}
	return v, read, nil
}

// refresh reads what is new. r.mu is held.
func (r *InventoryReader) refresh() (*moment, error) {
	last := r.moment.Load()
	now, err := r.newest(last)
	if err == nil && now != last {
		r.moment.Store(now)
	}
	return now, err
}

// newest returns what is known now: last, if that is all.
func (r *InventoryReader) newest(last *moment) (*moment, error) {
	if r.memory != nil {
		r.memory.mu.Lock()
		runs := r.memory.runs
		r.memory.mu.Unlock()
		if last != nil && last.runs == runs {
			return last, nil
		}
		return r.memory.read()
	}
	began := r.now()
	version, err := r.history.Version()
	if err != nil {
		return nil, err
	}
	if last != nil && version == last.version {
		return last, nil
	}
	now, err := r.look(last, version)
	if err != nil {
		return nil, err
	}
	now.at = r.now()
	if last != nil { // how long all takes doesn't tell how long what is new will take
		now.cost = now.at.Sub(began)
	}
	return now, nil
}

// look reads what is new since the last time. States come first: what is committed
// meanwhile is then new the next time.
func (r *InventoryReader) look(before *moment, version history.Version) (*moment, error) {
	if before == nil {
		before = &moment{inv: &Inventory{}}
	}
	now, last := &moment{version: version}, before.position
	next := &Inventory{known: maps.Clone(before.inv.known), declared: before.inv.declared, live: before.inv.live}
	if next.known == nil {
		next.known = map[string]*knownOrg{}
	}
	var all bool
	var err error
	if now.position, all, err = r.history.EachStateSince(last, next.add(r.inactive)); err != nil {
		return nil, err
	}
	if all && last.Seq > 0 { // another history
		return r.look(nil, version)
	}
	open, err := r.history.DriftsAgain(&r.drifts)
	if err != nil {
		return nil, err
	}
	if now.drift, r.values, err = driftItems(open, r.values); err != nil {
		return nil, err
	}
	if now.quiet, err = r.history.QuietRuns(); err != nil {
		return nil, err
	}
	if now.asOf, err = r.comparedAt(&now.quiet); err != nil {
		return nil, err
	}
	if now.inv = before.inv; last.Seq == 0 || now.position != last {
		next.compare(open)
		now.inv = next
	}
	return now, nil
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
	now, err := r.read()
	if err != nil {
		return nil, err
	}
	return now.asOf, nil
}

// comparedAt returns what AsOf does.
func (r *InventoryReader) comparedAt(quiet *history.Quiet) (*time.Time, error) {
	const recent = 50
	runs, err := r.history.Runs("", recent)
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
	page, err := read(r, q, func(now *moment) (*Page[OrgItem], error) { return now.inv.ListOrgs(q) })
	if err != nil {
		return nil, err
	}
	for i := range page.Items { // of which the page has copies
		page.Items[i].DeclaredAt = r.places.of(page.Items[i].Domain)
	}
	return page, nil
}

// Products returns the products, with the number of orgs that q selects.
func (r *InventoryReader) Products(q *InventoryQuery) (*Page[ProductItem], error) {
	return read(r, q, func(now *moment) (*Page[ProductItem], error) { return now.inv.ListProducts(q) })
}

// Drift returns the open drift that q selects.
func (r *InventoryReader) Drift(q *InventoryQuery) (*Page[DriftItem], error) {
	return read(r, q, func(now *moment) (*Page[DriftItem], error) { return now.inv.ListDrift(now.drift, q) })
}

// Objects returns the objects of the orgs' configuration that q selects.
func (r *InventoryReader) Objects(q *InventoryQuery) (*Page[ObjectItem], error) {
	return read(r, q, func(now *moment) (*Page[ObjectItem], error) { return now.inv.ListObjects(q), nil })
}

// Kinds returns the kinds of the objects that q selects, with their numbers.
func (r *InventoryReader) Kinds(q *InventoryQuery) (*Page[KindItem], error) {
	return read(r, q, func(now *moment) (*Page[KindItem], error) { return now.inv.ListKinds(q), nil })
}

// read returns a page of the inventory, with what all pages have.
func read[T any](r *InventoryReader, q *InventoryQuery, list func(*moment) (*Page[T], error)) (*Page[T], error) {
	now, err := r.read()
	if err != nil {
		return nil, err
	}
	page, err := list(now)
	if err != nil {
		return nil, err
	}
	page.Account, page.AsOf, page.Unread, page.ProductNames = r.account, now.asOf, now.inv.unread(q), now.inv.names()
	return page, nil
}

// PageOf returns a page of something else that the inventory has, with what all pages
// have. list returns its items, sorted by their keys.
func PageOf[T any](r *InventoryReader, q *InventoryQuery, list func(*Inventory) []T, key func(*T) string) (*Page[T], error) {
	return read(r, q, func(now *moment) (*Page[T], error) {
		items := list(now.inv)
		all := make([]*T, len(items))
		for i := range items {
			all[i] = &items[i]
		}
		return pageOf(all, q, key), nil
	})
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
	return read(r, q, func(now *moment) (*Page[RunItem], error) {
		attempted, err := r.attempted(now.inv, q)
		if err != nil {
			return nil, err
		}
		page := &Page[RunItem]{Items: []RunItem{}, Quiet: &now.quiet}
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
	all.Types = []history.Type{history.TypeChange}
	changes, err := r.entries(inv, &all)
	if err != nil {
		return nil, err
	}
	runs := map[string]bool{}
	for i := range changes.Items {
		runs[changes.Items[i].Run] = true
	}
	return runs, nil
}
