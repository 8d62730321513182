package forge_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/git/forge"
	"reconciler/internal/git/forge/forgetest"
)

func TestStatus(t *testing.T) {
	onAll(t, func(t *testing.T, f *forgeUnderTest) {
		if last, err := f.client.LastStatus(t.Context(), sha, "reconciler"); err != nil || last != nil {
			t.Fatalf("%+v, %v", last, err)
		}
		steps := []forge.Status{
			{State: forge.Pending, Context: "reconciler"},
			{State: forge.Failure, Context: "reconciler", Description: "acme-a.okta.com failed\n", TargetURL: "https://run.example/1"},
			{State: forge.Success, Context: "reconciler", Description: "in sync"},
			{State: forge.Success, Context: "reconciler", Description: strings.Repeat("ä", 300)},
			{State: forge.Errored, Context: "reconciler", Description: "git is away"},
			{State: forge.Success, Context: "other"},
			{State: forge.Pending, Context: "reconciler"},
			{State: forge.Success, Context: "reconciler", Description: "in sync"},
		}
		for _, s := range steps {
			if err := f.client.SetStatus(t.Context(), sha, s); err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
			last, err := f.client.LastStatus(t.Context(), sha, s.Context)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.client.Shown(s), *last); diff != "" {
				t.Errorf("%+v: %s", s, diff)
			}
			if again := f.client.Shown(*last); again != *last {
				t.Errorf("%+v is shown as %+v", *last, again)
			}
		}
	})
}

// GitLab rejects a transition from pending to pending.
func TestPendingAgain(t *testing.T) {
	gl, client := startGitLab(t)
	pending := forge.Status{State: forge.Pending, Context: "reconciler"}
	for range 2 {
		if err := client.SetStatus(t.Context(), sha, pending); err != nil {
			t.Fatal(err)
		}
	}
	gl.SetState(sha, "runner", "running")
	pending.Context = "runner"
	if err := client.SetStatus(t.Context(), sha, pending); err != nil {
		t.Error(err)
	}
	if n := len(gl.Statuses(sha)); n != 2 {
		t.Errorf("%d statuses", n)
	}
	gl.Fail(forgetest.Fault{Method: "POST", Status: 400, Body: `{"message":"Cannot transition status via :drop from :canceled (Reason(s): x)"}`})
	if err := client.SetStatus(t.Context(), sha, forge.Status{State: forge.Failure, Context: "runner"}); err == nil || !strings.Contains(err.Error(), "400 Cannot transition status via :drop") {
		t.Error(err)
	}
	// There may be one for each pipeline, in any order.
	gl.Fail(forgetest.Fault{Method: "GET", Status: 200, Body: `[{"id":3,"name":"x","status":"success"},{"id":9,"name":"x","status":"failed"},{"id":5,"name":"x","status":"success"}]`})
	if last, err := client.LastStatus(t.Context(), sha, "x"); err != nil || last.State != forge.Failure {
		t.Errorf("%+v, %v", last, err)
	}
	for state, expected := range map[string]forge.State{"canceled": forge.Errored, "skipped": forge.Errored, "success": forge.Success, "created": forge.Pending} {
		gl.SetState(sha, state, state)
		if last, err := client.LastStatus(t.Context(), sha, state); err != nil || last.State != expected {
			t.Errorf("%s: %+v, %v", state, last, err)
		}
	}
}

func TestLastStatusAcrossPages(t *testing.T) {
	gh, client := startGitHub(t)
	for i := range 250 {
		if err := client.SetStatus(t.Context(), sha, forge.Status{State: forge.Success, Context: strings.Repeat("c", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := client.LastStatus(t.Context(), sha, "c"); err != nil || last == nil {
		t.Error(last, err)
	}
	if last, err := client.LastStatus(t.Context(), sha, "d"); err != nil || last != nil {
		t.Error(last, err)
	}
	if n := len(gh.Statuses(sha)); n != 250 {
		t.Errorf("%d statuses", n)
	}
}

func TestBadStatuses(t *testing.T) {
	_, client := startGitHub(t)
	ok := forge.Status{State: forge.Success, Context: "reconciler"}
	with := func(change func(*forge.Status)) forge.Status {
		s := ok
		change(&s)
		return s
	}
	tests := []struct {
		commit   string
		status   forge.Status
		expected string
	}{
		{"main", ok, "the whole hash of a commit"},
		{sha[:12], ok, "the whole hash of a commit"},
		{strings.ToUpper(sha), ok, "the whole hash of a commit"},
		{sha, with(func(s *forge.Status) { s.State = "running" }), `"running" is no state`},
		{sha, with(func(s *forge.Status) { s.Context = "" }), "must have 1 to 255 characters"},
		{sha, with(func(s *forge.Status) { s.Context = strings.Repeat("x", 256) }), "must have 1 to 255 characters"},
		{sha, with(func(s *forge.Status) { s.TargetURL = "javascript:alert(1)" }), "must be an http(s) URL"},
		{sha, with(func(s *forge.Status) { s.TargetURL = "https://a:b@c.example" }), "without credentials"},
		{sha, with(func(s *forge.Status) { s.TargetURL = "https://c.example/" + strings.Repeat("x", 255) }), "at most 255"},
		{strings.Repeat("a", 40), ok, "422 No commit found for SHA"},
	}
	for _, tt := range tests {
		err := client.SetStatus(t.Context(), tt.commit, tt.status)
		if err == nil || !strings.Contains(err.Error(), tt.expected) {
			t.Errorf("%s %+v: %v", tt.commit, tt.status, err)
		}
	}
	if _, err := client.LastStatus(t.Context(), "HEAD", "x"); err == nil {
		t.Error("looked for a status of HEAD")
	}
}
