package page

import (
	"fmt"
	"html/template"
	"time"
)

// timeHTML returns a time as pages show it: how long ago, and when in UTC; nothing for the
// zero time. The script shows it in the reader's zone. It is no template: lists have hundreds.
func timeHTML(t, now time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + passing + ago(now.Sub(t)) + `</span> <span class="at">` + utc(t) + `</span></time>`)
}

// utc returns a time in UTC, in full.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// ago returns how long ago something was, or in what time it will be, in its largest unit.
func ago(d time.Duration) string {
	word := "%s ago"
	if d < 0 {
		d, word = -d, "in %s"
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf(word, count(d, time.Second, "s"))
	case d < time.Hour:
		return fmt.Sprintf(word, count(d, time.Minute, "min"))
	case d < day:
		return fmt.Sprintf(word, count(d, time.Hour, "h"))
	case d < 2*day:
		return fmt.Sprintf(word, "1 day")
	}
	return fmt.Sprintf(word, count(d, day, "days"))
}

func count(d, unit time.Duration, name string) string { return fmt.Sprintf("%d %s", d/unit, name) }
