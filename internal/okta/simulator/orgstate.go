package simulator

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// orgState is what an org's own API is about. It is made when the API is first
// called, so that a fleet of which a few orgs are called stays cheap.
type orgState struct {
	org      *Org
	sets     map[string]*set      // objects by the name of their kind
	settings map[string]doc       // by name
	roles    map[string][]string  // standard admin roles by client id
	grants   map[string][]doc     // of apps by id
	windows  map[string]*window   // calls of this minute by bucket
	since    time.Time            // when its default objects were made
	written  map[string]time.Time // when settings were, by name
	changed  bool                 // since the start
	broken   error                // what is wrong with the seed's configuration
	last     int                  // sequence number of the newest object
}

// set is an ordered collection of objects.
type set struct {
	kind  *kind
	owner *item // the policy of rules
	items []*item
}

// item is an object of an org.
type item struct {
	id, by           string // by is the id of who made it
	seq              int
	created, updated time.Time
	status           string
	system           bool
	// class separates objects of a set: the type of a group or a policy.
	class string
	// body is what was declared, with the server's defaults. It is shared among
	// orgs and never changed, only replaced.
	body  doc
	rules *set // of a policy
	// encoded is the object as it was last answered, for the org URL base.
	encoded json.RawMessage
	base    string
}

func (t *set) byID(id string) *item {
	for _, it := range t.items {
		if it.id == id {
			return it
		}
	}
	return nil
}

func (t *set) remove(it *item) {
	t.items = slices.DeleteFunc(t.items, func(other *item) bool { return other == it })
	t.touch()
}

// touch forgets how the objects were answered, which may depend on one another.
func (t *set) touch() {
	for _, it := range t.items {
		it.encoded = nil
	}
}

// class returns the objects of a class in their order.
func (t *set) class(name string) []*item {
	var all []*item
	for _, it := range t.items {
		if it.class == name {
			all = append(all, it)
		}
	}
	return all
}

// state returns the state of an org. The caller holds the lock.
func (s *Simulator) state(o *Org) *orgState {
	st := s.states[o]
	if st == nil {
		st = &orgState{
			org: o, sets: map[string]*set{}, settings: map[string]doc{},
			roles: map[string][]string{}, grants: map[string][]doc{}, windows: map[string]*window{},
			written: map[string]time.Time{},
		}
		for _, k := range kinds {
			st.sets[k.name] = &set{kind: k}
		}
		s.states[o] = st
		s.defaults(st)
	}
	return st
}

// set returns the objects of a kind by its name.
func (st *orgState) set(kind string) *set { return st.sets[kind] }

// newID returns the id of a new object of the org: always the same for the same
// objects made in the same order.
func (st *orgState) newID(prefix string) string {
	st.last++
	return fixedID(prefix, st.org.Domain, st.last)
}

// fixedID returns an id in Okta's form that depends on parts alone.
func fixedID(prefix string, parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	id := []byte(prefix)
	for _, b := range sum[:20-len(prefix)] {
		id = append(id, base62[int(b)%len(base62)])
	}
	return string(id)
}

// orgCall is a call of an org's own API, or a change behind its back.
type orgCall struct {
	*Simulator
	st   *orgState
	who  *caller
	c    *call // nil for a change behind the API's back
	base string
	// quiet changes are those of the seed: they are as old as the org, and not in
	// the System Log.
	quiet bool
}

// now is when a change happens.
func (m *orgCall) now() time.Time {
	if m.quiet {
		return m.st.since
	}
	return m.opts.Now()
}

// orgRoute returns the handler of an endpoint of an org's own API.
func orgRoute(handle func(*orgCall) *answer) handler {
	return func(s *Simulator, c *call) *answer {
		return handle(&orgCall{Simulator: s, st: s.state(c.who.org), who: c.who, c: c, base: c.base()})
	}
}

// base returns the URL of the org's API as the client wrote it.
func (c *call) base() string {
	if c.domain == "" {
		return c.origin
	}
	return c.origin + "/org/" + c.domain
}

// log logs a change of an object.
func (m *orgCall) log(event string, targets ...entity) {
	m.st.changed = m.st.changed || !m.quiet
	switch {
	case m.quiet:
	case m.who.actor.AlternateID == OktaSupport:
		m.recordIn(m.st.org, m.who, m.c, "support.org.update", orgEntity(m.st.org))
	case event != "":
		m.recordIn(m.st.org, m.who, m.c, event, targets...)
	}
}

// logObject logs a change of an object; of a rule with its policy.
func (m *orgCall) logObject(event string, t *set, it *item) {
	targets := []entity{t.kind.entityOf(it)}
	if t.owner != nil {
		targets = append(targets, m.st.set("policies").kind.entityOf(t.owner))
	}
	m.log(event, targets...)
}

// power is what the admin role of a caller allows.
type power uint8

const (
	powerless power = iota
	reader
	editor
	super
)

// power returns what the caller may do. A service app of the seed and the holder
// of an SSWS token are super admins; an app that was made by the API is what it
// was assigned. Which standard roles cover which kinds is simplified: those that
// are not named here cover none of them.
func (m *orgCall) power() power {
	if m.c == nil || m.who.client == nil || m.who.client.made == nil {
		return super
	}
	most := powerless
	for _, role := range m.st.roles[m.who.client.ID] {
		switch role {
		case "SUPER_ADMIN":
			most = max(most, super)
		case "ORG_ADMIN":
			most = max(most, editor)
		case "READ_ONLY_ADMIN":
			most = max(most, reader)
		}
	}
	return most
}

// mayWrite returns the error about a caller whose role doesn't cover a change.
func (m *orgCall) mayWrite(needed power) *answer {
	if m.power() < needed {
		return m.forbidden()
	}
	return nil
}

// bad returns the validation error with these causes, nil without any.
func (m *orgCall) bad(p problems) *answer {
	if len(p) == 0 {
		return nil
	}
	return m.invalid(p.field(), p...)
}

// query checks the parameters of a call: one that the endpoint doesn't have is an
// error, although Okta ignores some, because it is a mistake of the client.
func (m *orgCall) query(known ...string) *answer {
	var p problems
	for name, values := range m.c.r.URL.Query() {
		switch {
		case !slices.Contains(known, name):
			p.add(name, "The parameter is unknown")
		case len(values) > 1:
			p.add(name, "The parameter must not be given more than once")
		}
	}
	slices.Sort(p)
	return m.bad(p)
}

func (m *orgCall) param(name string) string { return m.c.r.URL.Query().Get(name) }

// switchedOn returns a boolean parameter.
func (m *orgCall) switchedOn(name string, otherwise bool) (bool, *answer) {
	switch m.param(name) {
	case "":
		return otherwise, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, m.invalid(name, name+": The parameter must be true or false")
}

func noContent() *answer { return &answer{status: http.StatusNoContent, header: http.Header{}} }
