package forgetest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"reconciler/internal/git/forge/forgetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const sha = "0123456789abcdef0123456789abcdef01234567"

// exchange is a request and what must come back.
type exchange struct {
	name, method, path, header, body string
	status                           int
	contains                         string
}

func (e exchange) run(t *testing.T, transport http.RoundTripper, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(e.method, url+e.path, strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "test")
	for line := range strings.SplitSeq(e.header, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			req.Header.Set(name, value)
		} else if name != "" {
			req.Header[name] = []string{""}
		}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != e.status || !strings.Contains(string(data), e.contains) {
		t.Errorf("%s: %d %s, not %d %s", e.name, resp.StatusCode, data, e.status, e.contains)
	}
	return resp
}

func quoted(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func TestGitHubIsStrict(t *testing.T) {
	gh := forgetest.NewGitHub(t, "acme/orgs")
	gh.AddToken("rw", forgetest.GitHubToken{Login: "app[bot]", Comments: true, Statuses: true})
	gh.AddToken("ro", forgetest.GitHubToken{Login: "ada"})
	gh.AddRequest(7)
	gh.AddCommit(sha)
	const comments, statuses, rw, ro = "/repos/acme/orgs/issues/7/comments", "/repos/acme/orgs/statuses/" + sha, "Authorization: Bearer rw", "Authorization: token ro"
	for _, e := range []exchange{
		{"no user agent", "GET", comments, rw + "\nUser-Agent", "", 403, "administrative rules"},
		{"other version", "GET", comments, rw + "\nX-GitHub-Api-Version: 2019-01-01", "", 400, "not a supported version"},
		{"no token", "GET", comments, "", "", 401, "Requires authentication"},
		{"bad token", "GET", comments, "Authorization: Bearer x", "", 401, "Bad credentials"},
		{"GitLab's header", "GET", comments, "PRIVATE-TOKEN: rw", "", 401, ""},
		{"other method", "PUT", comments, rw, "{}", 404, ""},
		{"other repository", "GET", "/repos/acme/other/issues/7/comments", rw, "", 404, "Not Found"},
		{"other case", "GET", "/repos/Acme/ORGS/issues/7/comments", rw, "", 200, "[]"},
		{"other number", "POST", "/repos/acme/orgs/issues/8/comments", rw, `{"body":"x"}`, 404, ""},
		{"may not", "POST", comments, ro, `{"body":"x"}`, 403, "personal access token"},
		{"no JSON", "POST", comments, rw, `body=x`, 400, "Problems parsing JSON"},
		{"no text", "POST", comments, rw, `{"body":1}`, 422, "not a string"},
		{"empty", "POST", comments, rw, `{"body":" "}`, 422, "missing_field"},
		{"too long", "POST", comments, rw, `{"body":` + quoted(strings.Repeat("ä", 65537)) + `}`, 422, "Body is too long (maximum is 65536 characters)"},
		{"not too long", "POST", comments, rw, `{"body":` + quoted(strings.Repeat("ä", 65536)) + `}`, 201, `"login":"app[bot]"`},
		{"unknown comment", "PATCH", "/repos/acme/orgs/issues/comments/99", rw, `{"body":"x"}`, 404, ""},
		{"app's user", "GET", "/user", rw, "", 403, "Resource not accessible by integration"},
		{"person's user", "GET", "/user", ro, "", 200, `"login":"ada"`},
		{"status", "POST", statuses, rw, `{"state":"success"}`, 201, `"context":"default"`},
		{"may not report", "POST", statuses, ro, `{"state":"success"}`, 403, ""},
		{"unknown state", "POST", statuses, rw, `{"state":"running"}`, 422, "state"},
		{"long description", "POST", statuses, rw, `{"state":"success","description":` + quoted(strings.Repeat("x", 141)) + `}`, 422, "140"},
		{"bad target", "POST", statuses, rw, `{"state":"success","target_url":"ftp://x"}`, 422, "http(s)"},
		{"unknown commit", "POST", "/repos/acme/orgs/statuses/" + strings.Repeat("f", 40), rw, `{"state":"success"}`, 422, "No commit found"},
		{"second status", "POST", statuses, rw, `{"state":"failure"}`, 201, ""},
		{"combined", "GET", "/repos/acme/orgs/commits/" + sha + "/status", rw, "", 200, `"state":"failure"`},
		{"unsigned", "POST", "/app/installations/1/access_tokens", "Authorization: Bearer rw", "", 401, "could not be decoded"},
	} {
		e.run(t, gh.Transport(), gh.URL)
	}
	root := strings.TrimSuffix(gh.URL, "/api/v3")
	for _, e := range []exchange{
		{"viewer", "POST", "/api/graphql", rw, `{"query":"{viewer{login}}"}`, 200, `{"data":{"viewer":{"login":"app[bot]"}}}`},
		{"unknown field", "POST", "/api/graphql", rw, `{"query":"{viewer{secret}}"}`, 200, "doesn't exist"},
		{"another query", "POST", "/api/graphql", rw, `{"query":"{rateLimit{cost}}"}`, 200, "errors"},
		{"page", "GET", "/acme/orgs", rw, "", 404, "<!DOCTYPE html>"},
	} {
		e.run(t, gh.Transport(), root)
	}
}

func TestGitHubPages(t *testing.T) {
	gh := forgetest.NewGitHub(t, "acme/orgs")
	gh.AddToken("ro", forgetest.GitHubToken{Login: "ada"})
	gh.AddRequest(7)
	for range 61 {
		gh.AddComment(7, "ada", "x")
	}
	for query, link := range map[string]string{
		"":                    `page=2>; rel="next", <`,
		"?page=2":             `page=3>; rel="next"`,
		"?page=3":             `rel="first"`,
		"?per_page=100":       "",
		"?per_page=20&page=4": `rel="prev"`,
	} {
		e := exchange{query, "GET", "/repos/acme/orgs/issues/7/comments" + query, "Authorization: Bearer ro", "", 200, "["}
		got := e.run(t, gh.Transport(), gh.URL).Header.Get("Link")
		if !strings.Contains(got, link) || link == "" && got != "" || strings.Contains(got, `"next"`) != strings.Contains(link, `"next"`) {
			t.Errorf("%q: %s", query, got)
		}
	}
}

func TestGitLabIsStrict(t *testing.T) {
	gl := forgetest.NewGitLab(t, "acme/okta/orgs", 42)
	gl.AddToken("dev", forgetest.GitLabToken{Login: "dev", Scopes: []string{"api"}, Developer: true})
	gl.AddToken("reader", forgetest.GitLabToken{Login: "reader", Scopes: []string{"read_api"}})
	gl.AddToken("none", forgetest.GitLabToken{Login: "none"})
	gl.AddToken("job", forgetest.GitLabToken{Job: true, Scopes: []string{"api"}})
	gl.AddRequest(7)
	gl.AddCommit(sha)
	const notes, statuses, dev = "/projects/42/merge_requests/7/notes", "/projects/42/statuses/" + sha, "PRIVATE-TOKEN: dev"
	for _, e := range []exchange{
		{"no token", "GET", notes, "", "", 401, "401 Unauthorized"},
		{"bad token", "GET", notes, "PRIVATE-TOKEN: x", "", 401, ""},
		{"bearer", "GET", notes, "Authorization: Bearer dev", "", 200, "[]"},
		{"job token", "POST", notes, "JOB-TOKEN: job", `{"body":"x"}`, 401, ""},
		{"job token as another", "POST", notes, "PRIVATE-TOKEN: job", `{"body":"x"}`, 401, ""},
		{"by path", "GET", "/projects/acme%2Fokta%2Forgs/merge_requests/7/notes", dev, "", 200, "[]"},
		{"path not escaped", "GET", "/projects/acme/okta/orgs/merge_requests/7/notes", dev, "", 404, ""},
		{"other project", "GET", "/projects/43/merge_requests/7/notes", dev, "", 404, "404 Project Not Found"},
		{"other number", "GET", "/projects/42/merge_requests/8/notes", dev, "", 404, "404 Not found"},
		{"bad number", "GET", "/projects/42/merge_requests/x/notes", dev, "", 400, "is invalid"},
		{"no scope", "GET", notes, "PRIVATE-TOKEN: none", "", 403, "insufficient_scope"},
		{"read scope", "POST", notes, "PRIVATE-TOKEN: reader", `{"body":"x"}`, 403, "insufficient_scope"},
		{"no JSON", "POST", notes, dev, "x", 400, ""},
		{"no body", "POST", notes, dev, "{}", 400, "body is missing"},
		{"blank", "POST", notes, dev, `{"body":" "}`, 400, "can't be blank"},
		{"too long", "POST", notes, dev, `{"body":` + quoted(strings.Repeat("ä", 1_000_001)) + `}`, 400, "is too long"},
		{"commands alone", "POST", notes, dev, `{"body":"/close"}`, 202, "commands_changes"},
		{"commands and text", "POST", notes, dev, `{"body":"a\n/merge\n` + "```\\n/close\\n```" + `"}`, 201, "```"},
		{"bad order", "GET", notes + "?sort=up", dev, "", 400, "sort"},
		{"bad order", "GET", notes + "?order_by=id", dev, "", 400, "order_by"},
		{"unknown note", "PUT", notes + "/99", dev, `{"body":"x"}`, 404, ""},
		{"reporter", "POST", statuses, "PRIVATE-TOKEN: reader", `{"state":"success"}`, 403, ""},
		{"unknown state", "POST", statuses, dev, `{"state":"failure"}`, 400, "state does not have a valid value"},
		{"unknown commit", "POST", "/projects/42/statuses/" + strings.Repeat("f", 40), dev, `{"state":"success"}`, 404, "404 Commit Not Found"},
		{"long description", "POST", statuses, dev, `{"state":"success","description":` + quoted(strings.Repeat("x", 256)) + `}`, 400, "255"},
		{"pending", "POST", statuses, dev, `{"state":"pending","name":"a"}`, 201, `"status":"pending"`},
		{"pending again", "POST", statuses, dev, `{"state":"pending","name":"a"}`, 400, "Cannot transition status via :enqueue from :pending"},
		{"running", "POST", statuses, dev, `{"state":"running","context":"a"}`, 201, ""},
		{"running again", "POST", statuses, dev, `{"state":"running","name":"a"}`, 400, "Cannot transition status via :run from :running"},
		{"back to pending", "POST", statuses, dev, `{"state":"pending","name":"a"}`, 400, "Cannot transition status via :enqueue from :running"},
		{"done", "POST", statuses, dev, `{"state":"success","name":"a"}`, 201, ""},
		{"once more", "POST", statuses, dev, `{"state":"success","name":"a"}`, 201, ""},
	} {
		e.run(t, gl.Transport(), gl.URL)
	}
	page := exchange{"page", "GET", "/acme", dev, "", 200, "<!DOCTYPE html>"}
	page.run(t, gl.Transport(), strings.TrimSuffix(gl.URL, "/api/v4"))
	if got := strings.Join(gl.Commands(), ","); got != "/close,/merge" {
		t.Errorf("carried out %s", got)
	}
	if n := len(gl.Statuses(sha)); n != 2 {
		t.Errorf("%d statuses", n)
	}
}

func TestFaults(t *testing.T) {
	gh := forgetest.NewGitHub(t, "acme/orgs")
	gh.AddToken("rw", forgetest.GitHubToken{Login: "ada", Comments: true})
	gh.AddRequest(7)
	const path = "/repos/acme/orgs/issues/7/comments"
	post := func(status int) {
		t.Helper()
		exchange{"post", "POST", path, "Authorization: Bearer rw", `{"body":"x"}`, status, ""}.run(t, gh.Transport(), gh.URL)
	}
	gh.Fail(forgetest.Fault{Method: "POST", Path: "/7/", After: 1, Times: 2, Status: 500, Applied: true})
	gh.Fail(forgetest.Fault{Method: "GET", Status: 500})
	for _, status := range []int{201, 500, 500, 201} {
		post(status)
	}
	if n := len(gh.Comments(7)); n != 4 {
		t.Errorf("%d comments", n)
	}
	for _, transport := range []http.RoundTripper{gh.Transport(), &http.Transport{DisableKeepAlives: true}} {
		gh.Fail(forgetest.Fault{Method: "POST", Drop: true})
		req, err := http.NewRequest("POST", gh.URL+path, strings.NewReader(`{"body":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(req); err == nil {
			t.Error("answered instead of dropping the connection")
		}
	}
	got := gh.Calls()
	if last := got[len(got)-1]; last != (forgetest.Call{Method: "POST", Path: path}) || len(got) != 6 {
		t.Errorf("%+v", got)
	}
}
