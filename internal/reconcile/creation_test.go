package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// TestPending: a request for a deletion is made again after a day, one a run and
// the oldest first, because somebody may have taken it back in Okta.
func TestPending(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	asked := func(id string, ago time.Duration) journal.Deletion {
		return journal.Deletion{OrgID: id, State: journal.Asked, Changed: now.Add(-ago)}
	}
	for _, tt := range []struct {
		name string
		all  []journal.Deletion
		want map[string]bool
	}{
		{"none", nil, map[string]bool{}},
		{"new", []journal.Deletion{asked("a", time.Hour)}, map[string]bool{"a": true}},
		{"a day old", []journal.Deletion{asked("a", 24*time.Hour), asked("b", time.Hour)}, map[string]bool{"b": true}},
		{"the oldest of several", []journal.Deletion{asked("a", 25*time.Hour), asked("b", 48*time.Hour), asked("c", 30*time.Hour)}, map[string]bool{"a": true, "c": true}},
		{"refused", []journal.Deletion{{OrgID: "a", State: journal.RefusedDeletion, Changed: now.Add(-48 * time.Hour)}}, map[string]bool{"a": false}},
	} {
		if d := cmp.Diff(tt.want, pending(tt.all, now)); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

// TestAbandoned: a creation that was begun is not forgotten silently when its org
// leaves the manifests.
func TestAbandoned(t *testing.T) {
	r := &Reconciler{journal: journal.New(location.Folder(t.TempDir()), journal.Options{})}
	creation := func(domain, id string, step journal.Step) journal.Creation {
		return journal.Creation{Key: journal.Key{Domain: domain}, OrgID: id, Step: step}
	}
	desired := &state.Desired{Orgs: []state.DesiredOrg{{Domain: "declared.okta.com"}}}
	actual := &state.Actual{Orgs: []state.Org{{ID: "00o1", Domain: "live.okta.com"}, {ID: "00o2", Domain: "renamed.okta.com"}}}
	got := r.abandoned([]journal.Creation{
		creation("declared.okta.com", "", journal.Sent),
		creation("live.okta.com", "", journal.Sent),
		creation("was.okta.com", "00o2", journal.Created),
		creation("intent.okta.com", "", journal.Intent),
		creation("refused.okta.com", "", journal.Refused),
		creation("sent.okta.com", "", journal.Sent),
		creation("created.okta.com", "00o3", journal.Created),
	}, desired, actual)
	const then = ", and no manifest declares it any more: declare it again, or look in Okta and then: reconciler acknowledge "
	want := []diff.Note{
		{Org: "sent.okta.com", Message: "the call that creates it was not answered, so that it may exist" + then + "sent.okta.com"},
		{Org: "created.okta.com", Message: "it was created, and is not in the account" + then + "created.okta.com"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestFindLive: what was read for the plan answers what is live; nothing is listed
// again.
func TestFindLive(t *testing.T) {
	r := &Reconciler{cfg: &config.Config{}, live: &state.Actual{Orgs: []state.Org{{ID: "00o1", Domain: "a.okta.com"}}}}
	for _, tt := range []struct {
		id, domain string
		found      bool
	}{{"00o1", "b.okta.com", true}, {"", "a.okta.com", true}, {"00o2", "a.okta.com", false}, {"", "b.okta.com", false}} {
		org, err := r.findLive(t.Context(), tt.id, tt.domain)
		if (org != nil) != tt.found || err != nil {
			t.Errorf("%+v: %v, %v", tt, org, err)
		}
	}
}
