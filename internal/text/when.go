package text

import (
	"fmt"
	"strings"
	"time"
)

// ParseTime returns the time that people mean by a date, a date and time with zone, or how
// long ago it was, such as 24h or 7d.
func ParseTime(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	span, days := s, time.Duration(1)
	if n, ok := strings.CutSuffix(s, "d"); ok {
		span, days = n+"h", 24
	}
	if d, err := time.ParseDuration(span); err == nil && d >= 0 {
		return now.Add(-d * days), nil
	}
	return time.Time{}, fmt.Errorf("must be a date such as %s, a date and time with zone such as %s, or how long ago, such as 24h or 7d",
		now.UTC().Format(time.DateOnly), now.UTC().Format(time.RFC3339))
}
