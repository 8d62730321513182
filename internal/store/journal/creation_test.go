package journal

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestWholeWay(t *testing.T) {
	dir, at := place(t), newClock()
	j := openJournal(t, dir, Options{Now: at.now})
	k := acmeKey()
	if c, err := j.Creation(k); c != nil || err != nil {
		t.Fatalf("before it began: %v, %v", c, err)
	}
	must(t, j.Begin(acme()))
	at.add(time.Second)
	send(t, j, k)
	at.add(time.Second)
	must(t, j.MarkCreated(k, "00o1", at.now()))
	must(t, j.MarkTokenStored(k, "/tokens/acme"))
	at.add(30 * time.Second)
	must(t, j.MarkLinked(k, "00o1"))
	at.add(time.Second)
	must(t, j.MarkDone(k))
	desired := acme()
	desired.Step, desired.OrgID, desired.Token, desired.TokenAt, desired.Attempts = Done, "00o1", TokenStored, "/tokens/acme", 1
	desired.Begun, desired.SentAt, desired.CreatedAt = start(), start().Add(time.Second), start().Add(2*time.Second)
	desired.Changed = start().Add(33 * time.Second)
	if diff := cmp.Diff(desired, creation(t, j.Journal, Key{account, "ACME-new.Okta.com"})); diff != "" {
		t.Error(diff)
	}
	all, err := j.Creations(account)
	must(t, err)
	if diff := cmp.Diff([]Creation{desired}, all); diff != "" {
		t.Error(diff)
	}
	if other, err := j.Creations("other"); len(other) > 0 || err != nil {
		t.Errorf("creations of another account: %v, %v", other, err)
	}
}

// marks are all ways to change a creation, by name.
func marks(k Key) map[string]func(j *Writer) error {
	return map[string]func(j *Writer) error{
		"Begin": func(j *Writer) error { return j.Begin(Creation{Key: k, Parent: "p2"}) },
		"Send": func(j *Writer) error {
			_, err := j.Send(k, Rate{1000, time.Nanosecond})
			return err
		},
		"MarkUnanswered":  func(j *Writer) error { return j.MarkUnanswered(k, "timeout") },
		"MarkAbsent":      func(j *Writer) error { return j.MarkAbsent(k, "404") },
		"MarkTurnedAway":  func(j *Writer) error { return j.MarkTurnedAway(k) },
		"MarkRefused":     func(j *Writer) error { return j.MarkRefused(k, "E0000001") },
		"MarkCreated":     func(j *Writer) error { return j.MarkCreated(k, "00o1", start()) },
		"MarkTokenStored": func(j *Writer) error { return j.MarkTokenStored(k, "/tokens/x") },
		"MarkTokenLost":   func(j *Writer) error { return j.MarkTokenLost(k, "disk full") },
		"MarkLinked":      func(j *Writer) error { return j.MarkLinked(k, "00o1") },
		"MarkDone":        func(j *Writer) error { return j.MarkDone(k) },
		"Note":            func(j *Writer) error { return j.Note(k, "hm") },
		"Acknowledge":     func(j *Writer) error { return j.Acknowledge(k, "ada") },
		"Forget":          func(j *Writer) error { return j.Forget(k, "ada") },
	}
}

// TestSteps tries every method at every step. A method that refuses must leave
// everything as it was.
func TestSteps(t *testing.T) {
	const gone = Step("gone")
	// What each method makes of each step; what isn't listed is refused.
	legal := map[string]map[Step]Step{
		"Begin":           {"": Intent, Intent: Intent, Refused: Intent},
		"Send":            {Intent: Sent},
		"MarkUnanswered":  {Sent: Sent},
		"MarkAbsent":      {Sent: Intent},
		"MarkTurnedAway":  {Sent: Intent},
		"MarkRefused":     {Intent: Refused, Sent: Refused},
		"MarkCreated":     {Intent: Created, Sent: Created, Refused: Created, Created: Created},
		"MarkTokenStored": {Created: Created, Linked: Linked, Done: Done},
		"MarkTokenLost":   {Created: Created},
		"MarkLinked":      {Linked: Linked}, // from Created with a known fate: TestTokenBeforeLink
		"MarkDone":        {Linked: Done, Done: Done},
		"Note":            {Intent: Intent, Sent: Sent, Refused: Refused, Created: Created, Linked: Linked, Done: Done},
		"Acknowledge":     {}, // TestLostToken
		"Forget":          {Intent: gone, Sent: gone, Refused: gone, Created: gone, Linked: gone, Done: gone},
	}
	j := openJournal(t, place(t), Options{})
	n := 0
	for _, step := range []Step{"", Intent, Sent, Refused, Created, Linked, Done} {
		for name := range marks(acmeKey()) {
			n++
			c := acme()
			c.Domain = fmt.Sprintf("n%d.okta.com", n)
			if step != "" {
				reach(t, j, c, step)
			}
			before, err := j.Creation(c.Key)
			must(t, err)
			err = marks(c.Key)[name](j)
			after, readErr := j.Creation(c.Key)
			must(t, readErr)
			desired, ok := legal[name][step]
			switch {
			case ok && desired == gone && (err != nil || after != nil):
				t.Errorf("%s from %q: %v, then %v", name, step, err, after)
			case ok && desired != gone && (err != nil || after == nil || after.Step != desired):
				t.Errorf("%s from %q: %v, then %v", name, step, err, after)
			case !ok:
				var refused *StepError
				if !errors.As(err, &refused) || refused.Step != step || refused.Key != c.Key {
					t.Errorf("%s from %q: %v", name, step, err)
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("%s from %q was refused and changed something: %s", name, step, diff)
				}
			}
		}
	}
}

func TestStepErrorsRead(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	k := acmeKey()
	wantError(t, j.MarkDone(k), `creation of "acme-new.okta.com": marking as done: the journal knows of no such creation`, "")
	reach(t, j, acme(), Created)
	wantError(t, j.MarkRefused(k, ""), `creation of "acme-new.okta.com" is at step "created": marking as refused goes from "intent", "sent" only`, "")
	wantError(t, j.MarkLinked(k, "00o1"), "is not known what became of its token", "")
	wantError(t, j.MarkCreated(k, "00o2", start()), `its id is "00o1", not "00o2"`, "")
	must(t, j.MarkTokenStored(k, "/tokens/acme"))
	wantError(t, j.MarkTokenLost(k, ""), "it is stored: /tokens/acme", "")
	wantError(t, j.MarkLinked(k, "00o2"), `its id is "00o1", not "00o2"`, "")
	wantError(t, j.Acknowledge(k, "ada"), "no lost token", "")
	wantError(t, j.Acknowledge(k, " \n"), "by whom", "")
	wantError(t, j.Forget(k, ""), "by whom", "")
	wantError(t, j.Begin(Creation{Key: k}), "parent must be given", "")
	wantError(t, j.Begin(Creation{Key: Key{Domain: "x"}, Parent: "p"}), "account, domain", "")
	_, err := j.Send(k, Rate{})
	wantError(t, err, "no limit to keep to", "")
}

func TestBeginAgain(t *testing.T) {
	for _, step := range []Step{Intent, Refused} {
		j := openJournal(t, place(t), Options{})
		reach(t, j, acme(), step)
		c := acme()
		c.Parent, c.Cell, c.Subdomain = "other", "ok2", "other-new"
		must(t, j.Begin(c))
		actual := creation(t, j.Journal, c.Key)
		if actual.Step != Intent || actual.Parent != "other" || actual.Cell != "ok2" || actual.Subdomain != "other-new" {
			t.Errorf("from %s: %+v", step, actual)
		}
	}
}

// TestLostAnswer is the way of an org whose creation was never answered.
func TestLostAnswer(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	k := acmeKey()
	reach(t, j, acme(), Sent)
	must(t, j.MarkUnanswered(k, "Post \"https://acme.okta.com\":\n connection reset"))
	c := creation(t, j.Journal, k)
	if c.Step != Sent || c.Unanswered != 1 || c.LastError != `Post "https://acme.okta.com": connection reset` || !c.Open() {
		t.Errorf("unanswered: %+v", c)
	}
	must(t, j.MarkAbsent(k, "Okta knows of no such org"))
	send(t, j, k)
	must(t, j.MarkRefused(k, "subdomain taken"))
	c = creation(t, j.Journal, k)
	if c.Step != Refused || c.Attempts != 2 || c.Unanswered != 1 || c.Open() {
		t.Errorf("the first attempt is forgotten: %+v", c)
	}
	must(t, j.MarkCreated(k, "00o1", start()))
	must(t, j.MarkTokenLost(k, "the answer was lost"))
	must(t, j.MarkLinked(k, "00o1"))
	must(t, j.MarkDone(k))
	if c = creation(t, j.Journal, k); !c.Alarm() || c.Open() {
		t.Errorf("the loss is not told any more: %+v", c)
	}
}

func TestLostToken(t *testing.T) {
	at := newClock()
	j := openJournal(t, place(t), Options{Now: at.now})
	k := acmeKey()
	reach(t, j, acme(), Created)
	must(t, j.MarkTokenLost(k, "no room"))
	at.add(time.Hour)
	must(t, j.MarkTokenLost(k, "another reason"))
	c := creation(t, j.Journal, k)
	if !c.Alarm() || !c.LostSince.Equal(start()) || c.LostReason != "no room" {
		t.Fatalf("lost: %+v", c)
	}
	must(t, j.Acknowledge(k, "ada"))
	at.add(time.Hour)
	must(t, j.Acknowledge(k, "grace"))
	c = creation(t, j.Journal, k)
	if c.Alarm() || c.Token != TokenLost || c.AcknowledgedBy != "ada" || !c.Acknowledged.Equal(start().Add(time.Hour)) {
		t.Fatalf("acknowledged: %+v", c)
	}
	must(t, j.MarkTokenStored(k, "/tokens/found"))
	c = creation(t, j.Journal, k)
	if c.Alarm() || c.Token != TokenStored || !c.LostSince.IsZero() || c.LostReason != "" || c.AcknowledgedBy != "" {
		t.Fatalf("found again: %+v", c)
	}
}

// TestUnknownID: the answer was cut off after the token and before the id.
func TestUnknownID(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	k := acmeKey()
	reach(t, j, acme(), Sent)
	must(t, j.MarkCreated(k, "", start()))
	must(t, j.MarkTokenStored(k, "/tokens/acme"))
	wantError(t, j.MarkLinked(k, ""), "its id is not known", "")
	must(t, j.MarkCreated(k, "00o1", start().Add(time.Hour)))
	if c := creation(t, j.Journal, k); c.OrgID != "00o1" || !c.CreatedAt.Equal(start()) {
		t.Errorf("id came later: %+v", c)
	}
	must(t, j.MarkLinked(k, "00o1"))
}

func TestForget(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	k := acmeKey()
	reach(t, j, acme(), Done)
	must(t, j.Forget(k, "ada"))
	if all, err := j.Creations(account); len(all) > 0 || err != nil {
		t.Fatalf("forgotten: %v, %v", all, err)
	}
	reach(t, j, acme(), Sent)
	if c := creation(t, j.Journal, k); c.Attempts != 1 || c.OrgID != "" {
		t.Errorf("the new one begins with what the old one had: %+v", c)
	}
	must(t, j.Forget(k, "ada"))
	var kept int
	must(t, j.db().QueryRow(`SELECT count(*) FROM creations WHERE forgotten_by = 'ada'`).Scan(&kept))
	if kept != 2 {
		t.Errorf("%d forgotten creations are kept in the file", kept)
	}
}

func TestRate(t *testing.T) {
	dir, at := place(t), newClock()
	opts := Options{Now: at.now}
	j := openJournal(t, dir, opts)
	key := func(n int) Key { return Key{account, fmt.Sprintf("n%d.okta.com", n)} }
	for n := range 30 {
		must(t, j.Begin(Creation{Key: key(n), Parent: "acme"}))
	}
	must(t, j.Begin(Creation{Key: Key{account, "other.okta.com"}, Parent: "other"}))
	try := func(n int, desired time.Duration) {
		t.Helper()
		wait, err := j.Send(key(n), tenAMinute())
		must(t, err)
		if wait != desired {
			t.Fatalf("call %d: wait %v, not %v", n, wait, desired)
		}
		step := Sent
		if wait > 0 {
			step = Intent
		}
		if c := creation(t, j.Journal, key(n)); c.Step != step {
			t.Fatalf("call %d: at %s", n, c.Step)
		}
	}
	for n := range 10 {
		try(n, 0)
		at.add(time.Second)
	}
	try(10, 50*time.Second) // the first was sent 10 seconds ago
	if wait, err := j.Send(Key{account, "other.okta.com"}, tenAMinute()); wait != 0 || err != nil {
		t.Errorf("another parent: %v, %v", wait, err)
	}

	must(t, j.Close())
	j = openJournal(t, dir, opts)
	try(10, 50*time.Second) // a restart makes no difference
	at.add(50 * time.Second)
	try(10, 0)
	try(11, time.Second)

	// The clock is set back by a day: everything counts as sent now, once.
	at.add(-24 * time.Hour)
	try(11, time.Minute)
	at.add(59 * time.Second)
	try(11, time.Second)
	at.add(time.Second)
	for n := 11; n < 21; n++ {
		try(n, 0)
	}
	try(21, time.Minute)

	// And forward by a year.
	at.add(366 * 24 * time.Hour)
	try(21, 0)
}

// TestRateTogether: many orgs ask at the same time.
func TestRateTogether(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	sent := 0
	for n := range 25 {
		wg.Go(func() {
			k := Key{account, fmt.Sprintf("n%d.okta.com", n)}
			err := j.Begin(Creation{Key: k, Parent: "acme"})
			if err != nil {
				t.Error(err)
				return
			}
			wait, err := j.Send(k, tenAMinute())
			if err != nil {
				t.Error(err)
			}
			if wait == 0 {
				mu.Lock()
				defer mu.Unlock()
				sent++
			}
		})
	}
	wg.Wait()
	if sent != 10 {
		t.Errorf("%d were sent", sent)
	}
}

func TestUnsettled(t *testing.T) {
	c := Creation{CreatedAt: start()}
	for _, tt := range []struct {
		after, desired time.Duration
	}{
		{0, 30 * time.Second},
		{10 * time.Second, 20 * time.Second},
		{30 * time.Second, 0},
		{time.Hour, 0},
		{-time.Hour, 30 * time.Second}, // the clock was set back
	} {
		if actual := c.Unsettled(start().Add(tt.after), 30*time.Second); actual != tt.desired {
			t.Errorf("after %v: %v, not %v", tt.after, actual, tt.desired)
		}
	}
}

func TestTimesSurvive(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for _, at := range []time.Time{
		start(),
		start().In(berlin),
		time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		time.Now(), // with a monotonic reading
		time.Unix(0, 0),
	} {
		j := openJournal(t, place(t), Options{Now: func() time.Time { return at }})
		reach(t, j, acme(), Sent)
		must(t, j.MarkCreated(acmeKey(), "00o1", at))
		if c := creation(t, j.Journal, acmeKey()); !c.CreatedAt.Equal(at) || !c.Begun.Equal(at) || c.CreatedAt.Location() != time.UTC {
			t.Errorf("%v: created %v, begun %v", at, c.CreatedAt, c.Begun)
		}
	}
}

// TestTurnedAway: a call that was turned away did nothing, so that the time of the
// next one is what counts, and no call is unanswered.
func TestTurnedAway(t *testing.T) {
	k := acmeKey()
	j := openJournal(t, place(t), Options{})
	reach(t, j, acme(), Sent)
	must(t, j.MarkTurnedAway(k))
	if c := creation(t, j.Journal, k); c.Step != Intent || c.Unanswered != 0 || c.Attempts != 1 {
		t.Errorf("turned away: %+v", c)
	}
	send(t, j, k)
	must(t, j.MarkUnanswered(k, "timeout"))
	if c := creation(t, j.Journal, k); c.Step != Sent || c.Unanswered != 1 || c.Attempts != 2 {
		t.Errorf("sent again: %+v", c)
	}
}

// TestAnyOrder does anything in any order, closing and opening in between, and
// holds the journal to what must be true at all times.
func TestAnyOrder(t *testing.T) {
	names := []string{
		"Begin", "Send", "MarkUnanswered", "MarkAbsent", "MarkTurnedAway", "MarkRefused", "MarkCreated", "MarkTokenStored",
		"MarkTokenLost", "MarkLinked", "MarkDone", "Note", "Acknowledge", "Forget", "reopen",
	}
	checks := 0
	rapid.Check(t, func(rt *rapid.T) {
		dir := place(t)
		if checks++; checks > 15 && locate(dir).Postgres() != nil {
			return // making its tables takes longer than a file does
		}
		j, err := lockJournal(dir, Options{})
		must(t, err)
		defer func() { must(t, j.Close()) }()
		k, unanswered := acmeKey(), 0
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 1, 15).Draw(rt, "calls") {
			before, err := j.Creation(k)
			must(t, err)
			if name == "reopen" {
				must(t, j.Close())
				j, err = lockJournal(dir, Options{})
				must(t, err)
			} else {
				err = marks(k)[name](j)
			}
			after, readErr := j.Creation(k)
			must(t, readErr)
			var refused *StepError
			switch {
			case err != nil && !errors.As(err, &refused):
				rt.Fatal(err)
			case err != nil && cmp.Diff(before, after) != "":
				rt.Fatalf("%s was refused and changed something", name)
			case after == nil:
				unanswered = 0
				continue
			case (after.Step == Linked || after.Step == Done) && (after.Token == TokenUnknown || after.OrgID == ""):
				rt.Fatalf("%s: linked without id or fate of the token: %+v", name, after)
			case before != nil && before.Token == TokenStored && after.Token != TokenStored:
				rt.Fatalf("%s: forgot where the token is", name)
			case before != nil && before.Alarm() && !after.Alarm() && name != "Acknowledge" && name != "MarkTokenStored":
				rt.Fatalf("%s: ended the alarm", name)
			case after.Unanswered < unanswered:
				rt.Fatalf("%s: forgot a call that was never answered", name)
			case after.Step == Sent && name == "reopen" && after.Unanswered == 0:
				rt.Fatal("after a restart, a call under way doesn't count as unanswered")
			}
			unanswered = after.Unanswered
		}
	})
}

func TestWordsOfStrangers(t *testing.T) {
	j := openJournal(t, place(t), Options{})
	reach(t, j, acme(), Sent)
	must(t, j.MarkUnanswered(acmeKey(), "a\x00b\x1b[31m\nc\xff"+strings.Repeat("x", 10000)))
	c := creation(t, j.Journal, acmeKey())
	if len(c.LastError) > 600 || !strings.HasPrefix(c.LastError, "a b [31m c?xxx") {
		t.Errorf("%q", c.LastError)
	}
}
