package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault makes calls fail. Method, Path and API select the calls that it is about,
// Nth, Every, Probability and Times which of these it applies to; the other fields
// are its effects. If several faults apply to a call, only the first one that was
// added does.
type Fault struct {
	// Method is an HTTP method; empty means any.
	Method string
	// Path is a pattern over the path, with or without the account id: * matches
	// a segment or a part of one, ** at the end any rest. Empty means any.
	Path string
	// API is "aerial" for calls of the Aerial API, "org" for those of an org
	// (token, Org Creator, consent, System Log); empty means both.
	API string

	// With Nth the fault applies only to that matching call, with Every to
	// every n-th matching call; they count from 1. Times is how often it applies
	// at most, Probability (0 to 1) how likely. Zero values do not restrict.
	Nth, Every, Times int
	Probability       float64

	// After lets the call take effect before it fails. Without it, Status,
	// Cut, Hang, Edge and Redirect keep the call from being carried out.
	After bool
	// Status is the status of the answer, with Okta's error body. Code is the
	// errorCode in it; empty means the usual one of the status.
	Status int
	Code   string
	// RetryAfter sets Retry-After, Reset the three X-Rate-Limit headers with
	// the reset so far ahead. Concurrency sets them as for too many calls at
	// once: two zeros and a guess.
	RetryAfter, Reset time.Duration
	Concurrency       bool
	// Cut closes the connection without an answer, Hang keeps it open until the
	// client closes it.
	Cut, Hang bool
	// Edge answers 404 without an errorCode, as Okta's edge does now and then on
	// paths that exist.
	Edge bool
	// Redirect answers 307 to this URL.
	Redirect string

	// These change the answer, after the call took effect: CutBody cuts the
	// body in half, Garbage replaces it by something that is not JSON, Empty
	// removes it.
	CutBody, Garbage, Empty bool
	ContentType             string
	// WrongOrg makes /.well-known/okta-organization answer the id of another org.
	WrongOrg bool
	// Next replaces the next link; DropLink removes all links; Loop makes the
	// page its own next one; Endless adds a next link to every page.
	Next                    string
	DropLink, Loop, Endless bool

	// Delay is added to the latency. ExpireTokens revokes all access tokens
	// when the call arrives. Do is called when the call arrives, before it is
	// carried out; it has no text form.
	Delay        time.Duration
	ExpireTokens bool
	Do           func()
}

// AddFault adds a fault, or returns what is wrong with it; see [Fault.Validate].
func (s *Simulator) AddFault(f Fault) error {
	if err := f.Validate(); err != nil {
		return fmt.Errorf("simulator: fault: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &activeFault{Fault: f})
	return nil
}

// ClearFaults removes all faults.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// activeFault is a fault and how many calls it matched and was applied to.
type activeFault struct {
	Fault
	matched, applied int
}

// faultFor returns the fault that applies to a call, or nil. The caller holds the
// lock.
func (s *Simulator) faultFor(c *call) *Fault {
	var found *Fault
	for _, f := range s.faults {
		if !f.matches(c) {
			continue
		}
		f.matched++
		if found != nil || f.Times > 0 && f.applied >= f.Times ||
			f.Nth > 0 && f.matched != f.Nth ||
			f.Every > 0 && f.matched%f.Every != 0 ||
			f.Probability > 0 && s.random.Float64() >= f.Probability {
			continue
		}
		f.applied++
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
	return globs(pattern, c.path) || c.aerial && globs(pattern, append([]string{c.account}, c.path...)) ||
		c.domain != "" && globs(pattern, append([]string{"org", c.domain}, c.path...))
}

// globs reports whether parts match a valid pattern, segment by segment.
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

// applyFault carries out a call with a fault. The token endpoint always takes
// effect, so that an assertion that is sent again after a fault is a replay.
func (s *Simulator) applyFault(c *call, f *Fault) *answer {
	if f.ExpireTokens {
		s.RevokeTokens()
	}
	if f.Do != nil {
		f.Do()
	}
	proceed := s.admit(c)
	s.wait(c, s.opts.Latency+f.Delay)
	var a *answer
	if tokens := c.isToken(); f.After || tokens || f.endings() == 0 {
		a = proceed()
	}
	switch {
	case f.Hang:
		<-c.r.Context().Done()
		return &answer{cut: cutAll}
	case f.Cut:
		return &answer{cut: cutAll}
	case f.Edge:
		a = edgeNotFound()
	case f.Redirect != "":
		a = &answer{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {f.Redirect}}}
	case f.Status != 0:
		a = s.faultAnswer(f)
	}
	s.alter(c, f, a)
	return a
}

// faultAnswer returns an error that Okta might return.
func (s *Simulator) faultAnswer(f *Fault) *answer {
	code, summary := codeInternal, "Internal Server Error"
	switch {
	case f.Status == http.StatusUnauthorized:
		code, summary = codeInvalidToken, "Invalid token provided"
	case f.Status == http.StatusForbidden:
		code, summary = codeForbidden, sayForbidden
	case f.Status == http.StatusNotFound:
		code, summary = codeNotFound, "Not found: Resource not found"
	case f.Status == http.StatusLocked:
		code, summary = codePriorities, "Policy priorities are being reconciled"
	case f.Status == http.StatusTooManyRequests:
		code, summary = codeRateLimit, sayRateLimit
	case f.Status < http.StatusInternalServerError:
		code, summary = codeValidation, "Api validation failed: fault"
	}
	s.mu.Lock()
	a := s.fail(f.Status, cmp.Or(f.Code, code), summary)
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

func (s *Simulator) alter(c *call, f *Fault, a *answer) {
	if f.WrongOrg {
		if body := decode(a.body); body != nil {
			body["id"] = fixedID("00o", "wrong", c.domain)
			a.body = jsonAnswer(0, body).body
		}
	}
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
		// The first page again, by a URL that no page had before.
		q := cursorQuery(c, "after", s.cursor(-1, c.r.URL.Query().Get("filter")))
		q.Set("page", strconv.Itoa(s.count))
		replaceNext(a, c.url+"?"+q.Encode())
		s.mu.Unlock()
	}
}

func replaceNext(a *answer, to string) {
	links := slices.DeleteFunc(a.header.Values("Link"), func(l string) bool { return strings.HasSuffix(l, `rel="next"`) })
	a.header["Link"] = append(links, fmt.Sprintf("<%s>; rel=%q", to, "next"))
}
