package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// Fault makes calls fail on purpose. Method, Path and API say which calls it
// is about, Nth, Every, Probability and Times which of these it strikes, the
// other fields what happens then. Of several faults that would strike a call,
// the one that was added first does.
type Fault struct {
	// Method is an HTTP method; empty means any.
	Method string
	// Path is a pattern over the path, with or without the account id: * stands
	// for one segment or a part of one, a final ** for any rest. Empty means
	// any.
	Path string
	// API is "aerial" for calls of the Aerial API, "org" for those of an org
	// (token, Org Creator, consent, System Log); empty means both.
	API string

	// Nth strikes only the nth matching call, Every each so many; they count
	// from 1. Probability (0 to 1) lets chance decide, Times ends the fault
	// after so many strikes. Zero values do not restrict.
	Nth, Every, Times int
	Probability       float64

	// After lets the call take effect before it fails. Without it, Status,
	// Cut, Hang and Redirect keep the call from being carried out.
	After bool
	// Status answers with this status and Okta's error body. Code is the
	// errorCode in it, where it is not to be the usual one of the status.
	Status int
	Code   string
	// RetryAfter sets Retry-After, Reset the three X-Rate-Limit headers with
	// the reset so far ahead. Concurrency sets them as for too many calls at
	// once: two zeros and a guess.
	RetryAfter, Reset time.Duration
	Concurrency       bool
	// Cut breaks the connection off without an answer, Hang lets it be until
	// the client goes away.
	Cut, Hang bool
	// Redirect answers 307 to this URL.
	Redirect string

	// These change an answer, after the call took effect: CutBody ends it in
	// its middle, Garbage makes its body something that is not JSON, Empty
	// leaves no body.
	CutBody, Garbage, Empty bool
	ContentType             string
	// Next replaces the next link; DropLink leaves no link; Loop makes the
	// page its own next; Endless gives a next link that never ends.
	Next                    string
	DropLink, Loop, Endless bool

	// Delay is added to the latency. ExpireTokens revokes all access tokens as
	// the call arrives. Do is called as the call arrives, before it is
	// carried out; it has no text form.
	Delay        time.Duration
	ExpireTokens bool
	Do           func()
}

// AddFault arms a fault. The error says what about it can't be meant.
func (s *Simulator) AddFault(f Fault) error {
	if err := f.Validate(); err != nil {
		return fmt.Errorf("simulator: fault: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &armedFault{Fault: f})
	return nil
}

// ClearFaults disarms all faults.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// armedFault counts.
type armedFault struct {
	Fault
	matched, struck int
}

// fires returns the fault that strikes a call, or nil. The caller holds the lock.
func (s *Simulator) fires(c *call) *Fault {
	var found *Fault
	for _, f := range s.faults {
		if !f.matches(c) {
			continue
		}
		f.matched++
		if found != nil || f.Times > 0 && f.struck >= f.Times ||
			f.Nth > 0 && f.matched != f.Nth ||
			f.Every > 0 && f.matched%f.Every != 0 ||
			f.Probability > 0 && s.random.Float64() >= f.Probability {
			continue
		}
		f.struck++
		found = &f.Fault
	}
	return found
}

func (f *Fault) matches(c *call) bool {
	if f.Method != "" && f.Method != c.r.Method {
		return false
	}
	if f.API != "" && (f.API == "aerial") != c.aerial {
		return false
	}
	if f.Path == "" {
		return true
	}
	pattern := segments(f.Path)
	return globs(pattern, c.path) || c.aerial && globs(pattern, append([]string{c.account}, c.path...))
}

// globs matches segment by segment; the pattern was checked before.
func globs(pattern, parts []string) bool {
	for i, p := range pattern {
		if p == "**" {
			return true
		}
		if i >= len(parts) {
			return false
		}
		if ok, err := path.Match(p, parts[i]); err != nil || !ok {
			return false
		}
	}
	return len(pattern) == len(parts)
}

// strike carries a call out that a fault hits. The token endpoint always does
// its work: so an assertion that is sent again after a fault is a replay.
func (s *Simulator) strike(c *call, f *Fault) answer {
	if f.ExpireTokens {
		s.RevokeTokens()
	}
	if f.Do != nil {
		f.Do()
	}
	proceed := s.admit(c)
	s.wait(c, s.opts.Latency+f.Delay)
	var a answer
	if tokens := c.r.URL.Path == tokenPath; f.After || tokens || !f.prevents() {
		a = proceed()
	}
	if f.Hang {
		<-c.r.Context().Done()
		return answer{cut: cutAll}
	}
	if f.Cut {
		return answer{cut: cutAll}
	}
	if f.Redirect != "" {
		a = answer{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {f.Redirect}}}
	}
	if f.Status != 0 {
		a = s.faultAnswer(f)
	}
	s.spoil(c, f, &a)
	return a
}

// prevents reports whether the call is not carried out unless After is set.
func (f *Fault) prevents() bool {
	return f.Status != 0 || f.Cut || f.Hang || f.Redirect != ""
}

// faultAnswer is an error that Okta could have given.
func (s *Simulator) faultAnswer(f *Fault) answer {
	code, summary := codeInternal, "Internal Server Error"
	switch {
	case f.Status == http.StatusUnauthorized:
		code, summary = codeInvalidToken, "Invalid token provided"
	case f.Status == http.StatusForbidden:
		code, summary = codeForbidden, sayForbidden
	case f.Status == http.StatusNotFound:
		code, summary = codeNotFound, "Not found: Resource not found"
	case f.Status == http.StatusTooManyRequests:
		code, summary = codeRateLimit, sayRateLimit
	case f.Status < http.StatusInternalServerError:
		code, summary = codeValidation, "Api validation failed: fault"
	}
	if f.Code != "" {
		code = f.Code
	}
	s.mu.Lock()
	a := s.fail(f.Status, code, summary)
	s.mu.Unlock()
	if f.RetryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(seconds(f.RetryAfter)))
	}
	if f.Concurrency {
		setQuota(a.header, 0, 0, s.opts.Now().Add(time.Minute))
	} else if f.Reset > 0 {
		setQuota(a.header, 600, 0, s.opts.Now().Add(f.Reset))
	}
	return a
}

// seconds rounds up, so that no wait gets shorter.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// spoil changes an answer as the fault says.
func (s *Simulator) spoil(c *call, f *Fault, a *answer) {
	if f.Garbage {
		a.body = []byte("<html><body>upstream connect error or disconnect</body></html>")
	}
	if f.Empty {
		a.body = nil
	}
	if f.ContentType != "" {
		a.header.Set("Content-Type", f.ContentType)
	}
	if f.CutBody {
		a.cut = cutBody
	}
	switch {
	case f.DropLink:
		a.header.Del("Link")
	case f.Next != "":
		replaceNext(a, f.Next)
	case f.Loop:
		replaceNext(a, c.url+"?"+c.r.URL.RawQuery)
	case f.Endless:
		s.mu.Lock()
		replaceNext(a, c.url+"?"+s.anotherFirst(c).Encode())
		s.mu.Unlock()
	}
}

// replaceNext puts a next link in the place of the answer's own, if any.
func replaceNext(a *answer, to string) {
	var links []string
	for _, l := range a.header.Values("Link") {
		if !strings.HasSuffix(l, `rel="next"`) {
			links = append(links, l)
		}
	}
	a.header["Link"] = append(links, fmt.Sprintf("<%s>; rel=%q", to, "next"))
}

// anotherFirst is the query of a page that starts at the first org, under a
// name that no page had before.
func (s *Simulator) anotherFirst(c *call) url.Values {
	q := cursorQuery(c, "after", s.cursor(-1, c.r.URL.Query().Get("filter")))
	q.Set("page", strconv.Itoa(s.count))
	return q
}
