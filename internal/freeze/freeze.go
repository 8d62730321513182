package freeze

import (
	"encoding/json"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"reconciler/internal/freeze/schedule"
	"reconciler/internal/text"
)

// Window is a recurring time: [start, start+For) for each start of Opens.
type Window struct {
	// Deny makes it a freeze window, in which nothing is written. Otherwise it
	// is one in which writing is allowed, and then outside of all such windows
	// nothing is written.
	Deny bool
	// Opens returns the starts, each of them once when clocks change; see package
	// schedule. It must not be an interval, which has no fixed start.
	Opens schedule.Schedule
	// For is how long it stays open, in elapsed time and not by the wall clock.
	// When it is longer than from one start to the next, the window doesn't close
	// in between.
	For time.Duration
	// Zone is the time zone of the starts, unless Opens has one; nil is UTC.
	Zone *time.Location
	// Orgs are patterns for domains (see CheckGlob), of which one must match.
	// An empty list stands for all orgs and the account.
	Orgs []string
}

// MaxReason and MaxOwner are how many characters those of a Suspension may have,
// wherever it is made.
const (
	MaxReason = 200
	MaxOwner  = 200
	maxGlobs  = 100
)

// Suspension holds writes until somebody takes it back or it expires.
type Suspension struct {
	// ID identifies it; one that the config declares has none.
	ID string `json:"id,omitempty"`
	// Orgs are like those of a Window.
	Orgs Globs `json:"orgs"`
	// Reason is why, and Owner who knows more about it.
	Reason string `json:"reason"`
	Owner  string `json:"owner"`
	// Since is when it was made. It also holds before that: a clock that was set
	// back must not permit writes. Until is when it expires; zero for never.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Globs are patterns for domains. In JSON they are a list, also when there are
// none, so that readers need not distinguish an empty list from a missing one.
type Globs []string

// MarshalJSON returns the list.
func (g Globs) MarshalJSON() ([]byte, error) { return json.Marshal(append([]string{}, g...)) }

// Match reports whether one of the patterns matches a domain, in any case.
func (g Globs) Match(domain string) bool { return matches(g, domain) }

// Expired reports whether the suspension no longer holds anything.
func (s *Suspension) Expired(at time.Time) bool { return !s.Until.IsZero() && !at.Before(s.Until) }

// Active returns the suspensions that hold writes at that time; never nil.
func Active(all []Suspension, at time.Time) []Suspension {
	active := []Suspension{}
	for i := range all {
		if !all[i].Expired(at) {
			active = append(active, all[i])
		}
	}
	return active
}

// Check rejects what people could not read, and what has no meaning.
func (s *Suspension) Check() error {
	if err := CheckReason(s.Reason); err != nil {
		return err
	}
	if err := checkText("owner", s.Owner, MaxOwner); err != nil {
		return err
	}
	if len(s.Orgs) > maxGlobs {
		return fmt.Errorf("there are more than %d patterns for orgs", maxGlobs)
	}
	for _, glob := range s.Orgs {
		if err := CheckGlob(glob); err != nil {
			return fmt.Errorf("the orgs %w", err)
		}
	}
	return nil
}

// CheckReason rejects reasons that people could not read.
func CheckReason(reason string) error { return checkText("reason", reason, MaxReason) }

func checkText(name, value string, most int) error {
	switch {
	case strings.TrimSpace(value) == "":
		return fmt.Errorf("the %s is missing", name)
	case utf8.RuneCountInString(value) > most:
		return fmt.Errorf("the %s has more than %d characters", name, most)
	case !printable(value):
		return fmt.Errorf("the %s has line breaks or other characters that can't be printed", name)
	}
	return nil
}

// Scope describes what the suspension is for.
func (s *Suspension) Scope() string {
	if len(s.Orgs) == 0 {
		return "all orgs and the account"
	}
	return strings.Join(s.Orgs, ", ")
}

// String returns who suspended until when, and why.
func (s *Suspension) String() string {
	end := "(no end given)"
	if !s.Until.IsZero() {
		end = "until " + stamp(s.Until)
	}
	return fmt.Sprintf("suspended by %q %s: %s", s.Owner, end, s.Reason)
}

// Rules is all that may hold writes. The zero Rules hold none. Many goroutines may
// use Rules that don't change.
type Rules struct {
	Windows     []Window
	Suspensions []Suspension
	// Unreadable, where not nil, is why it isn't known what is suspended. Then
	// everything is held.
	Unreadable error
}

// horizon bounds the search for an opening.
const horizon = 366 * 24 * time.Hour

// Held returns on one line why nothing may be written to the org of this domain at
// that time, and when that ends; "" if it may be written. The empty domain stands
// for the account. A suspension outranks the windows, and a freeze window those
// that allow.
//
// The end is when the last of overlapping windows closes and writing is allowed.
// Finding it is expensive: for many orgs, use At.
func (r *Rules) Held(domain string, at time.Time) string {
	if r.Unreadable != nil {
		return "what is suspended can't be read: " + text.OneLine(r.Unreadable.Error(), math.MaxInt)
	}
	if s := r.suspended(domain, at); s != nil {
		return s.String()
	}
	windows := r.windows(domain)
	denied, allowed := state(windows, at)
	if !denied && allowed {
		return ""
	}
	opens, ok := opening(windows, at)
	switch {
	case denied && ok:
		return "freeze window until " + stamp(opens)
	case denied:
		return "freeze window, with no end to it within a year"
	case ok:
		return "outside of the allowed windows: the next opens at " + stamp(opens)
	default:
		return "outside of the allowed windows: none opens within a year"
	}
}

// At returns Held for one moment and many orgs: it is computed once for all orgs
// with the same windows and suspensions. The result is for one goroutine at a time.
func (r *Rules) At(at time.Time) func(domain string) string {
	known := map[string]string{}
	return func(domain string) string {
		key := r.matching(domain)
		held, ok := known[key]
		if !ok {
			held = r.Held(domain, at)
			known[key] = held
		}
		return held
	}
}

// matching returns a key of the rules that apply to the domain.
func (r *Rules) matching(domain string) string {
	key := make([]byte, 0, len(r.Windows)+len(r.Suspensions))
	add := func(orgs []string) {
		if matches(orgs, domain) {
			key = append(key, '1')
		} else {
			key = append(key, '0')
		}
	}
	for i := range r.Windows {
		add(r.Windows[i].Orgs)
	}
	for i := range r.Suspensions {
		add(r.Suspensions[i].Orgs)
	}
	return string(key)
}

// suspended returns, of the suspensions that hold the org, the one that lasts
// longest; nil if there is none.
func (r *Rules) suspended(domain string, at time.Time) *Suspension {
	var longest *Suspension
	for i := range r.Suspensions {
		s := &r.Suspensions[i]
		if s.Expired(at) || !matches(s.Orgs, domain) {
			continue
		}
		if longest == nil || !longest.Until.IsZero() && (s.Until.IsZero() || s.Until.After(longest.Until)) {
			longest = s
		}
	}
	return longest
}

// windows returns those that apply to the org.
func (r *Rules) windows(domain string) []*Window {
	var all []*Window
	for i := range r.Windows {
		if w := &r.Windows[i]; matches(w.Orgs, domain) {
			all = append(all, w)
		}
	}
	return all
}

// domainPattern matches the characters of domains and patterns.
var domainPattern = regexp.MustCompile(`^[a-z0-9.*?\[\]^-]+$`)

// CheckGlob returns what is wrong with a pattern for domains, as a text that
// follows the name of the field: * stands for any characters, ? for one, [a-z] for
// one of several. A pattern must match the whole domain, in any case. A word without
// a dot or a * is rejected: it looks as if it held an org, and holds none.
func CheckGlob(glob string) error {
	const maxGlob = 253 // as long as a domain
	lower := strings.ToLower(glob)
	switch _, err := path.Match(lower, ""); {
	case utf8.RuneCountInString(glob) > maxGlob:
		return fmt.Errorf("must hold patterns of at most %d characters", maxGlob)
	case !domainPattern.MatchString(lower):
		return fmt.Errorf("must hold domains or patterns of them, as in acme.okta.com or *.oktapreview.com, not %q", glob)
	case err != nil:
		return fmt.Errorf("must be a valid pattern, as in acme-[a-f]*.okta.com: bad or unclosed [ in %q", glob)
	case !strings.ContainsAny(lower, "*?[.]"):
		return fmt.Errorf("must be a full domain, as in acme.okta.com, or a pattern, as in acme*, not %q", glob)
	}
	return nil
}

// matches reports whether one of the patterns matches the domain, or there are
// none. The account, which has no domain, matches only if there are none. An invalid
// pattern matches: it holds rather than permits.
func matches(globs []string, domain string) bool {
	if len(globs) == 0 {
		return true
	}
	domain = strings.ToLower(domain)
	return domain != "" && slices.ContainsFunc(globs, func(glob string) bool {
		ok, err := path.Match(strings.ToLower(glob), domain)
		return ok || err != nil
	})
}

// printable reports whether text fits on one line.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// stamp returns a time as plans show it. Fractions are rounded up, so that writes
// are free at that time.
func stamp(t time.Time) string {
	if u := t.Truncate(time.Second); u.Before(t) {
		t = u.Add(time.Second)
	}
	return t.UTC().Format(time.RFC3339)
}
