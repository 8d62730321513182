package freeze

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reconciler/internal/freeze/schedule"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// at reads a time in UTC.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	u, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		u, err = time.Parse("2006-01-02 15:04", text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// window reads "deny CRON for DURATION [in ZONE] [of GLOB,GLOB]".
func window(t testing.TB, text string) Window {
	t.Helper()
	kind, rest, _ := strings.Cut(text, " ")
	rest, orgs, of := strings.Cut(rest, " of ")
	rest, where, _ := strings.Cut(rest, " in ")
	cron, long, ok := strings.Cut(rest, " for ")
	opens, err := schedule.Parse(cron)
	d, derr := time.ParseDuration(long)
	if err != nil || derr != nil || !ok || kind != "deny" && kind != "allow" {
		t.Fatalf("%q: %v, %v", text, err, derr)
	}
	w := Window{Deny: kind == "deny", Opens: opens, For: d, Zone: zone(t, where)}
	if of {
		w.Orgs = strings.Split(orgs, ",")
	}
	return w
}

func rules(t testing.TB, windows ...string) *Rules {
	t.Helper()
	r := &Rules{}
	for _, text := range windows {
		r.Windows = append(r.Windows, window(t, text))
	}
	return r
}

const org = "acme-emea.okta.com"

// Each case is asked at several times, in UTC; what is expected is the time of
// the opening, or "free", or "never"; with "!" before it, writes are held because
// no window that allows is open.
func TestHeldTable(t *testing.T) {
	tests := []struct {
		name    string
		windows []string
		asked   map[string]string
	}{
		{"none", nil, map[string]string{"2026-11-21 12:00": "free"}},
		{"nights", []string{"deny 0 22 * * * for 8h"}, map[string]string{
			"2026-11-21 21:59:59": "free", "2026-11-21 22:00": "2026-11-22 06:00", "2026-11-22 05:59:59": "2026-11-22 06:00", "2026-11-22 06:00": "free",
		}},
		{"weekend", []string{"deny 0 18 * * 5 for 60h"}, map[string]string{
			"2026-11-20 17:59": "free", "2026-11-20 18:00": "2026-11-23 06:00", "2026-11-22 00:00": "2026-11-23 06:00", "2026-11-23 06:00": "free",
		}},
		{"working hours alone", []string{"allow 0 9 * * 1-5 for 8h"}, map[string]string{
			"2026-11-20 09:00": "free", "2026-11-20 16:59:59": "free", "2026-11-20 17:00": "!2026-11-23 09:00", "2026-11-21 12:00": "!2026-11-23 09:00",
		}},
		{"deny wins", []string{"allow 0 9 * * * for 8h", "deny 0 12 * * * for 1h"}, map[string]string{
			"2026-11-20 11:59": "free", "2026-11-20 12:00": "2026-11-20 13:00", "2026-11-20 13:00": "free", "2026-11-20 17:00": "!2026-11-21 09:00",
		}},
		{"overlapping freezes chain", []string{"deny 0 22 * * 5 for 8h", "deny 0 5 * * 6 for 4h", "deny 0 9 * * 6 for 1h"}, map[string]string{
			"2026-11-20 22:00": "2026-11-21 10:00", "2026-11-21 09:30": "2026-11-21 10:00", "2026-11-21 10:00": "free",
		}},
		{"freeze ends outside of the allowed", []string{"deny 0 16 * * * for 4h", "allow 0 9 * * * for 8h"}, map[string]string{
			"2026-11-20 16:30": "2026-11-21 09:00", "2026-11-20 20:00": "!2026-11-21 09:00",
		}},
		{"allowed while frozen", []string{"deny 0 8 * * * for 4h", "allow 0 9 * * * for 2h", "allow 0 9 * * 6 for 4h"}, map[string]string{
			// It is open for two hours of a freeze, and on Saturdays an hour longer.
			"2026-11-18 07:00": "!2026-11-21 12:00", "2026-11-18 09:30": "2026-11-21 12:00", "2026-11-21 12:30": "free",
		}},
		{"several allowed", []string{"allow 0 9 * * * for 1h", "allow 0 10 * * * for 1h"}, map[string]string{
			"2026-11-20 09:59:59": "free", "2026-11-20 10:00": "free", "2026-11-20 11:00": "!2026-11-21 09:00",
		}},
		{"always, one after the other", []string{"deny 0 * * * * for 1h"}, map[string]string{"2026-11-20 10:30": "never"}},
		{"always, longer than its period", []string{"deny */10 * * * * for 24h"}, map[string]string{"2026-11-20 10:30": "never"}},
		{"always, each minute", []string{"deny * * * * * for 1m"}, map[string]string{"2026-11-20 10:30:30": "never"}},
		{"a burst, then none", []string{"deny 0-30 0 1 1 * for 24h"}, map[string]string{
			"2027-01-01 00:00": "2027-01-02 00:30", "2027-01-01 00:45": "2027-01-02 00:30", "2027-01-02 00:29:59": "2027-01-02 00:30", "2027-01-02 00:30": "free",
		}},
		{"always allowed", []string{"allow * * * * * for 24h"}, map[string]string{"2026-11-20 10:30": "free"}},
		{"nearly always, and never allowed", []string{"deny 0 1 * * * for 23h", "allow 0 2 * * * for 1h"}, map[string]string{
			"2026-11-20 00:30": "!never", "2026-11-20 02:30": "never",
		}},
		{"seconds", []string{"deny * * * * * for 20s"}, map[string]string{
			"2026-11-20 10:30:19": "2026-11-20 10:30:20", "2026-11-20 10:30:20": "free",
		}},

		{"leap day", []string{"deny 0 0 29 2 * for 24h"}, map[string]string{
			"2027-02-28 23:59": "free", "2027-03-01 00:00": "free", "2028-02-28 23:59:59": "free", "2028-02-29 12:00": "2028-03-01 00:00", "2028-03-01 00:00": "free",
		}},
		{"allowed on leap days alone", []string{"allow 0 0 29 2 * for 24h"}, map[string]string{
			"2026-11-20 12:00": "!never", "2027-02-28 12:00": "!2028-02-29 00:00", "2028-02-29 12:00": "free", "2028-03-01 00:00": "!never",
		}},
		{"over a leap day", []string{"deny 0 0 28 2 * for 48h"}, map[string]string{
			"2027-02-28 12:00": "2027-03-02 00:00", "2028-02-28 12:00": "2028-03-01 00:00",
		}},
		{"longer than a year", []string{"deny 0 0 1 1 * for 9000h"}, map[string]string{"2026-11-20 12:00": "never"}},

		// Berlin: 2026-03-29 02:00 → 03:00, 2026-10-25 03:00 → 02:00.
		{"a start that is skipped", []string{"deny 30 2 * * * for 2h in Europe/Berlin"}, map[string]string{
			"2026-03-28 01:29": "free", "2026-03-28 01:30": "2026-03-28 03:30", // 02:30 CET
			"2026-03-29 00:59": "free", "2026-03-29 01:00": "2026-03-29 03:00", // 03:00 CEST, right after the gap
			"2026-03-29 03:00": "free", "2026-03-30 00:30": "2026-03-30 02:30", // 02:30 CEST
		}},
		{"a start that comes twice", []string{"deny 30 2 * * * for 30m in Europe/Berlin"}, map[string]string{
			"2026-10-25 00:30": "2026-10-25 01:00", // 02:30 CEST, and not again at 02:30 CET
			"2026-10-25 01:00": "free", "2026-10-25 01:30": "free", "2026-10-26 01:30": "2026-10-26 02:00",
		}},
		{"a night that is longer", []string{"deny 0 22 * * * for 8h in Europe/Berlin"}, map[string]string{
			"2026-10-24 20:00": "2026-10-25 04:00", // eight hours, and 05:00 by the clock
			"2026-10-25 04:00": "free",
		}},
		{"each hour of its half, through the change", []string{"deny 0 * * * * for 30m in Europe/Berlin"}, map[string]string{
			"2026-10-25 00:10": "2026-10-25 00:30", "2026-10-25 00:40": "free", "2026-10-25 01:10": "2026-10-25 01:30", "2026-10-25 01:40": "free",
		}},
		{"New York, in the gap", []string{"allow 0 2 * * 0 for 1h in America/New_York"}, map[string]string{
			"2026-03-08 06:59": "!2026-03-08 07:00", "2026-03-08 07:00": "free", "2026-03-08 08:00": "!2026-03-15 06:00",
		}},
		// Half an hour: 2026-10-04 02:00 → 02:30, 2026-04-05 02:00 → 01:30.
		{"Lord Howe, in the gap", []string{"deny 15 2 * * * for 1h in Australia/Lord_Howe"}, map[string]string{
			"2026-10-03 15:29": "free", "2026-10-03 15:30": "2026-10-03 16:30", "2026-10-04 15:15": "2026-10-04 16:15",
		}},
		{"Lord Howe, twice", []string{"deny 45 1 * * * for 15m in Australia/Lord_Howe"}, map[string]string{
			"2026-04-04 14:45": "2026-04-04 15:00", "2026-04-04 15:00": "free", "2026-04-04 15:15": "free",
		}},
		{"Chatham", []string{"deny 0 0 1 12 * for 24h in Pacific/Chatham"}, map[string]string{
			"2026-11-30 10:14": "free", "2026-11-30 10:15": "2026-12-01 10:15",
		}},
		{"Chatham, in the gap", []string{"deny 15 3 27 9 * for 1h in Pacific/Chatham"}, map[string]string{
			"2026-09-26 13:59": "free", "2026-09-26 14:00": "2026-09-26 15:00",
		}},
		{"Kiritimati, a year before everybody", []string{"deny 0 0 1 1 * for 24h in Pacific/Kiritimati"}, map[string]string{
			"2026-12-31 09:59:59": "free", "2026-12-31 10:00": "2027-01-01 10:00",
		}},
		{"Apia, a day that never was", []string{"deny 0 0 30 12 * for 24h in Pacific/Apia"}, map[string]string{
			"2011-12-30 09:59": "free", "2011-12-30 10:00": "2011-12-31 10:00", // what is 31 December there
			"2026-12-29 11:00": "2026-12-30 11:00",
		}},
		{"Nuuk, over midnight twice", []string{"deny 30 23 * * 6 for 1h in America/Nuuk"}, map[string]string{
			"2026-03-29 00:59": "free", "2026-03-29 01:00": "2026-03-29 02:00", // skipped: begins at midnight
			"2026-10-25 00:30": "2026-10-25 01:30", "2026-10-25 01:30": "free", // the first of two
		}},
		{"the schedule names its zone", []string{"deny CRON_TZ=Asia/Tokyo 0 0 * * * for 1h in Europe/Berlin"}, map[string]string{
			"2026-11-20 15:00": "2026-11-20 16:00", "2026-11-20 23:00": "free",
		}},

		{"other orgs", []string{"deny * * * * * for 1h of *.oktapreview.com", "allow 0 0 1 1 * for 1h of other.okta.com"}, map[string]string{"2026-11-20 10:30": "free"}},
		{"this org", []string{"deny 0 * * * * for 30m of *.oktapreview.com,ACME-*.okta.com"}, map[string]string{"2026-11-20 10:10": "2026-11-20 10:30"}},
		{"other orgs' freeze doesn't chain", []string{"deny 0 10 * * * for 1h", "deny 0 10 * * * for 5h of x.okta.com"}, map[string]string{"2026-11-20 10:10": "2026-11-20 11:00"}},
		{"never open", []string{"allow 0 10 * * * for 0s", "deny 0 10 * * * for -1h"}, map[string]string{"2026-11-20 10:00": "!never"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rules(t, tt.windows...)
			for when, wanted := range tt.asked {
				checkHeld(t, r, at(t, when), wanted)
			}
		})
	}
}

func checkHeld(t *testing.T, r *Rules, when time.Time, wanted string) {
	t.Helper()
	held := r.Held(org, when)
	opens, ok := opensAt(r, org, when)
	text := "freeze window until "
	rest, outside := strings.CutPrefix(wanted, "!")
	if outside {
		text = "outside of the allowed windows: the next opens at "
	}
	switch {
	case wanted == "free":
		if held != "" || !ok || !opens.Equal(when) {
			t.Errorf("%s: %q, opens %s, %t", when, held, opens, ok)
		}
		return
	case rest == "never" && outside:
		text = "outside of the allowed windows: none opens within a year"
	case rest == "never":
		text = "freeze window, with no end to it within a year"
	default:
		expected := at(t, rest)
		text += expected.Format(time.RFC3339)
		if !ok || !opens.Equal(expected) {
			t.Errorf("%s: opens %s, %t", when, opens, ok)
		}
	}
	if held != text || rest == "never" && ok {
		t.Errorf("%s: %q, %t; wanted %q", when, held, ok, text)
	}
	once := r.At(when)
	for range 2 {
		if again := once(org); again != held {
			t.Errorf("%s: At says %q", when, again)
		}
	}
}

// opensAt gives the first time from then on at which writes to the org are free
// as far as is known, and false when there is none within a year. What Held says
// of a time must go with it.
func opensAt(r *Rules, domain string, from time.Time) (time.Time, bool) {
	if r.Unreadable != nil {
		return time.Time{}, false
	}
	if s := r.suspended(domain, from); s != nil {
		if s.Until.IsZero() {
			return time.Time{}, false
		}
		from = s.Until
	}
	return opening(r.windows(domain), from)
}

func TestHeldByWindows(t *testing.T) {
	tests := []struct {
		name    string
		windows []string
		want    string
	}{
		{"none", nil, "[]"},
		{"none open", []string{"deny 0 13 * * * for 1h"}, "[]"},
		{"all", []string{"deny 0 11 * * * for 2h"}, "[all: freeze window until 13:00]"},
		{"some", []string{"deny 0 11 * * * for 2h of *.oktapreview.com"}, "[*.oktapreview.com: freeze window until 13:00]"},
		{"the same again", []string{"deny 0 11 * * * for 2h", "deny 0 11 * * * for 1h30m of acme-x.okta.com"}, "[all: freeze window until 13:00]"},
		{"some for longer", []string{"deny 30 11 * * * for 2h of acme-x.okta.com", "deny 0 11 * * * for 2h"},
			"[all: freeze window until 13:00 acme-x.okta.com: freeze window until 13:30]"},
		{"not allowed", []string{"allow 0 20 * * * for 1h"}, "[all: outside of the allowed windows until 20:00]"},
		{"allowed", []string{"allow 0 12 * * * for 1h"}, "[]"},
		{"allowed for some", []string{"allow 0 20 * * * for 1h", "allow 0 12 * * * for 1h of acme-x.okta.com"}, "[all: outside of the allowed windows until 20:00]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := []string{}
			for _, h := range rules(t, test.windows...).HeldByWindows(at(t, "2026-11-21 12:00")) {
				scope := "all"
				if len(h.Orgs) > 0 {
					scope = strings.Join(h.Orgs, ",")
				}
				got = append(got, scope+": "+h.Reason+" until "+h.Until.UTC().Format("15:04"))
			}
			if fmt.Sprint(got) != test.want {
				t.Errorf("%v, want %s", got, test.want)
			}
		})
	}
}

func TestSuspended(t *testing.T) {
	now := at(t, "2026-11-21 12:00")
	all := Suspension{Owner: "ada", Reason: "audit", Since: now.Add(-time.Hour)}
	until := func(s Suspension, text string) Suspension { s.Until = at(t, text); return s }
	of := func(s Suspension, orgs ...string) Suspension { s.Orgs = orgs; return s }
	ahead := all
	ahead.Since = now.Add(time.Hour)
	bob := Suspension{Owner: `bob "b"`, Reason: "INC-7: who knows?", Since: now}
	const forever = `suspended by "ada" (no end given): audit`
	tests := []struct {
		name              string
		all               []Suspension
		org, account, rel string // rel: when the org opens, if not now
	}{
		{"none", nil, "", "", ""},
		{"all", []Suspension{all}, forever, forever, "never"},
		{"made with a clock that was ahead", []Suspension{ahead}, forever, forever, "never"},
		{"until", []Suspension{until(all, "2026-11-21 14:00")}, `suspended by "ada" until 2026-11-21T14:00:00Z: audit`,
			`suspended by "ada" until 2026-11-21T14:00:00Z: audit`, "2026-11-21 14:00"},
		{"to the second", []Suspension{until(all, "2026-11-21 12:00:01")}, `suspended by "ada" until 2026-11-21T12:00:01Z: audit`,
			`suspended by "ada" until 2026-11-21T12:00:01Z: audit`, "2026-11-21 12:00:01"},
		{"expired", []Suspension{until(all, "2026-11-21 12:00")}, "", "", ""},
		{"some orgs, and not the account", []Suspension{of(bob, "*")}, `suspended by "bob \"b\"" (no end given): INC-7: who knows?`, "", "never"},
		{"other orgs", []Suspension{of(all, "*.oktapreview.com")}, "", "", ""},
		{"the longest counts", []Suspension{until(all, "2026-11-21 14:00"), until(bob, "2026-11-21 13:00"), until(all, "2026-11-21 15:00")},
			`suspended by "ada" until 2026-11-21T15:00:00Z: audit`, `suspended by "ada" until 2026-11-21T15:00:00Z: audit`, "2026-11-21 15:00"},
		{"none is longer than for ever", []Suspension{bob, until(all, "2030-01-01 00:00"), all}, `suspended by "bob \"b\"" (no end given): INC-7: who knows?`,
			`suspended by "bob \"b\"" (no end given): INC-7: who knows?`, "never"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Rules{Suspensions: tt.all}
			once := r.At(now)
			if got := r.Held(org, now); got != tt.org || once(org) != got {
				t.Errorf("org: %q, %q", got, once(org))
			}
			if got := r.Held("", now); got != tt.account || once("") != got {
				t.Errorf("account: %q, %q", got, once(""))
			}
			opens, ok := opensAt(r, org, now)
			expected := now
			if tt.rel != "" && tt.rel != "never" {
				expected = at(t, tt.rel)
			}
			if ok != (tt.rel != "never") || ok && !opens.Equal(expected) {
				t.Errorf("opens %s, %t", opens, ok)
			}
		})
	}
	// It outranks windows, and what opens is when both let go.
	r := rules(t, "deny 0 14 * * * for 2h")
	r.Suspensions = []Suspension{until(all, "2026-11-21 15:00")}
	if held := r.Held(org, at(t, "2026-11-21 14:30")); !strings.HasPrefix(held, "suspended") {
		t.Error(held)
	}
	if opens, ok := opensAt(r, org, at(t, "2026-11-21 14:30")); !ok || !opens.Equal(at(t, "2026-11-21 16:00")) {
		t.Errorf("%s, %t", opens, ok)
	}
}

// What can't be read holds everything, on one line.
func TestUnreadable(t *testing.T) {
	r := &Rules{Unreadable: errors.New("damaged\nat line 3")}
	for _, domain := range []string{org, ""} {
		if held := r.Held(domain, time.Time{}); held != "what is suspended can't be read: damaged at line 3" || r.At(time.Time{})(domain) != held {
			t.Errorf("%q", held)
		}
		if _, ok := opensAt(r, domain, time.Time{}); ok {
			t.Error("opens")
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, tt := range []struct {
		globs  []string
		domain string
		wanted bool
	}{
		{nil, "", true},
		{nil, org, true},
		{[]string{"*"}, "", false},
		{[]string{"*"}, org, true},
		{[]string{"ACME-emea.okta.com"}, "acme-EMEA.okta.com", true},
		{[]string{"acme-emea"}, org, false},
		{[]string{"acme-????.okta.com"}, org, true},
		{[]string{"acme-[a-e]*"}, org, true},
		{[]string{"acme-[^a-e]*"}, org, false},
		{[]string{"x", "*.okta.com"}, org, true},
		{[]string{"["}, org, true}, // never checked: holds
	} {
		if got := matches(tt.globs, tt.domain); got != tt.wanted {
			t.Errorf("%q, %q: %t", tt.globs, tt.domain, got)
		}
	}
}

func TestCheckGlob(t *testing.T) {
	for glob, wanted := range map[string]string{
		"*": "", "acme.okta.com": "", "*.oktapreview.com": "", "acme-[a-f]?.okta.com": "", "acme*": "", "[^a]*.okta.com": "",
		"ACME.Okta.com":       "",
		"":                    `must hold domains or patterns of them, as in acme.okta.com or *.oktapreview.com, not ""`,
		"acme":                "must be a full domain",
		"a b.okta.com":        "must hold domains",
		"acme.okta.com/x":     "must hold domains",
		`acme\*.okta.com`:     "must hold domains",
		"acme.okta.com\n":     "must hold domains",
		"a\u202eb.okta.com":   "must hold domains",
		"\xff.okta.com":       "must hold domains",
		"äcme.okta.com":       "must hold domains",
		"[":                   "unclosed [",
		"acme-[a.okta.com":    "unclosed [",
		"acme-[].okta.com":    "unclosed [",
		"a*b*c-[z-].okta.com": "unclosed [",

		strings.Repeat("a", 250) + ".com": "must hold patterns of at most 253 characters",
	} {
		err := CheckGlob(glob)
		if (err == nil) != (wanted == "") || err != nil && (!strings.Contains(err.Error(), wanted) || strings.ContainsAny(err.Error(), "\n\u202e")) {
			t.Errorf("%q: %v", glob, err)
		}
	}
}

// Whoever uses a pattern that was taken need not look at path.Match's error.
func TestCheckedGlobsMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringMatching(`[a-c.*?\[\]^-]{0,12}`).Draw(t, "glob")
		domain := rapid.StringMatching(`[a-c.-]{0,12}`).Draw(t, "domain")
		if CheckGlob(glob) != nil {
			return
		}
		if _, err := path.Match(glob, domain); err != nil {
			t.Fatalf("%q, %q: %v", glob, domain, err)
		}
	})
}

// TestHeldProperties compares with what a clock would see that goes through all
// starts: whether a window is open, and when writes are free.
func TestHeldProperties(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Nuuk", "Pacific/Chatham", "Africa/Cairo", "Pacific/Kiritimati"}
	crons := []string{"* * * * *", "*/7 * * * *", "30 2 * * *", "0 */5 * * *", "0 0 * * 0", "15 1,23 * * 6,0", "10-40 2 * * *", "* 22 * * *", "0 0 29 2 *"}
	lengths := []time.Duration{time.Second, time.Minute, 7 * time.Minute, 45 * time.Minute, 5 * time.Hour, 26 * time.Hour, 80 * time.Hour}
	// Around changes of clocks in those zones, and a leap day.
	days := []string{"2026-03-28", "2026-03-29", "2026-04-04", "2026-04-23", "2026-09-26", "2026-10-03", "2026-10-24", "2026-10-25", "2026-10-29", "2028-02-28", "2026-07-01"}
	rapid.Check(t, func(rt *rapid.T) {
		var r Rules
		for range rapid.IntRange(1, 4).Draw(rt, "windows") {
			opens, err := schedule.Parse(rapid.SampledFrom(crons).Draw(rt, "cron"))
			if err != nil {
				t.Fatal(err)
			}
			r.Windows = append(r.Windows, Window{
				Deny: rapid.Bool().Draw(rt, "deny"), Opens: opens,
				For:  rapid.SampledFrom(lengths).Draw(rt, "for"),
				Zone: zone(t, rapid.SampledFrom(zones).Draw(rt, "zone")),
			})
		}
		now := at(t, rapid.SampledFrom(days).Draw(rt, "day")+" 00:00").Add(time.Duration(rapid.IntRange(0, 86399).Draw(rt, "second")) * time.Second)
		const span = 30 * time.Hour
		free := clock(r.Windows, now, span)
		opens, ok := opensAt(&r, org, now)
		if !ok {
			opens = now.Add(horizon)
		}
		switch i := slices.Index(free, true); {
		case i < 0 && opens.Before(now.Add(span)):
			rt.Fatalf("%s: not free at %s\n%s", now, opens, show(r.Windows))
		case i >= 0 && !opens.Equal(now.Add(time.Duration(i)*time.Second)):
			rt.Fatalf("%s: free after %d seconds, not at %s\n%s", now, i, opens, show(r.Windows))
		}
		if held := r.Held(org, now); (held == "") != free[0] {
			rt.Fatalf("%s: %q\n%s", now, held, show(r.Windows))
		}
	})
}

// clock says for each second from a time on whether writes are free, by going
// through all starts of all windows.
func clock(windows []Window, from time.Time, span time.Duration) []bool {
	denied, allowed, limited := make([]bool, span/time.Second), make([]bool, span/time.Second), false
	for _, w := range windows {
		marks := denied
		if !w.Deny {
			marks, limited = allowed, true
		}
		end := from
		for start := w.Opens.Next(from.Add(-w.For - 48*time.Hour).In(w.Zone)); start.Before(from.Add(span)); start = w.Opens.Next(start) {
			if start.After(end) {
				end = start
			}
			for s := end; s.Before(start.Add(w.For)) && s.Before(from.Add(span)); s = s.Add(time.Second) {
				marks[s.Sub(from)/time.Second] = true
			}
			if e := start.Add(w.For); e.After(end) {
				end = e
			}
		}
	}
	free := make([]bool, len(denied))
	for i := range free {
		free[i] = !denied[i] && (!limited || allowed[i])
	}
	return free
}

func show(windows []Window) string {
	var b strings.Builder
	for _, w := range windows {
		fmt.Fprintf(&b, "deny %t: %s for %s in %s\n", w.Deny, w.Opens, w.For, w.Zone)
	}
	return b.String()
}

// The worst that can be written comes to an end, after a year of it.
func TestHeldEnds(t *testing.T) {
	for name, windows := range map[string][]string{
		"each minute for a day":             {"deny * * * * * for 24h"},
		"each minute for a minute":          {"deny * * * * * for 1m"},
		"always closed when it is allowed":  {"allow * 8-17 * * * for 1m", "deny * * * * * for 1m"},
		"allowed only while frozen, hourly": {"allow 0 * * * * for 10m", "deny 0 * * * * for 20m"},
	} {
		r := rules(t, windows...)
		if held := r.Held(org, at(t, "2026-11-20 12:00:30")); !strings.Contains(held, "within a year") {
			t.Errorf("%s: %q", name, held)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	r := rules(b, "deny 0 18 * * 5 for 60h in Europe/Berlin", "deny 0 0 24 12 * for 240h in Europe/Berlin", "allow 0 9 * * 1-5 for 8h of *.okta.com")
	when := at(b, "2026-11-21 12:00")
	for b.Loop() {
		held := r.At(when)
		for range 10_000 {
			held(org)
		}
	}
}
