package reconcile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
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
	"reconciler/internal/text"
)

// OpenHistory returns the history in the config's state folder; one that keeps nothing
// if there is none.
func OpenHistory(cfg *config.Config, opts history.Options) *history.Store {
	opts.Retention = cfg.State.Retention
	return history.New(cfg.State.Dir, opts)
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
	if r.cfg.State.Dir == "" {
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
	err = c.rec.States(c.r.states(c.plan, result))
	if err != nil {
		c.r.quiet, c.r.seen = nil, nil
	}
	return open, err
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
		d, err := driftFrom(&all[i])
		if err != nil {
			return nil, err
		}
		drift = append(drift, d)
	}
	return drift, nil
}

func driftFrom(kept *history.Drift) (Drift, error) {
	d := Drift{
		Org: kept.Org, OrgID: kept.OrgID, Field: kept.Field, Kind: kept.Kind, Object: kept.Object,
		Destructive: kept.Destructive, Blocked: kept.Blocked, Error: kept.Error, Hint: kept.Hint,
		Since: kept.Since, Cause: kept.Cause,
	}
	err := json.Unmarshal(kept.Desired, &d.Desired)
	if err == nil {
		err = json.Unmarshal(kept.Actual, &d.Actual)
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
	Configuration map[string]any      `json:"configuration,omitempty"`
}

type liveState struct {
	ID            string         `json:"id"`
	Name          string         `json:"name,omitempty"`
	Cell          string         `json:"cell,omitempty"`
	Products      []string       `json:"products,omitzero"`
	Status        state.Status   `json:"status,omitempty"`
	Configuration map[string]any `json:"configuration,omitempty"`
}

// states returns what is declared and what is live in the orgs that the plan is for,
// after what was applied of it. Of the configuration it has the declared fields.
func (r *Reconciler) states(plan *diff.Plan, result *apply.Result) []history.OrgState {
	changes := map[string][]int{}
	for i := range plan.Changes {
		changes[plan.Changes[i].Org] = append(changes[plan.Changes[i].Org], i)
	}
	unknown := map[string]string{}
	for i := range plan.Unknown {
		unknown[plan.Unknown[i].Org] = plan.Unknown[i].Part
	}
	find := liveOrgs(r.live)
	var all []history.OrgState
	known := make(map[string]quiet, len(r.declared))
	for _, domain := range slices.Sorted(maps.Keys(r.declared)) {
		o := r.declared[domain]
		part, unread := unknown[domain]
		if unread && part == "" {
			continue
		}
		now := quietOf(o, find(o))
		if len(changes[domain]) == 0 && !unread {
			known[domain] = now
			if r.quiet[domain] == now {
				continue
			}
		}
		s := sides{
			declared: declaredState{
				Products: o.Products, ProductPolicy: o.ProductPolicy, Status: o.Status, Mode: o.Mode, Protected: o.Protected, Labels: o.Labels, Owner: o.Owner,
			},
			live: liveStateOf(find(o)),
		}
		s.apply(plan, result, changes[domain], o)
		if !unread {
			s.configure(plan, result, changes[domain], o)
		}
		if state, err := s.state(o, plan.Revision); err == nil {
			all = append(all, state)
		}
	}
	r.quiet = known
	if r.desired != nil && r.live != nil && len(r.live.Catalog) > 0 {
		if account, err := accountState(r.desired, r.live, plan.Revision); err == nil {
			all = append(all, account)
		}
	}
	return append(all, r.undeclared(plan)...)
}

func liveStateOf(o *state.Org) *liveState {
	if o == nil {
		return nil
	}
	return &liveState{ID: o.ID, Name: o.Name, Cell: o.Cell, Products: o.Products, Status: o.Status}
}

// undeclared returns the states of the orgs that are live and not declared, and of those
// that were one of both once and are neither now. A plan for some orgs knows nothing of
// these.
func (r *Reconciler) undeclared(plan *diff.Plan) []history.OrgState {
	if !r.filter.All() || r.live == nil {
		return nil
	}
	now := time.Now().UTC()
	here := map[string]bool{}
	for domain := range r.declared {
		here[domain] = true
	}
	var all []history.OrgState
	for i := range r.live.Orgs {
		o := &r.live.Orgs[i]
		if o.Domain == "" || here[o.Domain] {
			continue
		}
		here[o.Domain] = true
		if live, err := marshal(liveStateOf(o)); err == nil {
			all = append(all, history.OrgState{Org: o.Domain, OrgID: o.ID, At: now, Commit: plan.Revision, Declared: null, Live: live})
		}
	}
	for _, domain := range r.before() {
		if !here[domain] {
			all = append(all, history.OrgState{Org: domain, At: now, Commit: plan.Revision, Declared: null, Live: null})
		}
	}
	r.seen = slices.Sorted(maps.Keys(here))
	return all
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

// quiet identifies both sides of an org that is as declared, so that an org that stays so
// need not be written out in each run.
type quiet struct {
	declared *state.DesiredOrg
	live     string
}

func quietOf(o *state.DesiredOrg, live *state.Org) quiet {
	q := quiet{declared: o}
	if live != nil {
		q.live = strings.Join(append([]string{live.ID, live.Name, live.Cell, string(live.Status)}, live.Products...), "\x00")
	}
	return q
}

// sides are the two sides of an org; live is nil if the org isn't.
type sides struct {
	declared declaredState
	live     *liveState
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

// configure sets the declared objects of both sides.
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
	s.declared.Configuration = map[string]any{}
	live := map[string]any{}
	for _, object := range o.Config.Objects {
		field := diff.FieldOfRef(object.Ref)
		if object.Absent {
			s.declared.Configuration[field] = nil
			if differs[field] != nil {
				live[field] = map[string]any{}
			}
			continue
		}
		s.declared.Configuration[field] = object.Body
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
