package schedule

import "time"

// Next returns the first time after t at which the schedule comes due, in t's
// location; the zero time for the zero Schedule. A schedule without a time zone
// uses that of t.
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
		due = s.nextByClock(t.In(zone))
	} else {
		due = s.nextByDay(t.In(zone))
	}
	if due.IsZero() {
		return due
	}
	return due.In(t.Location())
}

// nextByClock returns the next time that a clock shows: skipped times don't come
// due, repeated ones do so twice. It is for schedules of every hour.
func (s Schedule) nextByClock(t time.Time) time.Time {
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

// nextByDay returns the next time of the calendar: skipped times come due after
// the gap, repeated ones once. It starts a day early, because a skipped time may
// come due on the next day.
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

// onDay reports whether the schedule includes t's date. Days of month and of
// week are alternatives if both are restricted, as in crontab(5).
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
		// Clocks were set back over midnight: t's date comes again.
		return t.Add(time.Hour)
	}
	return u
}

// moment returns when it is h:min of the date in the zone: the first time, if
// clocks show it twice, and the end of the gap, if clocks skip it. A later h:min
// is never an earlier moment.
func moment(date time.Time, h, min int, zone *time.Location) time.Time {
	y, m, d := date.Date()
	u := time.Date(y, m, d, h, min, 0, 0, zone)
	start, end := u.ZoneBounds()
	// How the clock at u differs from h:min.
	_, now := u.Zone()
	shown := u.UTC().Add(time.Duration(now) * time.Second)
	off := shown.Sub(time.Date(y, m, d, h, min, 0, 0, time.UTC))
	switch {
	case off > 0: // skipped, and u lies after the gap
		return start
	case off < 0: // skipped, and u lies before the gap
		return end
	case start.IsZero():
		return u
	}
	_, before := start.Add(-time.Second).Zone()
	if first := u.Add(time.Duration(now-before) * time.Second); first.Before(start) && now < before {
		return first
	}
	return u
}
