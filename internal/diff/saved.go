package diff

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"reconciler/internal/state"
	"reconciler/internal/text"
)

// StaleError reports that a saved plan can't be applied any more, or not to this
// account, or was edited. Nothing was written.
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
	return staleFor([]string{fmt.Sprintf(format, args...)})
}

// staleFor returns a *StaleError, or nil without reasons.
func staleFor(reasons []string) error {
	if len(reasons) == 0 {
		return nil
	}
	return &StaleError{reasons}
}

// ReadPlan reads the JSON form of a plan and nothing else: an unknown key,
// another version, a wrong digest or a contradictory change is an error; a
// *StaleError where the file was a plan once.
func ReadPlan(r io.Reader) (*Plan, error) {
	in := bufio.NewReader(r)
	start, _ := in.Peek(4) // an error comes again
	switch plain, err := text.Decode(start); {
	case err != nil:
		return nil, fmt.Errorf("not a plan: %w", err)
	default:
		_, _ = in.Discard(len(start) - len(plain)) // they were read
	}
	p, err := decodePlan(in)
	if err != nil {
		return nil, err
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
	if err := onceEach(p.Changes); err != nil {
		return nil, err
	}
	if !slices.IsSortedFunc(p.Changes, compareChanges) {
		return nil, stale("the plan was edited: its changes are not in order")
	}
	return p, nil
}

// applicable returns an error for a declared review, which isn't based on live
// state.
func (p *Plan) applicable() error {
	if p.Review == nil || p.Review.Kind == ThreeWay {
		return nil
	}
	if p.Review.Kind != Declared {
		return stale("the plan contradicts itself: there is no review of the kind %q", p.Review.Kind)
	}
	return stale("a declared change between two revisions is no plan to apply: it says what the manifests declare, and what is live was not looked at")
}

// compareChanges orders changes by org, then as they are applied. The objects of an
// org stay in the order of their comparison, which depends on what refers to what.
func compareChanges(a, b Change) int {
	return cmp.Or(strings.Compare(a.Org, b.Org), order[a.Action]-order[b.Action])
}

// order is that in which the changes of one org are applied.
var order = map[Action]int{
	RenameAccount: 0, CreateOrg: 1, LinkOrg: 2, UpdateProducts: 3, SetStatus: 4,
	CreateObject: 5, UpdateObject: 5, ReorderObjects: 5, DeleteObject: 5,
	RequestDeletion: 6,
}

// check returns an error if what the guards rely on contradicts what the change
// does. Anyone can compute a digest.
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
	case CreateObject, UpdateObject, DeleteObject, ReorderObjects:
		d, err := c.checkObject()
		if err != nil {
			return err
		}
		destructive = d.Loses()
	default:
		return errors.New("no such action")
	}
	if !c.IsObject() && (c.Kind != "" || c.Object != "" || c.Fields != nil) {
		return errors.New("it is not about an object, and names one")
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

// Revalidate checks a saved plan against the account, the guards and the holds as
// they are now. It returns a copy of the plan with the resulting refusals, or a
// *StaleError that names each change whose Before is no longer live. actual must
// hold the products of the orgs that the plan's product changes name. Revalidate
// uses Account, Guards, Held, CoolingOff, Contested and Configuration of opts.
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
		if c.Blocked != "" {
			continue
		}
		if c.Action == CreateOrg || c.Action == LinkOrg {
			linking[c.Org] = true
		}
		why := c.outdated(live, actual, linking[c.Org])
		if c.Action == CreateOrg && len(live.find(&state.DesiredOrg{Domain: c.Org}, opts)) > 0 {
			why = "the org was created before, and is in the account already"
		}
		if why == "" && c.IsObject() {
			why = cmp.Or(c.outdatedObject(opts), opts.contested(c))
		}
		if why != "" {
			reasons = append(reasons, fmt.Sprintf("%s: %s: %s", c.name(), c.what(), why))
		}
	}
	if err := staleFor(reasons); err != nil {
		return nil, err
	}
	// The file could claim any number of orgs that have something to lose, so it
	// counts no more than are active or lose something.
	l := losses(plan.Changes, plan.Unknown)
	most := len(l.certain)
	for i := range actual.Orgs {
		if actual.Orgs[i].Status != state.Inactive {
			most++
		}
	}
	fresh := *plan
	fresh.Refusals = append([]Refusal{}, opts.Guards.refusals(&guarded{
		plan.Changes, plan.Unknown, live, lockedBy(plan.Changes, opts), min(plan.Summary.Writable, most), []Action{CreateOrg, LinkOrg},
	})...)
	fresh.Changes = slices.Clone(plan.Changes)
	for i := range fresh.Changes {
		fresh.Changes[i].expire(opts)
	}
	fresh.Refusals = append(fresh.Refusals, opts.timingRefusals(plan.Changes)...)
	return &fresh, nil
}

// expire replaces the reason for which a saved plan leaves a change out, if it
// held for a time that is over.
func (c *Change) expire(opts Options) {
	if c.Blocked == "" || c.Barred() || reason(opts.Held, c.Org) != "" || c.Deactivates() && reason(opts.CoolingOff, c) != "" || opts.contested(c) != "" {
		return
	}
	c.Blocked = "left out when this plan was made, for a reason that is over: make a new plan"
}

// Within returns a *StaleError that names each change which the plan would make
// and whole wouldn't. Changes that whole blocks only for a time count as made:
// Revalidate checks those.
func (p *Plan) Within(whole *Plan) error {
	wanted := map[string]bool{}
	for i := range whole.Changes {
		c := &whole.Changes[i]
		text, err := c.effect()
		if err != nil {
			return err
		}
		wanted[text] = !c.Barred()
	}
	var reasons []string
	for i := range p.Changes {
		c := &p.Changes[i]
		text, err := c.effect()
		if err != nil {
			return err
		}
		if c.Blocked == "" && !wanted[text] {
			reasons = append(reasons, fmt.Sprintf("%s: %s: the manifests don't ask for it", c.name(), c.what()))
		}
	}
	return staleFor(reasons)
}

// effect returns the JSON of what the change does, without annotations.
func (c *Change) effect() (string, error) {
	bare := *c
	bare.Blocked, bare.Origin, bare.Base, bare.Risks = "", "", Value{}, nil
	bare.Fields = slices.Clone(c.Fields)
	for i := range bare.Fields {
		bare.Fields[i].Origin = ""
	}
	text, err := json.Marshal(&bare)
	return string(text), err
}

// timingRefusals refuses a saved plan some part of which may not be written now:
// to leave that part out would apply another plan than the reviewed one. There is
// one refusal for each guard and reason, in the order of the plan.
func (o *Options) timingRefusals(changes []Change) []Refusal {
	format := map[string]string{
		GuardHeld:    "nothing may be written to %s now (%s)",
		GuardCooloff: "it is too early to deactivate or delete %s (%s)",
	}
	var all []Refusal // with the bare reason as message at first
	orgs := map[Refusal][]string{}
	for i := range changes {
		c := &changes[i]
		if c.Blocked != "" {
			continue
		}
		r := Refusal{GuardHeld, reason(o.Held, c.Org)}
		if r.Message == "" && c.Deactivates() {
			r = Refusal{GuardCooloff, reason(o.CoolingOff, c)}
		}
		if r.Message == "" {
			continue
		}
		if orgs[r] == nil {
			all = append(all, r)
		}
		orgs[r] = append(orgs[r], c.name())
	}
	slices.SortStableFunc(all, func(a, b Refusal) int { return strings.Compare(b.Guard, a.Guard) }) // held first
	for i, r := range all {
		names := slices.Compact(orgs[r]) // the changes of one org stand together
		all[i].Message = fmt.Sprintf(format[r.Guard]+": apply this plan when that is over, or make a new one, which leaves them out until then", enumerate(names), r.Message)
	}
	return all
}

func (c *Change) name() string {
	if c.Org == "" {
		return "the account"
	}
	return c.Org
}

// what returns the action, and the object that it is about.
func (c *Change) what() string {
	if !c.IsObject() {
		return string(c.Action)
	}
	return string(c.Action) + " " + c.Field()
}

// outdated returns why the change's Before is no longer live, or "". For an org
// that the plan itself links, it is that the org is missing.
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
	case CreateObject, UpdateObject, DeleteObject, ReorderObjects:
		if org.Status == state.Inactive {
			return "the org is INACTIVE"
		}
	case UpdateProducts:
		for _, id := range c.Enable {
			if !live.subscribed[id] {
				return fmt.Sprintf("the account does not subscribe to %q", id)
			}
		}
		if org.Products == nil {
			return "the org's products could not be read: " + org.Unknown
		}
		return moved(List(org.Products), c.Before)
	case SetStatus:
		return moved(Text(string(org.Status)), c.Before)
	}
	return ""
}

// moved returns the difference between what is live and the plan's Before, or "".
func moved(actual, before Value) string {
	if actual.Equal(before) {
		return ""
	}
	return fmt.Sprintf("live is %s, but the plan was made for %s", actual, before)
}
