package schedule

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustParse(t testing.TB, text string) Schedule {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

const layout = "2006-01-02 15:04 MST"

// next returns the next n times after from, which is "2006-01-02 15:04" in the
// zone.
func next(t *testing.T, s Schedule, from string, z *time.Location, n int) []string {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", from, z)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for range n {
		at = s.Next(at)
		all = append(all, at.Format(layout))
	}
	return all
}

func TestNext(t *testing.T) {
	tests := []struct {
		name, schedule, zone, from string
		want                       []string
	}{
		{"ten minutes", "*/10 * * * *", "UTC", "2026-08-01 23:45",
			[]string{"2026-08-01 23:50 UTC", "2026-08-02 00:00 UTC", "2026-08-02 00:10 UTC"}},
		{"strictly after", "0 * * * *", "UTC", "2026-08-01 12:00", []string{"2026-08-01 13:00 UTC"}},
		{"named days", "30 6 * jan mon-fri", "UTC", "2026-12-31 12:00",
			[]string{"2027-01-01 06:30 UTC", "2027-01-04 06:30 UTC"}},
		{"day of month or of week", "0 0 13 * 5", "UTC", "2026-11-10 00:00",
			[]string{"2026-11-13 00:00 UTC", "2026-11-20 00:00 UTC", "2026-11-27 00:00 UTC", "2026-12-04 00:00 UTC", "2026-12-11 00:00 UTC", "2026-12-13 00:00 UTC"}},
		{"@daily", "@daily", "UTC", "2026-08-01 12:00", []string{"2026-08-02 00:00 UTC", "2026-08-03 00:00 UTC"}},
		{"@hourly", "@hourly", "UTC", "2026-08-01 12:00", []string{"2026-08-01 13:00 UTC"}},
		{"@weekly", "@weekly", "UTC", "2026-08-01 12:00", []string{"2026-08-02 00:00 UTC", "2026-08-09 00:00 UTC"}},
		{"@monthly", "@monthly", "UTC", "2026-08-01 12:00", []string{"2026-09-01 00:00 UTC"}},
		{"@yearly", "@yearly", "UTC", "2026-08-01 12:00", []string{"2027-01-01 00:00 UTC"}},
		{"@every", "@every 90s", "UTC", "2026-08-01 12:00", []string{"2026-08-01 12:01 UTC", "2026-08-01 12:03 UTC"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-08-01 12:00",
			[]string{"2028-02-29 00:00 UTC", "2032-02-29 00:00 UTC"}},
		{"leap day after a century without", "0 0 29 2 *", "UTC", "2096-03-01 00:00", []string{"2104-02-29 00:00 UTC"}},
		{"leap day, every minute", "* * 29 2 *", "UTC", "2096-03-01 00:00", []string{"2104-02-29 00:00 UTC", "2104-02-29 00:01 UTC"}},
		{"last second of a year", "0 0 1 1 *", "UTC", "2026-12-31 23:59", []string{"2027-01-01 00:00 UTC"}},

		// The hour 2 is skipped on 2026-03-08, the hour 1 comes twice on 2026-11-01.
		{"New York, daily in the gap", "30 2 * * *", "America/New_York", "2026-03-07 00:00",
			[]string{"2026-03-07 02:30 EST", "2026-03-08 03:00 EDT", "2026-03-09 02:30 EDT"}},
		{"New York, daily at its start", "0 2 * * *", "America/New_York", "2026-03-07 12:00",
			[]string{"2026-03-08 03:00 EDT", "2026-03-09 02:00 EDT"}},
		{"New York, daily at its end", "0 3 * * *", "America/New_York", "2026-03-07 12:00",
			[]string{"2026-03-08 03:00 EDT", "2026-03-09 03:00 EDT"}},
		{"New York, several in the gap come together", "*/20 2,3 * * *", "America/New_York", "2026-03-08 00:00",
			[]string{"2026-03-08 03:00 EDT", "2026-03-08 03:20 EDT", "2026-03-08 03:40 EDT", "2026-03-09 02:00 EDT"}},
		{"New York, hand over the gap", "*/20 * * * *", "America/New_York", "2026-03-08 01:20",
			[]string{"2026-03-08 01:40 EST", "2026-03-08 03:00 EDT", "2026-03-08 03:20 EDT"}},
		{"New York, hourly over the gap", "30 * * * *", "America/New_York", "2026-03-08 01:00",
			[]string{"2026-03-08 01:30 EST", "2026-03-08 03:30 EDT"}},
		{"New York, daily in the hour that comes twice", "30 1 * * *", "America/New_York", "2026-10-31 12:00",
			[]string{"2026-11-01 01:30 EDT", "2026-11-02 01:30 EST"}},
		{"New York, daily after it", "0 2 * * *", "America/New_York", "2026-10-31 12:00",
			[]string{"2026-11-01 02:00 EST", "2026-11-02 02:00 EST"}},
		{"New York, hand through the hour that comes twice", "*/30 * * * *", "America/New_York", "2026-11-01 00:30",
			[]string{"2026-11-01 01:00 EDT", "2026-11-01 01:30 EDT", "2026-11-01 01:00 EST", "2026-11-01 01:30 EST", "2026-11-01 02:00 EST"}},

		// 2026-03-29 02:00 → 03:00, 2026-10-25 03:00 → 02:00.
		{"Berlin, daily in the gap", "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00",
			[]string{"2026-03-29 03:00 CEST", "2026-03-30 02:30 CEST"}},
		{"Berlin, weekly in the gap", "30 2 * * 0", "Europe/Berlin", "2026-03-28 12:00",
			[]string{"2026-03-29 03:00 CEST", "2026-04-05 02:30 CEST"}},
		{"Berlin, daily twice", "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00",
			[]string{"2026-10-25 02:30 CEST", "2026-10-26 02:30 CET"}},
		{"Berlin, every six hours", "0 */6 * * *", "Europe/Berlin", "2026-10-25 00:00",
			[]string{"2026-10-25 06:00 CET", "2026-10-25 12:00 CET"}},

		// Half an hour: 2026-10-04 02:00 → 02:30, 2026-04-05 02:00 → 01:30.
		{"Lord Howe, daily in the gap", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00",
			[]string{"2026-10-04 02:30 +11", "2026-10-05 02:15 +11"}},
		{"Lord Howe, daily in the half hour that comes twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00",
			[]string{"2026-04-05 01:45 +11", "2026-04-06 01:45 +1030"}},
		{"Lord Howe, hand", "*/15 * * * *", "Australia/Lord_Howe", "2026-04-05 01:15",
			[]string{"2026-04-05 01:30 +11", "2026-04-05 01:45 +11", "2026-04-05 01:30 +1030", "2026-04-05 01:45 +1030", "2026-04-05 02:00 +1030"}},

		// No midnight: 2026-04-24 00:00 → 01:00 in Egypt.
		{"Cairo, midnight in the gap", "0 0 * * *", "Africa/Cairo", "2026-04-23 12:00",
			[]string{"2026-04-24 01:00 EEST", "2026-04-25 00:00 EEST"}},
		{"Cairo, hand from that day on", "*/30 * 24 4 *", "Africa/Cairo", "2026-04-23 12:00",
			[]string{"2026-04-24 01:00 EEST", "2026-04-24 01:30 EEST"}},
		// Midnight twice: 2026-11-01 01:00 → 00:00 in Cuba.
		{"Havana, midnight twice", "0 0 * * *", "America/Havana", "2026-10-31 12:00",
			[]string{"2026-11-01 00:00 CDT", "2026-11-02 00:00 CST"}},
		// Samoa had no 2011-12-30.
		{"Apia, a day that never was", "0 12 * * *", "Pacific/Apia", "2011-12-29 00:00",
			[]string{"2011-12-29 12:00 -10", "2011-12-31 00:00 +14", "2011-12-31 12:00 +14"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := zone(t, tt.zone)
			if diff := cmp.Diff(tt.want, next(t, mustParse(t, tt.schedule), tt.from, z, len(tt.want))); diff != "" {
				t.Errorf("by the time's own zone (-want +got):\n%s", diff)
			}
			if strings.HasPrefix(tt.schedule, "@every") {
				return
			}
			// The same, asked in UTC of a schedule that names its zone.
			named := mustParse(t, "CRON_TZ="+tt.zone+" "+tt.schedule)
			at, _ := time.ParseInLocation("2006-01-02 15:04", tt.from, z)
			at = at.UTC()
			for _, want := range tt.want {
				at = named.Next(at)
				if got := at.In(z).Format(layout); got != want || at.Location() != time.UTC {
					t.Errorf("by its name: got %s in %s, want %s", got, at.Location(), want)
				}
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "it is empty"},
		{"   ", "it is empty"},
		{"CRON_TZ=Europe/Berlin", "it is empty"},
		{"TZ=0", "unknown time zone"},
		{"TZ=", "names no time zone"},
		{"CRON_TZ= * * * * *", "names no time zone"},
		{"CRON_TZ=Mars/Base * * * * *", `unknown time zone "Mars/Base"`},
		{"CRON_TZ=../../etc/passwd * * * * *", "unknown time zone"},
		{"CRON_TZ=UTC @every 5m", "an interval has no time zone"},
		{"* * * *", "4 fields: there must be five"},
		{"0 * * * * *", "6 fields: there must be five"},
		{"60 * * * *", `schedule "60 * * * *": minute "60": must be 0 to 59`},
		{"* * * * 7", `day of week "7": must be 0 (Sunday) to 6 (Saturday), or names such as mon`},
		{"* 5,24 * * *", `hour "5,24": must be 0 to 23`},
		{"* * 0 * *", `day of month "0": must be 1 to 31`},
		{"* * * 13 *", `month "13": must be 1 to 12, or names such as jan`},
		{"CRON_TZ=UTC -1 * * * *", `minute "-1": must be 0 to 59`},
		{"1-2-3 * * * *", `minute "1-2-3": must be a number, or as in`},
		{"1/2/3 * * * *", `minute "1/2/3": must be a number, or as in`},
		{"x * * * *", `minute "x": must be 0 to 59`},
		{"* * * * monday", `day of week "monday": must be 0 (Sunday)`},
		{", * * * *", "never comes due"},
		{"0 0 31 2 *", "never comes due"},
		{"* * 30 feb *", "never comes due"},
		{"0 0 31 4,6,9,11 *", "never comes due"},
		{"*/0 * * * *", `minute "*/0": the step must be 1 or more`},
		{"* * * * 5-1", `day of week "5-1": the range ends before it begins`},
		{"@every", "one duration"},
		{"@every 5m 3s", "one duration"},
		{"@every soon", "not a duration"},
		{"@every -5m", "too short"},
		{"@every 0s", "too short"},
		{"@every 500ms", "too short"},
		{"@every 1500ms", "whole seconds"},
		{"@every 99999999999h", "not a duration"},
		{"@reboot", "names are"},
		{"@daily now", "names are"},
		{strings.Repeat("1,", 300) + "1 * * * *", "too long"},
	}
	for _, tt := range tests {
		_, err := Parse(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse(%q): got %v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestParseGood(t *testing.T) {
	for _, text := range []string{
		"*/10 * * * *", "  0 0 1 1 *  ", "@every 10m", "@every 1h30m", "TZ=UTC 0 0 * * *", "? ? ? ? ?",
		"0 0 31 2 1", // Mondays in February: the days are alternatives
		"CRON_TZ=America/New_York @daily", "0-59/5 1-3,5 1,15 jan,DEC sun",
	} {
		s := mustParse(t, text)
		if s.String() != strings.TrimSpace(text) {
			t.Errorf("String gives %q for %q", s, text)
		}
	}
	var zero Schedule
	if !zero.Next(time.Now()).IsZero() {
		t.Error("the zero Schedule comes due")
	}
}

// Next moves forward, shows a time of the schedule (or the end of a gap), and
// leaves none out that a clock shows.
func TestNextProperties(t *testing.T) {
	zones := []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "Asia/Kathmandu"}
	field := func(t *rapid.T, name string, lo, hi int) string {
		switch rapid.IntRange(0, 3).Draw(t, name+" kind") {
		case 0:
			return "*"
		case 1:
			return "*/" + rapid.StringMatching(`[1-9][0-9]?`).Draw(t, name)
		default:
			return strconv.Itoa(rapid.IntRange(lo, hi).Draw(t, name))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join([]string{
			field(rt, "minute", 0, 59), field(rt, "hour", 0, 23), field(rt, "dom", 1, 28), field(rt, "month", 1, 12), field(rt, "dow", 0, 6),
		}, " ")
		s := mustParse(t, text)
		z := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		// Around the changes of a year, to the second.
		from := time.Date(2026, time.Month(rapid.IntRange(1, 12).Draw(rt, "m")), rapid.IntRange(1, 31).Draw(rt, "d"),
			rapid.IntRange(0, 5).Draw(rt, "h"), rapid.IntRange(0, 59).Draw(rt, "min"), rapid.IntRange(0, 59).Draw(rt, "s"), 0, z)
		got := s.Next(from)
		if !got.After(from) {
			rt.Fatalf("%q after %v: %v does not lie ahead", text, from, got)
		}
		hand := s.hour&allHours == allHours
		start, _ := got.ZoneBounds()
		if !s.shows(got) && (hand || !got.Equal(start)) {
			rt.Fatalf("%q after %v: %v is no time of it", text, from, got)
		}
		// What a clock would show meanwhile; only in a repeated hour may a
		// schedule of certain hours pass a time over.
		for u := from.Truncate(time.Minute).Add(time.Minute); u.Before(got) && u.Sub(from) < 5*24*time.Hour; u = u.Add(time.Minute) {
			if s.shows(u) && (hand || u.Equal(moment(u, u.Hour(), u.Minute(), z))) {
				rt.Fatalf("%q after %v: %v was left out, got %v", text, from, u, got)
			}
		}
	})
}

// shows reports whether the clock shows a time of the schedule at t.
func (s Schedule) shows(t time.Time) bool {
	return s.onDay(t) && s.hour&(1<<t.Hour()) != 0 && s.minute&(1<<t.Minute()) != 0
}

// Whatever is parsed can be run, and nothing panics.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"*/10 * * * *", "@every 10m", "CRON_TZ=UTC 1 2 3 4 5", "TZ=0", "0 0 31 2 *", "@daily", "1-5/2,7 * ? jan sun"} {
		f.Add(s)
	}
	from := time.Date(2026, 3, 8, 1, 59, 59, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		a := s.Next(from)
		b := s.Next(a)
		if !a.After(from) || !b.After(a) {
			t.Errorf("%q: %v, then %v", text, a, b)
		}
		if again, err := Parse(s.String()); err != nil || again.Next(from) != a {
			t.Errorf("%q does not survive being printed: %v", text, err)
		}
	})
}
