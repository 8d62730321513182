package simulator

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// kind is a kind of objects in an org: what it is called, and where it differs
// from the others.
type kind struct {
	name   string // networkZones
	path   string // /api/v1/zones
	scope  string // okta.networkZones
	prefix string // of ids
	entity string // in "Not found: Resource not found: ID (entity)"
	target string // type of the target of its events
	events events

	// class returns the class of a body, where the kind has classes.
	class func(body doc) string
	// shape returns what a body has to look like, apart from what the server
	// alone decides.
	shape func(m *orgCall, body doc) *shape
	// fill returns a body with the server's defaults, in its normal form.
	fill func(m *orgCall, it *item, body doc) doc
	// check finds what a shape can't say: duplicates, references, what can't be
	// changed. it is nil at creation.
	check func(m *orgCall, t *set, it *item, body doc) *answer
	// view adds to an answer what the server alone decides.
	view func(m *orgCall, t *set, it *item, out doc)
	// removable returns why an object can't be deleted.
	removable func(m *orgCall, t *set, it *item) *answer
	// removed does what comes with a deletion.
	removed func(m *orgCall, it *item)
	// switchable returns why the status can't be changed to this one.
	switchable func(m *orgCall, it *item, status string) *answer

	time       func(*item) (created, updated string) // nil: as oktaTime
	born       string                                // status at creation; empty if the kind has none
	honours    bool                                  // the status of a body counts
	ordered    bool                                  // its objects have priorities
	silent     bool                                  // lifecycle calls answer 204
	bare       bool                                  // lifecycle calls answer {}
	activate   bool                                  // its creation has the parameter activate
	removeWith []string                              // parameters of DELETE
	removal    int                                   // status of the answer to DELETE
	called     func(body doc) string                 // what people call an object; nil: its name
	page, most int                                   // items on a page by default, and at most; 0: no paging
	parameters []string                              // of the list, besides limit and after
	filter     *grammar
	search     *grammar
}

// kinds are the kinds that an org has a set of. Rules of policies are in their
// policies.
var kinds = []*kind{groups, groupRules, zones, origins, behaviors, policies, apps, featureSet}

// events are the event types of a kind.
type events struct{ create, update, activate, deactivate, remove string }

// title returns what people call an object.
func (k *kind) title(body doc) string {
	if k.called != nil {
		return k.called(body)
	}
	return digText(body, "name")
}

func (k *kind) entityOf(it *item) entity {
	name := k.title(it.body)
	return entity{ID: it.id, Type: k.target, AlternateID: name, DisplayName: name}
}

// serverKeys are what the server alone decides. They may be sent, as clients send
// back what they read, and don't count.
var serverKeys = []string{"id", "created", "createdBy", "lastUpdated", "lastUpdatedBy", "system", "status", "_links", "_embedded"}

// read returns the body of a call without what the server alone decides, and the
// status that it has.
func (m *orgCall) read(body []byte) (d doc, status string, refusal *answer) {
	d = decode(body)
	if d == nil {
		return nil, "", m.fail(http.StatusBadRequest, codeMalformed, "The request body was not well-formed.")
	}
	d, status, p := stripped(d)
	return d, status, m.bad(p)
}

// stripped returns a copy of a body without what the server alone decides.
func stripped(d doc) (body doc, status string, p problems) {
	body = maps.Clone(d)
	if s, has := d["status"]; has && s != nil {
		p.check("status", s, nil, oneOf(active, inactive, "INVALID"))
		status, _ = s.(string)
	}
	for _, key := range serverKeys {
		delete(body, key)
	}
	return body, status, p
}

// encode returns an object as the API answers it.
func (m *orgCall) encode(t *set, it *item) json.RawMessage {
	if it.encoded == nil || it.base != m.base {
		it.encoded, _ = json.Marshal(m.view(t, it))
		it.base = m.base
	}
	return it.encoded
}

func (m *orgCall) view(t *set, it *item) doc {
	out := maps.Clone(it.body)
	out["id"] = it.id
	out["created"], out["lastUpdated"] = formatTime(it.created), formatTime(it.updated)
	if t.kind.time != nil {
		out["created"], out["lastUpdated"] = t.kind.time(it)
	}
	if t.kind.born != "" {
		out["status"] = it.status
	}
	t.kind.view(m, t, it, out)
	return out
}

// links returns the usual _links of an object: self, and the change of status that
// is possible.
func (m *orgCall) links(self string, it *item, allow ...string) doc {
	l := doc{"self": doc{"href": self, "hints": doc{"allow": allow}}}
	change := "deactivate"
	if it.status == inactive {
		change = "activate"
	}
	l[change] = doc{"href": self + "/lifecycle/" + change, "hints": doc{"allow": []string{"POST"}}}
	return l
}

// listObjects answers a page of objects.
func (m *orgCall) listObjects(t *set, items []*item) *answer {
	k := t.kind
	limit, at, refusal := m.paging(k)
	if refusal != nil {
		return refusal
	}
	if m.power() == powerless {
		items = nil
	}
	out := []byte("[")
	n := 0
	a := &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}}
	q := m.c.r.URL.Query()
	if k.page > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	link(a, "self", m.c.url, q)
	for i, it := range items {
		if k.page > 0 && it.seq <= at {
			continue
		}
		if k.page > 0 && n == limit {
			link(a, "next", m.c.url, m.after(items[i-1].seq))
			break
		}
		if n++; n > 1 {
			out = append(out, ',')
		}
		out = append(out, m.encode(t, it)...)
	}
	a.body = append(out, ']')
	return a
}

// after returns the query of the next page.
func (m *orgCall) after(seq int) map[string][]string {
	return cursorQuery(m.c, "after", m.cursor(seq, m.listQuery()))
}

// listQuery returns what a cursor of a list is bound to.
func (m *orgCall) listQuery() string {
	return strings.Join([]string{m.st.org.ID, m.c.r.URL.Path, m.param("filter"), m.param("search"), m.param("q")}, " ")
}

// paging returns the size of the page and the sequence number after which it
// starts.
func (m *orgCall) paging(k *kind) (limit, at int, refusal *answer) {
	if k.page == 0 {
		return 0, 0, nil
	}
	limit = k.page
	q := m.c.r.URL.Query()
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 1 || n > k.most {
			return 0, 0, m.invalid("limit", "limit: The limit must be a number from 1 to "+strconv.Itoa(k.most))
		}
		limit = n
	}
	if q.Has("after") {
		n, ok := m.readCursor(q.Get("after"), m.listQuery())
		if !ok {
			return 0, 0, m.fail(http.StatusBadRequest, codeCursor, "Invalid paging request.", "Invalid cursor.")
		}
		at = n
	}
	return limit, at, nil
}

// selected returns the objects that q, filter and search of the call match.
func (m *orgCall) selected(t *set) ([]*item, *answer) {
	k := t.kind
	if refusal := m.query(append([]string{"limit", "after"}, k.parameters...)...); refusal != nil {
		return nil, refusal
	}
	matches := []matcher{}
	for name, g := range map[string]*grammar{"filter": k.filter, "search": k.search} {
		if g == nil {
			continue
		}
		match, problem := parseFilter(m.param(name), *g)
		if problem != "" {
			return nil, m.fail(http.StatusBadRequest, codeSearch, "Invalid search criteria.", problem)
		}
		matches = append(matches, match)
	}
	prefix := strings.ToLower(m.param("q"))
	var out []*item
	for _, it := range t.items {
		if strings.HasPrefix(strings.ToLower(k.title(it.body)), prefix) &&
			!slices.ContainsFunc(matches, func(match matcher) bool { return !match(it.attribute) }) {
			out = append(out, it)
		}
	}
	return out, nil
}

// attribute returns what a filter compares.
func (it *item) attribute(name string) string {
	switch name {
	case "id":
		return it.id
	case "status":
		return it.status
	case "system":
		return strconv.FormatBool(it.system)
	case "lastUpdated":
		return formatTime(it.updated)
	case "lastMembershipUpdated":
		return formatTime(it.created)
	case "type":
		if it.class != "" {
			return it.class
		}
	}
	return digText(it.body, strings.Split(name, ".")...)
}

// create adds an object.
func (m *orgCall) create(t *set, body doc, status string) (*item, *answer) {
	k := t.kind
	class, refusal := m.checkBody(t, nil, body)
	if refusal != nil {
		return nil, refusal
	}
	now := m.now()
	it := &item{id: m.st.newID(k.prefix), by: m.who.actor.ID, created: now, updated: now, status: k.born, class: class}
	it.seq = m.st.last
	if k.honours && status != "" {
		it.status = status
	}
	priority := int64(0)
	if k.ordered {
		priority = takePriority(body)
	}
	it.body = k.fill(m, it, body)
	t.items = append(t.items, it)
	if k.ordered {
		t.place(it, priority)
	}
	t.touch()
	m.logObject(k.events.create, t, it)
	return it, nil
}

// checkBody returns the class of a body, or what is wrong with it. it is the
// object that it replaces, or nil.
func (m *orgCall) checkBody(t *set, it *item, body doc) (class string, refusal *answer) {
	k := t.kind
	var stored any
	if it != nil {
		class, stored = it.class, it.body
	} else if k.class != nil {
		class = k.class(body)
	}
	var p problems
	if m.c == nil { // fields that this package doesn't know yet are let in
		stored = body
	}
	p.check("", body, stored, k.shape(m, body))
	if refusal := m.bad(p); refusal != nil {
		return "", refusal
	}
	return class, k.check(m, t, it, body)
}

// replace sets the body of an object. What the body leaves out falls back to the
// server's default.
func (m *orgCall) replace(t *set, it *item, body doc, status string) *answer {
	k := t.kind
	if _, refusal := m.checkBody(t, it, body); refusal != nil {
		return refusal
	}
	before := m.encode(t, it)
	if k.ordered {
		t.place(it, takePriority(body))
	}
	it.body = k.fill(m, it, body)
	if k.honours && status != "" {
		it.status = status
	}
	t.touch()
	if string(before) != string(m.encode(t, it)) {
		it.updated = m.now()
		t.touch()
		m.logObject(k.events.update, t, it)
	}
	return nil
}

// setStatus changes the status of an object.
func (m *orgCall) setStatus(t *set, it *item, status string) {
	if it.status == status {
		return
	}
	it.status, it.updated, it.encoded = status, m.now(), nil
	event := t.kind.events.activate
	if status == inactive {
		event = t.kind.events.deactivate
	}
	m.logObject(event, t, it)
}

func (m *orgCall) delete(t *set, it *item) {
	t.remove(it)
	m.logObject(t.kind.events.remove, t, it)
	if t.kind.removed != nil {
		t.kind.removed(m, it)
	}
}

// takePriority removes the priority of a body; 0 is none.
func takePriority(body doc) int64 {
	n, _ := body["priority"].(json.Number)
	delete(body, "priority")
	p, _ := n.Int64()
	return p
}

// priority returns the place of an object in its class, from 1.
func (t *set) priority(it *item) int {
	return slices.Index(t.class(it.class), it) + 1
}

// place moves an object to a priority in its class, and shifts those between.
// Nothing comes after the system's own, and a number that is too high, or 0, is the
// last one before them.
func (t *set) place(it *item, priority int64) {
	if it.system {
		return
	}
	var mine, system, others []*item
	for _, other := range t.items {
		switch {
		case other == it:
		case other.class != it.class:
			others = append(others, other)
		case other.system:
			system = append(system, other)
		default:
			mine = append(mine, other)
		}
	}
	at := len(mine)
	if priority > 0 {
		at = min(at, int(min(priority, 1<<30))-1)
	}
	mine = slices.Insert(mine, at, it)
	t.items = slices.Concat(others, mine, system)
}

// objectRoutes returns the endpoints of a kind that every kind has. in returns the
// set that the path of the call names.
func (k *kind) objectRoutes(in func(*orgCall) (*set, *answer)) []route {
	with := func(write bool, handle func(*orgCall, *set, *item) *answer) handler {
		return orgRoute(func(m *orgCall) *answer {
			t, refusal := in(m)
			if refusal != nil {
				return refusal
			}
			if write {
				if refusal := m.mayWrite(editor); refusal != nil {
					return refusal
				}
			}
			var it *item
			if id, has := m.c.args["id"]; has {
				if it = t.byID(id); it == nil || m.power() == powerless {
					return m.notFound(id, k.entity)
				}
			}
			return handle(m, t, it)
		})
	}
	read, manage := k.scope+".read", k.scope+".manage"
	all := []route{
		orgEndpoint("GET", k.path, read, with(false, (*orgCall).handleList)),
		orgEndpoint("POST", k.path, manage, with(true, (*orgCall).handleCreate)),
		orgEndpoint("GET", k.path+"/{id}", read, with(false, (*orgCall).handleGet)),
		orgEndpoint("PUT", k.path+"/{id}", manage, with(true, (*orgCall).handlePut)),
		orgEndpoint("DELETE", k.path+"/{id}", manage, with(true, (*orgCall).handleDelete)),
	}
	if k.born == "" {
		return all
	}
	return append(all,
		orgEndpoint("POST", k.path+"/{id}/lifecycle/activate", manage, with(true, lifecycle(active))),
		orgEndpoint("POST", k.path+"/{id}/lifecycle/deactivate", manage, with(true, lifecycle(inactive))),
	)
}

// own returns the set of a kind of the org.
func (k *kind) own(m *orgCall) (*set, *answer) { return m.st.set(k.name), nil }

func (m *orgCall) handleList(t *set, _ *item) *answer {
	items, refusal := m.selected(t)
	if refusal != nil {
		return refusal
	}
	return m.listObjects(t, items)
}

func (m *orgCall) object(t *set, it *item) *answer {
	return &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: m.encode(t, it)}
}

func (m *orgCall) handleGet(t *set, it *item) *answer {
	if t.kind != m.st.set("policies").kind {
		return firstOf(m.query(), m.object(t, it))
	}
	if refusal := firstOf(m.query("expand"), m.checkExpand()); refusal != nil {
		return refusal
	}
	return jsonAnswer(http.StatusOK, m.expanded(t, it))
}

func (m *orgCall) handleCreate(t *set, _ *item) *answer {
	known := []string{}
	if t.kind.activate {
		known = append(known, "activate")
	}
	if refusal := m.query(known...); refusal != nil {
		return refusal
	}
	activate, refusal := m.switchedOn("activate", true)
	if refusal != nil {
		return refusal
	}
	body, status, refusal := m.read(m.c.body)
	if refusal != nil {
		return refusal
	}
	it, refusal := m.create(t, body, status)
	if refusal != nil {
		return refusal
	}
	if !activate {
		it.status, it.encoded = inactive, nil
	}
	return m.object(t, it)
}

func (m *orgCall) handlePut(t *set, it *item) *answer {
	body, status, refusal := m.read(m.c.body)
	if refusal == nil {
		refusal = firstOf(m.query(), m.otherID(it))
	}
	if refusal == nil {
		refusal = m.replace(t, it, body, status)
	}
	if refusal != nil {
		return refusal
	}
	return m.object(t, it)
}

// otherID returns the error about a body with the id of another object.
func (m *orgCall) otherID(it *item) *answer {
	if id, has := decode(m.c.body)["id"]; has && id != it.id {
		return m.invalid("id", "id: The id must be that of the path")
	}
	return nil
}

func (m *orgCall) handleDelete(t *set, it *item) *answer {
	k := t.kind
	if refusal := m.query(k.removeWith...); refusal != nil {
		return refusal
	}
	if k.removable != nil {
		if refusal := k.removable(m, t, it); refusal != nil {
			return refusal
		}
	}
	for _, name := range k.removeWith {
		if _, refusal := m.switchedOn(name, false); refusal != nil {
			return refusal
		}
	}
	m.delete(t, it)
	if k.removal == http.StatusAccepted {
		return jsonAnswer(k.removal, doc{})
	}
	return noContent()
}

// lifecycle returns the handler of activate or deactivate, which can be repeated.
func lifecycle(status string) func(*orgCall, *set, *item) *answer {
	return func(m *orgCall, t *set, it *item) *answer {
		if len(m.c.body) > 0 && decode(m.c.body) == nil {
			return m.fail(http.StatusBadRequest, codeMalformed, "The request body was not well-formed.")
		}
		if t.kind.switchable != nil {
			if refusal := t.kind.switchable(m, it, status); refusal != nil {
				return refusal
			}
		}
		m.setStatus(t, it, status)
		switch {
		case t.kind.silent:
			return noContent()
		case t.kind.bare:
			return jsonAnswer(http.StatusOK, doc{})
		}
		return m.object(t, it)
	}
}

// duplicate reports whether another object of the class has the same name, in any
// case.
func (t *set) duplicate(it *item, class, name string) bool {
	return slices.ContainsFunc(t.items, func(other *item) bool {
		return other != it && other.class == class && strings.EqualFold(t.kind.title(other.body), name)
	})
}

const sayExists = "An object with this field already exists in the current organization"

// newName returns the error about a name that another object has.
func (m *orgCall) newName(t *set, it *item, field, class string, body doc) *answer {
	if t.duplicate(it, class, t.kind.title(body)) {
		return m.invalid(field, field+": "+sayExists)
	}
	return nil
}

// firstOf returns the first error.
func firstOf(refusals ...*answer) *answer {
	for _, a := range refusals {
		if a != nil {
			return a
		}
	}
	return nil
}
