package systemlog_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/systemlog"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// open returns the log that answers what answer returns: a body, and the next page if it
// isn't empty.
func open(answer func(q url.Values) (body, next string)) (*systemlog.Log, *[]url.Values) {
	asked := &[]url.Values{}
	caller := rest.New(rest.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		*asked = append(*asked, r.URL.Query())
		body, next := answer(r.URL.Query())
		h := http.Header{"Content-Type": {"application/json"}}
		if next != "" {
			h.Set("Link", fmt.Sprintf("<%s>; rel=\"next\"", next))
		}
		return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})})
	home, _ := url.Parse("https://acme.okta.com")
	return &systemlog.Log{Home: home, URLKey: "orgs.url", Policy: systemlog.Policy(time.Second), Do: caller.Do}, asked
}

func event(id string, at time.Time) string {
	return fmt.Sprintf(`{"uuid":%q,"published":%q,"eventType":"zone.update","outcome":{"result":"SUCCESS"}}`, id, at.Format(time.RFC3339))
}

func ids(f *systemlog.Feed) string {
	var all []string
	for _, e := range f.Events() {
		all = append(all, e.UUID)
	}
	return strings.Join(all, " ")
}

func everything(*systemlog.Event) bool { return true }

// TestFeed: a feed reads on where it was, less an hour and a bit, and keeps each event
// once, in order.
func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		var pages [][]string
		log, asked := open(func(url.Values) (string, string) {
			page := []string{}
			if len(pages) > 0 {
				page, pages = pages[0], pages[1:]
			}
			return "[" + strings.Join(page, ",") + "]", fmt.Sprintf("https://acme.okta.com/api/v1/logs?after=%d", len(pages))
		})
		f := systemlog.NewFeed(log, `eventType sw "zone."`, everything)
		since := now.Add(-2 * time.Hour)
		pages = [][]string{{event("b", now.Add(-time.Minute)), event("c", now)}, {event("b", now.Add(-time.Minute))}}
		update := func(want string) {
			t.Helper()
			if whole, err := f.Update(t.Context(), since); !whole || err != nil || ids(f) != want {
				t.Errorf("got %q, %v, %v", ids(f), whole, err)
			}
		}
		update("b c")
		first := (*asked)[0]
		if first.Get("since") != since.Format("2006-01-02T15:04:05.000Z") || first.Get("limit") != "1000" ||
			first.Get("sortOrder") != "ASCENDING" || first.Get("filter") != `eventType sw "zone."` || first.Has("until") || len(*asked) != 3 {
			t.Errorf("asked %v", *asked)
		}
		// Two hours later one comes that is an hour late.
		time.Sleep(2 * time.Hour)
		*asked = nil
		pages = [][]string{{event("a", now.Add(-50*time.Minute))}}
		update("a b c")
		if got := (*asked)[0].Get("since"); got != now.Add(-systemlog.Lateness).Format("2006-01-02T15:04:05.000Z") {
			t.Errorf("read on since %s", got)
		}
		f.Drop(now)
		if ids(f) != "c" {
			t.Errorf("kept %s", ids(f))
		}
		// What was forgotten is read again if it is needed.
		*asked = nil
		pages = [][]string{{event("a", now.Add(-50*time.Minute))}}
		update("a c")
		if got := (*asked)[0].Get("since"); got != first.Get("since") {
			t.Errorf("read on since %s", got)
		}
	})
}

// TestLongLog: a log that is too long to be read at once is read on by the next update.
func TestLongLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, n := time.Now().UTC(), 0
		time.Sleep(30 * 24 * time.Hour)
		log, asked := open(func(url.Values) (string, string) {
			if n++; n > 25 {
				return "[]", "https://acme.okta.com/api/v1/logs?after=end"
			}
			return "[" + event(fmt.Sprint(n), start.Add(time.Duration(n)*time.Hour)) + "]", fmt.Sprintf("https://acme.okta.com/api/v1/logs?after=%d", n)
		})
		f := systemlog.NewFeed(log, "", everything)
		if whole, err := f.Update(t.Context(), start); whole || err != nil {
			t.Fatal(whole, err)
		}
		*asked = nil
		if whole, err := f.Update(t.Context(), start); !whole || err != nil || len(f.Events()) != 25 {
			t.Fatal(whole, err, ids(f))
		}
		if got := (*asked)[0].Get("since"); got != start.Add(20*time.Hour).Format("2006-01-02T15:04:05.000Z") {
			t.Errorf("read on since %s", got)
		}
	})
}

// TestForeignAnswers: what is no log is an error, and events that can't be read are left
// out.
func TestForeignAnswers(t *testing.T) {
	now := time.Now().UTC()
	for _, tt := range []struct{ body, next, events, err string }{
		{body: "[]"},
		{body: "[" + event("a", now) + "]", events: "a"}, // without a next page
		{body: `[null, 1, "x", [], {}, {"uuid":"b"}, {"uuid":1,"published":"2026","eventType":{}}, ` + event("a", now) + `]`, events: "a"},
		{body: `[{"uuid":"a","published":"` + now.Format(time.RFC3339) + `","eventType":"zone.x","actor":[],"client":null,"target":[1,null,{"id":2}],"outcome":"SUCCESS","debugContext":{"debugData":[]}}]`, events: "a"},
		{body: "null", err: "null instead of a list"},
		{body: "{}", err: "unreadable body"},
		{body: "<html>", err: "unreadable body"},
		{body: "", err: "it is empty"},
		{body: "[" + event("a", now) + "]", next: "https://evil.example/api/v1/logs", err: "is not followed"},
		{body: "[" + event("a", now) + "]", next: "/api/v1/users", err: "is not followed"},
		{body: "[" + event("a", now) + "]", next: "/api/v1/logs?after=1", err: "in circles", events: "a"},
	} {
		t.Run(tt.body, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, _ := open(func(url.Values) (string, string) { return tt.body, tt.next })
				f := systemlog.NewFeed(log, "", everything)
				_, err := f.Update(t.Context(), now.Add(-time.Hour))
				if (tt.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) || ids(f) != tt.events {
					t.Errorf("got %q, %v", ids(f), err)
				}
			})
		})
	}
}

// TestDeadline: reading ends with its context.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		home, _ := url.Parse("https://acme.okta.com")
		caller := rest.New(rest.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		})})
		log := &systemlog.Log{Home: home, Policy: systemlog.Policy(15 * time.Second), Do: caller.Do}
		start := time.Now()
		if _, err := systemlog.NewFeed(log, "", everything).Update(ctx, start); err == nil || time.Since(start) != 20*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestOrder: events of one moment are in the order of their uuids.
func TestOrder(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	log, _ := open(func(url.Values) (string, string) {
		return "[" + event("c", now) + "," + event("a", now) + "," + event("b", now.Add(-time.Second)) + "]", ""
	})
	f := systemlog.NewFeed(log, "", everything)
	if _, err := f.Update(t.Context(), now.Add(-time.Hour)); err != nil || ids(f) != "b a c" {
		t.Errorf("got %s, %v", ids(f), err)
	}
	if !slices.IsSortedFunc(f.Events(), func(a, b systemlog.Event) int { return a.Published.Compare(b.Published) }) {
		t.Error("not in order")
	}
}

func FuzzEvent(f *testing.F) {
	f.Add(event("a", time.Now()))
	f.Add(`{"uuid":"\u0000","published":"2026-03-01T00:00:00Z","eventType":"x","target":[{"displayName":"\u001b[2J"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		var e systemlog.Event
		if e.UnmarshalJSON([]byte(body)) != nil {
			return
		}
		if e.UUID == "" || e.Type == "" || e.Published.IsZero() {
			t.Errorf("took %q as %+v", body, e)
		}
		systemlog.Attribute(systemlog.Drift{Own: true, Types: []string{e.Type}, Since: e.Published}, []systemlog.Event{e, e}, systemlog.Own{}, 0, time.Now())
	})
}
