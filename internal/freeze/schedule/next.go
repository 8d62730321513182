package schedule

import "time"

// Next returns the first time after t at which the schedule comes due, in t's
// location, and the zero time for the zero Schedule. A schedule without a time
// zone of its own goes by that of t.
func (s Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		return t.Round(0).Truncate(time.Second).Add(s.every)
	}
	if s.minute == 0 {
		return time.Time{}
	}
	zone := s.zone
	if zone == nil {
		zone = t.Location()
	}
	var due time.Time
	if s.hour&allHours == allHours {
		due = s.nextByHand(t.In(zone))
	} else {
		due = s.nextByDay(t.In(zone))
	}
	if due.IsZero() {
		return due
	}
	return due.In(t.Location())
}

// nextByHand follows the hand of the clock: a skipped time isn't shown and a
// repeated one is shown twice. It is for schedules of every hour.
func (s Schedule) nextByHand(t time.Time) time.Time {
	u := t.Round(0).Truncate(time.Minute).Add(time.Minute)
	end := u.AddDate(0, 0, horizon)
	for u.Before(end) {
		switch {
		case !s.onDay(u):
			u = tomorrow(u)
		case s.minute&(1<<u.Minute()) != 0:
			return u
		default:
			u = u.Add(time.Minute)
		}
	}
	return time.Time{}
}

// nextByDay goes through the calendar and the times of day on each day of it,
// then asks when each of these is. It starts a day early, because a skipped
// time comes due later than it is called.
func (s Schedule) nextByDay(t time.Time) time.Time {
	y, m, d := t.Date()
	for i := -1; i <= horizon; i++ {
		// Noon of a day in UTC stands for the date alone.
		date := time.Date(y, m, d+i, 12, 0, 0, 0, time.UTC)
		if !s.onDay(date) {
			continue
		}
		for h := range 24 {
			if s.hour&(1<<h) == 0 || !moment(date, h, 59, t.Location()).After(t) {
				continue
			}
			for min := range 60 {
				if s.minute&(1<<min) == 0 {
					continue
				}
				if u := moment(date, h, min, t.Location()); u.After(t) {
					return u
				}
			}
		}
	}
	return time.Time{}
}

// onDay reports whether t's date is in. Days of month and of week are
// alternatives when both are restricted, as crontab(5) has it.
func (s Schedule) onDay(t time.Time) bool {
	if s.month&(1<<t.Month()) == 0 {
		return false
	}
	dom := s.dom&(1<<t.Day()) != 0
	dow := s.dow&(1<<t.Weekday()) != 0
	if s.dom&starBit != 0 || s.dow&starBit != 0 {
		return dom && dow
	}
	return dom || dow
}

// tomorrow returns the first moment of the day after t's.
func tomorrow(t time.Time) time.Time {
	y, m, d := t.Date()
	u := moment(time.Date(y, m, d+1, 12, 0, 0, 0, time.UTC), 0, 0, t.Location())
	if !u.After(t) {
		// Clocks that were set back over midnight: t's date comes again.
		return t.Add(time.Hour)
	}
	return u
}

// moment says when it is h:min of the date in the zone: the first time, if
// clocks show it twice, and right after the gap, if clocks skip it. It never
// goes back as h:min goes on.
func moment(date time.Time, h, min int, zone *time.Location) time.Time {
	y, m, d := date.Date()
	u := time.Date(y, m, d, h, min, 0, 0, zone)
	start, end := u.ZoneBounds()
	// Seen as if both were in UTC: how the clock at u differs from h:min.
	off := shown(u).Sub(time.Date(y, m, d, h, min, 0, 0, time.UTC))
	switch {
	case off > 0: // skipped, and u lies after the gap
		return start
	case off < 0: // skipped, and u lies before the gap
		return end
	case start.IsZero():
		return u
	}
	_, before := start.Add(-time.Second).Zone()
	_, now := u.Zone()
	if first := u.Add(time.Duration(now-before) * time.Second); first.Before(start) && now < before {
		return first
	}
	return u
}

// shown returns what the clock shows at t, as a time in UTC.
func shown(t time.Time) time.Time {
	_, off := t.Zone()
	return t.UTC().Add(time.Duration(off) * time.Second)
}
