package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/reconcile"
)

// A running daemon is asked, and what it says is the same as what its state folder has.
func TestGetFromADaemon(t *testing.T) {
	r := newRig(t, 12, false)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan int, 1)
	var log buffer
	go func() {
		std := stdio{strings.NewReader(""), &log, &log}
		done <- run(ctx, []string{"run", "--config", r.config}, std, []string{"RECONCILER_HTTP_ADDRESS=127.0.0.1:0", "RECONCILER_SCHEDULE=0 0 1 1 *"})
	}()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(log.String(), "run finished") && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	m := serving.FindStringSubmatch(log.String())
	if m == nil {
		t.Fatalf("the daemon does not say where it serves:\n%s", log.String())
	}
	get := func(args ...string) (out, err string, code int) {
		var o, e buffer
		code = run(ctx, append([]string{"get", "--config", r.config}, args...), stdio{strings.NewReader(""), &o, &e}, []string{"RECONCILER_HTTP_ADDRESS=" + m[1]})
		return o.String(), e.String(), code
	}
	for _, list := range []string{"orgs", "products", "drift", "objects groups", "orgs --state in-sync --sort -changed", "runs", "changes"} {
		words := strings.Fields(list)
		asked, warned, code := get(append(words, "-o", "json")...)
		if code != exitOK || warned != "" {
			t.Errorf("%s: %d %s", list, code, warned)
		}
		read, warned, code := get(append(words, "-o", "json", "--offline")...)
		// Only a daemon that has read the manifests knows the lines of them.
		place := regexp.MustCompile(`,\s+"declaredAt": \{[^}]+\}`)
		if words[0] == "orgs" && len(place.FindAllString(asked, -1)) != 12 {
			t.Errorf("%s: %s", list, asked)
		}
		asked = place.ReplaceAllString(asked, "")
		if code != exitOK || !strings.Contains(warned, "from the state folder") || asked != read {
			t.Errorf("%s: %d %s\nthe daemon says:\n%s\nthe state folder says:\n%s", list, code, warned, asked, read)
		}
	}
	if _, warned, code := get("objects", "group"); code != exitError || !strings.Contains(warned, `"group" is no kind of objects: did you mean "groups"?`) {
		t.Errorf("%d %s", code, warned)
	}
	var orgs []reconcile.OrgItem
	out, _, _ := get("orgs", "-o", "json", "--status", "active", "--limit", "3", "--product", "mfa")
	if err := json.Unmarshal([]byte(out), &orgs); err != nil || len(orgs) != 3 {
		t.Errorf("%v: %s", err, out)
	}
	if _, warned, code := get("orgs", "--product", "mffa"); code != exitError || !strings.Contains(warned, `refuses: no product is called "mffa"`) {
		t.Errorf("%d %s", code, warned)
	}
	if out, warned, code := get("runs"); code != exitOK || strings.Contains(warned, "state folder") || !strings.HasPrefix(out, "ID ") {
		t.Errorf("%d %s %s", code, out, warned)
	}
	stop()
	if code := <-done; code != exitOK {
		t.Errorf("the daemon ended with %d:\n%s", code, log.String())
	}
	out, warned, code := get("orgs", "-o", "name")
	if code != exitOK || strings.Count(out, "\n") != 12 || !strings.Contains(warned, "no daemon answers on http://"+m[1]) || !strings.Contains(warned, "as of ") {
		t.Errorf("%d %s %s", code, out, warned)
	}
}

// A command that needs the config in several places warns of it once.
func TestConfigIsWarnedOfOnce(t *testing.T) {
	r := newRig(t, 1, false)
	env := []string{"RECONCILER_NO_SUCH_KEY=1", "RECONCILER_STATE_DIR=" + t.TempDir(), "RECONCILER_HTTP_ADDRESS=127.0.0.1:1"}
	for _, args := range []string{"get drift", "get orgs --offline", "suspend --list"} {
		var o, e buffer
		code := run(t.Context(), append(strings.Fields(args), "--config", r.config), stdio{strings.NewReader(""), &o, &e}, env)
		if n := strings.Count(e.String(), "RECONCILER_NO_SUCH_KEY"); code != exitOK || n != 1 {
			t.Errorf("%s: %d, warned of %d times:\n%s", args, code, n, e.String())
		}
	}
}

// A long list is asked for page by page, up to the limit.
func TestGetPages(t *testing.T) {
	r := newRig(t, 1, false)
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked = append(asked, req.URL.RawQuery)
		page := reconcile.Page[reconcile.OrgItem]{Account: simulator.DefaultAccount, Next: "b"}
		if req.URL.Query().Get("after") == "b" {
			page.Next = ""
		}
		for range 1000 {
			page.Items = append(page.Items, reconcile.OrgItem{Domain: "x" + req.URL.Query().Get("after")})
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	defer srv.Close()
	for limit, want := range map[string]string{
		"0":    "limit=1000 after=b&limit=1000",
		"1500": "limit=1000 after=b&limit=500",
		"10":   "limit=10",
	} {
		asked = nil
		var o, e buffer
		code := run(t.Context(), []string{"get", "orgs", "--config", r.config, "--address", srv.URL, "--limit", limit, "-o", "name"}, stdio{strings.NewReader(""), &o, &e}, nil)
		if got := strings.Join(asked, " "); code != exitOK || got != want {
			t.Errorf("--limit %s: %d %s; asked %q, want %q", limit, code, e.String(), got, want)
		}
	}
}

// The daemon of another account is not believed.
func TestGetFromTheDaemonOfAnotherAccount(t *testing.T) {
	r := newRig(t, 1, false)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(reconcile.Page[reconcile.OrgItem]{Account: "0200other", Items: []reconcile.OrgItem{{Domain: "other.okta.com"}}})
	}))
	defer srv.Close()
	for _, env := range [][]string{{"RECONCILER_STATE_DIR="}, {"RECONCILER_STATE_DIR=" + t.TempDir()}} {
		var o, e buffer
		env = append(env, "RECONCILER_HTTP_ADDRESS="+strings.TrimPrefix(srv.URL, "http://"))
		code := run(t.Context(), []string{"get", "orgs", "--config", r.config}, stdio{strings.NewReader(""), &o, &e}, env)
		if strings.Contains(o.String(), "other.okta.com") || !strings.Contains(e.String(), `is that of the account "0200other"`) || (code == exitOK) != strings.Contains(e.String(), "from the state folder") {
			t.Errorf("%v: %d %s %s", env, code, o.String(), e.String())
		}
	}
}
