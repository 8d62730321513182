// Package schedule parses schedules and computes when they come due.
//
// A schedule is written as in crontab(5): five fields (minute, hour, day of
// month, month, day of week), one of @hourly, @daily, @weekly, @monthly and
// @yearly, or an interval such as "@every 10m". A time zone may precede fields,
// as in "CRON_TZ=Europe/Berlin 30 2 * * *".
//
// Unlike robfig/cron, which parses the fields, it handles clock changes. A
// schedule of certain hours, such as a daily one, runs exactly once for each of
// them: a skipped hour comes due at the first moment after the gap, a repeated
// one only the first time. A schedule of every hour follows the clock.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones must work on machines without a zone database

	"github.com/robfig/cron/v3"
)

const (
	// maxLen limits the length of a schedule, in bytes.
	maxLen = 500
	// horizon limits the search for the next time, in days. Leap days are at
	// most eight years apart.
	horizon = 9 * 366

	allHours = 1<<24 - 1
	starBit  = 1 << 63 // how the parser marks a field that is *
)

// Schedule is a parsed schedule, which is immutable. The zero Schedule never
// comes due.
type Schedule struct {
	text  string
	every time.Duration // of an interval; 0 for fields
	// The fields as sets: bit n is set if the value n is in the field.
	minute, hour, dom, month, dow uint64
	zone                          *time.Location // nil: that of Next's time
}

// String returns the schedule as it was written.
func (s Schedule) String() string { return s.text }

// Parse returns the schedule that text describes. It rejects schedules that can't
// be run: fields out of range, unknown zones, intervals that aren't whole seconds,
// and days that never come, such as "0 0 31 2 *". The error is one line, with what
// to write instead.
func Parse(text string) (Schedule, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxLen {
		return Schedule{}, fmt.Errorf("a schedule of %d characters is too long", len(text))
	}
	s, err := parse(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	s.text = text
	return s, nil
}

// ParseFields returns the schedule of five fields in a time zone; nil is the zone
// of the time that Next is called with. It rejects what Parse rejects, and also
// names, intervals and a time zone in text.
func ParseFields(text string, zone *time.Location) (Schedule, error) {
	if len(text) <= maxLen && len(strings.Fields(text)) != 5 {
		return Schedule{}, fmt.Errorf("schedule %q: it must be five fields (minute, hour, day of month, month, day of week)", strings.TrimSpace(text))
	}
	s, err := Parse(text)
	if err != nil {
		return Schedule{}, err
	}
	s.zone = zone
	return s, nil
}

func parse(text string) (Schedule, error) {
	zone, rest, err := splitZone(text)
	if err != nil {
		return Schedule{}, err
	}
	fields := strings.Fields(rest)
	switch {
	case len(fields) == 0:
		return Schedule{}, errors.New(`it is empty: write five fields as in "*/10 * * * *", or "@every 10m"`)
	case fields[0] == "@every":
		return parseEvery(zone, fields)
	case strings.HasPrefix(rest, "@"):
		if len(fields) > 1 || !isName(rest) {
			return Schedule{}, errors.New(`names are @hourly, @daily, @weekly, @monthly, @yearly and "@every 10m"`)
		}
	case len(fields) != 5:
		return Schedule{}, fmt.Errorf("%d fields: there must be five (minute, hour, day of month, month, day of week)", len(fields))
	}
	spec, err := parseFields(rest)
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{
		minute: spec.Minute, hour: spec.Hour, dom: spec.Dom, month: spec.Month, dow: spec.Dow,
		zone: zone,
	}
	// The calendar repeats itself, so the day to start from doesn't matter.
	if s.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, errors.New("it never comes due: no month that it names has such a day, or a field is empty")
	}
	return s, nil
}

func isName(text string) bool {
	switch text {
	case "@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually":
		return true
	}
	return false
}

// splitZone returns the zone of a leading TZ= or CRON_TZ=, or nil, and the rest.
// The parser would panic if nothing follows the zone.
func splitZone(text string) (*time.Location, string, error) {
	for _, key := range []string{"CRON_TZ=", "TZ="} {
		rest, ok := strings.CutPrefix(text, key)
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, " ")
		if name == "" {
			return nil, "", fmt.Errorf("%s names no time zone: write it as in %sEurope/Berlin", key, key)
		}
		zone, err := time.LoadLocation(name)
		if err != nil {
			return nil, "", fmt.Errorf("unknown time zone %q: write it as in %sEurope/Berlin", name, key)
		}
		return zone, strings.TrimSpace(rest), nil
	}
	return nil, text, nil
}

// parseEvery parses an interval. The parser would turn a negative one into a
// second, and round others to seconds.
func parseEvery(zone *time.Location, fields []string) (Schedule, error) {
	const form = `write it as in "@every 10m"`
	if zone != nil {
		return Schedule{}, errors.New("an interval has no time zone: remove it")
	}
	if len(fields) != 2 {
		return Schedule{}, errors.New("an interval is one duration: " + form)
	}
	d, err := time.ParseDuration(fields[1])
	switch {
	case err != nil:
		return Schedule{}, fmt.Errorf("%q is not a duration: %s", fields[1], form)
	case d < time.Second:
		return Schedule{}, fmt.Errorf("the interval %s is too short: at least 1s", fields[1])
	case d%time.Second != 0:
		return Schedule{}, fmt.Errorf("the interval %s must be whole seconds", fields[1])
	}
	return Schedule{every: d}, nil
}

// fields are the names of a schedule's fields and what each accepts.
var fields = [...]struct{ name, takes string }{
	{"minute", "0 to 59"},
	{"hour", "0 to 23"},
	{"day of month", "1 to 31"},
	{"month", "1 to 12, or names such as jan"},
	{"day of week", "0 (Sunday) to 6 (Saturday), or names such as mon"},
}

// explain returns an error of the parser with the field that it is about, which
// the parser doesn't name.
func explain(text string, err error) error {
	for i, field := range strings.Fields(text) {
		alone := [len(fields)]string{"*", "*", "*", "*", "*"}
		alone[i] = field
		_, bad := cron.ParseStandard(strings.Join(alone[:], " "))
		if bad == nil {
			continue
		}
		says := func(words string) bool { return strings.Contains(bad.Error(), words) }
		problem := "must be " + fields[i].takes
		switch {
		case says("beyond end of range"):
			problem = "the range ends before it begins"
		case says("step of range"):
			problem = "the step must be 1 or more"
		case says("too many hyphens"), says("too many slashes"):
			problem = "must be a number, or as in 1-5, */10, 1-30/5 or 1,2"
		}
		return fmt.Errorf("%s %q: %s", fields[i].name, field, problem)
	}
	return err
}

// parseFields calls the parser and turns its panics into errors.
func parseFields(text string) (spec *cron.SpecSchedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			spec, err = nil, errors.New("it can't be read")
		}
	}()
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, explain(text, err)
	}
	return parsed.(*cron.SpecSchedule), nil
}
