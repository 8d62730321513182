package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/freeze"
	"reconciler/internal/store/postgres/postgrestest"
	"reconciler/internal/store/securedir/securedirtest"
)

func suspension() freeze.Suspension { return freeze.Suspension{Reason: "r", Owner: "o"} }

func everything(freeze.Suspension) bool { return true }

func suspend(t testing.TB, j *Journal, s freeze.Suspension) freeze.Suspension {
	t.Helper()
	made, err := j.Suspend(s)
	must(t, err)
	return made
}

// wantSuspended compares the ids of what is suspended, expired or not.
func wantSuspended(t testing.TB, j *Journal, ids ...string) []freeze.Suspension {
	t.Helper()
	all, err := j.Suspensions()
	must(t, err)
	var actual []string
	for _, s := range all {
		actual = append(actual, s.ID)
	}
	if !slices.Equal(ids, actual) {
		t.Errorf("suspended: %q, want %q", actual, ids)
	}
	return all
}

func TestSuspensions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a clock of its own
		dir := place(t)
		j := New(locate(dir), Options{})
		defer j.Close()
		j.setDatabaseClock(time.Now)
		wantSuspended(t, j)
		tokyo, err := time.LoadLocation("Asia/Tokyo")
		must(t, err)
		now := time.Now().UTC()
		one := suspend(t, j, freeze.Suspension{Reason: "audit", Owner: "ada", Until: now.Add(time.Hour).In(tokyo)})
		time.Sleep(1500 * time.Millisecond)
		two := suspend(t, j, freeze.Suspension{Orgs: []string{"b*", "a*", "b*"}, Reason: `<b> & "q"`, Owner: "bob"})
		desired := []freeze.Suspension{
			{ID: one.ID, Reason: "audit", Owner: "ada", Since: now, Until: now.Add(time.Hour)},
			{ID: two.ID, Orgs: []string{"a*", "b*"}, Reason: `<b> & "q"`, Owner: "bob", Since: now.Add(time.Second)},
		}
		if diff := cmp.Diff(desired, []freeze.Suspension{one, two}); diff != "" {
			t.Error(diff)
		}
		other := New(locate(dir), Options{})
		defer other.Close()
		other.setDatabaseClock(time.Now)
		if diff := cmp.Diff(desired, wantSuspended(t, other, one.ID, two.ID)); diff != "" {
			t.Error(diff)
		}

		// What expired is read until something is added a week later, and holds nothing.
		time.Sleep(time.Hour)
		if all := wantSuspended(t, j, one.ID, two.ID); !all[0].Expired(time.Now()) {
			t.Errorf("%v", all)
		}
		removed, err := j.Resume(func(s freeze.Suspension) bool { return s.Owner == "ada" })
		if err != nil || len(removed) != 0 {
			t.Errorf("what expired was resumed: %v, %v", removed, err)
		}
		wantSuspended(t, other, one.ID, two.ID)
		time.Sleep(keepExpired - time.Minute)
		three := suspend(t, j, freeze.Suspension{Reason: "c", Owner: "c"})
		wantSuspended(t, other, one.ID, two.ID, three.ID)
		time.Sleep(time.Minute)
		four := suspend(t, j, freeze.Suspension{Reason: "d", Owner: "d"})
		wantSuspended(t, other, two.ID, three.ID, four.ID)
		removed, err = other.Resume(everything)
		if err != nil || len(removed) != 3 || removed[0].ID != two.ID {
			t.Errorf("%v, %v", removed, err)
		}
		wantSuspended(t, j)
	})
}

// apart returns two journals of one place: a machine whose clock differs from all others'
// by a time, and one whose clock is right.
func apart(t *testing.T, by time.Duration) (wrong, right *Journal, clock, there *clock) {
	t.Helper()
	dir := place(t)
	clock, there = newClock(), newClock()
	there.add(by)
	right, wrong = New(locate(dir), Options{Now: clock.now}), New(locate(dir), Options{Now: there.now})
	for _, j := range []*Journal{right, wrong} {
		j.setDatabaseClock(clock.now)
		t.Cleanup(func() { must(t, j.Close()) })
	}
	return wrong, right, clock, there
}

// What is in force by another clock isn't dropped by whoever suspends something else.
func TestSuspendDropsNothingInForce(t *testing.T) {
	for _, by := range []time.Duration{2 * time.Hour, -2 * time.Hour, 6 * 24 * time.Hour} {
		wrong, right, clock, _ := apart(t, by)
		s := suspension()
		s.Until = clock.now().Add(time.Hour)
		audit := suspend(t, right, s)
		suspend(t, wrong, suspension())
		all, err := right.Suspensions()
		must(t, err)
		if active := freeze.Active(all, clock.now()); len(active) != 2 || !slices.ContainsFunc(active, func(s freeze.Suspension) bool { return s.ID == audit.ID }) {
			t.Errorf("%v: in force are %+v", by, active)
		}
	}
}

// Where replicas have a database, suspensions end by its clock, and not by that of whoever
// looks.
func TestSuspensionsEndByTheDatabase(t *testing.T) {
	postgrestest.OnlyDatabase(t)
	for _, by := range []time.Duration{2 * time.Hour, -2 * time.Hour, time.Minute + time.Second} {
		wrong, right, clock, there := apart(t, by)
		s := suspension()
		s.Until = clock.now().Add(30 * time.Minute)
		made := suspend(t, right, s)
		endless := suspend(t, right, suspension())
		for _, step := range []struct {
			add     time.Duration
			expired bool
		}{{29*time.Minute + 59*time.Second, false}, {2*time.Minute + time.Second, true}} {
			clock.add(step.add)
			there.add(step.add)
			all := wantSuspended(t, wrong, made.ID, endless.ID)
			if all[0].Expired(there.now()) != step.expired || !all[1].Until.IsZero() {
				t.Errorf("%v: %+v, and it is %s", by, all, there.now())
			}
			if again := wantSuspended(t, wrong, made.ID, endless.ID); !again[0].Until.Equal(all[0].Until) {
				t.Errorf("%v: until %s, then %s", by, all[0].Until, again[0].Until)
			}
		}
	}
	wrong, right, clock, _ := apart(t, 2*time.Hour)
	s := suspension()
	s.Until = clock.now().Add(time.Hour)
	made := suspend(t, right, s)
	removed, err := wrong.Resume(func(s freeze.Suspension) bool { return s.ID == made.ID })
	if err != nil || len(removed) != 1 {
		t.Errorf("resuming what is in force: %v, %v", removed, err)
	}
}

// An end that was computed by a wrong clock may be past for the replica that leads. What
// has no end is suspended with any clock.
func TestSuspendWithAWrongClock(t *testing.T) {
	postgrestest.OnlyDatabase(t)
	for by, words := range map[time.Duration]string{
		-2 * time.Hour:               "suspending: this machine's clock is 2h0m0s behind the database's, by which suspensions end",
		time.Minute + time.Second:    "suspending: this machine's clock is 1m1s ahead of the database's, by which suspensions end",
		-time.Minute - time.Second:   "this machine's clock is 1m1s behind the database's",
		time.Minute - time.Second:    "",
		-(time.Minute - time.Second): "",
	} {
		wrong, right, _, there := apart(t, by)
		s := suspension()
		s.Until = there.now().Add(30 * time.Minute)
		made, err := wrong.Suspend(s)
		if words == "" {
			must(t, err)
			wantSuspended(t, right, made.ID)
			continue
		}
		wantError(t, err, words, "set this machine's clock (NTP), or suspend without an end")
		wantSuspended(t, right)
		wantSuspended(t, right, suspend(t, wrong, suspension()).ID)
	}
}

// The clock that counts is the database's own.
func TestDatabaseClock(t *testing.T) {
	postgrestest.OnlyDatabase(t)
	j := New(locate(place(t)), Options{Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }})
	defer j.Close()
	s := suspension()
	s.Until = time.Now().Add(time.Hour)
	_, err := j.Suspend(s)
	wantError(t, err, "this machine's clock is 2h0m0s behind the database's", "NTP")
}

func TestSuspendRejects(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := filepath.Join(t.TempDir(), "state")
	j := New(locate(dir), Options{})
	defer j.Close()
	for words, s := range map[string]freeze.Suspension{
		"the reason is missing":            {Owner: "ada"},
		"the owner is missing":             {Reason: "r", Owner: " "},
		"the reason has more than 200":     {Reason: strings.Repeat("é", freeze.MaxReason+1), Owner: "ada"},
		"the owner has more than 200":      {Reason: "r", Owner: strings.Repeat("é", freeze.MaxOwner+1)},
		"the reason has line breaks":       {Reason: "a\nb", Owner: "ada"},
		"the owner has line breaks":        {Reason: "r", Owner: "a\u202eb"},
		"more than 100 patterns":           {Reason: "r", Owner: "ada", Orgs: manyGlobs(101)},
		"the orgs must be a valid pattern": {Reason: "r", Owner: "ada", Orgs: []string{"["}},
		"it would have expired already":    {Reason: "r", Owner: "ada", Until: time.Now().Add(-time.Minute)},
	} {
		_, err := j.Suspend(s)
		if err == nil || !strings.HasPrefix(err.Error(), "can't suspend: ") || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal was created all the same: %v", err)
	}
	suspend(t, j, freeze.Suspension{Reason: strings.Repeat("é", freeze.MaxReason), Owner: strings.Repeat("é", freeze.MaxOwner), Orgs: manyGlobs(100)})
}

func manyGlobs(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("acme-%d.okta.com", i))
	}
	return all
}

// A suspension that can't be understood is an error, stays as it is, and can be
// taken back.
func TestSuspensionsNotUnderstood(t *testing.T) {
	for column, values := range map[string]map[string]string{
		"orgs":   {`[`: "unexpected end of JSON", `{}`: "cannot unmarshal", `["["]`: "unclosed [", ``: "unexpected end"},
		"since":  {`soon`: "is no time of the form"},
		"until":  {`soon`: "is no time of the form", `2030-01-01T00:00:00Z`: "is no time of the form"},
		"reason": {"\x1b": "can't be printed", ``: "the reason is missing"},
		"owner":  {strings.Repeat("x", freeze.MaxOwner+1): "the owner has more than 200"},
	} {
		for value, words := range values {
			j := openJournal(t, place(t), Options{})
			good := suspend(t, j.Journal, suspension())
			bad := suspend(t, j.Journal, suspension())
			_, err := j.db().Exec(`UPDATE suspensions SET `+column+` = ? WHERE id = ?`, value, bad.ID)
			must(t, err)
			all, err := j.Suspensions()
			if len(all) != 1 || all[0].ID != good.ID {
				t.Errorf("%s %q: the others are %+v", column, value, all)
			}
			wantError(t, err, fmt.Sprintf("the suspension %q can't be understood: ", bad.ID), "reconciler resume "+bad.ID)
			wantError(t, err, words, "everything is held")
			_, err = j.Suspend(suspension())
			wantError(t, err, "can't be understood", "")
			removed, err := j.Resume(func(s freeze.Suspension) bool { return s.ID == bad.ID })
			if err != nil || len(removed) != 1 {
				t.Errorf("%s %q: %v, %v", column, value, removed, err)
			}
			wantSuspended(t, j.Journal, good.ID)
		}
	}
}

// Each suspension that can't be understood is told, and can be taken back even if it
// had expired: it holds everything all the same.
func TestSeveralSuspensionsNotUnderstood(t *testing.T) {
	now := newClock()
	j := openJournal(t, place(t), Options{Now: now.now})
	j.setDatabaseClock(now.now)
	var ids []string
	for range 2 {
		s := suspension()
		s.Until = now.now().Add(time.Hour)
		ids = append(ids, suspend(t, j.Journal, s).ID)
	}
	good := suspend(t, j.Journal, suspension())
	_, err := j.db().Exec(`UPDATE suspensions SET since = 'bad' || id WHERE until <> ''`)
	must(t, err)
	slices.Sort(ids)
	now.add(2 * time.Hour)
	all, err := j.Suspensions()
	if len(all) != 1 || all[0].ID != good.ID {
		t.Errorf("the others are %+v", all)
	}
	for _, id := range ids {
		wantError(t, err, fmt.Sprintf("the suspension %q can't be understood: ", id), "to lift them: reconciler resume "+strings.Join(ids, " "))
	}
	removed, err := j.Resume(func(s freeze.Suspension) bool { return slices.Contains(ids, s.ID) })
	if err != nil || len(removed) != len(ids) {
		t.Errorf("removed %+v, %v", removed, err)
	}
	wantSuspended(t, j.Journal, good.ID)
}

// A journal that replaces a damaged one suspends everything, until that is taken
// back or the loss is acknowledged.
func TestLossSuspends(t *testing.T) {
	postgrestest.OnlyFolder(t)
	for name, end := range map[string]func(j *Journal) error{
		"acknowledged": func(j *Journal) error { return j.AcknowledgeLoss("ada") },
		"taken back": func(j *Journal) error {
			removed, err := j.Resume(func(s freeze.Suspension) bool { return s.ID == "journal" })
			if len(removed) != 1 || len(removed[0].Orgs) != 0 || removed[0].Owner != "reconciler" || !strings.Contains(removed[0].Reason, "set aside as journal.db.corrupt-") {
				t.Errorf("removed %+v", removed)
			}
			return err
		},
	} {
		dir := t.TempDir()
		j := New(locate(dir), Options{})
		defer j.Close()
		suspend(t, j, suspension())
		must(t, os.WriteFile(filepath.Join(dir, dbFile), []byte("damaged"), 0o600))
		if _, err := j.Suspensions(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := j.Suspend(suspension()); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: suspending: %v", name, err)
		}
		if _, err := j.Resume(everything); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: resuming: %v", name, err)
		}
		w, err := j.Lock()
		must(t, err)
		must(t, w.Unlock())
		wantSuspended(t, j, "journal")
		own := suspend(t, j, suspension())
		must(t, end(j))
		wantSuspended(t, j, own.ID)
		if l, err := j.Loss(); (l == nil) != (name == "acknowledged") || err != nil {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
}

// Suspending needs no lock, and processes that do so at the same time all succeed,
// also where the journal isn't there yet.
func TestSuspendAtOnce(t *testing.T) {
	for _, locked := range []bool{false, true} {
		dir := place(t)
		if locked {
			openJournal(t, dir, Options{})
		}
		var wg sync.WaitGroup
		ids := make([]string, 8)
		for i := range ids {
			wg.Go(func() {
				j := New(locate(dir), Options{})
				defer j.Close()
				made, err := j.Suspend(freeze.Suspension{Reason: fmt.Sprint(i), Owner: "o"})
				if err != nil {
					t.Error(err)
				}
				ids[i] = made.ID
				if _, err := j.Suspensions(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		j := New(locate(dir), Options{})
		defer j.Close()
		all, err := j.Suspensions()
		must(t, err)
		for _, one := range all {
			ids = slices.DeleteFunc(ids, func(id string) bool { return id == one.ID })
		}
		if len(all) != 8 || len(ids) != 0 {
			t.Errorf("lost: %q", ids)
		}
	}
}

func TestSuspendOnAFullDisk(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := securedirtest.SmallDisk(t, "256k")
	j := New(locate(dir), Options{})
	defer j.Close()
	one := suspend(t, j, suspension())
	ballast := securedirtest.FillUp(t, dir)
	_, err := j.Suspend(freeze.Suspension{Reason: "r", Owner: "o", Orgs: manyGlobs(100)})
	wantError(t, err, "suspending: ", "disk")
	wantSuspended(t, j, one.ID)
	must(t, os.Remove(ballast))
	suspend(t, j, suspension())
}
