package reconcile

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/org"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// changing is for how long a change may go on in another process: what is ACTIVE and was
// to be made INACTIVE so lately stays remembered.
const changing = 15 * time.Minute

// The statuses of an object.
const (
	statusField = "status"
	statusOn    = string(state.Active)
	statusOff   = string(state.Inactive)
)

// inactive remembers the objects of orgs that changes make INACTIVE: in the journal, for
// all processes, or without one in this process. It is what org.Options.Steps is.
type inactive struct {
	account string
	// journal is nil if there is no state folder.
	journal *journal.Journal
	log     *slog.Logger

	mu   sync.Mutex
	open []journal.Inactive // where there is no journal
}

// Begin implements org.Steps.
func (s *inactive) Begin(orgID, kind, id string) error {
	one := journal.Inactive{Account: s.account, OrgID: orgID, Kind: kind, ID: id, Since: time.Now()}
	if s.journal != nil {
		return s.journal.BeginInactive(one)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(&one)
	s.open = append(s.open, one)
	return nil
}

// End implements org.Steps.
func (s *inactive) End(orgID, kind, id string) error {
	return s.end(journal.Inactive{Account: s.account, OrgID: orgID, Kind: kind, ID: id})
}

func (s *inactive) end(one journal.Inactive) error {
	if s.journal != nil {
		return s.journal.EndInactive(one)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(&one)
	return nil
}

// forget drops one from open. s.mu is held.
func (s *inactive) forget(one *journal.Inactive) {
	s.open = slices.DeleteFunc(s.open, func(o journal.Inactive) bool {
		return o.OrgID == one.OrgID && o.Kind == one.Kind && o.ID == one.ID
	})
}

// list returns what changes left INACTIVE, by the ids of the orgs. A row of the journal
// that can't be read is an alarm.
func (s *inactive) list() (map[string][]journal.Inactive, error) {
	all, err := s.all()
	if err != nil && !unreadable(err) && !unknowable(err) {
		return nil, err
	}
	byOrg := map[string][]journal.Inactive{}
	for _, one := range all {
		byOrg[one.OrgID] = append(byOrg[one.OrgID], one)
	}
	return byOrg, nil
}

func (s *inactive) all() ([]journal.Inactive, error) {
	if s.journal != nil {
		return s.journal.Inactive(s.account)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.open), nil
}

// made ends what a change has brought to its end.
func (s *inactive) made(c *diff.Change) {
	on := slices.ContainsFunc(c.Fields, func(f diff.Field) bool { return f.Path == statusField && f.After == statusOn })
	if !on && c.Action != diff.DeleteObject {
		return
	}
	all, err := s.list()
	if err != nil {
		s.warn(c.Org, err)
	}
	for _, one := range all[c.OrgID] {
		id, name := org.StepObject(one.ID)
		if one.Kind == c.Kind && (id != "" && id == c.ObjectID || id == "" && name == c.Object) {
			s.settle(c.Org, one)
		}
	}
}

// settle ends what needs nothing any more.
func (s *inactive) settle(domain string, one journal.Inactive) {
	if err := s.end(one); err != nil {
		s.warn(domain, err)
	}
}

func (s *inactive) warn(domain string, err error) {
	s.log.Warn("what an interrupted change left could not be noted as done; the next run tries again",
		"org", domain, "error", err, "hint", text.Hint(err))
}

// leftover is what changes left INACTIVE in one org.
type leftover struct {
	all []journal.Inactive
	// names are those of the objects that are to be ACTIVE again, and done is what needs
	// nothing any more.
	names []objects.Ref
	done  []journal.Inactive
}

// reads returns objects of the kinds that have to be read.
func (l *leftover) reads() []*objects.Object {
	var all []*objects.Object
	for _, one := range l.all {
		if k := objects.ByName(one.Kind); k != nil {
			all = append(all, &objects.Object{Ref: objects.Ref{Kind: k}})
		}
	}
	return all
}

// match holds what was left against what is live and declared.
func (l *leftover) match(head *state.DesiredOrg, live *objects.Live, now time.Time) {
	declared := map[objects.Ref]*objects.Object{}
	for _, o := range head.Config.Objects {
		declared[o.Ref] = o
	}
	for _, one := range l.all {
		o := findLeft(live, &one)
		over := now.Sub(one.Since) > changing
		if o == nil || o.Body[statusField] != statusOff {
			if over {
				l.done = append(l.done, one)
			}
			continue
		}
		d := declared[o.Ref]
		switch _, name := org.StepObject(one.ID); {
		case d != nil && d.Body[statusField] == statusOff:
			l.done = append(l.done, one) // as it is to be
		case d == nil && name != "": // it was new, and never in effect
			if over {
				l.done = append(l.done, one)
			}
		case d == nil || !d.Absent && d.Body[statusField] == nil:
			l.names = append(l.names, o.Ref)
		}
	}
}

func findLeft(live *objects.Live, one *journal.Inactive) *objects.LiveObject {
	id, name := org.StepObject(one.ID)
	for _, o := range live.Objects {
		if o.Ref.Kind.Name == one.Kind && (id != "" && o.ID == id || id == "" && o.Ref.Name == name) {
			return o
		}
	}
	return nil
}

// declare returns the org with the objects that were left INACTIVE declared as ACTIVE:
// plans, guards and apply treat them as any other change.
func (l *leftover) declare(o *state.DesiredOrg) *state.DesiredOrg {
	if o == nil || o.Config == nil || len(l.names) == 0 {
		return o
	}
	all := slices.Clone(o.Config.Objects)
	for _, ref := range l.names {
		i := slices.IndexFunc(all, func(d *objects.Object) bool { return d.Ref == ref })
		on := objects.Object{Ref: ref, Body: map[string]any{ref.Kind.Key: ref.Name}}
		if i >= 0 {
			on = *all[i]
			on.Body = maps.Clone(on.Body)
		}
		on.Body[statusField] = statusOn
		if i >= 0 {
			all[i] = &on
		} else {
			all = append(all, &on)
		}
	}
	with := *o
	with.Config = &objects.Declared{Objects: all}
	return &with
}

// notes returns why the plan sets a status that nobody declares.
func (l *leftover) notes(domain string) []diff.Note {
	var all []diff.Note
	for _, ref := range l.names {
		all = append(all, diff.Note{Org: domain, Message: fmt.Sprintf(
			"a change that was interrupted left the %s %q INACTIVE, and it is to be ACTIVE again", ref.Kind.Title, ref.Name)})
	}
	return all
}

// unseen returns notes on the orgs with something left INACTIVE of which no
// configuration is declared any more, so that nobody would look.
func unseen(left map[string][]journal.Inactive, jobs []job, actual *state.Actual, f Filter) []diff.Note {
	seen := map[string]bool{}
	for i := range jobs {
		seen[jobs[i].target.OrgID] = true
	}
	var all []diff.Note
	for i := range actual.Orgs {
		o := &actual.Orgs[i]
		if seen[o.ID] || o.Status != state.Active || !f.Has(o.Domain) {
			continue
		}
		for _, one := range left[o.ID] {
			id, name := org.StepObject(one.ID)
			all = append(all, diff.Note{Org: o.Domain, Message: fmt.Sprintf(
				"a change that was interrupted may have left an object of the org INACTIVE, and no configuration is declared for it any more: see %s %s in the Admin Console",
				one.Kind, text.Visible(cmp.Or(id, name)))})
		}
	}
	return all
}
