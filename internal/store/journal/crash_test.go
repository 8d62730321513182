package journal

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"reconciler/internal/store/postgres/postgrestest"
)

// roles are what children do.
func roles() map[string]func(args []string) error {
	return map[string]func(args []string) error{
		"hold":   playHold,
		"script": playScript,
		"open":   playOpen,
		"limit":  playLimit,
	}
}

// playHold opens the journal in args[0], says so, and waits to be killed.
func playHold(args []string) error {
	j, err := lockJournal(args[0], Options{})
	if err != nil {
		return err
	}
	defer j.Close()
	fmt.Println("held")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// act is one write to a journal, and how to see that it is there.
type act struct {
	name string
	do   func(j *Writer) error
	seen func(v *Journal) (bool, error)
}

// script gives writes of every kind, in an order in which they are legal.
func script() []act {
	k, lost, gone := acmeKey(), Key{account, "lost.okta.com"}, Key{account, "gone.okta.com"}
	at := func(k Key, test func(c *Creation) bool) func(v *Journal) (bool, error) {
		return func(v *Journal) (bool, error) {
			c, err := v.Creation(k)
			return err == nil && c != nil && test(c), err
		}
	}
	// reached says whether a creation is at a step or beyond.
	reached := func(k Key, step Step) func(v *Journal) (bool, error) {
		order := map[Step]int{Intent: 1, Sent: 2, Refused: 3, Created: 3, Linked: 4, Done: 5}
		return at(k, func(c *Creation) bool { return order[c.Step] >= order[step] })
	}
	begin := func(k Key) func(j *Writer) error {
		return func(j *Writer) error { return j.Begin(Creation{Key: k, Parent: "acme", Cell: "ok1", Subdomain: "x"}) }
	}
	sent := func(k Key) func(j *Writer) error {
		return func(j *Writer) error {
			if wait, err := j.Send(k, tenAMinute()); err != nil || wait > 0 {
				return fmt.Errorf("sending: wait %v: %w", wait, err)
			}
			return nil
		}
	}
	deletion := func(states ...DeletionState) func(v *Journal) (bool, error) {
		return func(v *Journal) (bool, error) {
			all, err := v.Deletions(account)
			if len(all) == 0 {
				return false, err
			}
			for _, s := range states {
				if all[0].State == s {
					return true, err
				}
			}
			return false, err
		}
	}
	const source = "https://git.example/orgs.git main"
	accepted := func(test func(a Acceptance) bool) func(v *Journal) (bool, error) {
		return func(v *Journal) (bool, error) {
			a, ok, err := v.Accepted(source)
			return ok && test(a), err
		}
	}
	// announced says whether the announcement of one org is there, and that of
	// another one is gone if it was withdrawn.
	announced := func(withdrawn bool) func(v *Journal) (bool, error) {
		return func(v *Journal) (bool, error) {
			all, err := v.Announcements(account)
			return len(all) == 1 || len(all) == 2 && !withdrawn, err
		}
	}
	return []act{
		{"begin", begin(k), reached(k, Intent)},
		{"send", sent(k), reached(k, Sent)},
		{"created", func(j *Writer) error { return j.MarkCreated(k, "00o1", start()) }, reached(k, Created)},
		{"stored", func(j *Writer) error { return j.MarkTokenStored(k, "/t/1") }, at(k, func(c *Creation) bool { return c.Token == TokenStored })},
		{"linked", func(j *Writer) error { return j.MarkLinked(k, "00o1") }, reached(k, Linked)},
		{"begin a second", begin(lost), reached(lost, Intent)},
		{"send the second", sent(lost), at(lost, func(c *Creation) bool { return c.Attempts > 0 })},
		{"done", func(j *Writer) error { return j.MarkDone(k) }, reached(k, Done)},
		{"unanswered", func(j *Writer) error { return j.MarkUnanswered(lost, "timeout") }, at(lost, func(c *Creation) bool { return c.Unanswered > 0 })},
		{"absent", func(j *Writer) error { return j.MarkAbsent(lost, "404") }, at(lost, func(c *Creation) bool { return c.Unanswered > 0 && c.Step != Sent || c.Attempts > 1 })},
		{"send again", sent(lost), at(lost, func(c *Creation) bool { return c.Attempts > 1 })},
		{"created the second", func(j *Writer) error { return j.MarkCreated(lost, "", start()) }, reached(lost, Created)},
		{"lost", func(j *Writer) error { return j.MarkTokenLost(lost, "disk full") }, at(lost, func(c *Creation) bool { return c.Token == TokenLost })},
		{"acknowledge", func(j *Writer) error { return j.Acknowledge(lost, "ada") }, at(lost, func(c *Creation) bool { return !c.Alarm() && c.Token == TokenLost })},
		{"linked the second", func(j *Writer) error { return j.MarkLinked(lost, "00o2") }, reached(lost, Linked)},
		{"begin a third", begin(gone), reached(gone, Intent)},
		{"refused", func(j *Writer) error { return j.MarkRefused(gone, "no consent") }, at(gone, func(c *Creation) bool { return c.Step == Refused })},
		{"note", func(j *Writer) error { return j.Note(gone, "hm") }, at(gone, func(c *Creation) bool { return c.LastError == "hm" })},
		{"begin deletion", func(j *Writer) error { return j.BeginDeletion(account, "00o9", "old.okta.com") }, deletion(Asking, Asked)},
		{"end deletion", func(j *Writer) error { return j.EndDeletion(account, "00o9", "") }, deletion(Asked)},
		{"accept", func(j *Writer) error { return j.Accept(Acceptance{source, "c1", "ada", nil, start()}, "", false) }, accepted(func(Acceptance) bool { return true })},
		{"accept the next", func(j *Writer) error { return j.Accept(Acceptance{source, "c2", "ada", nil, start()}, "c1", true) }, accepted(func(a Acceptance) bool { return a.Commit == "c2" })},
		{"announce", func(j *Writer) error {
			return j.Announce(Announcement{account, "00o7", "a.okta.com", "set-status", "c2", "", start()}, Announcement{account, "00o8", "b.okta.com", "set-status", "c2", "", start()})
		}, announced(false)},
		{"withdraw", func(j *Writer) error {
			return j.Withdraw(Announcement{Account: account, OrgID: "00o8", Action: "set-status"})
		}, announced(true)},
		{"removal", func(j *Writer) error {
			_, err := j.BeginRemoval(Removal{account, "00o7", "a.okta.com", start()}, start().Add(-time.Hour), 1)
			return err
		}, func(v *Journal) (bool, error) {
			all, err := v.Removals(account, start().Add(-time.Hour))
			return len(all) == 1, err
		}},
		{"orgs", func(j *Writer) error { return j.KnowOrgs(account, Org{"00o7", "a.okta.com", true}) }, func(v *Journal) (bool, error) {
			all, err := v.Orgs(account)
			return len(all) == 1, err
		}},
		{"suspend", func(j *Writer) error { _, err := j.Suspend(suspension()); return err }, func(v *Journal) (bool, error) {
			all, err := v.Suspensions()
			return len(all) == 1, err
		}},
	}
}

// playScript does the script in args[0] and says after each act that it has
// returned. It kills itself after args[1] acts.
func playScript(args []string) error {
	last, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	j, err := lockJournal(args[0], Options{})
	if err != nil {
		return err
	}
	defer j.Close()
	for n, a := range script() {
		if n == last {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if err := a.do(j); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		fmt.Println(n + 1)
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// wantActs looks for the first acts of the script. The one after them may be
// there too, if it was under way; nothing beyond it may.
func wantActs(t *testing.T, dir string, done int, exact bool) {
	t.Helper()
	j, err := lockJournal(dir, Options{})
	must(t, err)
	defer j.Close()
	if a, err := j.Loss(); a != nil || err != nil {
		t.Fatalf("after %d acts: loss %v, %v", done, a, err)
	}
	for n, a := range script() {
		seen, err := a.seen(j.Journal)
		must(t, err)
		// The call that the 7th act sent counts as unanswered from now on.
		followsFromKill := a.name == "unanswered" && done >= 6
		switch {
		case n < done && !seen:
			t.Errorf("after %d acts: %q is gone", done, a.name)
		case seen && !followsFromKill && (n > done || n == done && exact):
			t.Errorf("after %d acts: %q is there", done, a.name)
		}
	}
}

// TestKilledAfterEachWrite: what returned before a kill -9 is there afterwards.
func TestKilledAfterEachWrite(t *testing.T) {
	for done := range len(script()) + 1 {
		dir := place(t)
		if locate(dir).Postgres() != nil && done%3 != 0 {
			continue // making its tables takes longer than a file does
		}
		out, err := child(t, "script", dir, strconv.Itoa(done)).Output()
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("after %d acts: %v", done, err)
		}
		if lines := strings.Count(string(out), "\n"); lines != done {
			t.Fatalf("the child did %d acts, not %d", lines, done)
		}
		wantActs(t, dir, done, true)
	}
}

// TestKilledAnywhere kills in the middle of writing.
func TestKilledAnywhere(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for round := range rounds {
		dir := place(t)
		if locate(dir).Postgres() != nil && round%3 != 0 {
			continue
		}
		cmd := child(t, "script", dir, "-1")
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		stop, done := r.IntN(len(script())), 0
		delay := time.Duration(r.IntN(3000)) * time.Microsecond
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if done++; done == stop {
				time.Sleep(delay)
				cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed, by us or by itself
		wantActs(t, dir, done, false)
	}
}

// playOpen opens journals in new folders below args[0] until it is killed. With
// a file named seed there, each of them begins with it as its broken
// journal.db.
func playOpen(args []string) error {
	seed, _ := os.ReadFile(filepath.Join(args[0], "seed"))
	for n := range 1000 {
		dir := filepath.Join(args[0], strconv.Itoa(n))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if seed != nil {
			if err := os.WriteFile(filepath.Join(dir, dbFile), seed, 0o600); err != nil {
				return err
			}
		}
		fmt.Println(n)
		j, err := lockJournal(dir, Options{})
		if err != nil {
			return err
		}
		if err := j.Close(); err != nil {
			return err
		}
	}
	return nil
}

// TestKilledWhileOpening: a journal is made whole or not at all, and one that
// takes the place of a broken one never forgets that it has forgotten.
func TestKilledWhileOpening(t *testing.T) {
	postgrestest.OnlyFolder(t)
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	r := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	for round := range rounds {
		base, broken := t.TempDir(), round%2 == 1
		if broken {
			must(t, os.WriteFile(filepath.Join(base, "seed"), []byte("this was a journal"), 0o600))
		}
		cmd := child(t, "open", base)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		opened, stop := 0, 1+r.IntN(3)
		delay := time.Duration(r.IntN(20000)) * time.Microsecond
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if opened++; opened == stop {
				time.Sleep(delay)
				cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		for n := range opened {
			dir := filepath.Join(base, strconv.Itoa(n))
			j, err := lockJournal(dir, Options{})
			must(t, err)
			a, err := j.Loss()
			must(t, err)
			must(t, j.Begin(acme()))
			must(t, j.Close())
			if !broken {
				if a != nil {
					t.Errorf("a new journal that was killed on its way was set aside: %+v", a)
				}
				continue
			}
			// The very last folder may not have got its seed yet.
			if a == nil && n < opened-1 {
				t.Error("a broken journal was replaced, and nothing tells of it")
			}
			if a != nil {
				if data, err := os.ReadFile(a.SetAside); err != nil || string(data) != "this was a journal" {
					t.Errorf("set aside: %q, %v", data, err)
				}
			}
		}
	}
}

func TestTwoProcesses(t *testing.T) {
	dir := place(t)
	cmd := child(t, "hold", dir)
	in, err := cmd.StdinPipe()
	must(t, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}

	_, err = lockJournal(dir, Options{})
	host, hostErr := os.Hostname()
	must(t, hostErr)
	wantError(t, err, fmt.Sprintf(`the journal in %v is held by process %d on %q since 20`, locate(dir), cmd.Process.Pid, host),
		"wait until the other one ends, or stop it")

	v := New(locate(dir), Options{})
	if c, err := v.Creation(acmeKey()); c != nil || err != nil {
		t.Errorf("looking: %v, %v", c, err)
	}
	must(t, v.Close())

	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	j := openJournal(t, dir, Options{})
	_, err = lockJournal(dir, Options{})
	wantError(t, err, fmt.Sprintf("is held by process %d on", os.Getpid()), "")
	must(t, j.Begin(acme()))
	must(t, j.Close())
	must(t, j.Close()) // twice is fine
	openJournal(t, dir, Options{})
}

// TestUnsignedLock: a lock file with nothing or nonsense in it locks as well.
func TestUnsignedLock(t *testing.T) {
	postgrestest.OnlyFolder(t)
	for _, text := range []string{"", "{", `{"pid":"x"}`, strings.Repeat("x", 10000)} {
		dir := t.TempDir()
		openJournal(t, dir, Options{})
		must(t, os.WriteFile(filepath.Join(dir, lockFile), []byte(text), 0o600))
		_, err := lockJournal(dir, Options{})
		wantError(t, err, "is held by another process", "wait")
	}
}
