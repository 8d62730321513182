package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// day is the time that guards.maxDestructiveOrgsPerDay is about.
const day = 24 * time.Hour

// removals records which orgs lose something, and limits how many may within a day:
// in the journal, for all processes together, or without one in this process.
type removals struct {
	r *Reconciler

	mu   sync.Mutex
	made []journal.Removal // where there is no journal
}

// lost returns what was lost in the last 24 hours, for a plan.
func (m *removals) lost() (*diff.Day, error) {
	d := &diff.Day{Max: m.r.cfg.Guards.MaxDestructiveOrgsPerDay}
	all, err := m.since(time.Now().Add(-day))
	if err != nil && !unknowable(err) {
		return nil, err
	}
	for _, r := range all {
		d.Lost = append(d.Lost, diff.LostOrg{ID: r.OrgID, Domain: r.Domain})
		if d.Until == "" && !r.At.IsZero() {
			d.Until = r.At.Add(day).UTC().Format(time.RFC3339)
		}
	}
	if len(all) > 0 && d.Until == "" {
		d.Until = "a time that the journal doesn't know"
	}
	return d, nil
}

func (m *removals) since(t time.Time) ([]journal.Removal, error) {
	if m.r.cfg.State.IsSet() {
		return m.r.journal.Removals(m.r.cfg.Aerial.AccountID, t)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(t)
	return slices.Clone(m.made), nil
}

// expire drops those of made that are not after t. m.mu is held.
func (m *removals) expire(t time.Time) {
	m.made = slices.DeleteFunc(m.made, func(r journal.Removal) bool { return !r.At.After(t) })
}

// Begin implements apply.Removals.
func (m *removals) Begin(orgID, domain string) (takeBack func(), err error) {
	now := time.Now()
	r := journal.Removal{Account: m.r.cfg.Aerial.AccountID, OrgID: orgID, Domain: domain, At: now}
	if !m.r.cfg.State.IsSet() {
		takeBack, err = m.begin(r)
	} else {
		var id int64
		id, err = m.r.journal.BeginRemoval(r, now.Add(-day), m.r.cfg.Guards.MaxDestructiveOrgsPerDay)
		takeBack = func() {
			if err := m.r.journal.TakeBack(id); err != nil {
				m.r.log.Warn("the journal counts an org that lost nothing as one that did", "org", domain, "error", err, "hint", text.Hint(err))
			}
		}
	}
	if errors.As(err, new(*journal.LimitError)) {
		return nil, text.WithHint(fmt.Errorf("left alone: "+config.KeyMaxPerDay+": %w in 24 hours", err),
			"another process has used up what was left when the plan was made; the next plan shows it")
	}
	if err != nil {
		return nil, err
	}
	return takeBack, nil
}

// begin is Begin without a journal.
func (m *removals) begin(r journal.Removal) (takeBack func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(r.At.Add(-day))
	same := func(l journal.Removal) bool { return l.OrgID == r.OrgID }
	var before []journal.Removal // of the org
	if i := slices.IndexFunc(m.made, same); i >= 0 {
		before = slices.Clone(m.made[i : i+1])
	}
	if limit := m.r.cfg.Guards.MaxDestructiveOrgsPerDay; before == nil && len(m.made) >= limit {
		return nil, &journal.LimitError{Lost: len(m.made), Max: limit}
	}
	m.made = append(slices.DeleteFunc(m.made, same), r)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.made = append(slices.DeleteFunc(m.made, same), before...)
	}, nil
}
