package diff

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"reconciler/internal/state"
)

// StaleError says that a saved plan can't be applied any more, or not to this
// account, or is not what was saved. Nothing was written.
type StaleError struct {
	// Reasons are one line each, at least one.
	Reasons []string
}

// Error returns the first reason, and how many more there are.
func (e *StaleError) Error() string {
	if n := len(e.Reasons); n > 1 {
		return fmt.Sprintf("%s (and %d more)", e.Reasons[0], n-1)
	}
	return e.Reasons[0]
}

// Hint says what to do about it.
func (e *StaleError) Hint() string { return "make a new plan, have it reviewed, and apply that" }

func stale(format string, args ...any) error {
	return &StaleError{[]string{fmt.Sprintf(format, args...)}}
}

// ReadPlan reads the JSON form of a plan and nothing else: an unknown key,
// another version, a digest that doesn't fit or a change that contradicts
// itself is an error; a *StaleError where the file was a plan once.
func ReadPlan(r io.Reader) (*Plan, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	var p Plan
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("not a plan: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a plan: there is more after its end")
	}
	if p.Version != PlanVersion {
		return nil, fmt.Errorf("a plan of version %d; this program reads version %d", p.Version, PlanVersion)
	}
	digest, err := p.computeDigest()
	if err != nil {
		return nil, err
	}
	if digest != p.Digest {
		return nil, stale("the plan was edited: its digest is not that of its content")
	}
	if err := p.applicable(); err != nil {
		return nil, err
	}
	for i := range p.Changes {
		if err := p.Changes[i].check(); err != nil {
			return nil, stale("the plan contradicts itself: %s of %q: %v", p.Changes[i].Action, p.Changes[i].Org, err)
		}
	}
	if !slices.IsSortedFunc(p.Changes, compareChanges) {
		return nil, stale("the plan was edited: its changes are not in order")
	}
	return &p, nil
}

// applicable refuses what a review says of two revisions: it rests on nothing
// that is live.
func (p *Plan) applicable() error {
	if p.Review == nil || p.Review.Kind == ThreeWay {
		return nil
	}
	if p.Review.Kind != Declared {
		return stale("the plan contradicts itself: there is no review of the kind %q", p.Review.Kind)
	}
	return stale("a declared change between two revisions is no plan to apply: it says what the manifests declare, and what is live was not looked at")
}

// compareChanges orders changes by org, then as they are applied.
func compareChanges(a, b Change) int {
	if a.Org != b.Org {
		return strings.Compare(a.Org, b.Org)
	}
	return slices.Index(order, a.Action) - slices.Index(order, b.Action)
}

// order is that in which the changes of one org are applied.
var order = []Action{RenameAccount, CreateOrg, LinkOrg, UpdateProducts, SetStatus, RequestDeletion}

// check holds what the guards look at to what the change does. A digest can be
// computed by anyone.
func (c *Change) check() error {
	destructive := false
	switch c.Action {
	case RenameAccount:
		if c.Org != "" || c.After.Text() == "" {
			return errors.New("it needs a name, and no org")
		}
		return nil
	case CreateOrg:
		if c.Create == nil {
			return errors.New("it does not say how to create the org")
		}
	case LinkOrg:
	case UpdateProducts:
		before, after := c.Before.List(), c.After.List()
		if !sortedSet(before) || !sortedSet(after) {
			return errors.New("its products are not sorted sets")
		}
		if !slices.Equal(c.Enable, minus(after, before)) || !slices.Equal(c.Disable, minus(before, after)) {
			return errors.New("what it enables and disables is not what separates before from after")
		}
		destructive = len(c.Disable) > 0
	case SetStatus:
		s := state.Status(c.After.Text())
		if s != state.Active && s != state.Inactive {
			return fmt.Errorf("no org can be set to the status %q", s)
		}
		destructive = s == state.Inactive
	case RequestDeletion:
		destructive = true
	default:
		return errors.New("no such action")
	}
	switch {
	case c.Org == "":
		return errors.New("it names no org")
	case c.Destructive != destructive:
		return fmt.Errorf("destructive is %v", c.Destructive)
	}
	return nil
}

// sortedSet reports whether ids is a list, sorted and without repeats.
func sortedSet(ids []string) bool {
	return ids != nil && slices.IsSorted(ids) && len(slices.Compact(slices.Clone(ids))) == len(ids)
}

// For returns a *StaleError if the plan is not for this account.
func (p *Plan) For(account string) error {
	if p.Account != account {
		return stale("the plan is for account %q, but the config says %q", p.Account, account)
	}
	return nil
}

// Revalidate holds a saved plan to the account as it is now, to the guards as
// they are now, and to what may be written now. It returns a copy of the plan with
// the refusals that come of that, or a *StaleError that names each change whose
// `before` is no longer live. actual must hold the products of the orgs that the
// plan's product changes name. Of opts it takes Account, Guards, Held and
// CoolingOff.
func Revalidate(plan *Plan, actual *state.Actual, opts Options) (*Plan, error) {
	if err := plan.applicable(); err != nil {
		return nil, err
	}
	if err := plan.For(opts.Account); err != nil {
		return nil, err
	}
	if actual.Account.ID != opts.Account {
		return nil, stale("the Aerial API answered for account %q, but the config says %q", actual.Account.ID, opts.Account)
	}
	live := newIndex(actual)
	var reasons []string
	linking := map[string]bool{}
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if c.Action == CreateOrg || c.Action == LinkOrg {
			linking[c.Org] = true
		}
		if c.Blocked != "" {
			continue
		}
		if why := c.outdated(live, actual, linking[c.Org]); why != "" {
			reasons = append(reasons, fmt.Sprintf("%s: %s: %s", c.name(), c.Action, why))
		}
	}
	if len(reasons) > 0 {
		return nil, &StaleError{reasons}
	}
	// How many orgs were declared is only the file's word, so the share is one
	// of the orgs that there are or will be, if these are fewer.
	declared := min(plan.Summary.Declared, len(actual.Orgs)+len(linking))
	fresh := *plan
	fresh.Refusals = append([]Refusal{}, opts.Guards.refusals(plan.Changes, live, declared)...)
	fresh.Refusals = append(fresh.Refusals, opts.untimely(plan.Changes)...)
	return &fresh, nil
}

// Within returns a *StaleError that names each change which the plan would make
// and whole wouldn't. What whole has blocked for the time being counts as one
// that it would make: that, Revalidate looks at.
func (p *Plan) Within(whole *Plan) error {
	wanted := map[string]bool{}
	for i := range whole.Changes {
		c := &whole.Changes[i]
		text, err := c.deed()
		if err != nil {
			return err
		}
		wanted[text] = !c.Barred()
	}
	var reasons []string
	for i := range p.Changes {
		c := &p.Changes[i]
		text, err := c.deed()
		if err != nil {
			return err
		}
		if c.Blocked == "" && !wanted[text] {
			reasons = append(reasons, fmt.Sprintf("%s: %s: the manifests don't ask for it", c.name(), c.Action))
		}
	}
	if len(reasons) > 0 {
		return &StaleError{reasons}
	}
	return nil
}

// deed is the JSON of what the change does, without what is only said of it.
func (c *Change) deed() (string, error) {
	bare := *c
	bare.Blocked, bare.Origin, bare.Base = "", "", Value{}
	text, err := json.Marshal(&bare)
	return string(text), err
}

// untimely refuses a saved plan of which some part may not be written now. To
// leave that part out would be to apply another plan than the one that was
// reviewed.
func (o *Options) untimely(changes []Change) []Refusal {
	var held, cooling waiting
	for i := range changes {
		c := &changes[i]
		if c.Blocked != "" {
			continue
		}
		if why := o.held(c.Org); why != "" {
			held.add(why, c.name())
		} else if c.Deactivates() {
			cooling.add(o.coolingOff(c), c.name())
		}
	}
	return append(
		held.refusals(GuardHeld, "nothing may be written to %s now (%s): apply this plan when that is over, or make a new one, which leaves them out until then"),
		cooling.refusals(GuardCooloff, "it is too early to deactivate or delete %s (%s): apply this plan when that is over, or make a new one, which leaves them out until then")...)
}

// waiting is orgs by what they wait for, in the order of the plan.
type waiting struct {
	reasons []string
	orgs    map[string][]string
}

func (w *waiting) add(why, org string) {
	if why == "" {
		return
	}
	if w.orgs == nil {
		w.orgs = map[string][]string{}
	}
	all, known := w.orgs[why]
	if !known {
		w.reasons = append(w.reasons, why)
	}
	if len(all) == 0 || all[len(all)-1] != org { // the changes of one org stand together
		w.orgs[why] = append(all, org)
	}
}

// refusals returns one refusal for each reason; format takes the orgs and it.
func (w *waiting) refusals(guard, format string) []Refusal {
	var all []Refusal
	for _, why := range w.reasons {
		all = append(all, Refusal{guard, fmt.Sprintf(format, enumerate(w.orgs[why]), why)})
	}
	return all
}

func (c *Change) name() string {
	if c.Org == "" {
		return "the account"
	}
	return c.Org
}

// outdated returns why what the change rests on is no longer live; "" if it is. A
// change of an org that the plan itself links rests on the org being missing.
func (c *Change) outdated(live *index, actual *state.Actual, linking bool) string {
	if c.Action == RenameAccount {
		return moved(Text(actual.Account.Name), c.Before)
	}
	found := live.candidates(&state.DesiredOrg{ID: c.OrgID, Domain: c.Org})
	if linking {
		if len(found) > 0 && (c.Action == LinkOrg || c.Action == CreateOrg) {
			return "the org is in the account already"
		}
		return ""
	}
	if len(found) == 0 || found[0].ID != c.OrgID || found[0].Domain != "" && found[0].Domain != c.Org {
		return "the account manages no org with this id and domain"
	}
	org := found[0]
	switch c.Action {
	case UpdateProducts:
		if org.Products == nil {
			return "the org's products could not be read: " + org.Unknown
		}
		return moved(List(org.Products), c.Before)
	case SetStatus:
		return moved(Text(string(org.Status)), c.Before)
	}
	return ""
}

func moved(actual, before Value) string {
	if actual.Equal(before) {
		return ""
	}
	return fmt.Sprintf("%s is live, and the plan rests on %s", actual, before)
}

// String returns the value for messages: a word in quotes, a list in brackets.
func (v Value) String() string {
	switch v.kind {
	case list:
		return fmt.Sprint(v.list)
	case text:
		return fmt.Sprintf("%q", v.text)
	default:
		return "nothing"
	}
}
