package source

import (
	"io"
	"testing"

	"golang.org/x/crypto/ssh"
)

// What is wrong is said in the same words however the repository is reached.
func TestSHA256Repositories(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "init", "-q", "--object-format=sha256", ".")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "x")
	web, s := serveWeb(t, dir, true), serveSSH(t, dir, true)
	for name, opts := range map[string]GitOptions{
		"disk": {URL: dir, Branch: "master"},
		"http": {URL: web.url(), Branch: "master"},
		"ssh":  {URL: s.url(), Branch: "master", Auth: s.auth(t)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newGit(t, opts).Fetch(t.Context())
			wantError(t, err, ErrContent, "repositories with SHA-256 hashes can't be read", "use one with SHA-1 hashes")
		})
	}
}

// A server's refusal over ssh stands on the error channel, whatever comes on the
// other one.
func TestWordsOverSSH(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	for _, tt := range []struct {
		name, out, stderr string
		kind              error
		words             []string
	}{
		{"Gitea, a user's key", "\n", "Gitea: User: 5:bob with Key: 7:laptop is not authorized to read acme/orgs.\n", ErrDenied,
			[]string{"access is denied", "User: 5:bob with Key: 7:laptop is not authorized to read acme/orgs", "needs permission to read"}},
		{"Forgejo, a deploy key", "\n", "Forgejo: Public (Deploy) Key: 3:ci is not authorized to read acme/orgs.\nfatal: x\n", ErrDenied,
			[]string{"access is denied", "Key: 3:ci is not authorized to read acme/orgs"}},
		{"Gitea, no repository", "\n", "Gitea: Cannot find repository: acme/orgs\n", ErrNotFound, []string{"there is no such repository", "Cannot find repository: acme/orgs"}},
		{"GitLab", "", "remote: ERROR: You are not allowed to download code from this project.\n", ErrDenied, []string{"access is denied", "not allowed to download code"}},
		{"nothing", "", "", ErrUnreachable, []string{"without a word"}},
		{"an empty line", "\n", "", ErrNotFound, []string{"the answer is not git's: it may be what a shell prints"}},
		{"greeting", "Welcome to Ubuntu!\n", "", ErrNotFound, []string{"the answer is not git's: it may be what a shell prints"}},
		{"greeting, and a refusal", "Welcome to Ubuntu!\n", "Permission denied\n", ErrDenied, []string{"access is denied"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveSSH(t, r.Dir(), false)
			s.answer = func(ch ssh.Channel) {
				_, _ = io.WriteString(ch, tt.out)
				_, _ = io.WriteString(ch.Stderr(), tt.stderr)
				_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 1})
			}
			_, err := newGit(t, GitOptions{URL: s.url(), Auth: s.auth(t)}).Fetch(t.Context())
			wantError(t, err, tt.kind, tt.words...)
		})
	}
}
