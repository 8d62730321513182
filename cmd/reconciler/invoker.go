package main

import (
	"net/url"
	"os"
	"os/user"
	"strings"

	"reconciler/internal/text"
)

// invoker returns who runs this command, for the history: the URL of the CI run, or
// USER@HOST.
func (a *app) invoker() string {
	if u := a.ciRun(); u != "" {
		return u
	}
	name := a.getenv("USER", a.getenv("LOGNAME", "unknown"))
	if who, err := user.Current(); err == nil && who.Username != "" {
		name = who.Username
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		name += "@" + host
	}
	return text.Clean(name)
}

// ciRun returns the URL of the CI run that this command is part of; empty outside of CI.
func (a *app) ciRun() string {
	candidates := []string{
		a.getenv("CI_JOB_URL", ""), // GitLab
		a.getenv("BUILD_URL", ""),  // Jenkins
		a.getenv("BUILDKITE_BUILD_URL", ""),
		a.getenv("CIRCLE_BUILD_URL", ""),
	}
	// Actions of GitHub, Gitea and Forgejo.
	if server, repository, id := a.getenv("GITHUB_SERVER_URL", ""), a.getenv("GITHUB_REPOSITORY", ""), a.getenv("GITHUB_RUN_ID", ""); server != "" && repository != "" && id != "" {
		candidates = append(candidates, strings.TrimRight(server, "/")+"/"+repository+"/actions/runs/"+id)
	}
	for _, raw := range candidates {
		u, err := url.Parse(raw)
		if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil {
			return text.Clean(raw)
		}
	}
	return ""
}
