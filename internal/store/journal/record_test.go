package journal

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDeletions(t *testing.T) {
	at := newClock()
	j := openJournal(t, place(t), Options{Now: at.now})
	const org = "00o1"
	wantError(t, j.EndDeletion(account, org, ""), "nobody is waiting for an answer", "")
	wantError(t, j.BeginDeletion("", org, ""), "account and org id", "")
	want := func(desired Deletion) {
		t.Helper()
		all, err := j.Deletions(account)
		must(t, err)
		if diff := cmp.Diff([]Deletion{desired}, all); diff != "" {
			t.Error(diff)
		}
	}
	d := Deletion{Account: account, OrgID: org, Domain: "old.okta.com", Changed: start()}
	must(t, j.BeginDeletion(account, org, "Old.okta.com"))
	d.State = Asking
	want(d)

	at.add(time.Second)
	must(t, j.BeginDeletion(account, org, "old.okta.com")) // the answer was lost
	d.Changed = at.now()
	want(d)

	at.add(time.Second)
	must(t, j.EndDeletion(account, org, "E0000038: not for\nproduction"))
	d.State, d.LastError, d.Changed = RefusedDeletion, "E0000038: not for production", at.now()
	want(d)
	wantError(t, j.EndDeletion(account, org, ""), "nobody is waiting for an answer", "")

	must(t, j.BeginDeletion(account, org, "old.okta.com"))
	must(t, j.EndDeletion(account, org, ""))
	d.State, d.LastError = Asked, ""
	want(d)
	if all, err := j.Deletions("other"); len(all) > 0 || err != nil {
		t.Errorf("of another account: %v, %v", all, err)
	}
	must(t, j.BeginDeletion(account, org, "old.okta.com")) // it was cancelled since
	d.State = Asking
	want(d)
}

func TestAcceptances(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	const source, other = "https://git.example/a.git main", "https://git.example/a.git release"
	want := func(source string, desired Acceptance, rewritten ...string) {
		t.Helper()
		actual, ok, err := j.Accepted(source)
		must(t, err)
		if diff := cmp.Diff(desired, actual); diff != "" || ok != (desired.Source != "") {
			t.Error(ok, diff)
		}
		all, err := j.Rewritten(source)
		must(t, err)
		if diff := cmp.Diff(rewritten, all); diff != "" {
			t.Error(diff)
		}
	}
	want(source, Acceptance{})
	for _, a := range []Acceptance{
		{Commit: "c1", At: start()},
		{Source: source, At: start()},
		{Source: source, Commit: "c1"},
	} {
		wantError(t, j.Accept(a, "", false), "source, commit and time must be given", "")
	}
	want(source, Acceptance{})

	first := Acceptance{Source: source, Commit: "c1", Signer: "ada@acme.example", At: start()}
	must(t, j.Accept(first, "", false))
	want(source, first)
	want(other, Acceptance{})

	// The same again, later, as each run does it.
	later := first
	later.At = start().Add(time.Hour)
	must(t, j.Accept(later, "", false))
	must(t, j.Accept(later, "c1", false))
	want(source, first)

	// The same commit, under another name of its key.
	later.Signer = "Ada\nLovelace"
	must(t, j.Accept(later, "c1", false))
	renamed := first
	renamed.Signer = "Ada Lovelace"
	want(source, renamed)

	// The same commit by another tag is checked by the time of that one.
	later.Signer, later.Tag = "ada@acme.example", []byte("object c1\n")
	must(t, j.Accept(later, "c1", true))
	want(source, later)

	next := Acceptance{Source: source, Commit: "c2", At: start().Add(2 * time.Hour)}
	must(t, j.Accept(next, "c1", false))
	want(source, next)

	must(t, j.Accept(Acceptance{Source: other, Commit: "c3", Signer: "bob", At: start()}, "", true))
	want(source, next)
}

// Of two processes that have checked a commit against the same one, the second
// to come takes nothing back.
func TestAcceptanceOvertaken(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	const source = "https://git.example/a.git main"
	accept := func(commit, after string, rewrote bool) error {
		return j.Accept(Acceptance{Source: source, Commit: commit, At: start()}, after, rewrote)
	}
	must(t, accept("c1", "", false))
	must(t, accept("c2", "c1", false))
	for _, after := range []string{"", "c1", "c3"} {
		for _, rewrote := range []bool{false, true} {
			var no *OvertakenError
			err := accept("c4", after, rewrote)
			if !errors.As(err, &no) || no.Commit != "c4" || no.By != "c2" || no.Hint() == "" {
				t.Errorf("after %q: %v", after, err)
			}
		}
	}
	a, _, err := j.Accepted(source)
	must(t, err)
	if a.Commit != "c2" {
		t.Errorf("accepted %+v", a)
	}
	// A journal that has forgotten is told what the caller knows.
	if err := j.Accept(Acceptance{Source: "new", Commit: "c9", At: start()}, "c8", true); err != nil {
		t.Error(err)
	}
	if all, err := j.Rewritten("new"); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// What a rewrite took out is known for good, each commit once.
func TestRewritten(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	const source = "https://git.example/a.git main"
	for _, step := range []struct {
		commit, after string
		rewrote       bool
	}{{"c3", "", false}, {"c2", "c3", true}, {"c4", "c2", false}, {"c1", "c4", true}, {"c1", "c1", true}, {"c3", "c1", false}, {"c2", "c3", true}} {
		must(t, j.Accept(Acceptance{Source: source, Commit: step.commit, At: start()}, step.after, step.rewrote))
	}
	all, err := j.Rewritten(source)
	must(t, err)
	if diff := cmp.Diff([]string{"c3", "c4"}, all); diff != "" {
		t.Error(diff)
	}
	if all, err := j.Rewritten("other"); err != nil || len(all) > 0 {
		t.Errorf("of another source: %v, %v", all, err)
	}
}

func TestAnnouncements(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	want := func(account string, desired ...Announcement) {
		t.Helper()
		all, err := j.Announcements(account)
		must(t, err)
		if diff := cmp.Diff(desired, all); diff != "" {
			t.Error(diff)
		}
	}
	const off, gone = "set-status", "request-deletion"
	a := Announcement{account, "00o2", "a.okta.com", off, "c1", "", start()}
	b := Announcement{account, "00o1", "b.okta.com", off, "", "", start()}
	must(t, j.Announce())
	must(t, j.Withdraw())
	must(t, j.Withdraw(a))
	for _, bad := range []Announcement{
		{OrgID: "00o1", Action: off, At: start()},
		{Account: account, Action: off, At: start()},
		{Account: account, OrgID: "00o1", At: start()},
		{Account: account, OrgID: "00o1", Action: off},
	} {
		bad.Domain = "bad.okta.com"
		wantError(t, j.Announce(a, bad), `deactivation of "bad.okta.com": account, org id, action and time`, "")
	}
	want(account) // all or none

	upper := a
	upper.Domain = "A.okta.com"
	must(t, j.Announce(b, upper))
	want(account, a, b)
	want("other")

	// Wanted again, later and by another commit, beside a new one.
	again, c := a, Announcement{account, "00o3", "c.okta.com", off, "c2", "", start().Add(time.Hour)}
	again.Commit, again.At = "c2", start().Add(time.Hour)
	must(t, j.Announce(again, c))
	want(account, a, b, c)

	// What else is to be done to an org is announced by itself.
	deletion := again
	deletion.Action = gone
	must(t, j.Announce(deletion))
	want(account, deletion, a, b, c)

	other := a
	other.Account = "other"
	must(t, j.Withdraw(other))
	must(t, j.Withdraw(a, Announcement{Account: account, OrgID: "00o9", Action: off}, b))
	want(account, deletion, c)
	must(t, j.Announce(again)) // it begins anew
	want(account, deletion, again, c)
}
