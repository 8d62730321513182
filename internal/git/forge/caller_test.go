package forge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/git/forge"
	"reconciler/internal/git/forge/forgetest"
	"reconciler/internal/text"
)

// Each refusal has its error and its hint.
func TestRefusals(t *testing.T) {
	comment := func(c *forge.Client) error {
		_, err := c.Comment(context.Background(), 7, "plan", "hello")
		return err
	}
	status := func(c *forge.Client) error {
		return c.SetStatus(context.Background(), sha, forge.Status{State: forge.Success, Context: "x"})
	}
	tests := []struct {
		name, token, url string
		call             func(*forge.Client) error
		line, hint       string
	}{
		{"bad", "ghs_bad", "", comment, "GET /api/v3/repos/acme/orgs/issues/7/comments: 401 Bad credentials", "wrong, expired or revoked"},
		{"no comments", "ghs_readonly", "", comment, "POST /api/v3/repos/acme/orgs/issues/7/comments: 403 Resource not accessible by integration", "a pull request from a fork gets a read-only token"},
		{"no statuses", "ghs_readonly", "", status, "POST /api/v3/repos/acme/orgs/statuses/" + sha + ": 403", "statuses: write"},
		{"no access", "ghs_noaccess", "", comment, ": 404 Not Found", "private repositories"},
		{"no access, status", "ghs_noaccess", "", status, ": 404 Not Found", "private repositories"},
		{"no API below the URL", ghToken, "/", comment, "GET /repos/acme/orgs/issues/7/comments: 404 Not Found", "add /api/v3 to its URL"},
	}
	for _, tt := range tests {
		t.Run("GitHub/"+tt.name, func(t *testing.T) {
			gh, _ := startGitHub(t)
			gh.AddToken("ghs_readonly", forgetest.GitHubToken{Login: "github-actions[bot]"})
			gh.AddToken("ghs_noaccess", forgetest.GitHubToken{Login: "ada", Comments: true, Statuses: true, NoAccess: true})
			url := gh.URL
			if tt.url != "" {
				url = strings.TrimSuffix(gh.URL, "/api/v3") + tt.url
			}
			c := newClient(t, forge.Options{Provider: forge.GitHub, URL: url, Repository: "acme/orgs", Token: token(tt.token), HTTP: gh.Transport()})
			checkRefusal(t, tt.call(c), "GitHub: ", tt.line, tt.hint)
		})
	}
	tests = []struct {
		name, token, url string
		call             func(*forge.Client) error
		line, hint       string
	}{
		{"bad", "glpat-bad", "", comment, "GET /api/v4/projects/acme/okta/orgs/merge_requests/7/notes: 401 Unauthorized", "CI_JOB_TOKEN can't be used"},
		{"job", "glcbt-job", "", comment, ": 401 Unauthorized", "CI_JOB_TOKEN can't be used"},
		{"read only", "glpat-read", "", comment, ": 403 insufficient_scope: The request requires higher privileges", "scope api"},
		{"reporter", "glpat-reporter", "", status, ": 403 Forbidden", "the role Developer"},
		{"no access", "glpat-noaccess", "", comment, ": 404 Project Not Found", "private projects"},
		{"no API below the URL", glToken, "/elsewhere", comment, "the answer is not JSON", "check its URL"},
	}
	for _, tt := range tests {
		t.Run("GitLab/"+tt.name, func(t *testing.T) {
			gl, _ := startGitLab(t)
			gl.AddToken("glcbt-job", forgetest.GitLabToken{Job: true})
			gl.AddToken("glpat-read", forgetest.GitLabToken{Login: "r", Scopes: []string{"read_api"}})
			gl.AddToken("glpat-reporter", forgetest.GitLabToken{Login: "r", Scopes: []string{"api"}})
			gl.AddToken("glpat-noaccess", forgetest.GitLabToken{Login: "s", Scopes: []string{"api"}, NoAccess: true})
			url := gl.URL
			if tt.url != "" {
				url = strings.TrimSuffix(gl.URL, "/api/v4") + tt.url
			}
			c := newClient(t, forge.Options{Provider: forge.GitLab, URL: url, Repository: "acme/okta/orgs", Token: token(tt.token), HTTP: gl.Transport()})
			checkRefusal(t, tt.call(c), "GitLab", tt.line, tt.hint)
		})
	}
}

func TestRefusalsOfGitea(t *testing.T) {
	comment := func(c *forge.Client) error {
		_, err := c.Comment(context.Background(), 7, "plan", "hello")
		return err
	}
	status := func(c *forge.Client) error {
		return c.SetStatus(context.Background(), sha, forge.Status{State: forge.Success, Context: "x"})
	}
	for _, tt := range []struct {
		name, token, url string
		call             func(*forge.Client) error
		line, hint       string
	}{
		{"bad", "bad", "", comment, "GET /api/v1/repos/acme/orgs/issues/7/comments: 401 user does not exist", "it is wrong or was deleted"},
		{"read only", "read", "", comment, "POST /api/v1/repos/acme/orgs/issues/7/comments: 403 token does not have at least one of required scope(s)", "the scope write:issue"},
		{"no scope for statuses", "read", "", status, "POST /api/v1/repos/acme/orgs/statuses/" + sha + ": 403 token does not have", "the scope write:repository"},
		{"no writer", "reader", "", status, ": 403 user should have a permission to write to a repo", "may write to the repository"},
		{"no access", "noaccess", "", comment, ": 404 The target couldn't be found.", "private repositories"},
		{"no access, status", "noaccess", "", status, ": 404 The target couldn't be found.", "the commit, and that"},
		{"no API below the URL", gtToken, "/elsewhere", comment, ": 404 Not Found", "its URL ends with /api/v1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gt, _ := startGitea(t)
			all := []string{"write:issue", "write:repository", "read:user"}
			gt.AddToken("read", forgetest.GiteaToken{Login: "r", Scopes: []string{"read:issue", "read:repository"}, Writer: true})
			gt.AddToken("reader", forgetest.GiteaToken{Login: "r", Scopes: all})
			gt.AddToken("noaccess", forgetest.GiteaToken{Login: "s", Scopes: all, NoAccess: true})
			url := strings.TrimSuffix(gt.URL, "/api/v1") + tt.url // the rest of it is added
			c := newClient(t, forge.Options{Provider: forge.Forgejo, URL: url, Repository: "acme/orgs", Token: token(tt.token), HTTP: gt.Transport()})
			checkRefusal(t, tt.call(c), "Forgejo", tt.line, tt.hint)
		})
	}
}

// Gitea returns all comments, whatever page is asked for; a server that knows pages
// of them is read to the end as well, whether it counts them or not. A comment that
// others wrote is left alone, and one that may not be changed is answered without a
// word.
func TestGiteaComments(t *testing.T) {
	const mine = "<!-- reconciler:plan -->\n"
	for _, comments := range []int{49, 50, 51, 120} {
		gt, client := startGitea(t)
		for range comments {
			gt.AddComment(7, "ada", mine+"not ours")
		}
		for _, outcome := range []forge.Outcome{forge.Created, forge.Unchanged} {
			got, err := client.Comment(t.Context(), 7, "plan", "hello")
			if err != nil || got.Outcome != outcome || got.URL != gt.Comments(7)[comments].URL {
				t.Errorf("%d comments: %+v, %v", comments, got, err)
			}
		}
		if all := gt.Comments(7); len(all) != comments+1 || all[0].Edits != 0 {
			t.Errorf("%d comments of %d, %d edits", len(all), comments+1, all[0].Edits)
		}
	}
	for name, count := range map[string]http.Header{"counted": {"X-Total-Count": {"60"}}, "not counted": nil} {
		var pages []string
		c := newClient(t, forge.Options{Provider: forge.Gitea, Repository: "acme/orgs", Token: token(gtToken), HTTP: roundTripper(func(r *http.Request) *http.Response {
			if r.Method != http.MethodGet {
				return answer(200, `{"id":60}`, nil)
			}
			if strings.HasSuffix(r.URL.Path, "/user") {
				return answer(200, `{"id":9}`, nil)
			}
			page, _ := strconv.Atoi(r.URL.Query().Get("page"))
			pages = append(pages, r.URL.RawQuery)
			var all []string
			for id := 50*(page-1) + 1; id <= min(50*page, 60); id++ {
				all = append(all, fmt.Sprintf(`{"id":%d,"user":{"id":%d},"body":"<!-- reconciler:plan -->\nold"}`, id, id%60+9))
			}
			return answer(200, "["+strings.Join(all, ",")+"]", count)
		})})
		got, err := c.Comment(t.Context(), 7, "plan", "hello")
		if err != nil || got.Outcome != forge.Updated || strings.Join(pages, " ") != "limit=50&page=1 limit=50&page=2" {
			t.Errorf("%s: %+v, %v, pages %q", name, got, err, pages)
		}
	}
}

// The newest status of each context is found on any page, and states of other
// programs are understood.
func TestGiteaStatuses(t *testing.T) {
	gt, client := startGitea(t)
	for i := range 70 {
		if err := client.SetStatus(t.Context(), sha, forge.Status{State: forge.Success, Context: fmt.Sprint("check ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := client.LastStatus(t.Context(), sha, "check 0"); err != nil || last == nil || last.State != forge.Success {
		t.Errorf("%+v, %v", last, err)
	}
	gt.Fail(forgetest.Fault{Method: "GET", Status: 200, Body: `{"statuses":[{"id":3,"context":"x","status":"warning"},{"id":2,"context":"x","status":"success"}]}`})
	if last, err := client.LastStatus(t.Context(), sha, "x"); err != nil || last.State != forge.Failure {
		t.Errorf("%+v, %v", last, err)
	}
}

func checkRefusal(t *testing.T, err error, prefix, line, hint string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), line) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, not %s%s", err, prefix, line)
	}
	if got := text.Hint(err); !strings.Contains(got, hint) || strings.Contains(got, "\n") {
		t.Errorf("hint %q, not %q", got, hint)
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name   string
		arm    func(*forgetest.GitHub)
		waited time.Duration // 0: not waited out
		hint   string
	}{
		{"primary, ends soon", func(gh *forgetest.GitHub) { gh.Limit(1, time.Now().Add(40*time.Second)) }, 41 * time.Second, ""},
		{"primary, ends late", func(gh *forgetest.GitHub) { gh.Limit(1, time.Now().Add(41*time.Minute)) }, 0, "the limit ends in 41m1s"},
		{"secondary", func(gh *forgetest.GitHub) {
			gh.Fail(forgetest.Fault{Method: "POST", Status: 403, Body: `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`})
		}, time.Minute, ""},
		{"secondary with a wait", func(gh *forgetest.GitHub) {
			gh.Fail(forgetest.Fault{Method: "POST", Status: 403, Header: http.Header{"Retry-After": {"30"}}, Body: `{"message":"slow down"}`})
		}, 30 * time.Second, ""},
		{"429 until a date", func(gh *forgetest.GitHub) {
			at := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
			gh.Fail(forgetest.Fault{Method: "POST", Status: 429, Header: http.Header{"Retry-After": {at}}, Body: `{}`})
		}, 20 * time.Second, ""},
		{"429 for ever", func(gh *forgetest.GitHub) {
			gh.Fail(forgetest.Fault{Method: "POST", Status: 429, Header: http.Header{"Retry-After": {"99999999999"}}, Body: `{}`})
		}, 0, "the limit ends in 24h0m0s"},
		{"429 again and again", func(gh *forgetest.GitHub) {
			gh.Fail(forgetest.Fault{Method: "POST", Status: 429, Times: 99, Header: http.Header{"Retry-After": {"1"}}, Body: `{}`})
		}, 0, "the limit ends in 1s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gh, _ := startGitHub(t)
			synctest.Test(t, func(t *testing.T) {
				gh.SetNow(time.Now)
				tt.arm(gh)
				c := newClient(t, forge.Options{Provider: forge.GitHub, URL: gh.URL, Repository: "acme/orgs", Token: token(ghToken), HTTP: gh.Transport()})
				start := time.Now()
				_, err := c.Comment(t.Context(), 7, "plan", "hello")
				waited := time.Since(start)
				if tt.waited > 0 && (err != nil || waited.Round(time.Second) != tt.waited || len(gh.Comments(7)) != 1) {
					t.Errorf("%v after %v", err, waited)
				}
				if tt.waited == 0 && (err == nil || !strings.Contains(text.Hint(err), tt.hint) || waited > 2*time.Minute || len(gh.Comments(7)) != 0) {
					t.Errorf("%v (%s) after %v", err, text.Hint(err), waited)
				}
			})
		})
	}
}

func TestServerTrouble(t *testing.T) {
	onAll(t, func(t *testing.T, f *forgeUnderTest) {
		f.Fail(forgetest.Fault{Method: "GET", Status: 502, Times: 2, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<h1>Bad gateway</h1>"})
		f.Fail(forgetest.Fault{Method: "GET", Drop: true})
		if _, err := f.client.Comment(t.Context(), 7, "plan", "hello"); err != nil {
			t.Error(err)
		}
		f.Fail(forgetest.Fault{Method: "GET", Status: 503, Times: 99, Body: `{"message":"down for maintenance"}`})
		_, err := f.client.Comment(t.Context(), 7, "plan", "hello")
		if err == nil || !strings.Contains(err.Error(), ": 503 down for maintenance") || text.Hint(err) != "the server has trouble: try again later" {
			t.Errorf("%v (%s)", err, text.Hint(err))
		}
	})
}

// A library that retried would multiply our attempts.
func TestAttemptsAreBounded(t *testing.T) {
	for _, provider := range forge.Providers() {
		for name, tt := range map[string]struct {
			err      error
			requests int
		}{
			"dial":     {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, 4},
			"reset":    {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, 4},
			"DNS":      {&net.DNSError{Err: "server misbehaving", IsTemporary: true}, 4},
			"no host":  {&net.DNSError{Err: "no such host", IsNotFound: true}, 1},
			"answered": {nil, 4},
		} {
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				c := newClient(t, forge.Options{Provider: provider, Repository: "acme/orgs", Token: token(ghToken), HTTP: failing(func() (*http.Response, error) {
					requests++
					if tt.err != nil {
						return nil, tt.err
					}
					return answer(503, "{}", nil), nil
				})})
				_, err := c.LastStatus(t.Context(), sha, "x")
				if err == nil || tt.err != nil && !errors.Is(err, tt.err) || requests != tt.requests {
					t.Errorf("%s: %s: %v after %d requests", provider, name, err, requests)
				}
			})
		}
	}
}

type failing func() (*http.Response, error)

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return f() }

// silent does not answer.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, forge.Options{Provider: forge.GitHub, Repository: "acme/orgs", Token: token(ghToken), HTTP: silent{}})
		start := time.Now()
		_, err := c.Comment(t.Context(), 7, "plan", "hello")
		if err == nil || !strings.HasSuffix(err.Error(), "no answer within 30s") || time.Since(start) > 3*time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Comment(ctx, 7, "plan", "hello"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// The token is sent to no other origin, and a write stays a write.
func TestRedirects(t *testing.T) {
	var elsewhere int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	tests := []struct {
		method, location string
		status           int
		expected, hint   string
	}{
		{"GET", other.URL + "/repos", 301, "redirected to \"" + other.URL + "\", where the token must not go", "set it as the URL of the API"},
		{"POST", other.URL + "/repos", 307, "where the token must not go", "set it as the URL of the API"},
		{"POST", "/api/v3/repos/acme/other/issues/7/comments", 301, "redirected with 301, which would turn the POST into a GET", "renamed or moved"},
		{"GET", "", 302, "", ""}, // to itself
		{"GET", "http://[::1", 302, "redirected to something that is no URL", ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.method, tt.status), func(t *testing.T) {
			gh, client := startGitHub(t)
			location, expected := tt.location, tt.expected
			if location == "" {
				location, expected = "/api/v3/repos/acme/orgs/issues/7/comments", "redirected again and again"
			}
			gh.Fail(forgetest.Fault{Method: tt.method, Times: 9, Status: tt.status, Header: http.Header{"Location": {location}}, Body: "{}"})
			_, err := client.Comment(t.Context(), 7, "plan", "hello")
			if err == nil || !strings.Contains(err.Error(), expected) || !strings.Contains(text.Hint(err), tt.hint) {
				t.Errorf("%v (%s)", err, text.Hint(err))
			}
		})
	}
	if elsewhere > 0 {
		t.Errorf("%d requests went elsewhere", elsewhere)
	}
}

func TestNoWay(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	comment := func(url string, within time.Duration) error {
		t.Helper()
		c := newClient(t, forge.Options{Provider: forge.GitHub, URL: url, Repository: "acme/orgs", Token: token(ghToken), HTTP: transport(t)})
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err := c.Comment(ctx, 7, "plan", "hello")
		return err
	}
	if err := comment(closed.URL, 500*time.Millisecond); err == nil || !strings.Contains(text.Hint(err), "the server can't be reached") {
		t.Errorf("%v (%s)", err, text.Hint(err))
	}
	if err := comment(untrusted.URL, 20*time.Second); err == nil || !strings.Contains(text.Hint(err), "certificate is not trusted here") {
		t.Errorf("%v (%s)", err, text.Hint(err))
	}
}

// endless is an answer that doesn't end.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return len(p), nil
}

func (e *endless) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(e)}, nil
}

func TestAnswersAreCapped(t *testing.T) {
	e := &endless{}
	c := newClient(t, forge.Options{Provider: forge.GitHub, Repository: "acme/orgs", Token: token(ghToken), HTTP: e})
	_, err := c.Comment(t.Context(), 7, "plan", "hello")
	if err == nil || !strings.Contains(err.Error(), "the answer is longer than 32 MiB") || e.read > 64<<20 {
		t.Errorf("%v after %d bytes", err, e.read)
	}
}

// A list without an end is not read for ever.
func TestPagesAreBounded(t *testing.T) {
	var pages int
	c := newClient(t, forge.Options{Provider: forge.GitHub, Repository: "acme/orgs", Token: token(ghToken), HTTP: roundTripper(func(r *http.Request) *http.Response {
		pages++
		return answer(200, "[]", http.Header{"Link": {`<https://evil.example/?page=2>; rel="next"`}})
	})})
	if _, err := c.Comment(t.Context(), 7, "plan", "hello"); err == nil || !strings.Contains(err.Error(), "more than 10000 comments") || pages != 100 {
		t.Error(err, pages)
	}
	pages = 0
	c = newClient(t, forge.Options{Provider: forge.GitLab, Repository: "acme/orgs", Token: token(glToken), HTTP: roundTripper(func(r *http.Request) *http.Response {
		pages++
		next, _ := strconv.Atoi(r.URL.Query().Get("page"))
		return answer(200, "[]", http.Header{"X-Next-Page": {strconv.Itoa(next + 1)}})
	})})
	if _, err := c.Comment(t.Context(), 7, "plan", "hello"); err == nil || !strings.Contains(err.Error(), "more than 10000 notes") || pages != 500 {
		t.Error(err, pages)
	}
	c = newClient(t, forge.Options{Provider: forge.GitLab, Repository: "acme/orgs", Token: token(glToken), HTTP: roundTripper(func(r *http.Request) *http.Response {
		return answer(200, "[]", http.Header{"X-Next-Page": {"x&y"}})
	})})
	if _, err := c.Comment(t.Context(), 7, "plan", "hello"); err == nil {
		t.Error("went on to a page that is no number")
	}
}

// An answer of null, or a list of it, is JSON that no server should send.
func TestNullAnswers(t *testing.T) {
	for _, provider := range forge.Providers() {
		for _, body := range []string{"null", "[null]"} {
			c := newClient(t, forge.Options{Provider: provider, Repository: "acme/orgs", Token: token(ghToken), HTTP: roundTripper(func(r *http.Request) *http.Response {
				if r.Method == http.MethodGet {
					return answer(200, body, nil)
				}
				return answer(201, "null", nil)
			})})
			if body == "null" || provider == forge.GitLab { // GitHub's is an object
				if last, err := c.LastStatus(t.Context(), sha, "x"); err != nil || last != nil {
					t.Errorf("%s: %s: %+v, %v", provider, body, last, err)
				}
			}
			if err := c.SetStatus(t.Context(), sha, forge.Status{State: forge.Success, Context: "x"}); err != nil {
				t.Errorf("%s: %s: %v", provider, body, err)
			}
			if got, err := c.Comment(t.Context(), 7, "plan", "hello"); err != nil || got != (forge.Comment{Outcome: forge.Created}) {
				t.Errorf("%s: %s: %+v, %v", provider, body, got, err)
			}
		}
		c := newClient(t, forge.Options{Provider: provider, Repository: "acme/orgs", Token: token(ghToken), HTTP: roundTripper(func(r *http.Request) *http.Response {
			if strings.Contains(r.URL.Path, "/7/") {
				return answer(200, `[{"id":1,"body":"<!-- reconciler:plan -->","user":null,"author":null}]`, nil)
			}
			return answer(200, "null", nil)
		})})
		if _, err := c.Comment(t.Context(), 7, "plan", "hello"); err == nil || !strings.Contains(err.Error(), "the token's user has no id") {
			t.Errorf("%s: %v", provider, err)
		}
	}
}

// The libraries neither wait nor log, and refuse nothing, whatever a successful
// answer says about limits.
func TestLibrariesDoNotLimit(t *testing.T) {
	var logs bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	for _, provider := range forge.Providers() {
		synctest.Test(t, func(t *testing.T) {
			reset := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
			requests := 0
			c := newClient(t, forge.Options{Provider: provider, Repository: "acme/orgs", Token: token(ghToken), HTTP: roundTripper(func(r *http.Request) *http.Response {
				requests++
				return answer(200, "null", http.Header{
					"Ratelimit-Limit": {"1"}, "Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {reset},
					"X-Ratelimit-Limit": {"1"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {reset}, "Retry-After": {"60"},
				})
			})})
			start := time.Now()
			for range 50 {
				if _, err := c.LastStatus(t.Context(), sha, "x"); err != nil {
					t.Fatalf("%s: %v", provider, err)
				}
			}
			if waited := time.Since(start); waited > 0 || requests != 50 {
				t.Errorf("%s: %d requests in %v", provider, requests, waited)
			}
		})
	}
	if logs.Len() > 0 {
		t.Errorf("logged %s", logs.String())
	}
}

type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func answer(status int, body string, h http.Header) *http.Response {
	if h == nil {
		h = http.Header{}
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// Whatever a server answers, no token gets into an error or a log.
func TestNoSecrets(t *testing.T) {
	for _, provider := range forge.Providers() {
		for _, secret := range []string{ghToken, glToken, "plain-secret-without-form"} {
			var logs bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
			synctest.Test(t, func(t *testing.T) {
				for _, body := range []string{
					`{"message":"bad token ` + secret + `"}`,
					`{"message":{"token":["` + secret + ` is bad"]},"error":"` + secret + `","errors":["` + secret + `",{"message":"` + secret + `"},{"code":"` + secret + `"}]}`,
					"{\"message\":\"two\\nlines \\u001b[31m" + secret + `"}`,
				} {
					for _, status := range []int{200, 400, 401, 403, 404, 422, 429, 500} {
						c := newClient(t, forge.Options{
							Provider: provider, Repository: "acme/orgs", Token: token(secret), Logger: logger,
							HTTP: roundTripper(func(*http.Request) *http.Response { return answer(status, body, nil) }),
						})
						_, err := c.Comment(t.Context(), 7, "plan", "hello")
						if err == nil || strings.Contains(err.Error()+text.Hint(err), secret) || strings.ContainsAny(err.Error(), "\n\x1b") {
							t.Errorf("%d: %v (%s)", status, err, text.Hint(err))
						}
					}
				}
			})
			if strings.Contains(logs.String(), secret) || logs.Len() == 0 {
				t.Errorf("logged %s", logs.String())
			}
		}
	}
}

func TestBadTokens(t *testing.T) {
	gh, _ := startGitHub(t)
	for _, tt := range []struct {
		token    func(context.Context) (string, error)
		expected string
	}{
		{token(" \n"), "the token is empty"},
		{token("ghs_a\nghs_b"), "characters that no token has"},
		{func(context.Context) (string, error) { return "", errors.New("no such file") }, "no such file"},
	} {
		c := newClient(t, forge.Options{Provider: forge.GitHub, URL: gh.URL, Repository: "acme/orgs", Token: tt.token, HTTP: gh.Transport()})
		if _, err := c.Comment(t.Context(), 7, "plan", "hello"); err == nil || !strings.Contains(err.Error(), tt.expected) || strings.Contains(err.Error(), "ghs_") {
			t.Error(err)
		}
	}
	if n := len(gh.Calls()); n > 0 {
		t.Errorf("sent %d requests", n)
	}
}
