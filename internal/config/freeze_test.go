package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/freeze"
	"reconciler/internal/freeze/schedule"
)

func TestLoadHold(t *testing.T) {
	path := writeConfig(t, `jitter: 90s
windows:
  - deny: "0 18 * * 5"
    duration: 62h
    timezone: Europe/Berlin
    orgs: ["*.OktaPreview.com", acme.okta.com]
  - {allow: " 0 9 * * 1-4 ", duration: 8h}
suspend:
  - {reason: " Okta migration ", owner: ada@acme.example, until: 2999-12-01T01:00:00+01:00}
guards: {deactivationCooloff: 24h}
state: {dir: s}
`)
	got, warnings, err := Load(path, []string{
		"RECONCILER_SUSPEND_1_REASON=labs",
		"RECONCILER_SUSPEND_1_OWNER=bob",
		"RECONCILER_SUSPEND_1_ORGS=labs-*, acme.okta.com",
		"RECONCILER_WINDOWS_1_TIMEZONE=Asia/Tokyo",
	})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	fields := func(text string, zone *time.Location) schedule.Schedule {
		s, err := schedule.ParseFields(text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	berlin, tokyo := mustZone(t, "Europe/Berlin"), mustZone(t, "Asia/Tokyo")
	windows := []freeze.Window{
		{
			Deny: true, Opens: fields("0 18 * * 5", berlin), For: 62 * time.Hour, Zone: berlin,
			Orgs: []string{"*.oktapreview.com", "acme.okta.com"},
		},
		{Opens: fields("0 9 * * 1-4", tokyo), For: 8 * time.Hour, Zone: tokyo},
	}
	byName := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	if diff := cmp.Diff(windows, got.Windows, compare, byName); diff != "" {
		t.Error(diff)
	}
	from := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for i, wanted := range []string{"2026-11-27T17:00:00Z", "2026-11-24T00:00:00Z"} {
		if due := got.Windows[i].Opens.Next(from).Format(time.RFC3339); due != wanted {
			t.Errorf("window %d opens at %s, want %s", i, due, wanted)
		}
	}
	suspensions := []freeze.Suspension{
		{Reason: "Okta migration", Owner: "ada@acme.example", Until: time.Date(2999, 12, 1, 0, 0, 0, 0, time.UTC)},
		{Reason: "labs", Owner: "bob", Orgs: []string{"labs-*", "acme.okta.com"}},
	}
	if diff := cmp.Diff(suspensions, got.Suspend); diff != "" {
		t.Error(diff)
	}
	if got.Jitter != 90*time.Second || got.Guards.DeactivationCooloff != 24*time.Hour {
		t.Error(got.Jitter, got.Guards)
	}
}

func mustZone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// An expired entry is kept, so that the daemon can report it.
func TestSuspensionExpires(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for until, warned := range map[string]bool{
		"2026-11-21T11:59:59Z":      true,
		"2026-11-21T12:00:00Z":      true,
		"2026-11-21T12:00:01Z":      false,
		"2026-11-21T13:00:00+01:00": true,
		"2026-11-21T13:00:01+01:00": false,
	} {
		f := file{Suspend: []at[suspensionFile]{{Set: true, V: suspensionFile{
			Reason: at[string]{V: "r", Set: true}, Owner: at[string]{V: "o", Set: true}, Until: at[plain]{V: plain(until), Set: true},
		}}}}
		r := newResolver(&f, "", now)
		all := r.suspensions(f.Suspend)
		if err := r.errs.Err(); err != nil || len(all) != 1 || all[0].Until.IsZero() || (len(r.warnings) == 1) != warned {
			t.Errorf("%s: %v, %v, %v", until, all, r.warnings, err)
		}
	}
}

func TestJitter(t *testing.T) {
	for _, tt := range []struct {
		schedule, jitter string
		ok               bool
	}{
		{"*/10 * * * *", "9m59s", true},
		{"*/10 * * * *", "10m", false},
		{"@every 30s", "29s", true},
		{"@every 30s", "30s", false},
		{"@daily", "1h", true},
		{"0,50 * * * *", "10m", false}, // 10 minutes from :50 to :00
		{"0,50 * * * *", "9m", true},
		{"0 0 29 2 *", "1h", true},
		{"@daily", "1h1s", false},
		{"@daily", "-1s", false},
		{"@every 1s", "0s", true},
	} {
		_, _, err := load("reconciler.yaml", []byte("schedule: '"+tt.schedule+"'\njitter: "+tt.jitter+"\n"), nil)
		if (err == nil) != tt.ok {
			t.Errorf("%s, jitter %s: %v", tt.schedule, tt.jitter, err)
		}
	}
}
