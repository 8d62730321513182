package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestParseFields(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		zone   *time.Location
		wanted string
	}{
		{tokyo, "2026-11-22T09:00:00Z"},
		{time.UTC, "2026-11-21T18:00:00Z"},
		{nil, "2026-11-21T18:00:00Z"}, // that of from
	} {
		s, err := ParseFields(" 0 18 * * * ", tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(from).Format(time.RFC3339); got != tt.wanted || s.String() != "0 18 * * *" {
			t.Errorf("%q in %v: %s, want %s", s, tt.zone, got, tt.wanted)
		}
	}
}

func TestParseFieldsErrors(t *testing.T) {
	for text, wanted := range map[string]string{
		"":                             `schedule "": it must be five fields`,
		"@daily":                       `schedule "@daily": it must be five fields`,
		"@every 10m":                   `schedule "@every 10m": it must be five fields`,
		"0 0 * *":                      `schedule "0 0 * *": it must be five fields`,
		"0 0 * * * *":                  `it must be five fields`,
		"CRON_TZ=UTC 0 0 * *":          `4 fields: there must be five`,
		"CRON_TZ=UTC 0 0 * * *":        `it must be five fields`,
		"@every 1h 0 0 *":              `an interval is one duration`,
		"0 0 31 2 *":                   `never comes due`,
		"0 0 * * 7":                    `day of week "7": must be 0 (Sunday) to 6`,
		strings.Repeat("0 ", maxLen+1): `is too long`,
	} {
		s, err := ParseFields(text, time.UTC)
		if err == nil || !strings.Contains(err.Error(), wanted) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.30q: %v, want %q", text, err, wanted)
		}
		if !s.Next(time.Unix(0, 0)).IsZero() {
			t.Errorf("%.30q: comes due all the same", text)
		}
	}
}
