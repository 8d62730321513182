package schedule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Zones at the far ends of the world, and those that change their clocks in unusual
// ways: by half an hour, by three quarters of one past the hour, over midnight,
// by a whole day, or not any longer.
func TestNextFarZones(t *testing.T) {
	tests := []struct {
		name, schedule, zone, from string
		want                       []string
	}{
		{"Kiritimati, the first to have a new year", "0 0 1 1 *", "Pacific/Kiritimati", "2026-12-31 23:59",
			[]string{"2027-01-01 00:00 +14", "2028-01-01 00:00 +14"}},
		{"Kiritimati, leap day", "0 0 29 2 *", "Pacific/Kiritimati", "2026-01-01 00:00", []string{"2028-02-29 00:00 +14"}},
		{"Niue, the last", "59 23 29 2 *", "Pacific/Niue", "2026-01-01 00:00", []string{"2028-02-29 23:59 -11"}},
		{"Kathmandu, every hour by its own clock", "0 * * * *", "Asia/Kathmandu", "2026-08-01 12:30",
			[]string{"2026-08-01 13:00 +0545", "2026-08-01 14:00 +0545"}},

		// 2026-09-27 02:45 → 03:45, 2026-04-05 03:45 → 02:45.
		{"Chatham, before the gap", "30 2 * * *", "Pacific/Chatham", "2026-09-26 12:00",
			[]string{"2026-09-27 02:30 +1245", "2026-09-28 02:30 +1345"}},
		{"Chatham, at the gap's start", "45 2 * * *", "Pacific/Chatham", "2026-09-26 12:00",
			[]string{"2026-09-27 03:45 +1345", "2026-09-28 02:45 +1345"}},
		{"Chatham, in the gap, past the hour", "15 3 * * *", "Pacific/Chatham", "2026-09-26 12:00",
			[]string{"2026-09-27 03:45 +1345", "2026-09-28 03:15 +1345"}},
		{"Chatham, at its end", "45 3 * * *", "Pacific/Chatham", "2026-09-26 12:00",
			[]string{"2026-09-27 03:45 +1345", "2026-09-28 03:45 +1345"}},
		{"Chatham, hand over the gap", "*/15 * * * *", "Pacific/Chatham", "2026-09-27 02:15",
			[]string{"2026-09-27 02:30 +1245", "2026-09-27 03:45 +1345", "2026-09-27 04:00 +1345"}},
		{"Chatham, twice", "0 3 * * *", "Pacific/Chatham", "2026-04-04 12:00",
			[]string{"2026-04-05 03:00 +1345", "2026-04-06 03:00 +1245"}},
		{"Chatham, hand through what comes twice", "*/30 * * * *", "Pacific/Chatham", "2026-04-05 02:40",
			[]string{"2026-04-05 03:00 +1345", "2026-04-05 03:30 +1345", "2026-04-05 03:00 +1245", "2026-04-05 03:30 +1245", "2026-04-05 04:00 +1245"}},

		// 2026-03-28 23:00 → 2026-03-29 00:00, 2026-10-25 00:00 → 2026-10-24 23:00.
		{"Nuuk, the last hour of a day in the gap", "30 23 * * *", "America/Nuuk", "2026-03-28 12:00",
			[]string{"2026-03-29 00:00 -01", "2026-03-29 23:30 -01"}},
		{"Nuuk, the last hour of a Saturday in the gap", "30 23 * * 6", "America/Nuuk", "2026-03-28 12:00",
			[]string{"2026-03-29 00:00 -01", "2026-04-04 23:30 -01"}},
		{"Nuuk, midnight after the gap", "0 0 * * *", "America/Nuuk", "2026-03-28 12:00",
			[]string{"2026-03-29 00:00 -01", "2026-03-30 00:00 -01"}},
		{"Nuuk, hand over the gap", "*/30 * * * *", "America/Nuuk", "2026-03-28 22:00",
			[]string{"2026-03-28 22:30 -02", "2026-03-29 00:00 -01", "2026-03-29 00:30 -01"}},
		{"Nuuk, twice before midnight", "30 23 * * *", "America/Nuuk", "2026-10-24 12:00",
			[]string{"2026-10-24 23:30 -01", "2026-10-25 23:30 -02"}},
		{"Nuuk, midnight that is put off", "0 0 * * *", "America/Nuuk", "2026-10-24 12:00",
			[]string{"2026-10-25 00:00 -02", "2026-10-26 00:00 -02"}},
		{"Nuuk, hand through the longer Saturday", "*/30 * 24 10 *", "America/Nuuk", "2026-10-24 23:00",
			[]string{"2026-10-24 23:30 -01", "2026-10-24 23:00 -02", "2026-10-24 23:30 -02", "2027-10-24 00:00 -01"}},

		// Samoa changed clocks until 2021, and went over the date line.
		{"Apia, in its last gap", "30 3 * * *", "Pacific/Apia", "2020-09-26 12:00",
			[]string{"2020-09-27 04:00 +14", "2020-09-28 03:30 +14"}},
		{"Apia, no gap any longer", "30 3 * * *", "Pacific/Apia", "2026-09-26 12:00",
			[]string{"2026-09-27 03:30 +13", "2026-09-28 03:30 +13"}},
		{"Apia, hand over the day that never was", "0 * * * *", "Pacific/Apia", "2011-12-29 22:30",
			[]string{"2011-12-29 23:00 -10", "2011-12-31 00:00 +14"}},
		{"Apia, weekly on the day that never was", "0 12 * * 5", "Pacific/Apia", "2011-12-29 13:00",
			[]string{"2011-12-31 00:00 +14", "2012-01-06 12:00 +14"}},

		// Casablanca goes back an hour for Ramadan: 2026-02-15 03:00 → 02:00,
		// 2026-03-22 02:00 → 03:00.
		{"Casablanca, twice, in winter", "30 2 * * *", "Africa/Casablanca", "2026-02-14 12:00",
			[]string{"2026-02-15 02:30 +01", "2026-02-16 02:30 +00"}},
		{"Casablanca, in the gap", "30 2 * * *", "Africa/Casablanca", "2026-03-21 12:00",
			[]string{"2026-03-22 03:00 +01", "2026-03-23 02:30 +01"}},
		// Troll goes by two hours: 2026-03-29 01:00 → 03:00.
		{"Troll, a gap of two hours", "15,45 1,2 * * *", "Antarctica/Troll", "2026-03-28 12:00",
			[]string{"2026-03-29 03:00 +02", "2026-03-30 01:15 +02"}},
		// Dublin's winter time is the exception, and goes back in autumn all the same.
		{"Dublin, twice", "30 1 * * *", "Europe/Dublin", "2026-10-24 12:00",
			[]string{"2026-10-25 01:30 IST", "2026-10-26 01:30 GMT"}},
		{"leap day at midnight in a zone of half hours", "0 0 29 2 *", "Australia/Lord_Howe", "2026-10-04 02:00",
			[]string{"2028-02-29 00:00 +11", "2032-02-29 00:00 +11"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := zone(t, tt.zone)
			if diff := cmp.Diff(tt.want, next(t, mustParse(t, tt.schedule), tt.from, z, len(tt.want))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A daily schedule comes due once for each day that a calendar of the zone has,
// through all changes of four years, and an hourly one once for each hour that
// passes.
func TestNextCounts(t *testing.T) {
	for _, name := range []string{
		"UTC", "America/New_York", "America/Nuuk", "America/Havana", "Europe/Dublin", "Africa/Cairo", "Africa/Casablanca",
		"Asia/Gaza", "Antarctica/Troll", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Kiritimati",
	} {
		z := zone(t, name)
		from := time.Date(2024, 1, 1, 0, 0, 0, 0, z)
		count := func(text string, to time.Time) (n int) {
			s := mustParse(t, text)
			for at := s.Next(from.Add(-1)); at.Before(to); at = s.Next(at) {
				n++
			}
			return n
		}
		const days = 4*365 + 1
		year, years := time.Date(2025, 1, 1, 0, 0, 0, 0, z), time.Date(2028, 1, 1, 0, 0, 0, 0, z)
		for _, daily := range []string{"0 0 * * *", "30 2 * * *", "59 23 * * *"} {
			if n := count(daily, years); n != days {
				t.Errorf("%s: %q came due %d times on %d days", name, daily, n, days)
			}
		}
		if n, hours := count("59 * * * *", year), int(year.Sub(from)/time.Hour); n != hours {
			// Half hours that are skipped or come twice have a :59 or not.
			if name != "Australia/Lord_Howe" && name != "Pacific/Chatham" {
				t.Errorf("%s: an hourly schedule came due %d times in %d hours", name, n, hours)
			}
		}
		if n := count("0 0 29 2 *", years); n != 1 {
			t.Errorf("%s: %d leap days", name, n)
		}
	}
}

// BenchmarkNext has the schedules that are most work.
func BenchmarkNext(b *testing.B) {
	berlin := zone(b, "Europe/Berlin")
	at := time.Date(2026, 8, 1, 12, 0, 0, 0, berlin)
	for _, text := range []string{"* * * * *", "* 8-17 * * *", "59 23 * * *", "0 0 29 2 *"} {
		s := mustParse(b, text)
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				s.Next(at)
			}
		})
	}
}
