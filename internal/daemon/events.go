package daemon

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/git/source"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// told is all that receivers know, so that they are told of changes alone. It is kept with
// the messages, in one transaction: what was queued is known, and nothing else.
type told struct {
	// Drift is sorted by org and field.
	Drift []toldDrift `json:"drift,omitempty"`
	// Failing is how runs end since they fail; nil while they don't.
	Failing *toldFailure `json:"failing,omitempty"`
	// Refusals are the guards that refuse the plan.
	Refusals []string `json:"refusals,omitempty"`
	// Stale is why the newest manifests are not in force, and Unverified the commit that
	// is refused; "" for none.
	Stale      string `json:"stale,omitempty"`
	Unverified string `json:"unverified,omitempty"`
	// Alarms are those that nobody has acknowledged.
	Alarms      []string         `json:"alarms,omitempty"`
	Suspensions []toldSuspension `json:"suspensions,omitempty"`
	// Limits are the products that are past theirs.
	Limits []string `json:"limits,omitempty"`
	// Change is the newest change of the history.
	Change int64 `json:"change,omitempty"`
}

type toldDrift struct {
	Org     string            `json:"org,omitempty"`
	Field   string            `json:"field"`
	Kind    string            `json:"kind,omitempty"`
	Object  string            `json:"object,omitempty"`
	Desired diff.Value        `json:"desired"`
	Actual  diff.Value        `json:"actual"`
	Since   time.Time         `json:"since"`
	Owner   string            `json:"owner,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
}

type toldFailure struct {
	Kind  Result    `json:"kind"`
	Since time.Time `json:"since"`
}

type toldSuspension struct {
	freeze.Suspension
	// Ending is set once receivers know that it ends soon.
	Ending bool `json:"ending,omitempty"`
}

// findings are what a run found, or what was looked at between two. What is nil was not
// looked at, or could not be: receivers know of it what they knew.
type findings struct {
	at time.Time
	// run is nil between runs. It is none that was interrupted.
	run *api.RunRecord
	// commit is the one in force.
	commit string
	// compared is nil if the account was not compared with the manifests.
	compared *compared
	// unverified is the commit that is refused; a zero one if the newest is verified.
	unverified  *unverified
	alarms      *[]reconcile.Alarm
	suspensions *[]freeze.Suspension
	// actor returns who did something about a suspension; "" if that isn't known.
	actor func(action, id string) string
	// declared returns a declared org; nil for others.
	declared func(domain string) *state.DesiredOrg
	// link returns where to read more about an event.
	link func(*notify.Event) string
}

// compared is what came of a comparison.
type compared struct {
	// drift is what differs still, sorted by org and field.
	drift    []Drift
	refusals []diff.Refusal
	limits   []reconcile.ProductLimit
	// made are the changes that were applied since receivers were told of some, newest
	// first, and newest is the newest of all.
	made   []reconcile.Made
	newest int64
	// names are the products' names by id.
	names map[string]string
	// tokens is where tokens of new orgs are.
	tokens string
}

// unverified is a commit that is refused for its signature or history.
type unverified struct{ commit, reason, why string }

// eventsOf returns what receivers are to be told, given what they know, and what they know
// then.
func eventsOf(before *told, now *findings) ([]notify.Event, *told) {
	after := *before
	n := &news{findings: now, before: before, after: &after}
	if now.run != nil {
		n.failure()
		n.stale()
	}
	n.signature()
	n.lost()
	if now.compared != nil {
		n.refusals()
		n.drift()
		n.onboarded()
		n.limits()
		after.Change = now.compared.newest
	}
	n.suspensions()
	return n.events, &after
}

// news collects events.
type news struct {
	*findings
	before, after *told
	events        []notify.Event
}

// add adds an event, with what all of its org have.
func (n *news) add(e notify.Event) {
	if o := n.declared(e.Org); o != nil {
		e.Owner, e.Labels = o.Owner, o.Labels
	}
	e.Commit = cmp.Or(e.Commit, n.commit)
	e.Link = n.link(&e)
	e.Message, e.Hint = inWords(e.Message), inWords(e.Hint)
	n.events = append(n.events, e)
}

// inWords returns words of an event on one line that isn't too long.
func inWords(s string) string {
	const most = 2000
	return text.OneLine(text.JoinLines(s), most)
}

// moment returns a time of an event; nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// raw returns a value as JSON.
func raw(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return nil
	}
	return bytes.TrimSpace(b.Bytes())
}

// failing returns how a run failed; "" if it didn't. One that could not do all that it
// had to is a failure, and one that a guard refused is not.
func failing(rec *api.RunRecord) Result {
	switch {
	case rec.Result == ResultError:
		return ResultError
	case rec.Result == ResultPartial && (rec.Changes.Failed > 0 || rec.Summary != nil && rec.Summary.Unknown > 0):
		return ResultPartial
	}
	return ""
}

// failure tells that runs began to fail, fail in another way, or succeed again.
func (n *news) failure() {
	kind, known := failing(n.run), n.before.Failing
	switch {
	case kind == "" && known != nil:
		n.after.Failing = nil
		n.add(notify.Event{
			Type: notify.Recovered, Before: raw(known.Kind), After: raw(n.run.Result), Since: moment(known.Since),
			Message: fmt.Sprintf("runs succeed again: the last one ended with %s", n.run.Result),
		})
	case kind != "" && (known == nil || known.Kind != kind):
		since := n.run.Finished
		if known != nil {
			since = known.Since
		}
		n.after.Failing = &toldFailure{kind, since}
		e := notify.Event{Type: notify.Failed, After: raw(kind), Since: moment(since), Message: "the run failed: " + n.run.Ended()}
		if known != nil {
			e.Before = raw(known.Kind)
		}
		if p := n.run.Problem; p != nil {
			e.Hint = p.Hint
		}
		if kind == ResultPartial {
			e.Message = "the run is partly done: " + shortfall(n.run)
		}
		n.add(e)
	}
}

// stale tells that the newest manifests are not in force, or are again.
func (n *news) stale() {
	s := n.run.Stale
	if s == nil {
		if n.before.Stale != "" && n.compared != nil {
			n.after.Stale = ""
			n.add(notify.Event{Type: notify.Recovered, Field: "manifests", Message: "the newest manifests are in force again"})
		}
		return
	}
	// Why they can't be read may be worded differently each time.
	key := "unreadable"
	if s.Refused {
		key = "refused " + s.Commit + " " + s.Key
	}
	if key == n.before.Stale {
		return
	}
	n.after.Stale = key
	message := "the newest manifests can't be read; the last good desired state stays in force: "
	if s.Refused {
		message = "the newest manifests are refused; the last good desired state stays in force: "
	}
	n.add(notify.Event{Type: notify.Stale, Field: "manifests", Since: moment(s.Since), Commit: s.Commit, Message: message + s.Error, Hint: s.Hint})
}

// signature tells that a commit is refused for its signature or history.
func (n *news) signature() {
	u := n.unverified
	if u == nil {
		return
	}
	key := strings.TrimSpace(u.commit + " " + u.reason)
	if n.after.Unverified = key; key == "" || key == n.before.Unverified {
		return
	}
	n.add(notify.Event{
		Type: notify.Signature, Commit: u.commit,
		Message: fmt.Sprintf("commit %s is refused (%s): %s", source.Short(u.commit), u.reason, u.why),
	})
}

// lost tells of new alarms.
func (n *news) lost() {
	if n.alarms == nil {
		return
	}
	n.after.Alarms = nil
	for _, a := range *n.alarms {
		key := a.Org + " " + a.Message
		if slices.Contains(n.after.Alarms, key) {
			continue
		}
		n.after.Alarms = append(n.after.Alarms, key)
		if !slices.Contains(n.before.Alarms, key) {
			n.add(notify.Event{Type: notify.TokenLost, Org: a.Org, Message: a.Message, Hint: a.Hint})
		}
	}
}

// refusals tells that a guard refuses the plan, or that none does any more.
func (n *news) refusals() {
	n.after.Refusals = nil
	for _, r := range n.compared.refusals {
		if slices.Contains(n.after.Refusals, r.Guard) {
			continue
		}
		n.after.Refusals = append(n.after.Refusals, r.Guard)
		if !slices.Contains(n.before.Refusals, r.Guard) {
			n.add(notify.Event{Type: notify.Refused, Field: r.Guard, Message: "the guard " + r.Guard + " refuses the plan: " + r.Message})
		}
	}
	if len(n.after.Refusals) == 0 && len(n.before.Refusals) > 0 {
		n.add(notify.Event{Type: notify.Recovered, Field: strings.Join(n.before.Refusals, ", "), Message: "no guard refuses the plan any more"})
	}
}

// fieldKey is what drifts.
type fieldKey struct{ org, field string }

// drift tells of fields that began to differ, differ in another way, or differ no more,
// and of those that did in between.
func (n *news) drift() {
	known := map[fieldKey]*toldDrift{}
	for i := range n.before.Drift {
		d := &n.before.Drift[i]
		known[fieldKey{d.Org, d.Field}] = d
	}
	n.after.Drift = nil
	open := map[fieldKey]bool{}
	for i := range n.compared.drift {
		d := &n.compared.drift[i]
		key := fieldKey{d.Org, d.Field}
		open[key] = true
		n.after.Drift = append(n.after.Drift, n.keep(d))
		old := known[key]
		if old == nil || !old.Desired.Equal(d.Desired) || !old.Actual.Equal(d.Actual) {
			n.differs(d, old)
		}
	}
	repairs := map[fieldKey]bool{}
	for i := range n.compared.made {
		m := &n.compared.made[i]
		for k := range m.Fields {
			f := &m.Fields[k]
			key := fieldKey{f.Org, f.Field}
			if open[key] || repairs[key] || known[key] == nil && !m.Repaired {
				continue
			}
			repairs[key] = true
			n.repaired(m, f, known[key])
		}
	}
	for i := range n.before.Drift {
		if d := &n.before.Drift[i]; !open[fieldKey{d.Org, d.Field}] && !repairs[fieldKey{d.Org, d.Field}] {
			n.gone(d)
		}
	}
}

func (n *news) keep(d *Drift) toldDrift {
	kept := toldDrift{Org: d.Org, Field: d.Field, Kind: d.Kind, Object: d.Object, Desired: d.Desired, Actual: d.Actual, Since: d.Since}
	if o := n.declared(d.Org); o != nil {
		kept.Owner, kept.Labels = o.Owner, o.Labels
	}
	return kept
}

// differs tells that a field differs; old is how it did before, if it did.
func (n *news) differs(d *Drift, old *toldDrift) {
	words := " differs; repair: "
	if old != nil {
		words = " differs in another way; repair: "
	}
	words += n.repair(d)
	if d.Blocked != "" {
		words += "; " + report.Blocked(d.Blocked)
	}
	n.add(notify.Event{
		Type: notify.Drift, Org: d.Org, Field: d.Field, Before: raw(d.Desired), After: raw(d.Actual), Since: moment(d.Since), By: causedBy(d),
		Message: d.Field + words, Hint: d.Hint,
	})
}

// causedBy returns who caused a drift, as far as it is known.
func causedBy(d *Drift) string {
	switch {
	case d.Cause == nil:
		return ""
	case d.Cause.Provisional:
		return d.Cause.Who() + " (so far)"
	}
	return d.Cause.Who()
}

// repair returns what repairs a drift, in words.
func (n *news) repair(d *Drift) string { return report.Phrase(d.Field, d.Lines(n.compared.names)) }

// repaired tells that a change of ours undid a difference, and of that, if nobody knows.
func (n *news) repaired(m *reconcile.Made, f *Drift, old *toldDrift) {
	d := *f
	if d.Cause = m.Cause; m.Cause != nil {
		d.Since = m.Cause.Time
	}
	if old != nil {
		d.Since = old.Since
	} else {
		n.differs(&d, nil)
	}
	n.add(notify.Event{
		Type: notify.Repaired, Org: f.Org, Field: f.Field, Before: raw(f.Actual), After: raw(f.Desired), Since: moment(d.Since), By: madeBy(m), Commit: m.Commit,
		Message: f.Field + " is repaired: " + report.Done(f.Field, f.Lines(n.compared.names)),
	})
}

// madeBy returns who applied a change.
func madeBy(m *reconcile.Made) string {
	words := "reconciler"
	switch {
	case m.Run != "" && m.By != "":
		words += " (run " + m.Run + " by " + m.By + ")"
	case m.Run != "":
		words += " (run " + m.Run + ")"
	}
	return words
}

// gone tells that a field differs no more, and not by us.
func (n *news) gone(d *toldDrift) {
	words := " is as declared again; no longer needed: "
	if d.Org != "" && n.declared(d.Org) == nil {
		words = ": the org is no longer declared; no longer needed: "
	}
	was := Drift{Field: d.Field, Kind: d.Kind, Object: d.Object, Desired: d.Desired, Actual: d.Actual}
	n.add(notify.Event{
		Type: notify.Repaired, Org: d.Org, Field: d.Field, Before: raw(d.Actual), After: raw(d.Desired), Since: moment(d.Since),
		Message: d.Field + words + n.repair(&was), Owner: d.Owner, Labels: d.Labels,
	})
}

// onboarded tells of orgs that were created, or were there and are linked now.
func (n *news) onboarded() {
	all := map[string]*reconcile.Made{}
	for i := range n.compared.made {
		m := &n.compared.made[i]
		created := m.Action == string(diff.CreateOrg)
		if created || m.Action == string(diff.LinkOrg) && all[m.Org] == nil {
			all[m.Org] = m
		}
	}
	for _, domain := range slices.Sorted(maps.Keys(all)) {
		m := all[domain]
		e := notify.Event{Type: notify.Onboarded, Org: m.Org, Field: diff.FieldOf(diff.Action(m.Action)), After: raw(m.OrgID), Since: moment(m.Time), By: madeBy(m), Commit: m.Commit}
		who := m.OrgID
		if o := n.declared(m.Org); o != nil && o.Create != nil && o.Create.Name != "" {
			who = fmt.Sprintf("%q, %s", o.Create.Name, m.OrgID)
		}
		e.Message = "the org was linked to the account: " + who
		if m.Action == string(diff.CreateOrg) {
			e.Message = "the org was created: " + who
			if n.compared.tokens != "" && !n.alarmed(m.Org) {
				e.Message += "; its token is in " + n.compared.tokens
			}
		}
		n.add(e)
	}
}

// alarmed reports whether there is an alarm of an org.
func (n *news) alarmed(org string) bool {
	return n.alarms == nil || slices.ContainsFunc(*n.alarms, func(a reconcile.Alarm) bool { return a.Org == org })
}

// limits tells of products that pass their limits, or no longer do.
func (n *news) limits() {
	n.after.Limits = nil
	here := map[string]bool{}
	for i := range n.compared.limits {
		l := &n.compared.limits[i]
		here[l.ID] = true
		was := slices.Contains(n.before.Limits, l.ID)
		e := notify.Event{Type: notify.Limit, Field: l.ID, Before: raw(l.Max), After: raw(max(l.Declared, l.Live))}
		counts := fmt.Sprintf("declared for %s, live in %d, not counting inactive ones; its limit is %d", text.Plural(l.Declared, "org"), l.Live, l.Max)
		if l.Past() {
			n.after.Limits = append(n.after.Limits, l.ID)
			e.Message = fmt.Sprintf("product %q (%s) is past its limit: %s", l.Name, l.ID, counts)
		} else {
			e.Message = fmt.Sprintf("product %q (%s) is within its limit again: %s", l.Name, l.ID, counts)
		}
		if l.Past() != was {
			n.add(e)
		}
	}
	for _, id := range n.before.Limits {
		if !here[id] {
			n.add(notify.Event{Type: notify.Limit, Field: id, Message: "product " + id + " has no limit any more"})
		}
	}
}

const (
	// soon is how long before its end receivers are told that a suspension ends; of a
	// short one, half of its time.
	soon = time.Hour
	// maxHeld is how many orgs of a suspension get an event each.
	maxHeld = 20
)

// suspensions tells of those that begin, end soon, and have ended.
func (n *news) suspensions() {
	if n.findings.suspensions == nil {
		return
	}
	known := map[string]*toldSuspension{}
	for i := range n.before.Suspensions {
		known[suspensionKey(&n.before.Suspensions[i].Suspension)] = &n.before.Suspensions[i]
	}
	n.after.Suspensions = nil
	for i := range *n.findings.suspensions {
		s := &(*n.findings.suspensions)[i]
		key := suspensionKey(s)
		old := known[key]
		delete(known, key)
		ending := endsSoon(s, n.at)
		switch {
		case old == nil:
			n.held(s, "writes are "+s.String(), cmp.Or(n.actor("suspend", s.ID), s.Owner), nil, s)
		case ending && !old.Ending:
			left := s.Until.Sub(n.at)
			n.held(s, fmt.Sprintf("writes are resumed in %s, unless that is changed: they are %s", text.Age(left), s), s.Owner, s, s)
		}
		n.after.Suspensions = append(n.after.Suspensions, toldSuspension{*s, ending || old != nil && old.Ending})
	}
	for i := range n.before.Suspensions {
		s := &n.before.Suspensions[i].Suspension
		if known[suspensionKey(s)] == nil {
			continue
		}
		if s.Expired(n.at) {
			n.held(s, "writes are no longer suspended: its time has ended; they were "+s.String(), "", s, nil)
		} else {
			n.held(s, "writes are no longer suspended: they were "+s.String(), n.actor("resume", s.ID), s, nil)
		}
	}
}

// suspensionKey identifies a suspension; one of the config has no id.
func suspensionKey(s *freeze.Suspension) string {
	if s.ID != "" {
		return s.ID
	}
	return fmt.Sprintf("%q %q %q %s", s.Orgs, s.Owner, s.Reason, s.Until)
}

// endsSoon reports whether a suspension ends soon.
func endsSoon(s *freeze.Suspension, now time.Time) bool {
	if s.Until.IsZero() {
		return false
	}
	before := soon
	if !s.Since.IsZero() {
		before = min(soon, s.Until.Sub(s.Since)/2)
	}
	return !now.Before(s.Until.Add(-before))
}

// held tells the orgs of a suspension of it, if it names them, or else everybody.
func (n *news) held(s *freeze.Suspension, message, by string, before, after *freeze.Suspension) {
	orgs := []string{""}
	if k := len(s.Orgs); k > 0 && k <= maxHeld && !slices.ContainsFunc(s.Orgs, func(org string) bool { return strings.ContainsAny(org, `*?[\`) }) {
		orgs = s.Orgs
	} else {
		message += "; held: " + s.Scope()
	}
	for _, org := range orgs {
		e := notify.Event{Type: notify.Suspension, Org: org, Field: s.ID, Since: moment(s.Since), By: by, Message: message}
		if before != nil {
			e.Before = raw(before)
		}
		if after != nil {
			e.After = raw(after)
		}
		n.add(e)
	}
}
