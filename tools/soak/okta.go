package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/okta/simulator"
)

// roundTrip is what may lie between a run's last look at an org and the arrival of
// its write, or between the answer of suspend and the arrival of the last write,
// on a machine with other work.
const roundTrip = time.Second

// okta is the simulator, and what is written down of the calls that it gets.
type okta struct {
	sim *simulator.Simulator

	mu sync.Mutex // also held while products are read or written
	// seen are the products of an org as a run read them, by run and path.
	seen map[string]map[string]*looks
	// suspended is when writes were suspended; zero while they are not.
	suspended time.Time
	creations map[string][]creation // by domain
	kills     []time.Time

	foreign    int // changes by another admin
	writes     int // that took effect on products
	overlapped int // of these, those that met a change made after the last look
	longest    time.Duration
	late       int // writes that arrived within roundTrip of a suspension
	violations []string
}

// looks are a run's first and last look at an org's products.
type looks struct {
	first, last []string
	at          time.Time
}

// creation is a call that created an org.
type creation struct {
	begun, done time.Time
	// answered means that the whole answer was sent.
	answered bool
}

func newOkta(sim *simulator.Simulator) *okta {
	return &okta{sim: sim, seen: map[string]map[string]*looks{}, creations: map[string][]creation{}}
}

// violate notes and prints a violation. The lock is held.
func (o *okta) violate(format string, args ...any) {
	v := time.Now().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
	o.violations = append(o.violations, v)
	fmt.Println(v)
}

// ServeHTTP passes a call on to the simulator, after and before a short delay.
func (o *okta) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	wait := func() { time.Sleep(time.Duration(2+rand.IntN(15)) * time.Millisecond) }
	wait()
	defer wait()
	token := strings.HasSuffix(r.URL.Path, "/v1/token")
	switch {
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/products") && strings.Count(r.URL.Path, "/") > 4:
		o.read(rw, r)
		return
	case r.Method == http.MethodGet || token:
		o.sim.ServeHTTP(rw, r)
		return
	}
	o.mu.Lock()
	if !o.suspended.IsZero() {
		o.late++
		if after := time.Since(o.suspended); after > roundTrip {
			o.violate("%s %s arrived %v after writes were suspended", r.Method, r.URL.Path, after)
		}
	}
	o.mu.Unlock()
	switch {
	case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/products"):
		o.write(rw, r)
	case r.Method == http.MethodPost && r.URL.Path == "/api/v1/orgs":
		o.create(rw, r)
	default:
		o.sim.ServeHTTP(rw, r)
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// products are those of the org with that path, whether it is managed or not.
func (o *okta) products(path string) (string, []string) {
	for _, org := range o.sim.Orgs() {
		if strings.Contains(path, "/orgs/"+org.ID+"/") {
			slices.Sort(org.Products)
			return org.Domain, org.Products
		}
	}
	return "", nil
}

// read is a look at an org's products.
func (o *okta) read(rw http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sw := &statusWriter{ResponseWriter: rw}
	_, live := o.products(r.URL.Path)
	o.sim.ServeHTTP(sw, r)
	if sw.status != http.StatusOK {
		return
	}
	run := r.UserAgent()
	if o.seen[run] == nil {
		o.seen[run] = map[string]*looks{}
	}
	l := o.seen[run][r.URL.Path]
	if l == nil {
		l = &looks{first: live}
		o.seen[run][r.URL.Path] = l
	}
	l.last, l.at = live, time.Now()
}

// write sets an org's products. What it takes or gives beyond what the run saw
// first, which is what its plan says, or beyond its last look, is a change of
// another admin that is undone.
func (o *okta) write(rw http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	domain, before := o.products(r.URL.Path)
	l := o.seen[r.UserAgent()][r.URL.Path]
	var since time.Duration
	if l != nil {
		since = time.Since(l.at)
	}
	defer func() {
		_, after := o.products(r.URL.Path)
		if slices.Equal(before, after) {
			return
		}
		o.writes++
		switch {
		case l == nil:
			o.violate("%s: products were written without a look", domain)
		case !slices.Equal(l.last, before):
			o.overlapped++
			o.longest = max(o.longest, since)
			if since > roundTrip {
				o.violate("%s: written %v after the last look: seen %v, were %v, are %v", domain, since, l.last, before, after)
			}
		default:
			for _, p := range changed(before, after) {
				if slices.Contains(l.first, p) != slices.Contains(before, p) {
					o.violate("%s: %s was changed back unseen: planned from %v, were %v, are %v", domain, p, l.first, before, after)
				}
			}
		}
	}()
	o.sim.ServeHTTP(rw, r)
}

// changed returns what is in one of two lists only.
func changed(a, b []string) []string {
	var out []string
	for _, p := range slices.Concat(a, b) {
		if slices.Contains(a, p) != slices.Contains(b, p) {
			out = append(out, p)
		}
	}
	return out
}

// create is a call that links or creates an org.
func (o *okta) create(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var sent struct {
		Subdomain string `json:"subdomain"`
	}
	if json.Unmarshal(body, &sent) != nil || sent.Subdomain == "" {
		o.sim.ServeHTTP(rw, r)
		return
	}
	domain := sent.Subdomain + ".okta.com"
	_, was := o.sim.Org(domain)
	c := creation{begun: time.Now()}
	defer func() {
		if _, is := o.sim.Org(domain); is && !was {
			c.done = time.Now()
			o.mu.Lock()
			o.creations[domain] = append(o.creations[domain], c)
			o.mu.Unlock()
		}
	}()
	sw := &wholeWriter{statusWriter: statusWriter{ResponseWriter: rw}}
	o.sim.ServeHTTP(sw, r)
	c.answered = sw.status == http.StatusOK && sw.whole()
}

// wholeWriter remembers the body, to tell whether it was cut or spoilt.
type wholeWriter struct {
	statusWriter
	body bytes.Buffer
	err  error
}

func (w *wholeWriter) Write(p []byte) (int, error) {
	w.body.Write(p)
	n, err := w.ResponseWriter.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

func (w *wholeWriter) whole() bool {
	var answer struct {
		Token string `json:"token"`
	}
	return w.err == nil && json.Unmarshal(w.body.Bytes(), &answer) == nil && answer.Token != ""
}

// tamper is what another admin does: one product more or less in one org.
func (o *okta) tamper(random *rand.Rand, products []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var orgs []simulator.Org
	for _, org := range o.sim.Orgs() {
		if org.Managed && !org.AerialOrg && org.Status != "INACTIVE" {
			orgs = append(orgs, org)
		}
	}
	org := orgs[random.IntN(len(orgs))]
	p := products[random.IntN(len(products))]
	next := slices.DeleteFunc(slices.Clone(org.Products), func(q string) bool { return q == p })
	if len(next) == len(org.Products) {
		next = append(next, p)
	}
	if o.sim.SetOrgProducts(org.Domain, next, "mallory@acme.example") == nil {
		o.foreign++
	}
}

func (o *okta) suspend() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.suspended = time.Now()
}

func (o *okta) resume() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.suspended = time.Time{}
}

func (o *okta) killed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kills = append(o.kills, time.Now())
}
