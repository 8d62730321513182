package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/store/location"
)

// runsOf returns the runs of messages, in their order.
func runsOf(t testing.TB, all []got) string {
	var runs []string
	for _, g := range all {
		runs = append(runs, g.message(t).Run)
	}
	return strings.Join(runs, " ")
}

// A receiver that fails for an hour, with a restart in between, gets each message once,
// in order, and soon after it works again.
func TestAnHourOfFailures(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w, transport := newWire(t, func(w http.ResponseWriter, _ *http.Request) {
			if time.Since(began) < time.Hour {
				http.Error(w, "no", http.StatusInternalServerError)
			}
		})
		log, said := logOf()
		start := func() (*Sender, func()) {
			s := New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport, Logger: log})
			s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
			return s, running(s)
		}
		s, stop := start()
		s.Add(reportOf("r1", Drift), nil)
		s.Add(reportOf("r2", Failed), nil)
		time.Sleep(29 * time.Minute)
		stop()
		s, stop = start()
		s.Add(reportOf("r3", Recovered), nil)
		time.Sleep(31*time.Minute + 80*time.Second)
		synctest.Wait()
		if runs := runsOf(t, w.taken()); runs != "r1 r2 r3" {
			t.Errorf("delivered %q", runs)
		}
		time.Sleep(2 * time.Hour)
		stop()
		if runs := runsOf(t, w.taken()); runs != "r1 r2 r3" {
			t.Errorf("in the end %q", runs)
		}
		all := w.requests()
		last := time.Time{}
		for i, g := range all[:12] { // the waits double, and stay at a minute
			if gap := g.at.Sub(last); i > 0 && i < 10 && (gap < min(time.Second<<(i-1), time.Minute) || gap > min(time.Second<<(i-1), time.Minute)*6/5) {
				t.Errorf("try %d came after %v", i, gap)
			}
			last = g.at
		}
		if n := len(all); n < 55 || n > 90 {
			t.Errorf("%d tries", n)
		}
		if n := strings.Count(said.String(), "500 Internal Server Error"); n != 2 { // once for each process
			t.Errorf("the failure is logged %d times:\n%s", n, said)
		}
		if !strings.Contains(said.String(), "notifications are delivered again") || strings.Contains(said.String(), "SECRET") {
			t.Error(said)
		}
		if id := all[0].header.Get("X-Reconciler-Id"); id == "" || id != w.taken()[0].message(t).ID {
			t.Error("the id changes", id)
		}
		if left, err := s.store.Load(0); err != nil || len(left) != 0 {
			t.Error("left on disk", left, err)
		}
		s.Close()
	})
}

// A receiver that hangs delays neither who queues nor other receivers, and a sender that
// is stopped doesn't wait for it for long.
func TestHanging(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		w, transport := newWire(t, func(_ http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Host, "127.0.0.1") {
				<-r.Context().Done()
			}
		})
		log, said := logOf()
		s := New(Options{Transport: transport, Logger: log})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}, {type: webhook, urlFile: other}]"))
		stop := running(s)
		began := time.Now()
		for i := range 20 {
			s.Add(reportOf(fmt.Sprint(i), Drift), nil)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("Add waited for %v", took)
		}
		synctest.Wait()
		n := 0
		for _, g := range w.requests() {
			if strings.HasPrefix(g.host, "127.0.0.2") {
				n++
			}
		}
		if n != 20 || time.Since(began) > 0 {
			t.Errorf("the other receiver got %d after %v", n, time.Since(began))
		}
		time.Sleep(15 * time.Second)
		if !strings.Contains(said.String(), "127.0.0.1:1 did not answer within 10s") {
			t.Error(said)
		}
		if st := s.Status(); st[0].Queued != 20 || st[0].Problem == "" || st[1].Queued != 0 || st[1].Problem != "" || st[1].Sent.IsZero() {
			t.Errorf("%+v", st)
		}
		began = time.Now()
		stop()
		if took := time.Since(began); took > stopWithin {
			t.Errorf("stopping took %v", took)
		}
	})
}

// A receiver that asks for time gets it.
func TestRetryAfter(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := 0
		w, transport := newWire(t, func(w http.ResponseWriter, _ *http.Request) {
			if n++; n == 1 {
				w.Header().Set("Retry-After", "120")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		s := New(Options{Transport: transport})
		s.Use(receiversOf(t, dir, "[{type: slack, urlFile: url}]"))
		defer running(s)()
		s.Add(reportOf("r1", Drift), nil)
		time.Sleep(3 * time.Minute)
		all := w.requests()
		if len(all) != 2 || all[1].at.Sub(all[0].at) < 2*time.Minute {
			t.Error(all)
		}
	})
}

// A message that the receiver refuses holds up no other one. After a day it is given up,
// and that is said.
func TestRefusedMessage(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		w, transport := newWire(t, func(w http.ResponseWriter, r *http.Request) {
			if (&got{body: bodyOf(r)}).message(t).Run == "bad" {
				http.Error(w, "invalid_blocks\x1b[31m "+secretPath, http.StatusBadRequest)
			}
		})
		log, said := logOf()
		seen := &counts{}
		s := New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport, Logger: log, Observer: seen})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		stop := running(s)
		s.Add(reportOf("bad", Drift), nil)
		s.Add(reportOf("r2", Drift), nil)
		time.Sleep(time.Minute)
		if runs := runsOf(t, w.taken()); runs != "r2" {
			t.Error(runs)
		}
		time.Sleep(24 * time.Hour)
		stop()
		if !strings.Contains(said.String(), "a notification is given up: it was tried for a day") || !strings.Contains(said.String(), "run=bad") ||
			!strings.Contains(said.String(), "400 Bad Request: invalid_blocks [31m [token]") || strings.Contains(said.String(), "SECRET") {
			t.Error(said)
		}
		if seen.results["webhook given-up"] != 1 || seen.results["webhook sent"] != 1 || seen.results["webhook failed"] < 1000 || seen.queued != 0 {
			t.Error(seen.results, seen.queued)
		}
		if st := s.Status()[0]; st.Lost != 1 || st.Queued != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func bodyOf(r *http.Request) []byte {
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return []byte(b.String())
		}
	}
}

// Messages to webhooks are signed as the documentation says, anew for each try.
func TestSignature(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := 0
		w, transport := newWire(t, func(w http.ResponseWriter, _ *http.Request) {
			if n++; n == 1 {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
		s := New(Options{Transport: transport})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url, secretFile: secret}]"))
		defer running(s)()
		s.Add(reportOf("r1", Drift), nil)
		time.Sleep(time.Minute)
		all := w.requests()
		if len(all) != 2 {
			t.Fatal(all)
		}
		for _, g := range all {
			stamp := g.header.Get("X-Reconciler-Timestamp")
			mac := hmac.New(sha256.New, []byte("top secret"))
			fmt.Fprintf(mac, "%s.%s", stamp, g.body)
			if want := fmt.Sprintf("sha256=%x", mac.Sum(nil)); g.header.Get("X-Reconciler-Signature") != want {
				t.Errorf("%s, want %s", g.header.Get("X-Reconciler-Signature"), want)
			}
			if stamp != fmt.Sprint(g.at.Unix()) || g.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(g.header.Get("User-Agent"), "reconciler/") {
				t.Error(g.header)
			}
		}
		if string(all[0].body) != string(all[1].body) || all[0].header.Get("X-Reconciler-Timestamp") == all[1].header.Get("X-Reconciler-Timestamp") {
			t.Error("the body changes, or the time doesn't")
		}
	})
}

// Events are collected for a digest, over restarts; urgent ones are sent at once.
func TestDigest(t *testing.T) {
	dir := folder(t)
	for _, digest := range []string{"6h", "'CRON_TZ=UTC 0 6 * * *'"} { // the clock begins at midnight
		t.Run(digest, func(t *testing.T) {
			state := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w, transport := newWire(t, nil)
				began := time.Now()
				start := func() (*Sender, func()) {
					s := New(Options{State: location.Folder(state), Transport: transport})
					s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url, digest: "+digest+"}]"))
					return s, running(s)
				}
				s, stop := start()
				s.Add(reportOf("r1", Drift, Failed), nil)
				time.Sleep(2 * time.Hour)
				s.Add(reportOf("r2", Repaired, Limit), nil)
				stop()
				s, stop = start()
				s.Add(reportOf("r3", Recovered), nil)
				time.Sleep(time.Hour)
				if runs := runsOf(t, w.taken()); runs != "r1 r3" {
					t.Errorf("at once: %q", runs)
				}
				time.Sleep(4 * time.Hour)
				stop()
				all := w.taken()
				if len(all) != 3 {
					t.Fatal(len(all))
				}
				if at := all[2].at.Sub(began); at < 6*time.Hour || at > 6*time.Hour+time.Second {
					t.Errorf("the digest came after %v", at)
				}
				m, types := all[2].message(t), ""
				for _, e := range m.Events {
					types += string(e.Type) + " "
				}
				if !m.Digest || m.Run != "" || types != "drift repaired limit " {
					t.Errorf("%+v", m)
				}
			})
		})
	}
}

// A receiver that the config no longer has gets nothing more, and that is said. One whose
// URL stands at the same place gets what was queued, at its new URL.
func TestUse(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		var works atomic.Bool
		w, transport := newWire(t, func(w http.ResponseWriter, _ *http.Request) {
			if !works.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		log, said := logOf()
		seen := &counts{}
		s := New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport, Logger: log, Observer: seen})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}, {type: webhook, urlFile: other}]"))
		stop := running(s)
		s.Add(reportOf("r1", Drift), nil)
		time.Sleep(30 * time.Second)
		write(t, dir, "url", "http://127.0.0.3:1/new")
		works.Store(true)
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url, events: [failed]}, {type: teams, urlFile: other}]"))
		synctest.Wait()
		all := w.taken()
		if len(all) != 1 || all[0].host != "127.0.0.3:1" {
			t.Error(all)
		}
		if !strings.Contains(said.String(), "notifications were dropped: the config no longer has their receiver") || seen.of("webhook dropped") != 1 {
			t.Error(said, seen.results)
		}
		s.Add(reportOf("r2", Failed, Drift), nil)
		synctest.Wait()
		if n := len(w.taken()); n != 3 {
			t.Error(n)
		}
		stop()
		// After a restart it is the same.
		s = New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport, Logger: log})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		s.Add(reportOf("r3", Drift), nil)
		s.Use(nil)
		running(s)()
		s = New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport, Logger: log})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		if n := s.Flush(t.Context()); n != 0 || len(w.taken()) != 3 {
			t.Error(n, len(w.taken()))
		}
		s.Close()
	})
}

// At each moment of a delivery, what is on disk is enough: a copy of the folder, as a
// crash would leave it, delivers each event that was not delivered before, and no other.
func TestCrash(t *testing.T) {
	dir := folder(t)
	state := filepath.Join(dir, "state")
	life := func(t *testing.T, state string, answer func()) (w *wire, s *Sender, stop func()) {
		w, transport := newWire(t, func(http.ResponseWriter, *http.Request) { answer() })
		s = New(Options{State: location.Folder(state), Transport: transport})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url, digest: 1h}]"))
		return w, s, running(s)
	}
	eventsOf := func(all []got) string {
		var orgs []string
		for _, g := range all {
			for _, e := range g.message(t).Events {
				orgs = append(orgs, e.Org)
			}
		}
		slices.Sort(orgs)
		return strings.Join(orgs, " ")
	}
	synctest.Test(t, func(t *testing.T) {
		type copied struct{ dir, added, delivered string }
		var mu sync.Mutex
		var copies []copied
		var added []string
		var w *wire
		crash := func() {
			mu.Lock()
			defer mu.Unlock()
			c := copied{filepath.Join(dir, fmt.Sprint("copy", len(copies))), strings.Join(added, " "), eventsOf(w.taken())}
			must(t, os.CopyFS(c.dir, os.DirFS(state)))
			copies = append(copies, c)
		}
		w, s, stop := life(t, state, crash)
		for i := range 3 {
			r := reportOf(fmt.Sprint("r", i), Drift, Failed)
			r.Events[0].Org, r.Events[1].Org = fmt.Sprint("drift", i), fmt.Sprint("failed", i)
			mu.Lock()
			added = append(added, r.Events[0].Org, r.Events[1].Org)
			mu.Unlock()
			s.Add(r, nil)
			time.Sleep(10 * time.Minute)
			crash()
		}
		time.Sleep(time.Hour)
		crash()
		stop()
		if all := eventsOf(w.taken()); all != "drift0 drift1 drift2 failed0 failed1 failed2" {
			t.Error(all)
		}
		if len(copies) != 8 { // in each of four deliveries, and between them
			t.Error(len(copies))
		}
		for i, c := range copies {
			w, _, stop := life(t, c.dir, func() {})
			time.Sleep(2 * time.Hour)
			stop()
			all := strings.Fields(c.delivered + " " + eventsOf(w.taken()))
			slices.Sort(all)
			want := strings.Fields(c.added)
			slices.Sort(want)
			if !slices.Equal(all, want) {
				t.Errorf("copy %d: %v, want %v", i, all, want)
			}
		}
	})
}

// What can't be queued on disk is delivered all the same.
func TestDiskFails(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		w, transport := newWire(t, nil)
		log, said := logOf()
		write(t, dir, "state", "a file, and no folder")
		s := New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport, Logger: log})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		stop := running(s)
		s.Add(reportOf("r1", Drift), nil)
		s.Add(reportOf("r2", Drift), nil)
		time.Sleep(time.Minute)
		if runs := runsOf(t, w.taken()); runs != "r1 r2" {
			t.Error(runs)
		}
		if n := strings.Count(said.String(), "queued in memory alone"); n != 1 {
			t.Error(said)
		}
		must(t, os.Remove(filepath.Join(dir, "state")))
		s.Add(reportOf("r3", Drift), nil)
		time.Sleep(time.Minute)
		stop()
		if !strings.Contains(said.String(), "notifications are queued on disk again") || runsOf(t, w.taken()) != "r1 r2 r3" {
			t.Error(said)
		}
	})
}

// The queue has an end: the oldest messages that are not urgent are dropped.
func TestLimit(t *testing.T) {
	dir := folder(t)
	log, said := logOf()
	seen := &counts{}
	s := New(Options{Logger: log, Observer: seen})
	s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
	s.Add(reportOf("urgent", Failed), nil)
	for i := range maxMessages - 1 {
		s.Add(reportOf(fmt.Sprint(i), Drift), nil)
	}
	if said.String() != "" {
		t.Fatal(said)
	}
	s.Add(reportOf("last", Drift), nil)
	if seen.results["webhook dropped"] != 1 || seen.queued != maxMessages || !strings.Contains(said.String(), "more than 10000") {
		t.Error(seen.results, seen.queued, said)
	}
	if first := s.message(s.queues[0].entries[0]); first.Run != "urgent" {
		t.Error(first)
	}
	if second := s.message(s.queues[0].entries[1]); second.Run != "1" {
		t.Error(second)
	}
}

// What is older than a day because nobody was here to send it is tried for some minutes.
func TestOld(t *testing.T) {
	dir := folder(t)
	for _, works := range []bool{true, false} {
		state := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			_, transport := newWire(t, func(w http.ResponseWriter, _ *http.Request) {
				if !works {
					w.WriteHeader(http.StatusNotFound)
				}
			})
			start := func(seen Observer) *Sender {
				s := New(Options{State: location.Folder(state), Transport: transport, Observer: seen})
				s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
				return s
			}
			s := start(nil)
			must(t, s.Add(reportOf("r1", Drift), nil))
			must(t, s.Close())
			time.Sleep(48 * time.Hour)
			seen := &counts{}
			stop := running(start(seen))
			time.Sleep(patience - time.Minute)
			if works != (seen.of("webhook sent") == 1) || seen.of("webhook given-up") != 0 {
				t.Error(works, seen.of("webhook sent"), seen.of("webhook given-up"))
			}
			time.Sleep(2 * time.Minute)
			stop()
			if works == (seen.results["webhook given-up"] == 1) {
				t.Error(works, seen.results)
			}
		})
	}
}

// Flush sends what can be sent and ends.
func TestFlush(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		w, transport := newWire(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Host, "127.0.0.2") {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		s := New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}, {type: webhook, urlFile: other}, {type: slack, urlFile: url, digest: 1h}]"))
		s.Add(reportOf("r1", Drift), nil)
		s.Add(reportOf("r2", Drift), nil)
		if left := s.Flush(t.Context()); left != 2 || len(w.taken()) != 2 || len(w.requests()) != 3 {
			t.Error(left, len(w.taken()), len(w.requests()))
		}
		s.Close()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		s = New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}, {type: webhook, urlFile: other}]"))
		if left := s.Flush(ended); left != 2 || len(w.requests()) != 3 {
			t.Error(left, len(w.requests()))
		}
		s.Close()
	})
}

// A redirect isn't followed, and nothing that could be in a URL is in an error.
func TestErrors(t *testing.T) {
	dir := folder(t)
	w, transport := newWire(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.9:1/elsewhere", http.StatusFound)
	})
	one := receiversOf(t, dir, "[{type: webhook, urlFile: url, secretFile: secret}]")
	err := Test(t.Context(), one, "0200acme", Drift, Options{Transport: transport})[0]
	if err == nil || !strings.HasPrefix(err.Error(), "127.0.0.1:1 answered 302 Found") || len(w.requests()) != 1 {
		t.Error(err, len(w.requests()))
	}
	if m := w.requests()[0].message(t); !m.Test || m.Events[0].Type != Drift {
		t.Errorf("%+v", m)
	}
	broken := roundTrip(func(r *http.Request) (*http.Response, error) { return nil, errors.New("broken: " + r.URL.String()) })
	for content, want := range map[string]string{
		"http://127.0.0.1:1" + secretPath:                      "127.0.0.1:1 can't be reached: broken: [token]",
		"https://user:p4ssw0rdSECRET@hooks.example/?x=SECRET1": "hooks.example can't be reached: broken: [token]",
		"http://hooks.example" + secretPath:                    `the URL must be https (http is for this machine only)`,
		"ftp://hooks.example" + secretPath:                     `the URL must begin with https://`,
		"SECRET":                                               `the URL is none`,
		"https://hooks.example/a b\x00SECRET":                  `the URL is none`,
		"https://hooks.example/SECRET#x":                       `the URL must not have a fragment`,
		"\n":                                                   `is empty`,
	} {
		write(t, dir, "url", content)
		err := Test(t.Context(), one, "0200acme", Drift, Options{Transport: broken})[0]
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A receiver is told of the events that its filters let through.
func TestWants(t *testing.T) {
	dir := folder(t)
	drift := Event{Type: Drift, Org: "acme-emea.okta.com", Owner: "Ada@acme.example", Labels: map[string]string{"tier": "production", "bu": "retail"}}
	failed := Event{Type: Failed}
	for filter, want := range map[string][2]bool{
		"":                                         {true, true},
		", events: [drift, limit]":                 {true, false},
		", events: [failed]":                       {false, true},
		", orgs: [ACME-*.okta.com]":                {true, false},
		", orgs: [labs-*]":                         {false, false},
		", labels: [tier=production]":              {true, false},
		", labels: [tier=production, bu=x]":        {false, false},
		", labels: ['tier in (a, production)']":    {true, false},
		", labels: [owner=ada@acme.example]":       {true, false},
		", labels: [owner=ada, owner=bob]":         {false, false},
		", labels: {tier: production, bu: retail}": {true, false},
		", labels: {owner: ada@acme.example}":      {true, false},
		", labels: {tier: x}":                      {false, false},
		", labels: ['!nolabel']":                   {true, false},
	} {
		r := receiversOf(t, dir, "[{type: webhook, urlFile: url"+filter+"}]")[0]
		if got := [2]bool{r.wants(&drift), r.wants(&failed)}; got != want {
			t.Errorf("%s: %v", filter, got)
		}
	}
}

// The config knows the same types of events.
func TestTypes(t *testing.T) {
	var all []string
	for _, typ := range Types() {
		all = append(all, string(typ))
		if labels[typ] == "" {
			t.Errorf("%s has no label", typ)
		}
	}
	if !slices.Equal(all, config.EventTypes()) {
		t.Errorf("%v, and the config knows %v", all, config.EventTypes())
	}
}

// What receivers know is kept with the messages.
func TestTold(t *testing.T) {
	dir := folder(t)
	for _, state := range []string{"", filepath.Join(dir, "state")} {
		s := New(Options{State: location.Folder(state)})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		if told, err := s.Told(); err != nil || told != nil {
			t.Error(told, err)
		}
		for _, want := range []string{"1", "2"} {
			must(t, s.Add(Report{}, []byte(want)))
			if told, err := s.Told(); err != nil || string(told) != want {
				t.Errorf("%q: %s %v", state, told, err)
			}
		}
		if state != "" {
			must(t, s.Close())
			s = New(Options{State: location.Folder(state)})
			if told, err := s.Told(); err != nil || string(told) != "2" {
				t.Error(told, err)
			}
			must(t, s.Close())
			must(t, os.WriteFile(filepath.Join(state, "outbox.db"), []byte("damaged"), 0o600))
			if told, err := s.Told(); err != nil || told != nil {
				t.Error(told, err)
			}
			must(t, s.Add(Report{}, []byte("3")))
			if told, err := s.Told(); err != nil || string(told) != "3" {
				t.Error(told, err)
			}
		}
		must(t, s.Close())
	}
}

// Another process adds to the queue, as a single run beside a daemon does.
func TestOtherProcess(t *testing.T) {
	dir := folder(t)
	state := filepath.Join(dir, "state")
	synctest.Test(t, func(t *testing.T) {
		w, transport := newWire(t, nil)
		s := New(Options{State: location.Folder(state), Transport: transport})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		stop := running(s)
		must(t, s.Add(reportOf("r1", Drift), nil))
		other := New(Options{State: location.Folder(state), Transport: transport})
		other.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		must(t, other.Add(reportOf("r2", Drift), nil))
		must(t, other.Close())
		time.Sleep(pollEvery + time.Second)
		must(t, s.Add(reportOf("r3", Drift), nil))
		time.Sleep(2 * pollEvery)
		stop()
		if runs := runsOf(t, w.taken()); runs != "r1 r2 r3" {
			t.Error(runs)
		}
	})
}

// Who no longer leads forgets what the other one sends, and takes it up again later.
func TestForget(t *testing.T) {
	dir := folder(t)
	state := filepath.Join(dir, "state")
	synctest.Test(t, func(t *testing.T) {
		var works atomic.Bool
		w, transport := newWire(t, func(w http.ResponseWriter, _ *http.Request) {
			if !works.Load() {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
		s := New(Options{State: location.Folder(state), Transport: transport})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		stop := running(s)
		must(t, s.Add(reportOf("r1", Drift), nil))
		must(t, s.Add(reportOf("r2", Drift), nil))
		time.Sleep(time.Second)
		stop()
		s.Forget()
		if s.Status()[0].Queued != 0 {
			t.Error("it forgets nothing")
		}
		works.Store(true)
		other := New(Options{State: location.Folder(state), Transport: transport})
		other.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		e, _, _ := func() (*entry, time.Duration, bool) { other.load(true); return other.next(other.queues[0]) }()
		if !other.try(t.Context(), other.queues[0], e) {
			t.Error("the other one can't send")
		}
		must(t, other.Close())
		stop = running(s)
		time.Sleep(time.Minute)
		stop()
		if runs := runsOf(t, w.taken()); runs != "r1 r2" {
			t.Error(runs)
		}
	})
}

// Single runs, between which nothing runs, give up as a daemon does: each message that was
// tried for a day, and that is said.
func TestSingleRunsGiveUp(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		w, transport := newWire(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		seen := &counts{}
		for i := range 30 { // hours
			s := New(Options{State: location.Folder(filepath.Join(dir, "state")), Transport: transport, Observer: seen})
			s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
			must(t, s.Add(reportOf(fmt.Sprint("r", i), Drift), nil))
			if left, want := s.Flush(t.Context()), min(i+1, 24); left != want {
				t.Fatalf("after %d hours %d are left, want %d", i, left, want)
			}
			must(t, s.Close())
			time.Sleep(time.Hour)
		}
		if seen.results["webhook given-up"] != 6 || len(w.requests()) != 30 {
			t.Error(seen.results, len(w.requests()))
		}
	})
}

// Who asks for the status doesn't wait while the disk is written, which may hang.
func TestStatusDoesNotWait(t *testing.T) {
	s := New(Options{})
	s.Use(receiversOf(t, folder(t), "[{type: webhook, urlFile: url}]"))
	must(t, s.Add(reportOf("r1", Drift), nil))
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.Status(); len(st) != 1 || st[0].Queued != 1 {
		t.Errorf("%+v", st)
	}
}

// A disk that fails is not tried with each message: each try may take seconds, for which
// a run would wait.
func TestDiskIsTriedSeldom(t *testing.T) {
	dir := folder(t)
	state := filepath.Join(dir, "state")
	synctest.Test(t, func(t *testing.T) {
		write(t, dir, "state", "a file, and no folder")
		s := New(Options{State: location.Folder(state)})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
		must(t, s.Add(reportOf("r1", Drift), []byte("1")))
		must(t, os.Remove(state))
		must(t, s.Add(reportOf("r2", Drift), []byte("2")))
		if _, err := os.Stat(state); err == nil {
			t.Error("it was tried again at once")
		}
		time.Sleep(saveEvery)
		must(t, s.Add(reportOf("r3", Drift), []byte("3")))
		if all, err := s.store.Load(0); err != nil || len(all) != 3 {
			t.Error(len(all), err)
		}
		if told, err := s.Told(); err != nil || string(told) != "3" {
			t.Error(string(told), err)
		}
		must(t, s.Close())
	})
}

// What the disk never took is forgotten as a whole when another process takes over: that
// one knows of nothing of it, and tells all of it.
func TestForgetUnsaved(t *testing.T) {
	dir := folder(t)
	write(t, dir, "state", "a file, and no folder")
	s := New(Options{State: location.Folder(filepath.Join(dir, "state"))})
	s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
	must(t, s.Add(reportOf("r1", Drift), []byte("1")))
	s.Forget()
	if n := s.Status()[0].Queued; n != 0 {
		t.Errorf("%d messages are left", n)
	}
	must(t, os.Remove(filepath.Join(dir, "state")))
	if told, err := s.Told(); err != nil || told != nil {
		t.Error(string(told), err)
	}
	must(t, s.Close())
}

// Messages that were made while the clock was wrong don't wait until it says so again, and
// a digest waits no longer than the config that is in force wants.
func TestReadyInTheFuture(t *testing.T) {
	dir := folder(t)
	for digest, want := range map[string]time.Duration{"": 0, ", digest: 1h": time.Hour, ", digest: 'CRON_TZ=UTC 0 6 * * *'": 6 * time.Hour} {
		state := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, transport := newWire(t, nil)
			began := time.Now()
			before := New(Options{State: location.Folder(state)})
			before.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url, digest: 744h}]"))
			must(t, before.Add(reportOf("r1", Drift), nil))
			q := before.queues[0]
			e, err := q.entry(&Message{Run: "r2", Events: []Event{{Type: Failed}}}, time.Now().AddDate(1, 0, 0), false)
			must(t, err)
			before.append(q, e)
			must(t, before.Close())
			s := New(Options{State: location.Folder(state), Transport: transport})
			s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url"+digest+"}]"))
			stop := running(s)
			synctest.Wait()
			if runs := runsOf(t, w.taken()); (want > 0 && runs != "r2") || want == 0 && len(w.taken()) != 2 {
				t.Errorf("%s: at once %q", digest, runs)
			}
			time.Sleep(want + time.Minute)
			stop()
			all := w.taken()
			if len(all) != 2 || all[len(all)-1].at.Sub(began) > want+time.Second {
				t.Errorf("%s: %d messages", digest, len(all))
			}
		})
	}
}

// Nobody is told that something is over before they are told of it: what Recovered ends
// is sent at once, as Recovered is.
func TestRecoveredComesAfter(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		w, transport := newWire(t, nil)
		s := New(Options{Transport: transport})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url, digest: 1h}]"))
		stop := running(s)
		for _, began := range []Type{Failed, Stale, Refused} {
			must(t, s.Add(reportOf(string(began), began), nil))
			must(t, s.Add(reportOf("over", Recovered), nil))
		}
		time.Sleep(2 * time.Hour)
		stop()
		if runs := runsOf(t, w.taken()); runs != "failed over stale over refused over" {
			t.Error(runs)
		}
	})
}

// A failure that is worded differently each time is logged once: receivers answer with the
// ids of requests, and connections have ports.
func TestSameFailure(t *testing.T) {
	dir := folder(t)
	for name, fail := range map[string]func(n int) (*http.Response, error){
		"answer": func(n int) (*http.Response, error) {
			return &http.Response{StatusCode: 500, Body: io.NopCloser(strings.NewReader(fmt.Sprint("request ", n)))}, nil
		},
		"connection": func(n int) (*http.Response, error) {
			return nil, &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: n}, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
		},
		"name": func(n int) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: fmt.Sprintf("read udp 10.0.0.1:%d: timeout", n), Name: "hooks.example"}}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			log, said := logOf()
			s := New(Options{Logger: log, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				n++
				return fail(n)
			})})
			s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}]"))
			stop := running(s)
			must(t, s.Add(reportOf("r1", Drift), nil))
			time.Sleep(time.Hour)
			stop()
			if lines := strings.Count(said.String(), "\n"); lines != 1 || n < 50 {
				t.Errorf("%s: %d lines of %d failures:\n%s", name, lines, n, said)
			}
		})
	}
}

// Many messages are dropped and given up in no time.
func TestManyAreDropped(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		seen := &counts{}
		s := New(Options{Observer: seen})
		s.Use(receiversOf(t, dir, "[{type: webhook, urlFile: url}, {type: webhook, urlFile: other}]"))
		q := s.queues[0]
		for range maxMessages {
			e, err := q.entry(&Message{Events: []Event{{Type: Drift}}}, time.Now(), false)
			must(t, err)
			q.entries = append(q.entries, e)
		}
		large := reportOf("large", Failed)
		large.Events[0].Message = strings.Repeat("x", maxBytes/2-1000)
		must(t, s.Add(large, nil))
		if st := s.Status(); st[0].Lost < maxMessages-20 || st[0].Queued == 0 || st[1].Lost != 0 || st[1].Queued != 1 {
			t.Errorf("%+v", st)
		}
		for range 20 {
			must(t, s.Add(reportOf("small", Drift), nil))
		}
		time.Sleep(giveUpAfter)
		for _, q := range s.queues {
			q.failures, q.since = 1, time.Now()
			s.expire(q, time.Now())
		}
		if st := s.Status(); st[0].Queued+st[1].Queued != 0 {
			t.Errorf("%+v", st)
		}
	})
}
