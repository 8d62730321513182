package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres/postgrestest"
)

// During a turn, this process locks as often as it likes, and no other does.
func TestTurn(t *testing.T) {
	dir := place(t)
	mine := New(locate(dir), Options{Commands: Commands{This: "apply"}})
	other := New(locate(dir), Options{Commands: Commands{This: "run"}})
	defer mine.Close()
	defer other.Close()
	turn, err := mine.Turn(t.Context(), WaitOptions{})
	must(t, err)
	for range 2 {
		a, err := mine.Lock()
		must(t, err)
		b, err := mine.Lock()
		must(t, err)
		must(t, a.Begin(acme()))
		send(t, a, acmeKey())
		must(t, a.Unlock())
		must(t, a.Unlock())
		// What is in flight isn't closed by the second Lock of the same process.
		must(t, b.MarkTurnedAway(acmeKey()))
		must(t, b.Unlock())
	}
	held := func(err error) {
		t.Helper()
		var held *HeldError
		if !errors.As(err, &held) || held.Holder.PID != os.Getpid() || held.Holder.Command != "apply" {
			t.Fatalf("%v", err)
		}
	}
	_, err = other.Lock()
	held(err)
	_, err = other.Turn(t.Context(), WaitOptions{})
	held(err)
	var waited []string
	opts := WaitOptions{Limit: 600 * time.Millisecond, Waiting: func(h Holder) { waited = append(waited, h.Command) }}
	_, err = other.Turn(t.Context(), opts)
	held(err)
	if !strings.HasPrefix(err.Error(), "after 600ms of waiting: the journal in ") || len(waited) != 1 || waited[0] != "apply" {
		t.Errorf("%v, %q", err, waited)
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, err := other.Turn(ctx, WaitOptions{Limit: Forever}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	must(t, turn.End())
	must(t, turn.End())
	turn, err = other.Turn(t.Context(), WaitOptions{})
	must(t, err)
	must(t, turn.End())
}

// Who has had a turn gets no second one while another process waits.
func TestTurnsAlternate(t *testing.T) {
	dir := place(t)
	busy, waits := New(locate(dir), Options{}), New(locate(dir), Options{})
	defer busy.Close()
	defer waits.Close()
	var waiting atomic.Bool
	got := make(chan error, 1)
	first, err := busy.Turn(t.Context(), WaitOptions{})
	must(t, err)
	go func() {
		turn, err := waits.Turn(t.Context(), WaitOptions{Limit: time.Minute, Waiting: func(Holder) { waiting.Store(true) }})
		if err == nil {
			err = turn.End()
		}
		got <- err
	}()
	for !waiting.Load() {
		time.Sleep(time.Millisecond)
	}
	must(t, first.End())
	for n := 0; ; n++ {
		turn, err := busy.Turn(t.Context(), WaitOptions{Limit: time.Minute})
		must(t, err)
		must(t, turn.End())
		select {
		case err := <-got:
			must(t, err)
			return
		default:
		}
		if n > 1 {
			t.Fatal("the one that waited gets no turn")
		}
	}
}

// A process whose turn was taken over writes nothing more to the journal.
func TestLostTurn(t *testing.T) {
	for _, lead := range []bool{false, true} {
		t.Run(fmt.Sprint("lead ", lead), func(t *testing.T) { testLost(t, place(t), lead) })
	}
}

// takeOver takes a lock over as another process would.
func takeOver(t *testing.T, j *Journal, file, name string) {
	t.Helper()
	if j.at.Postgres() != nil {
		_, err := j.db().Exec(`UPDATE leases SET epoch = epoch + 1, pid = 12, host = 'other', started = '2026-11-21T12:00:00Z' WHERE name = ?`, name)
		must(t, err)
		return
	}
	taken := filepath.Join(j.at.Dir(), "taken")
	must(t, os.WriteFile(taken, []byte(`{"pid":12,"host":"other","started":"2026-11-21T12:00:00Z","beat":"000000000001"}`), 0o600))
	must(t, os.Rename(taken, filepath.Join(j.at.Dir(), file)))
}

func testLost(t *testing.T, place string, theLead bool) {
	j := New(locate(place), Options{})
	defer j.Close()
	lead, err := j.Lead()
	must(t, err)
	defer lead.End()
	turn, err := j.Turn(t.Context(), WaitOptions{})
	must(t, err)
	defer turn.End()
	w, err := j.Lock()
	must(t, err)
	defer w.Unlock()
	must(t, w.Begin(acme()))
	must(t, j.MayWrite())
	during, stop := turn.While(t.Context())
	file, name := lockFile, "journal"
	if theLead {
		during, stop = lead.While(t.Context())
		file, name = leaderFile, "leader"
	}
	defer stop()

	takeOver(t, j, file, name)
	want := `process 12 on "other" took over at 2026-11-21T12:00:00Z, because this one had stood still`
	if j.at.Postgres() != nil {
		want = `process 12 on "other" took over at 2026-11-21T12:00:00Z, because the session of this one with the database had ended`
	}
	_, sent := w.Send(acmeKey(), tenAMinute())
	other, again := j.Lock()
	_, removal := j.BeginRemoval(Removal{Account: account, OrgID: "00o1", Domain: "x", At: start()}, start(), 1)
	for doing, err := range map[string]error{
		"MayWrite": j.MayWrite(), "Send": sent, "BeginRemoval": removal, "Lock": again,
	} {
		var lost *LostError
		if doing == "Lock" && theLead { // which writes nothing
			must(t, err)
			must(t, other.Unlock())
			continue
		}
		if !errors.As(err, &lost) || err.Error() != want {
			t.Errorf("%s: %v", doing, err)
		}
	}
	if c, err := j.Creation(acmeKey()); err != nil || c.Step != Intent {
		t.Errorf("%v, %+v", err, c)
	}
	select {
	case <-during.Done():
	case <-time.After(10 * time.Second):
		t.Error("what was going on isn't told")
	}
}

// A daemon that couldn't find out who leads learns when it is worth asking again.
func TestLeadAgain(t *testing.T) {
	postgrestest.OnlyDatabase(t)
	server := postgrestest.Start(t)
	j := New(location.Postgres(server.File(t)), Options{})
	defer j.Close()
	must(t, server.Stop())
	if _, err := j.Lead(); err == nil || j.MayWrite() == nil || j.LeadAgain(t.Context()) {
		t.Errorf("%v, %v", err, j.MayWrite())
	}
	must(t, server.Start())
	if !j.LeadAgain(t.Context()) {
		t.Error("it answers")
	}
	lead, err := j.Lead()
	must(t, err)
	must(t, j.MayWrite())
	must(t, lead.End())
	folder := New(location.Folder(t.TempDir()), Options{})
	if folder.LeadAgain(t.Context()) {
		t.Error("of a folder it isn't known")
	}
}

// A process that has seen the tables doesn't make them again once they are gone.
func TestTablesAreGone(t *testing.T) {
	postgrestest.OnlyDatabase(t)
	w := openJournal(t, place(t), Options{})
	must(t, w.Begin(acme()))
	_, err := w.db().Exec(`DELETE FROM reconciler_stores WHERE store = 'journal'`)
	must(t, err)
	for _, err := range []error{w.Begin(acme()), w.Check(), second(w.Lock()), second(w.Suspensions())} {
		wantError(t, err, "its tables were there before and are gone", "put them back from a backup")
	}
	wantError(t, w.Backup(filepath.Join(t.TempDir(), "copy")), "", "")
}

// One leads, the other may once it ends.
func TestLead(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := filepath.Join(t.TempDir(), "state")
	a, b := New(locate(dir), Options{}), New(locate(dir), Options{})
	lead, err := a.Lead()
	must(t, err)
	var held *HeldError
	if _, err := b.Lead(); !errors.As(err, &held) {
		t.Errorf("%v", err)
	}
	// Who doesn't lead may have its turn.
	turn, err := b.Turn(t.Context(), WaitOptions{})
	must(t, err)
	must(t, turn.End())
	must(t, lead.End())
	lead, err = b.Lead()
	must(t, err)
	must(t, lead.End())
	// Without a folder there is nobody to wait for.
	none := New(locate(""), Options{})
	lead, err = none.Lead()
	must(t, err)
	turn, err = none.Turn(t.Context(), WaitOptions{})
	must(t, err)
	must(t, errors.Join(none.MayWrite(), turn.End(), lead.End()))
	// A folder that is gone isn't made anew.
	must(t, b.AddFieldWrite(FieldWrite{Account: account, OrgID: "o", Kind: "k", Object: "o", Field: "f", Last: start()}, start()))
	must(t, os.Rename(dir, dir+".moved"))
	for _, err := range []error{second(b.Lead()), second(b.Turn(t.Context(), WaitOptions{}))} {
		if !errors.Is(err, ErrGone) {
			t.Errorf("%v", err)
		}
	}
	must(t, b.Close())
}

func second[T any](_ T, err error) error { return err }

// A daemon that doesn't lead, or can't know whether it does, writes nothing.
func TestNoLead(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := filepath.Join(t.TempDir(), "state")
	j, other := New(locate(dir), Options{}), New(locate(dir), Options{})
	defer j.Close()
	refused := func() {
		t.Helper()
		if _, err := j.Lead(); err == nil {
			t.Fatal("it leads")
		}
		turn, err := j.Turn(t.Context(), WaitOptions{})
		must(t, err)
		defer turn.End()
		_, locked := j.Lock()
		if locked == nil || j.MayWrite() == nil {
			t.Errorf("it may write: %v, %v", locked, j.MayWrite())
		}
	}
	leads, err := other.Lead()
	must(t, err)
	refused()
	must(t, leads.End())
	must(t, os.Remove(filepath.Join(dir, leaderFile)))
	must(t, os.Mkdir(filepath.Join(dir, leaderFile), 0o700))
	refused()
	must(t, os.Remove(filepath.Join(dir, leaderFile)))
	leads, err = j.Lead()
	must(t, err)
	defer leads.End()
	must(t, j.MayWrite())
	w, err := j.Lock()
	must(t, err)
	must(t, w.Unlock())
}
