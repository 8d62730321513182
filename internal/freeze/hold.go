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

// Window is a time that comes again and again: [start, start+For) for each start
// that Opens gives.
type Window struct {
	// Deny makes it a freeze window, in which nothing is written. Otherwise it
	// is one in which writing is allowed, and then outside of all such windows
	// nothing is written.
	Deny bool
	// Opens gives the starts, each of them once when clocks change, as package
	// schedule has it. It must be one of certain times: an interval is counted
	// from nowhere.
	Opens schedule.Schedule
	// For is how long it stays open, in time that passes and not by the clock on
	// the wall. When it is longer than from one start to the next, the window
	// doesn't close in between.
	For time.Duration
	// Zone is where the starts are, unless Opens says so itself; nil is UTC.
	Zone *time.Location
	// Orgs are patterns for domains (see CheckGlob), of which one must match.
	// None at all stands for all orgs and the account.
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
	// ID names it; one that the config declares has none.
	ID string `json:"id,omitempty"`
	// Orgs are as those of a Window.
	Orgs Globs `json:"orgs"`
	// Reason and Owner say why, and who knows more about it.
	Reason string `json:"reason"`
	Owner  string `json:"owner"`
	// Since is when it was made, and until then it holds too: a clock that was
	// set back must not let writes through. Until is when it expires; zero for
	// never.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Globs are patterns for domains. In JSON they are a list, also when there are
// none: readers need not tell a list that is empty from one that is missing.
type Globs []string

// MarshalJSON gives the list.
func (g Globs) MarshalJSON() ([]byte, error) { return json.Marshal(append([]string{}, g...)) }

// Expired says whether the suspension holds nothing any longer.
func (s *Suspension) Expired(at time.Time) bool { return !s.Until.IsZero() && !at.Before(s.Until) }

// Active gives, of the suspensions, those that hold writes at that time; never
// nil.
func Active(all []Suspension, at time.Time) []Suspension {
	active := []Suspension{}
	for i := range all {
		if !all[i].Expired(at) {
			active = append(active, all[i])
		}
	}
	return active
}

// Check rejects what people couldn't read, and what means nothing.
func (s *Suspension) Check() error {
	for _, text := range []struct {
		name, value string
		most        int
	}{{"reason", s.Reason, MaxReason}, {"owner", s.Owner, MaxOwner}} {
		switch {
		case strings.TrimSpace(text.value) == "":
			return fmt.Errorf("the %s is missing", text.name)
		case utf8.RuneCountInString(text.value) > text.most:
			return fmt.Errorf("the %s has more than %d characters", text.name, text.most)
		case !printable(text.value):
			return fmt.Errorf("the %s has line breaks or other characters that can't be printed", text.name)
		}
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

// Scope says in words what the suspension is for.
func (s *Suspension) Scope() string {
	if len(s.Orgs) == 0 {
		return "all orgs and the account"
	}
	return strings.Join(s.Orgs, ", ")
}

// String says who suspended until when, and why.
func (s *Suspension) String() string {
	end := "(no end given)"
	if !s.Until.IsZero() {
		end = "until " + stamp(s.Until)
	}
	return fmt.Sprintf("suspended by %q %s: %s", s.Owner, end, s.Reason)
}

// Rules is all that may hold writes. The zero Rules hold none. They must not
// change while they are used; then many goroutines may use them.
type Rules struct {
	Windows     []Window
	Suspensions []Suspension
	// Unreadable, where not nil, is why it isn't known what is suspended. Then
	// everything is held.
	Unreadable error
}

// horizon is how far ahead an opening is looked for.
const horizon = 366 * 24 * time.Hour

// Held says on one line why nothing may be written to the org of this domain at
// that time, and when writes will be free; it is empty when they are free. The
// empty domain stands for the account. A suspension outranks the windows, and a
// freeze window those that allow.
//
// The time that is given is when the last of overlapping windows lets go, and
// allows. It takes long to find, as such things go: for many orgs, take At.
func (r *Rules) Held(domain string, at time.Time) string {
	if r.Unreadable != nil {
		return "what is suspended can't be read: " + oneLine(r.Unreadable.Error())
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

// At gives Held for one moment and many orgs: orgs for which the same windows
// and suspensions count are looked up once. What it gives is for one goroutine
// at a time.
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

// matching names the rules that count for the domain.
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

// suspended gives, of the suspensions that hold the org, the one that lasts
// longest, and nil when there is none.
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

// windows gives those that count for the org.
func (r *Rules) windows(domain string) []*Window {
	var all []*Window
	for i := range r.Windows {
		if w := &r.Windows[i]; matches(w.Orgs, domain) {
			all = append(all, w)
		}
	}
	return all
}

// domainPattern matches what a domain is made of, and what stands for it.
var domainPattern = regexp.MustCompile(`^[a-z0-9.*?\[\]^-]+$`)

// CheckGlob says what is wrong with a pattern for domains, in words that go on
// from the name of what holds it: * stands for any characters, ? for one, [a-z]
// for one of several. It must match the whole domain; upper and lower case are
// the same. A word without a dot or a * is refused: it would look as if it held
// an org, and hold none.
func CheckGlob(glob string) error {
	const maxGlob = 253 // as long as a domain
	lower := strings.ToLower(glob)
	switch _, err := path.Match(lower, ""); {
	case utf8.RuneCountInString(glob) > maxGlob:
		return fmt.Errorf("must hold patterns of at most %d characters", maxGlob)
	case !domainPattern.MatchString(lower):
		return fmt.Errorf("must hold domains or patterns of them, as in acme.okta.com or *.oktapreview.com, not %q", glob)
	case err != nil:
		return fmt.Errorf("must hold patterns in which each [ has its ], as in acme-[a-f]*.okta.com, not %q", glob)
	case !strings.ContainsAny(lower, "*?[.]"):
		return fmt.Errorf("must hold whole domains, as in acme.okta.com, or a * for the rest of one, not %q", glob)
	}
	return nil
}

// matches says whether one of the patterns is for the domain, or there are none.
// The account, which has no domain, is meant only when there are none. A pattern
// that was never checked holds rather than lets through.
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

// printable says whether text is fit for one line.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// oneLine makes foreign words fit for one line.
func oneLine(s string) string { return text.OneLine(s, math.MaxInt) }

// stamp gives a time as plans and people are told it. Fractions are rounded up:
// what is said to be free then, is.
func stamp(t time.Time) string {
	if u := t.Truncate(time.Second); u.Before(t) {
		t = u.Add(time.Second)
	}
	return t.UTC().Format(time.RFC3339)
}
