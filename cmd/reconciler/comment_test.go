package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"reconciler/internal/git/forge/forgetest"
)

// forgeCommands gives three commands for scripts.
//
// forge github|gitlab|gitea starts a stand-in with request 7 of acme/orgs, and sets
// the environment that a CI job for that request has. Its tokens are $TOKEN, and
// $READONLY as a pull request from a fork gets it.
//
// comments NUMBER FILE writes what stands on a request of the forge that was
// started last to a file, each comment below a line with its author.
//
// mute on lets it answer only what has to do with comments, as behind a proxy
// that passes little, until mute off.
func forgeCommands() (start, show, mute func(*testscript.TestScript, bool, []string)) {
	var servers sync.Map // of *testscript.TestScript, as scripts run at the same time
	start = func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: forge github|gitlab|gitea")
		}
		switch args[0] {
		case "github":
			servers.Store(ts, startGitHub(ts))
		case "gitlab":
			servers.Store(ts, startGitLab(ts))
		case "gitea":
			servers.Store(ts, startGitea(ts))
		default:
			ts.Fatalf("there is no forge %q", args[0])
		}
	}
	show = func(ts *testscript.TestScript, neg bool, args []string) {
		server, ok := servers.Load(ts)
		if neg || len(args) != 2 || !ok {
			ts.Fatalf("usage, after forge: comments NUMBER FILE")
		}
		var number int
		if _, err := fmt.Sscan(args[0], &number); err != nil {
			ts.Fatalf("%v", err)
		}
		var text strings.Builder
		for _, c := range server.(*forgetest.Server).Comments(number) {
			fmt.Fprintf(&text, "--- %s\n%s\n", c.Author, c.Body)
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text.String()), 0o644))
	}
	mute = func(ts *testscript.TestScript, neg bool, args []string) {
		server, ok := servers.Load(ts)
		if neg || len(args) != 1 || !ok {
			ts.Fatalf("usage, after forge: mute on|off")
		}
		server.(*forgetest.Server).ClearFaults()
		if args[0] == "off" {
			return
		}
		for _, path := range []string{"/user$", "/graphql$", "/merge_requests/7$"} {
			server.(*forgetest.Server).Fail(forgetest.Fault{Path: path, Times: 99, Status: 404, Body: `{"message":"Not Found"}`})
		}
	}
	return start, show, mute
}

// scriptEnd ends what a script started.
type scriptEnd struct{ ts *testscript.TestScript }

func (s scriptEnd) Cleanup(f func()) { s.ts.Defer(f) }

const (
	scriptToken   = "ghs_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	scriptLimited = "ghs_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func startGitHub(ts *testscript.TestScript) *forgetest.Server {
	gh := forgetest.NewGitHub(scriptEnd{ts}, "acme/orgs")
	gh.AddToken(scriptToken, forgetest.GitHubToken{Login: "github-actions[bot]", Comments: true})
	gh.AddToken(scriptLimited, forgetest.GitHubToken{Login: "github-actions[bot]"})
	gh.AddRequest(7)
	gh.AddComment(7, "mallory", "<!-- reconciler:reconciler -->\nnothing to see here")
	for name, value := range map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_API_URL": gh.URL, "GITHUB_REPOSITORY": "acme/orgs", "GITHUB_REF": "refs/pull/7/merge",
		"TOKEN": scriptToken, "READONLY": scriptLimited,
	} {
		ts.Setenv(name, value)
	}
	return gh.Server
}

// startGitea sets the variables that Gitea's runner does, which are GitHub's too.
func startGitea(ts *testscript.TestScript) *forgetest.Server {
	gt := forgetest.NewGitea(scriptEnd{ts}, "acme/orgs")
	gt.AddToken(scriptToken, forgetest.GiteaToken{Login: "gitea-actions", Scopes: []string{"all"}, Writer: true})
	gt.AddToken(scriptLimited, forgetest.GiteaToken{Login: "gitea-actions", Scopes: []string{"read:issue", "read:user"}})
	gt.AddRequest(7)
	gt.AddComment(7, "mallory", "<!-- reconciler:reconciler -->\nnothing to see here")
	for name, value := range map[string]string{
		"GITEA_ACTIONS": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": strings.TrimSuffix(gt.URL, "/api/v1"), "GITHUB_API_URL": gt.URL,
		"GITHUB_REPOSITORY": "acme/orgs", "GITHUB_REF": "refs/pull/7/head", "TOKEN": scriptToken, "READONLY": scriptLimited,
	} {
		ts.Setenv(name, value)
	}
	return gt.Server
}

func startGitLab(ts *testscript.TestScript) *forgetest.Server {
	gl := forgetest.NewGitLab(scriptEnd{ts}, "acme/orgs", 42)
	gl.AddToken(scriptToken, forgetest.GitLabToken{Login: "project_42_bot_1", Scopes: []string{"api"}})
	gl.AddToken(scriptLimited, forgetest.GitLabToken{Login: "project_42_bot_1", Scopes: []string{"read_api"}})
	gl.AddRequest(7)
	gl.AddComment(7, "mallory", "<!-- reconciler:reconciler -->\nnothing to see here")
	for name, value := range map[string]string{
		"GITLAB_CI": "true", "CI_API_V4_URL": gl.URL, "CI_PROJECT_ID": "41", "CI_PROJECT_PATH": "fork/orgs",
		"CI_MERGE_REQUEST_PROJECT_ID": "42", "CI_MERGE_REQUEST_IID": "7",
		"TOKEN": scriptToken, "READONLY": scriptLimited,
	} {
		ts.Setenv(name, value)
	}
	return gl.Server
}
