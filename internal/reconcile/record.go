package reconcile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

// StateOf returns where the config has journal, history and queue kept.
func StateOf(cfg *config.Config) location.Location {
	if cfg.State.Postgres.IsSet() {
		return location.Postgres(cfg.State.Postgres)
	}
	return location.Folder(cfg.State.Dir)
}

// OpenHistory returns the history where the config has the state kept; one that keeps
// nothing if it has none.
func OpenHistory(cfg *config.Config, opts history.Options) *history.Store {
	opts.Retention = cfg.State.Retention
	return history.New(StateOf(cfg), opts)
}

// Record is the record of one run in the history. The methods of a nil Record do
// nothing.
type Record struct {
	r    *Reconciler
	rec  *history.Recorder
	run  history.Run
	plan *diff.Plan

	mu sync.Mutex
	// attempted are the changes that were begun.
	attempted map[changeKey]bool
	// problem is the first reason why something could not be recorded.
	problem error
}

// changeKey identifies a change of a plan.
type changeKey struct {
	org    string
	action diff.Action
	field  string
}

func keyOf(c *diff.Change) changeKey { return changeKey{c.Org, c.Action, c.Field()} }

// Record begins the record of a run. From now on changes are recorded before they are
// made, until End; one that can't be recorded is not made. Without a state folder it
// returns nil.
func (r *Reconciler) Record(run history.Run) (*Record, error) {
	if !r.cfg.State.IsSet() {
		return nil, nil
	}
	rec, err := r.history.Begin(run)
	if err != nil {
		return nil, err
	}
	r.record = &Record{r: r, rec: rec, run: run, attempted: map[changeKey]bool{}}
	return r.record, nil
}

// setAside has a damaged journal set aside, which begins a new one.
func (r *Reconciler) setAside() {
	w, err := r.journal.Lock()
	if err == nil {
		err = w.Unlock()
	}
	if err != nil {
		r.log.Warn("the damaged journal could not be set aside", "error", err, "hint", text.Hint(err))
	}
}

// History returns the history in the state folder.
func (r *Reconciler) History() *history.Store { return r.history }

// Planned sets the plan of the run. A plan that can't be recorded shows when the run
// ends.
func (c *Record) Planned(plan *diff.Plan) {
	if c == nil {
		return
	}
	c.plan = plan
	c.note(c.rec.Planned(plan.Revision, plan.Signer, plan.Digest))
}

// note keeps the first problem.
func (c *Record) note(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem == nil {
		c.problem = err
	}
}

// Begin implements apply.Recorder.
func (c *Record) Begin(change *diff.Change) (end func(apply.Outcome, apply.Attempt), err error) {
	entry, err := entryOf(change)
	if err != nil {
		return nil, err
	}
	pending, err := c.rec.Change(entry)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.attempted[keyOf(change)] = true
	c.mu.Unlock()
	return func(o apply.Outcome, a apply.Attempt) {
		entry.OrgID, entry.Outcome, entry.Error = o.OrgID, string(o.Result), o.Error
		entry.ErrorID, entry.Seconds = a.ErrorID, a.Took.Seconds()
		if n := len(a.RequestIDs); n > 0 {
			entry.RequestID = a.RequestIDs[n-1]
		}
		if len(a.RequestIDs) > 1 {
			entry.RequestIDs = a.RequestIDs
		}
		if err := pending.End(entry); err != nil {
			c.r.log.Error("the history did not take the outcome of a change", "org", change.Org, "action", string(change.Action), "outcome", string(o.Result),
				"error", err, "hint", text.Hint(err))
			c.note(err)
		}
	}, nil
}

// entryOf returns a change as the history has it.
func entryOf(c *diff.Change) (history.Entry, error) {
	e := history.Entry{
		Type: history.TypeChange, Org: c.Org, OrgID: c.OrgID, Action: string(c.Action),
		Kind: c.Kind, Object: c.Object, ObjectType: c.Type, Parent: c.Parent,
	}
	var err error
	if e.Before, err = marshal(c.Before); err == nil {
		e.After, err = marshal(c.After)
	}
	if err == nil && len(c.Fields) > 0 {
		e.Fields, err = marshal(c.Fields)
	}
	return e, err
}

// marshal returns v as JSON, with <, > and & as they are.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Compared records what a run found: drift that it did not repair, and what is declared
// and live in each org. result is nil if the plan was not applied. It returns the open
// drift of everything, sorted by org and field.
func (c *Record) Compared(result *apply.Result) ([]history.Drift, error) {
	if c == nil || c.plan == nil {
		return nil, nil
	}
	if result != nil {
		c.skipped(result)
	}
	if err := c.r.MayWrite(); err != nil {
		return nil, err // another process has taken over, and knows better what is open
	}
	compared := c.r.comparedBy(c.plan)
	var drift []history.Drift
	for _, d := range DriftOf(c.plan, result) {
		kept, err := keptDrift(&d)
		if err != nil {
			return nil, err
		}
		drift = append(drift, kept)
	}
	open, err := c.rec.Drift(drift, compared)
	if err != nil {
		return nil, err
	}
	return open, c.states(result)
}

// statesAtOnce is how many orgs are recorded in one transaction: the states of all of them
// may be far larger than the plan.
const statesAtOnce = 500

// states records what is declared and live in each org.
func (c *Record) states(result *apply.Result) error {
	var some []history.OrgState
	put := func() error {
		err := c.rec.States(some)
		clear(some)
		some = some[:0]
		return err
	}
	err := c.r.eachState(c.plan, result, func(s *history.OrgState) error {
		some = append(some, *s)
		if len(some) < statesAtOnce {
			return nil
		}
		return put()
	})
	if err == nil {
		err = put()
	}
	if err != nil {
		c.r.quiet, c.r.seen = nil, nil
	}
	return err
}

// skipped records the changes that were to be made and not begun.
func (c *Record) skipped(result *apply.Result) {
	var entries []history.Entry
	for i := range c.plan.Changes {
		change, o := &c.plan.Changes[i], &result.Outcomes[i]
		if o.Result != apply.Skipped || c.attempted[keyOf(change)] {
			continue
		}
		e, err := entryOf(change)
		if err != nil {
			c.note(err)
			continue
		}
		e.Outcome, e.Error = string(o.Result), o.Error
		e.Run, e.By, e.Commit, e.Signer, e.Digest = c.run.ID, c.run.By, c.plan.Revision, c.plan.Signer, c.plan.Digest
		entries = append(entries, e)
	}
	if len(entries) > 0 {
		_, err := c.r.history.Add(entries...)
		c.note(err)
	}
}

// End ends the record, and returns the head of the history. A damaged journal, because of
// which the run could do nothing, is set aside.
func (c *Record) End(run history.Run) (head string, err error) {
	if c == nil {
		return "", nil
	}
	c.r.record = nil
	if errors.Is(c.r.journal.Check(), journal.ErrDamaged) {
		c.r.setAside()
	}
	head, err = c.rec.Finish(run)
	if err == nil {
		err = c.problem
	}
	return head, err
}

// keptDrift returns drift as the history has it.
func keptDrift(d *Drift) (history.Drift, error) {
	kept := history.Drift{
		Org: d.Org, OrgID: d.OrgID, Field: d.Field, Kind: d.Kind, Object: d.Object,
		Destructive: d.Destructive, Blocked: d.Blocked, Error: d.Error, Hint: d.Hint,
	}
	var err error
	if kept.Desired, err = marshal(d.Desired); err == nil {
		kept.Actual, err = marshal(d.Actual)
	}
	return kept, err
}

// OpenDrift returns the drift that runs left open, sorted by org and field.
func (r *Reconciler) OpenDrift() ([]Drift, error) {
	all, err := r.history.Drifts()
	if err != nil {
		return nil, err
	}
	var drift []Drift
	for i := range all {
		d, err := driftFrom(&all[i], decodeValue)
		if err != nil {
			return nil, err
		}
		drift = append(drift, d)
	}
	return drift, nil
}

func decodeValue(raw json.RawMessage) (v diff.Value, err error) {
	err = json.Unmarshal(raw, &v)
	return v, err
}

// driftFrom returns open drift of the history. value decodes its values.
func driftFrom(kept *history.Drift, value func(json.RawMessage) (diff.Value, error)) (Drift, error) {
	d := Drift{
		Org: kept.Org, OrgID: kept.OrgID, Field: kept.Field, Kind: kept.Kind, Object: kept.Object,
		Destructive: kept.Destructive, Blocked: kept.Blocked, Error: kept.Error, Hint: kept.Hint,
		Since: kept.Since, Cause: kept.Cause,
	}
	var err error
	if d.Desired, err = value(kept.Desired); err == nil {
		d.Actual, err = value(kept.Actual)
	}
	return d, err
}

// comparedBy returns which drift the plan would have if it were still there: that of the
// orgs that it is for and that could be read. A saved plan is for its changes alone.
func (r *Reconciler) comparedBy(plan *diff.Plan) func(*history.Drift) bool {
	if r.declared == nil {
		return changedBy(plan)
	}
	unknown := map[string]string{}
	for i := range plan.Unknown {
		unknown[plan.Unknown[i].Org] = plan.Unknown[i].Part
	}
	declared, whole := r.declared, r.filter.All()
	return func(d *history.Drift) bool {
		if part, is := unknown[d.Org]; is && (part == "" || d.Kind != "") {
			return false
		}
		_, is := declared[d.Org]
		return is || whole // no longer declared, so no longer drift
	}
}

// changedBy returns which drift a plan has a change of.
func changedBy(plan *diff.Plan) func(*history.Drift) bool {
	type key struct{ org, field string }
	changed := map[key]bool{}
	for _, d := range DriftOf(plan, nil) {
		changed[key{d.Org, d.Field}] = true
	}
	return func(d *history.Drift) bool { return changed[key{d.Org, d.Field}] }
}

// declaredState and liveState are the two sides of an org in the history.
type declaredState struct {
	Products      []string            `json:"products,omitzero"`
	ProductPolicy state.ProductPolicy `json:"productPolicy,omitempty"`
	Status        state.Status        `json:"status,omitempty"`
	Mode          state.Mode          `json:"mode,omitempty"`
	Protected     bool                `json:"protected,omitempty"`
	Labels        map[string]string   `json:"labels,omitempty"`
	Owner         string              `json:"owner,omitempty"`
	// Parent is the domain of the org's parent, where the manifests name one.
	Parent        string         `json:"parent,omitempty"`
	Configuration map[string]any `json:"configuration,omitempty"`
}

type liveState struct {
	ID       string       `json:"id"`
	Name     string       `json:"name,omitempty"`
	Cell     string       `json:"cell,omitempty"`
	Products []string     `json:"products,omitzero"`
	Status   state.Status `json:"status,omitempty"`
	// Configuration is nil if it was not read. What follows was read beside it: the
	// objects that nobody declares, how many more of a kind there are than are named, and
	// the features.
	Configuration map[string]any `json:"configuration,omitzero"`
	Unmanaged     []string       `json:"unmanaged,omitempty"`
	UnmanagedMore map[string]int `json:"unmanagedMore,omitempty"`
	Features      []diff.Feature `json:"features,omitempty"`
}

// eachState calls f with what is declared and what is live in the orgs that the plan is for,
// after what was applied of it, one after the other, sorted by org; that of the account comes
// first. Of the configuration it has the declared fields. Orgs that are as they were recorded
// last are left out.
func (r *Reconciler) eachState(plan *diff.Plan, result *apply.Result, f func(*history.OrgState) error) error {
	unknown := unknownOf(plan)
	if r.desired != nil && r.live != nil && len(r.live.Catalog) > 0 {
		if account, err := accountState(r.desired, r.live, r.stillUnknown(unknown), plan.Revision); err == nil {
			if err := f(&account); err != nil {
				return err
			}
		}
	}
	changes := map[string][]int{}
	for i := range plan.Changes {
		changes[plan.Changes[i].Org] = append(changes[plan.Changes[i].Org], i)
	}
	find := liveOrgs(r.live)
	others := r.undeclared()
	known := make(map[string]quiet, len(r.declared))
	domains := slices.AppendSeq(slices.Collect(maps.Keys(r.declared)), maps.Keys(others))
	slices.Sort(domains)
	for _, domain := range domains {
		o := r.declared[domain]
		why, unread := unknown[domain]
		whole := unread && why.Part == ""
		if o != nil && (len(changes[domain]) == 0 || whole) {
			known[domain] = r.quietOf(o, find(o))
			if r.quiet[domain] == known[domain] {
				continue
			}
		}
		var s history.OrgState
		var err error
		switch {
		case o == nil:
			s, err = undeclaredState(domain, others[domain], plan.Revision)
		case whole:
			s, err = r.unreadState(o, find(o), plan.Revision)
		default:
			s, err = r.readState(o, find(o), plan, result, changes[domain], unread)
		}
		if err != nil {
			continue // the next run may be able to say it
		}
		if err := f(&s); err != nil {
			return err
		}
	}
	r.quiet = known
	return nil
}

// readState returns the state of an org that could be read, after what was applied of its
// changes; unread is set if its configuration could not.
func (r *Reconciler) readState(
	o *state.DesiredOrg, live *state.Org, plan *diff.Plan, result *apply.Result, changes []int, unread bool,
) (history.OrgState, error) {
	s := r.sidesOf(o, live)
	s.apply(plan, result, changes, o)
	if !unread {
		s.configure(plan, result, changes, o)
		s.beside(r.configurationOf(o.Domain))
	}
	return s.state(o, plan.Revision)
}

// unknownOf returns why orgs could not be read, by their domains.
func unknownOf(plan *diff.Plan) map[string]unknownOrg {
	all := map[string]unknownOrg{}
	for i := range plan.Unknown {
		u := &plan.Unknown[i]
		all[u.Org] = unknownOrg{Error: u.Error, Part: u.Part, Hint: u.Hint}
	}
	return all
}

// stillUnknown returns the orgs that can't be read: those of a plan, and of the orgs that
// it is not for those of which the history says so.
func (r *Reconciler) stillUnknown(now map[string]unknownOrg) map[string]unknownOrg {
	if r.filter.All() {
		return now
	}
	before, err := r.lastState("")
	if err != nil || before == nil {
		return now
	}
	var account accountLive
	if json.Unmarshal(before.Live, &account) != nil {
		return now
	}
	all := maps.Clone(now)
	for domain, why := range account.Unknown {
		if r.declared[domain] == nil {
			all[domain] = why
		}
	}
	return all
}

// lastState returns the newest state of an org, or of the account; nil if there is none.
func (r *Reconciler) lastState(domain string) (*history.OrgState, error) {
	if !r.cfg.State.IsSet() {
		return r.memory.state(domain), nil
	}
	return r.history.At(domain, time.Time{})
}

// unreadState returns the state of an org of which nothing could be read: what is declared
// now, and what was live when it could be read last. The error is that of the history, if it
// can't say that.
func (r *Reconciler) unreadState(o *state.DesiredOrg, live *state.Org, commit string) (history.OrgState, error) {
	before, err := r.lastState(o.Domain)
	if err != nil {
		return history.OrgState{}, err
	}
	s := r.sidesOf(o, live)
	now, err := s.state(o, commit)
	if err == nil && before != nil {
		now.Live, now.OrgID = before.Live, cmp.Or(before.OrgID, now.OrgID)
	}
	return now, err
}

func (r *Reconciler) declaredStateOf(o *state.DesiredOrg) declaredState {
	return declaredState{
		Products: o.Products, ProductPolicy: o.ProductPolicy, Status: o.Status, Mode: o.Mode, Protected: o.Protected, Labels: o.Labels, Owner: o.Owner,
		Parent: r.parentOf(o),
	}
}

// parentOf returns the domain of the parent that an org's manifest names; empty if it
// names none.
func (r *Reconciler) parentOf(o *state.DesiredOrg) string {
	if o.Create == nil {
		return ""
	}
	for i := range r.cfg.Parents {
		if p := &r.cfg.Parents[i]; p.Name == o.Create.Parent {
			return p.Domain
		}
	}
	return ""
}

// configurationOf returns what came of reading the configuration of an org; nil if it
// wasn't.
func (r *Reconciler) configurationOf(domain string) *diff.Configuration {
	if r.configured == nil {
		return nil
	}
	return r.configured(domain)
}

func liveStateOf(o *state.Org) *liveState {
	if o == nil {
		return nil
	}
	return &liveState{ID: o.ID, Name: o.Name, Cell: o.Cell, Products: o.Products, Status: o.Status}
}

// undeclared returns the orgs that are live and not declared, by their domains; nil for those
// that were one of both once and are neither now. A plan for some orgs knows nothing of these.
func (r *Reconciler) undeclared() map[string]*state.Org {
	if !r.filter.All() || r.live == nil {
		return nil
	}
	all := map[string]*state.Org{}
	for i := range r.live.Orgs {
		o := &r.live.Orgs[i]
		if o.Domain != "" && r.declared[o.Domain] == nil && all[o.Domain] == nil {
			all[o.Domain] = o
		}
	}
	before := r.before()
	r.seen = slices.AppendSeq(slices.Collect(maps.Keys(r.declared)), maps.Keys(all))
	slices.Sort(r.seen)
	for _, domain := range before {
		if r.declared[domain] == nil && all[domain] == nil {
			all[domain] = nil
		}
	}
	return all
}

// undeclaredState returns the state of an org that is not declared, and live unless o is nil.
func undeclaredState(domain string, o *state.Org, commit string) (history.OrgState, error) {
	s := history.OrgState{Org: domain, At: time.Now().UTC(), Commit: commit, Declared: null, Live: null}
	if o == nil {
		return s, nil
	}
	var err error
	s.OrgID = o.ID
	s.Live, err = marshal(liveStateOf(o))
	return s, err
}

// null is a side of an org that is not there.
var null = json.RawMessage("null")

// before returns the orgs that were declared or live when an org was recorded last.
func (r *Reconciler) before() []string {
	if r.seen != nil {
		return r.seen
	}
	var domains []string
	err := r.history.EachLastState(func(s *history.OrgState) error {
		if s.Org != "" { // which is the account
			domains = append(domains, s.Org)
		}
		return nil
	})
	if err != nil {
		r.log.Warn("the history can't say which orgs there were", "error", err, "hint", text.Hint(err))
	}
	return domains
}

// quiet identifies both sides of an org that is as declared, or can't be read, so that an
// org that stays so need not be written out in each run.
type quiet struct {
	declared *state.DesiredOrg
	live     string
	// beside is what was read beside the declared objects.
	beside uint64
}

func (r *Reconciler) quietOf(o *state.DesiredOrg, live *state.Org) quiet {
	q := quiet{declared: o}
	if live != nil {
		q.live = strings.Join(append([]string{live.ID, live.Name, live.Cell, string(live.Status)}, live.Products...), "\x00")
	}
	if c := r.configurationOf(o.Domain); c != nil {
		q.beside = besideHash(c)
	}
	return q
}

// besideSeed is of this process: hashes are not kept.
var besideSeed = maphash.MakeSeed()

// besideHash returns a hash of what beside sets.
func besideHash(c *diff.Configuration) uint64 {
	var h maphash.Hash
	h.SetSeed(besideSeed)
	for i := range c.Features {
		h.WriteString(c.Features[i].ID + "\x00" + c.Features[i].Name + "\x00" + c.Features[i].Status + "\x01")
	}
	if c.Head == nil {
		h.WriteString(c.Unknown)
		return h.Sum64()
	}
	for _, kind := range slices.Sorted(maps.Keys(c.Head.Undeclared)) {
		h.WriteString(fmt.Sprintf("\x02%s %d", kind, c.Head.Kinds[kind].Unmanaged))
		for _, ref := range c.Head.Undeclared[kind] {
			h.WriteString(ref.Type + "\x00" + ref.Object() + "\x01")
		}
	}
	return h.Sum64()
}

// sides are the two sides of an org; live is nil if the org isn't.
type sides struct {
	declared declaredState
	live     *liveState
}

// sidesOf returns both sides of a declared org, without its configuration as it is live.
func (r *Reconciler) sidesOf(o *state.DesiredOrg, live *state.Org) *sides {
	s := &sides{declared: r.declaredStateOf(o), live: liveStateOf(live)}
	s.declare(o)
	return s
}

// applied reports whether a change of the plan was made.
func applied(result *apply.Result, i int) bool {
	return result != nil && result.Outcomes[i].Result == apply.Applied
}

// apply has the live side as the changes that were made leave it.
func (s *sides) apply(plan *diff.Plan, result *apply.Result, changes []int, o *state.DesiredOrg) {
	for _, i := range changes {
		c := &plan.Changes[i]
		if !applied(result, i) {
			continue
		}
		if s.live == nil {
			s.live = &liveState{ID: result.Outcomes[i].OrgID, Cell: o.Cell}
		}
		switch c.Action {
		case diff.UpdateProducts:
			s.live.Products = c.After.List()
		case diff.SetStatus:
			s.live.Status = state.Status(c.After.Text())
		}
	}
}

// declare sets the declared objects of the declared side.
func (s *sides) declare(o *state.DesiredOrg) {
	if o.Config == nil || len(o.Config.Objects) == 0 {
		return
	}
	s.declared.Configuration = make(map[string]any, len(o.Config.Objects))
	for _, object := range o.Config.Objects {
		body := any(object.Body)
		if object.Absent {
			body = nil
		}
		s.declared.Configuration[diff.FieldOfRef(object.Ref)] = body
	}
}

// beside sets what was read of the org beside its declared objects.
func (s *sides) beside(c *diff.Configuration) {
	if c == nil || c.Head == nil || s.live == nil || s.live.Configuration == nil {
		return
	}
	s.live.Features = c.Features
	for _, kind := range slices.Sorted(maps.Keys(c.Head.Undeclared)) {
		refs := c.Head.Undeclared[kind]
		for _, ref := range refs {
			s.live.Unmanaged = append(s.live.Unmanaged, diff.FieldOfRef(ref))
		}
		if more := c.Head.Kinds[kind].Unmanaged - len(refs); more > 0 {
			if s.live.UnmanagedMore == nil {
				s.live.UnmanagedMore = map[string]int{}
			}
			s.live.UnmanagedMore[kind] = more
		}
	}
}

// configure sets the declared objects of the live side.
func (s *sides) configure(plan *diff.Plan, result *apply.Result, changes []int, o *state.DesiredOrg) {
	if o.Config == nil || len(o.Config.Objects) == 0 {
		return
	}
	differs := map[string]*diff.Change{}
	for _, i := range changes {
		if c := &plan.Changes[i]; c.Kind != "" && c.Action != diff.ReorderObjects && !applied(result, i) {
			differs[c.Field()] = c
		}
	}
	live := map[string]any{}
	for _, object := range o.Config.Objects {
		field := diff.FieldOfRef(object.Ref)
		if object.Absent {
			if differs[field] != nil {
				live[field] = map[string]any{}
			}
			continue
		}
		if body := seen(object, differs[field]); body != nil {
			live[field] = body
		}
	}
	if s.live != nil && s.live.Status != state.Inactive {
		s.live.Configuration = live
	}
}

// seen returns the declared fields of an object as they are live; nil if there is no such
// object. c is the change that would make it as declared; nil if it is so.
func seen(object *objects.Object, c *diff.Change) map[string]any {
	if c == nil {
		return object.Body
	}
	if c.Action != diff.UpdateObject {
		return nil
	}
	var differ []objects.FieldChange
	for i := range c.Fields {
		differ = append(differ, c.Fields[i].FieldChange)
	}
	return object.Seen(differ)
}

// state returns the sides as the history has them.
func (s *sides) state(o *state.DesiredOrg, commit string) (history.OrgState, error) {
	all := history.OrgState{Org: o.Domain, At: time.Now().UTC(), Commit: commit}
	var err error
	if all.Declared, err = marshal(s.declared); err != nil {
		return all, err
	}
	if s.live != nil {
		all.OrgID = s.live.ID
	}
	all.Live, err = marshal(s.live)
	return all, err
}

// SetCauses sets who caused drift, and since when it is there, as the open drift of the
// history has it. Both are sorted by org and field.
func SetCauses(drift []Drift, open []history.Drift) {
	i := 0
	for k := range drift {
		d := &drift[k]
		for i < len(open) && cmp.Or(strings.Compare(open[i].Org, d.Org), strings.Compare(open[i].Field, d.Field)) < 0 {
			i++
		}
		if i < len(open) && open[i].Org == d.Org && open[i].Field == d.Field {
			d.Since, d.Cause = open[i].Since, open[i].Cause
		}
	}
}
