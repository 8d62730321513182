package forge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"reconciler/internal/git/forge"
	"reconciler/internal/git/forge/forgetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ghToken = "ghs_0123456789abcdefghijklmnopqrstuvwxyz"
	glToken = "glpat-0123456789abcdefghij"
	gtToken = "0123456789abcdef0123456789abcdef76543210"
	sha     = "0123456789abcdef0123456789abcdef01234567"
)

// forgeUnderTest is a server and a client of it, whichever provider it is.
type forgeUnderTest struct {
	*forgetest.Server
	client     *forge.Client
	addComment func(number int, login, body string) int64
	me         string
}

func token(value string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return value, nil }
}

func newClient(t *testing.T, opts forge.Options) *forge.Client {
	t.Helper()
	if opts.URL == "" && (opts.Provider == forge.Gitea || opts.Provider == forge.Forgejo) {
		opts.URL = "https://git.example" // they have none of their own
	}
	c, err := forge.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// onAll runs a test against all providers, with a fake clock.
func onAll(t *testing.T, test func(*testing.T, *forgeUnderTest)) {
	t.Run("GitHub", func(t *testing.T) {
		gh, _ := startGitHub(t)
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, forge.Options{Provider: forge.GitHub, URL: gh.URL, Repository: "acme/orgs", Token: token(ghToken), HTTP: gh.Transport()})
			test(t, &forgeUnderTest{gh.Server, c, gh.AddComment, "github-actions[bot]"})
		})
	})
	t.Run("GitLab", func(t *testing.T) {
		gl, _ := startGitLab(t)
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, forge.Options{Provider: forge.GitLab, URL: gl.URL, Repository: "acme/okta/orgs", Token: token(glToken), HTTP: gl.Transport()})
			test(t, &forgeUnderTest{gl.Server, c, gl.AddComment, "project_42_bot_1"})
		})
	})
	t.Run("Gitea", func(t *testing.T) {
		gt, _ := startGitea(t)
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, forge.Options{Provider: forge.Gitea, URL: gt.URL, Repository: "acme/orgs", Token: token(gtToken), HTTP: gt.Transport()})
			test(t, &forgeUnderTest{gt.Server, c, gt.AddComment, "gitea-actions"})
		})
	})
}

// startGitHub returns a GitHub with pull request 7, and a client over the network.
func startGitHub(t *testing.T) (*forgetest.GitHub, *forge.Client) {
	gh := forgetest.NewGitHub(t, "acme/orgs")
	gh.AddToken(ghToken, forgetest.GitHubToken{Login: "github-actions[bot]", Comments: true, Statuses: true})
	gh.AddRequest(7)
	gh.AddCommit(sha)
	return gh, newClient(t, forge.Options{Provider: forge.GitHub, URL: gh.URL, Repository: "acme/orgs", Token: token(ghToken), HTTP: transport(t)})
}

func startGitLab(t *testing.T) (*forgetest.GitLab, *forge.Client) {
	gl := forgetest.NewGitLab(t, "acme/okta/orgs", 42)
	gl.AddToken(glToken, forgetest.GitLabToken{Login: "project_42_bot_1", Scopes: []string{"api"}, Developer: true})
	gl.AddRequest(7)
	gl.AddCommit(sha)
	return gl, newClient(t, forge.Options{Provider: forge.GitLab, URL: gl.URL, Repository: "acme/okta/orgs", Token: token(glToken), HTTP: transport(t)})
}

func startGitea(t *testing.T) (*forgetest.Gitea, *forge.Client) {
	gt := forgetest.NewGitea(t, "acme/orgs")
	gt.AddToken(gtToken, forgetest.GiteaToken{Login: "gitea-actions", Scopes: []string{"write:issue", "write:repository", "read:user"}, Writer: true, Admin: true})
	gt.AddRequest(7)
	gt.AddCommit(sha)
	return gt, newClient(t, forge.Options{Provider: forge.Gitea, URL: gt.URL, Repository: "acme/orgs", Token: token(gtToken), HTTP: transport(t)})
}

func transport(t *testing.T) *http.Transport {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func TestCommentOverTheNetwork(t *testing.T) {
	gh, client := startGitHub(t)
	got, err := client.Comment(t.Context(), 7, "plan", "hello")
	if err != nil || got.Outcome != forge.Created || got.URL != gh.Comments(7)[0].URL {
		t.Errorf("GitHub: %+v, %v", got, err)
	}
	gl, client := startGitLab(t)
	got, err = client.Comment(t.Context(), 7, "plan", "hello")
	if err != nil || got.Outcome != forge.Created || got.URL != gl.Comments(7)[0].URL {
		t.Errorf("GitLab: %+v, %v", got, err)
	}
	byNumber := newClient(t, forge.Options{Provider: forge.GitLab, URL: gl.URL, Repository: "42", Token: token(glToken), HTTP: transport(t)})
	if got, err = byNumber.Comment(t.Context(), 7, "plan", "hello"); err != nil || got.Outcome != forge.Unchanged {
		t.Errorf("GitLab by the project's number: %+v, %v", got, err)
	}
}

func TestCommentIsSticky(t *testing.T) {
	onAll(t, func(t *testing.T, f *forgeUnderTest) {
		f.addComment(7, "ada", "first!")
		for _, step := range []struct {
			name, body string
			outcome    forge.Outcome
			bodies     []string
		}{
			{"plan", "3 changes\r\n", forge.Created, []string{"first!", "<!-- reconciler:plan -->\n3 changes"}},
			{"plan", "3 changes", forge.Unchanged, []string{"first!", "<!-- reconciler:plan -->\n3 changes"}},
			{"plan", "2 changes", forge.Updated, []string{"first!", "<!-- reconciler:plan -->\n2 changes"}},
			{"other", "2 changes", forge.Created, []string{"first!", "<!-- reconciler:plan -->\n2 changes", "<!-- reconciler:other -->\n2 changes"}},
		} {
			got, err := f.client.Comment(t.Context(), 7, step.name, step.body)
			if err != nil {
				t.Fatal(err)
			}
			comments := f.Comments(7)
			var bodies, urls []string
			for _, c := range comments {
				bodies, urls = append(bodies, c.Body), append(urls, c.URL)
			}
			if diff := cmp.Diff(step.bodies, bodies); diff != "" {
				t.Error(diff)
			}
			last := urls[1]
			if step.name == "other" {
				last = urls[2]
			}
			if got.Outcome != step.outcome || got.URL != last {
				t.Errorf("got %+v, not %s at %s", got, step.outcome, last)
			}
		}
	})
}

// Anybody can paste the marker, and the token may edit anybody's comment.
func TestOthersCommentsAreLeftAlone(t *testing.T) {
	onAll(t, func(t *testing.T, f *forgeUnderTest) {
		f.addComment(7, "mallory", "<!-- reconciler:plan -->\nnothing to see")
		f.addComment(7, "other[bot]", "<!-- reconciler:plan -->\nnothing to see")
		f.addComment(7, f.me, "quoting:\n<!-- reconciler:plan -->\nof another kind")
		for range 2 {
			if _, err := f.client.Comment(t.Context(), 7, "plan", "true words"); err != nil {
				t.Fatal(err)
			}
		}
		f.addComment(7, "mallory", "<!-- reconciler:plan -->\nnewer than ours")
		if got, err := f.client.Comment(t.Context(), 7, "plan", "newer words"); err != nil || got.Outcome != forge.Updated {
			t.Fatal(got, err)
		}
		comments := f.Comments(7)
		if len(comments) != 5 || comments[3].Body != "<!-- reconciler:plan -->\nnewer words" || comments[3].Author != f.me {
			t.Errorf("%+v", comments)
		}
		for i, c := range comments {
			if i != 3 && c.Edits > 0 {
				t.Errorf("changed a comment of %s", c.Author)
			}
		}
	})
}

func TestNewestOfSeveralAcrossPages(t *testing.T) {
	onAll(t, func(t *testing.T, f *forgeUnderTest) {
		f.addComment(7, f.me, "<!-- reconciler:plan -->\nolder")
		for i := range 120 {
			f.addComment(7, "ada", fmt.Sprint("comment ", i))
		}
		newest := f.addComment(7, f.me, "<!-- reconciler:plan -->\nnewer")
		for i := range 230 {
			f.addComment(7, "ada", fmt.Sprint("comment ", i))
		}
		if got, err := f.client.Comment(t.Context(), 7, "plan", "newest"); err != nil || got.Outcome != forge.Updated {
			t.Fatal(got, err)
		}
		for _, c := range f.Comments(7) {
			if edited := c.Edits > 0; edited != (c.ID == newest) {
				t.Errorf("comment %d (%q): edited %t", c.ID, c.Body, edited)
			}
		}
	})
}

func TestWhoWeAreOnGitHub(t *testing.T) {
	const pat = "github_pat_0123456789abcdefghij"
	refused := forgetest.Fault{Path: "/graphql", Status: 403, Body: `{"message":"Forbidden"}`}
	tests := []struct {
		name, token, login string
		fault              *forgetest.Fault
		ours               string
	}{
		{"workflow", ghToken, "github-actions[bot]", nil, "github-actions[bot]"},
		{"person", pat, "ada", nil, "ada"},
		{"person without GraphQL", pat, "ada", &refused, "ada"},
		{"workflow without GraphQL", ghToken, "github-actions[bot]", &refused, "my-app[bot]"}, // the newest of an app
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gh := forgetest.NewGitHub(t, "acme/orgs")
			gh.AddToken(tt.token, forgetest.GitHubToken{Login: tt.login, Comments: true})
			gh.AddRequest(7)
			for _, login := range []string{"github-actions[bot]", "ada", "my-app[bot]", "grace"} {
				gh.AddComment(7, login, "<!-- reconciler:plan -->\nold")
			}
			if tt.fault != nil {
				gh.Fail(*tt.fault)
			}
			c := newClient(t, forge.Options{Provider: forge.GitHub, URL: gh.URL, Repository: "acme/orgs", Token: token(tt.token), HTTP: gh.Transport()})
			if _, err := c.Comment(t.Context(), 7, "plan", "new"); err != nil {
				t.Fatal(err)
			}
			for _, c := range gh.Comments(7) {
				if (c.Edits > 0) != (c.Author == tt.ours) {
					t.Errorf("%s: edited %d times", c.Author, c.Edits)
				}
			}
		})
	}
}

// denyUser makes a server refuse to return the user of a token.
func denyUser(f *forgetest.Server, status int) {
	for _, path := range []string{"/graphql", "/user"} {
		f.Fail(forgetest.Fault{Path: path, Times: 99, Status: status, Body: `{"message":"no"}`})
	}
}

// Without the token's user there is still only one comment.
func TestCommentIsStickyWithoutUser(t *testing.T) {
	for _, status := range []int{403, 404} {
		onAll(t, func(t *testing.T, f *forgeUnderTest) {
			denyUser(f.Server, status)
			f.addComment(7, "ada", "first!")
			for _, step := range []forge.Comment{{Outcome: forge.Created}, {Outcome: forge.Updated, Guessed: true}, {Outcome: forge.Unchanged, Guessed: true}} {
				body := "new words"
				if step.Outcome == forge.Created {
					body = "words"
				}
				got, err := f.client.Comment(t.Context(), 7, "plan", body)
				if err != nil {
					t.Fatal(err)
				}
				all := f.Comments(7)
				step.URL = all[len(all)-1].URL
				if got != step || len(all) != 2 {
					t.Errorf("%d: got %+v and not %+v\n%+v", status, got, step, all)
				}
			}
		})
	}
}

// The likeliest comment comes first, and one that may not be changed is not ours.
func TestWhoseCommentIsGuessed(t *testing.T) {
	const ours = "<!-- reconciler:plan -->\nold"
	tests := []struct {
		name    string
		authors []string // "me" is the client
		refused []int    // which may not be changed
		edited  int      // -1 is none: there is a new one
	}{
		{"a person's", []string{"ada"}, nil, 0},
		{"the newest", []string{"ada", "bob"}, nil, 1},
		{"an app's before a person's", []string{"me", "ada"}, nil, 0},
		{"the newest app's", []string{"me", "me", "ada"}, nil, 1},
		{"may not be changed", []string{"ada"}, []int{0}, -1},
		{"the one that may", []string{"ada", "bob", "me"}, []int{2, 1}, 0},
		{"none may", []string{"ada", "bob", "me"}, []int{0, 1, 2}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onAll(t, func(t *testing.T, f *forgeUnderTest) {
				denyUser(f.Server, 403)
				for i, author := range tt.authors {
					if author == "me" {
						author = f.me
					}
					id := f.addComment(7, author, ours)
					if slices.Contains(tt.refused, i) {
						for method, status := range map[string]int{"PATCH": 403, "PUT": 404} {
							f.Fail(forgetest.Fault{Method: method, Path: fmt.Sprint("/", id), Times: 99, Status: status, Body: `{"message":"no"}`})
						}
					}
				}
				// The second time, there is one that may be changed.
				for _, words := range []string{"new", "newer"} {
					got, err := f.client.Comment(t.Context(), 7, "plan", words)
					if err != nil || !got.Guessed {
						t.Fatalf("%+v, %v", got, err)
					}
				}
				all := f.Comments(7)
				edited, count := tt.edited, len(tt.authors)
				if edited < 0 {
					edited, count = len(tt.authors), count+1
				}
				if len(all) != count || all[edited].Body != "<!-- reconciler:plan -->\nnewer" {
					t.Errorf("%+v", all)
				}
			})
		})
	}
}

// Of many comments that may not be changed only a few are tried, and a temporary
// error is no denial.
func TestGuessesEnd(t *testing.T) {
	onAll(t, func(t *testing.T, f *forgeUnderTest) {
		denyUser(f.Server, 403)
		for range 40 {
			f.addComment(7, "mallory", "<!-- reconciler:plan -->\nnothing to see")
		}
		for _, method := range []string{"PATCH", "PUT"} {
			f.Fail(forgetest.Fault{Method: method, Times: 99, Status: 403, Body: `{"message":"no"}`})
		}
		got, err := f.client.Comment(t.Context(), 7, "plan", "true words")
		if err != nil || got.Outcome != forge.Created || len(f.Comments(7)) != 41 {
			t.Fatalf("%+v, %v, %d comments", got, err, len(f.Comments(7)))
		}
		tries := 0
		for _, c := range f.Calls() {
			if c.Method == "PATCH" || c.Method == "PUT" {
				tries++
			}
		}
		if tries != 10 {
			t.Errorf("tried %d", tries)
		}
	})
	limited := http.Header{"Retry-After": {"900"}}
	for _, faults := range [][]forgetest.Fault{
		{{Path: "/user", Status: 403, Header: limited, Body: `{"message":"API rate limit exceeded"}`}},
		{{Path: "/user", Status: 401, Body: `{"message":"Bad credentials"}`}},
		{
			{Method: "PATCH", Status: 403, Header: limited, Body: `{"message":"API rate limit exceeded"}`},
			{Method: "PUT", Status: 429, Header: limited, Body: `{"message":"Retry later"}`},
		},
		{
			{Method: "PATCH", Times: 9, Status: 502, Body: "{}"},
			{Method: "PUT", Times: 9, Status: 502, Body: "{}"},
		},
	} {
		onAll(t, func(t *testing.T, f *forgeUnderTest) {
			for _, fault := range faults {
				f.Fail(fault)
			}
			denyUser(f.Server, 403)
			f.addComment(7, f.me, "<!-- reconciler:plan -->\nold")
			if got, err := f.client.Comment(t.Context(), 7, "plan", "new"); err == nil {
				t.Errorf("%+v: %+v", faults, got)
			}
			if all := f.Comments(7); len(all) != 1 || all[0].Edits > 0 {
				t.Errorf("%+v: %+v", faults, all)
			}
		})
	}
}

// A note is written even if its address can't be read.
func TestNoteWithoutAddress(t *testing.T) {
	for name, fault := range map[string]forgetest.Fault{
		"refused":  {Status: 403, Body: `{"message":"403 Forbidden"}`},
		"gone":     {Status: 404, Body: `{"message":"404 Not found"}`},
		"trouble":  {Status: 502, Body: "<p>", Header: http.Header{"Content-Type": {"text/html"}}},
		"dropped":  {Drop: true},
		"no words": {Status: 200, Body: "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			gl, _ := startGitLab(t)
			fault.Path, fault.Times = "/merge_requests/7$", 99
			gl.Fail(fault)
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, forge.Options{Provider: forge.GitLab, URL: gl.URL, Repository: "acme/okta/orgs", Token: token(glToken), HTTP: gl.Transport()})
				for i, step := range []struct {
					body    string
					outcome forge.Outcome
				}{{"a", forge.Created}, {"b", forge.Updated}, {"b", forge.Unchanged}} {
					start := time.Now()
					got, err := c.Comment(t.Context(), 7, "plan", step.body)
					if err != nil || got != (forge.Comment{Outcome: step.outcome}) {
						t.Fatalf("%d: %+v, %v", i, got, err)
					}
					if waited := time.Since(start); waited > 10*time.Second {
						t.Errorf("waited %v", waited)
					}
				}
			})
			if all := gl.Comments(7); len(all) != 1 {
				t.Errorf("%+v", all)
			}
		})
	}
}

// If the token's user is unknown because of a temporary error, no comment is
// changed. The token is an app's, which is refused at /user in any case.
func TestWhoWeAreIsUnknownForNow(t *testing.T) {
	limited := `{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`
	for _, tt := range []struct {
		faults   []forgetest.Fault
		expected string
	}{
		{[]forgetest.Fault{{Path: "/graphql", Times: 9, Status: 502, Body: "{}"}, {Path: "/user", Times: 9, Status: 502, Body: "{}"}}, "GET /api/v3/user: 502"},
		{[]forgetest.Fault{{Path: "/graphql", Times: 9, Status: 502, Body: "{}"}}, "POST /api/graphql: 502"},
		{[]forgetest.Fault{{Path: "/graphql", Status: 200, Body: limited}}, "the GraphQL API does not return the user of the token"},
		{[]forgetest.Fault{{Path: "/graphql", Status: 403, Header: http.Header{"Retry-After": {"900"}}, Body: "{}"}}, "POST /api/graphql: 403"},
	} {
		gh, _ := startGitHub(t)
		synctest.Test(t, func(t *testing.T) {
			gh.AddComment(7, "my-app[bot]", "<!-- reconciler:plan -->\nold")
			for _, fault := range tt.faults {
				gh.Fail(fault)
			}
			c := newClient(t, forge.Options{Provider: forge.GitHub, URL: gh.URL, Repository: "acme/orgs", Token: token(ghToken), HTTP: gh.Transport()})
			if _, err := c.Comment(t.Context(), 7, "plan", "new"); err == nil || !strings.Contains(err.Error(), tt.expected) {
				t.Error(err)
			}
			if all := gh.Comments(7); len(all) != 1 || all[0].Edits > 0 {
				t.Errorf("%+v", all)
			}
		})
	}
}

func TestLongBodies(t *testing.T) {
	limits := map[string]int{"GitHub": 65536, "GitLab": 1_000_000, "Gitea": 65536}
	onAll(t, func(t *testing.T, f *forgeUnderTest) {
		limit := limits[t.Name()[strings.LastIndex(t.Name(), "/")+1:]]
		body := "# Plan\n<details><summary>all</summary>\n\n```\n" + strings.Repeat("äcme\n", limit/5+20) + "```\n</details>\nthe end"
		for _, outcome := range []forge.Outcome{forge.Created, forge.Unchanged} {
			if got, err := f.client.Comment(t.Context(), 7, "plan", body); err != nil || got.Outcome != outcome {
				t.Fatal(got, err)
			}
		}
		got := f.Comments(7)[0].Body
		if n := utf8.RuneCountInString(got); n > limit || n < limit-20 {
			t.Errorf("%d characters of %d", n, limit)
		}
		tail := got[len(got)-200:]
		if !strings.Contains(tail, "äcme\n```\n\n</details>\n\n_Cut here: the last ") {
			t.Errorf("ends with %q", tail)
		}
	})
}

// A comment whose creation was not answered must not be created again.
func TestLostCreation(t *testing.T) {
	created := `{"message":"Server Error"}`
	faults := map[string]forgetest.Fault{
		"500 after it":         {Method: "POST", Path: "/7/", Applied: true, Status: 500, Body: created},
		"500 before it":        {Method: "POST", Path: "/7/", Status: 500, Body: created},
		"dropped after it":     {Method: "POST", Path: "/7/", Applied: true, Drop: true},
		"dropped before it":    {Method: "POST", Path: "/7/", Drop: true},
		"no JSON after it":     {Method: "POST", Path: "/7/", Applied: true, Status: 201, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<p>"},
		"broken JSON after it": {Method: "POST", Path: "/7/", Applied: true, Status: 201, Body: `{"id":`},
		"dropped twice":        {Method: "POST", Path: "/7/", Drop: true, Times: 2},
		"limited":              {Method: "POST", Path: "/7/", Status: 429, Header: http.Header{"Retry-After": {"9"}}, Body: created},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			onAll(t, func(t *testing.T, f *forgeUnderTest) {
				f.Fail(fault)
				got, err := f.client.Comment(t.Context(), 7, "plan", "hello")
				if err != nil || got.Outcome != forge.Created {
					t.Error(got, err)
				}
				if all := f.Comments(7); len(all) != 1 || all[0].URL != got.URL {
					t.Errorf("%+v", all)
				}
			})
		})
	}
	t.Run("forever", func(t *testing.T) {
		onAll(t, func(t *testing.T, f *forgeUnderTest) {
			f.Fail(forgetest.Fault{Method: "POST", Path: "/7/", Drop: true, Times: 99})
			_, err := f.client.Comment(t.Context(), 7, "plan", "hello")
			if err == nil || !strings.HasSuffix(err.Error(), "unexpected EOF; it may have taken effect all the same") {
				t.Error(err)
			}
			if len(f.Comments(7)) > 0 {
				t.Error("there is a comment")
			}
		})
	})
	t.Run("stopped meanwhile", func(t *testing.T) {
		onAll(t, func(t *testing.T, f *forgeUnderTest) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			f.Fail(forgetest.Fault{Method: "POST", Path: "/7/", Drop: true, Applied: true})
			_, err := f.client.Comment(ctx, 7, "plan", "hello")
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "may have taken effect") {
				t.Error(err)
			}
		})
	})
}

// The text of a comment comes from the author of the merge request.
func TestNoQuickActions(t *testing.T) {
	gl, client := startGitLab(t)
	body := "two orgs\n/merge\n```\n/approve\n```\n~~~\n/close\n~~~\n/label ~x\nok"
	for _, outcome := range []forge.Outcome{forge.Created, forge.Unchanged} {
		if got, err := client.Comment(t.Context(), 7, "plan", body); err != nil || got.Outcome != outcome {
			t.Fatal(got, err)
		}
	}
	if got := gl.Commands(); len(got) > 0 {
		t.Errorf("carried out %q", got)
	}
	expected := "<!-- reconciler:plan -->\ntwo orgs\n\\/merge\n```\n /approve\n```\n~~~\n /close\n~~~\n\\/label ~x\nok"
	if diff := cmp.Diff(expected, gl.Comments(7)[0].Body); diff != "" {
		t.Error(diff)
	}
}

func TestRenamedRepository(t *testing.T) {
	gh, client := startGitHub(t)
	gh.Rename("acme/okta-orgs")
	for _, step := range []struct {
		body    string
		outcome forge.Outcome
	}{{"a", forge.Created}, {"b", forge.Updated}} {
		if got, err := client.Comment(t.Context(), 7, "plan", step.body); err != nil || got.Outcome != step.outcome {
			t.Fatal(got, err)
		}
	}
	if err := client.SetStatus(t.Context(), sha, forge.Status{State: forge.Success, Context: "reconciler"}); err != nil {
		t.Error(err)
	}
}

func TestBadArguments(t *testing.T) {
	_, client := startGitHub(t)
	tests := []struct {
		number     int
		name, body string
		expected   string
	}{
		{0, "plan", "x", "0 is no number of a pull or merge request"},
		{-3, "plan", "x", "-3 is no number"},
		{7, "", "x", `the comment's name "" must be letters and digits`},
		{7, "a--b", "x", `the comment's name "a--b"`},
		{7, "a -->", "x", "the comment's name"},
		{7, strings.Repeat("a", 65), "x", "at most 64"},
		{7, "plan", " \r\n\t\x00", "the comment is empty"},
	}
	for _, tt := range tests {
		_, err := client.Comment(t.Context(), tt.number, tt.name, tt.body)
		if err == nil || !strings.Contains(err.Error(), tt.expected) {
			t.Errorf("%d %q %q: %v", tt.number, tt.name, tt.body, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	ok := token("x")
	tests := []struct {
		opts     forge.Options
		expected string
	}{
		{forge.Options{Provider: "bitbucket", Repository: "a/b", Token: ok}, `provider "bitbucket": must be one of github, gitlab, gitea, forgejo`},
		{forge.Options{Provider: forge.Gitea, Repository: "a/b", Token: ok}, "Gitea needs the URL of its API, such as https://git.example/api/v1"},
		{forge.Options{Provider: forge.Forgejo, URL: "https://codeberg.org", Repository: "a/b/c", Token: ok}, `a repository on Forgejo is OWNER/NAME, not "a/b/c"`},
		{forge.Options{Provider: forge.Forgejo, URL: "http://codeberg.org", Repository: "a/b", Token: ok}, `must start with https://`},
		{forge.Options{Provider: forge.GitHub, Repository: "a/b"}, "needs a token"},
		{forge.Options{Provider: forge.GitHub, Repository: "a", Token: ok}, `OWNER/NAME, not "a"`},
		{forge.Options{Provider: forge.GitHub, Repository: "a/b/c", Token: ok}, "OWNER/NAME"},
		{forge.Options{Provider: forge.GitHub, Repository: "../b", Token: ok}, "OWNER/NAME"},
		{forge.Options{Provider: forge.GitHub, Repository: "a/..", Token: ok}, "OWNER/NAME"},
		{forge.Options{Provider: forge.GitHub, Token: ok}, "OWNER/NAME"},
		{forge.Options{Provider: forge.GitLab, Repository: "a", Token: ok}, `GROUP/NAME, or its number, not "a"`},
		{forge.Options{Provider: forge.GitLab, Repository: "a/../b", Token: ok}, "GROUP/NAME"},
		{forge.Options{Provider: forge.GitLab, Token: ok}, "GROUP/NAME"},
		{forge.Options{Provider: forge.GitHub, URL: "https://github.com", Repository: "a/b", Token: ok}, `"https://github.com" is not GitHub's API`},
		{forge.Options{Provider: forge.GitHub, URL: "http://ghe.example/api/v3", Repository: "a/b", Token: ok}, `must start with https://, not "http:"`},
		{forge.Options{Provider: forge.GitHub, URL: "https://user:secret@ghe.example", Repository: "a/b", Token: ok}, "must not hold credentials"},
		{forge.Options{Provider: forge.GitHub, URL: "https://ghe.example/?x=1", Repository: "a/b", Token: ok}, "neither query nor fragment"},
		{forge.Options{Provider: forge.GitHub, URL: "ghe.example", Repository: "a/b", Token: ok}, "must be a whole URL"},
		{forge.Options{Provider: forge.GitLab, URL: "https://user:secret@ghe example", Repository: "a/b", Token: ok}, "is not a URL"},
	}
	for _, tt := range tests {
		_, err := forge.New(tt.opts)
		if err == nil || !strings.Contains(err.Error(), tt.expected) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s %s %q: %v", tt.opts.Provider, tt.opts.URL, tt.opts.Repository, err)
		}
	}
}
