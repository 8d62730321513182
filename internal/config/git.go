package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

func (r *resolver) git(block *at[gitFile]) *Git {
	f := &block.V
	r.need(block, &f.URL)
	g := &Git{
		URL:    r.gitURL(&f.URL),
		Branch: r.word(&f.Branch),
		Tag:    r.word(&f.Tag),
		Commit: strings.ToLower(r.match(&f.Commit, commitHash, `a full hash of 40 digits ("git rev-parse REV" prints it)`)),
		Path:   r.repositoryPath(&f.Path),
		Auth: GitAuth{
			Username:       r.word(&f.Auth.Username),
			Password:       r.secret(&f.Auth.Password, &f.Auth.PasswordFile, &f.Auth.PasswordCommand),
			CAFile:         r.trustedFile(&f.Auth.CAFile),
			SSHKeyFile:     r.privateFile(&f.Auth.SSHKeyFile),
			SSHPassphrase:  r.secret(&f.Auth.SSHPassphrase, &f.Auth.SSHPassphraseFile, &f.Auth.SSHPassphraseCommand),
			KnownHostsFile: r.trustedFile(&f.Auth.KnownHostsFile),
		},
	}
	if f.Branch.Set && plumbing.NewBranchReferenceName(g.Branch).Validate() != nil && g.Branch != "" {
		r.fail(&f.Branch, "is not a name that a branch can have: %q", g.Branch)
	}
	if f.Tag.Set && plumbing.NewTagReferenceName(g.Tag).Validate() != nil && g.Tag != "" {
		r.fail(&f.Tag, "is not a name that a tag can have: %q", g.Tag)
	}
	if r.oneRef(&f.Branch, &f.Tag, &f.Commit); f.Tag.Set || f.Commit.Set {
		g.Branch = "" // the default
	}
	r.gitAuth(f, gitScheme(g.URL))
	server := serverOf(g.URL)
	if f.Auth.GitHubApp.OK() {
		g.Auth.GitHubApp = r.githubApp(&f.Auth.GitHubApp, server)
	}
	if f.Verify.OK() {
		g.Verify = r.verify(&f.Verify, f.Tag.Set)
	}
	if f.Webhook.OK() {
		r.need(&f.Webhook, &f.Webhook.V.SecretFile, &f.Webhook.V.Secret, &f.Webhook.V.SecretCommand)
		g.Webhook = r.secret(&f.Webhook.V.Secret, &f.Webhook.V.SecretFile, &f.Webhook.V.SecretCommand)
	}
	if f.Status.OK() {
		g.Status = r.status(&f.Status, g, server)
	}
	return g
}

var commitHash = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)

func (r *resolver) oneRef(refs ...*at[string]) {
	set := slices.DeleteFunc(refs, func(v *at[string]) bool { return !v.Set })
	for i := 1; i < len(set); i++ {
		r.exclusive(set[i], set[0])
	}
}

// gitAuth checks that the credentials fit together and fit the URL. For a
// repository on disk they are not used.
func (r *resolver) gitAuth(f *gitFile, scheme string) {
	a := &f.Auth
	password := a.Password.Set || a.PasswordFile.Set || a.PasswordCommand.Set
	if a.SSHKeyFile.Set && password {
		r.fail(&a.SSHKeyFile, "and a password are mutually exclusive: keep one")
	}
	if a.GitHubApp.OK() && (a.Username.Set || password || a.SSHKeyFile.Set) {
		r.fail(&a.GitHubApp, "excludes a username, a password and an ssh key: keep one way to sign in")
	}
	for _, v := range []any{&a.SSHPassphrase, &a.SSHPassphraseFile, &a.SSHPassphraseCommand} {
		if r.fields[v].isSet() && !a.SSHKeyFile.Set {
			r.fail(v, `needs "sshKeyFile" beside it`)
		}
	}
	switch scheme {
	case "https", "http":
		if a.SSHKeyFile.Set {
			r.fail(&a.SSHKeyFile, `is of no use for %s: use "username" and "passwordFile", or an ssh URL`, scheme)
		}
		if a.Username.Set && !password && !a.GitHubApp.Set {
			r.fail(&a.Username, `needs "passwordFile" beside it`)
		}
		if a.CAFile.Set && scheme == "http" {
			r.fail(&a.CAFile, "is of no use for http: use an https URL, or remove the key")
		}
		return
	case "ssh":
		if !a.SSHKeyFile.Set && !password && !a.GitHubApp.Set {
			r.errs.Add(f.URL.Pos, `"git.auth.sshKeyFile" is missing: ssh needs a private key`)
		}
		if !a.KnownHostsFile.Set && !a.GitHubApp.Set {
			r.errs.Add(f.URL.Pos, `"git.auth.knownHostsFile" is missing: without it anyone could pose as the server ("ssh-keyscan HOST" prints its lines)`)
		}
		if a.CAFile.Set {
			r.fail(&a.CAFile, `is of no use for ssh, which trusts "knownHostsFile"`)
		}
	}
	if a.GitHubApp.OK() && f.URL.OK() {
		r.fail(&a.GitHubApp, `needs an https URL in "git.url": GitHub takes an app's token nowhere else`)
	}
}

func (r *resolver) githubApp(block *at[githubAppFile], server gitServer) *GitHubApp {
	f := &block.V
	r.need(block, &f.AppID)
	r.need(block, &f.InstallationID)
	r.need(block, &f.PrivateKeyFile, &f.PrivateKey, &f.PrivateKeyCommand, &f.SignCommand)
	app := &GitHubApp{
		AppID:          r.match(r.verbatim(&f.AppID), appID, "an id such as 12345 or Iv23liAbCdEfGhIjKlMn"),
		InstallationID: r.match(r.verbatim(&f.InstallationID), number, "a number such as 678"),
		PrivateKey:     r.key(f.keys()),
		URL:            r.apiURL(&f.URL),
	}
	if !f.URL.Set {
		app.URL = server.api(github)
	}
	return app
}

var (
	appID  = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	number = regexp.MustCompile(`^[0-9]+$`)
)

// verbatim returns the same field as one of type string.
func (r *resolver) verbatim(v *at[plain]) *at[string] {
	s := &at[string]{V: string(v.V), Pos: v.Pos, Set: v.Set, Bad: v.Bad}
	r.fields[s] = r.fields[v]
	return s
}

func (r *resolver) verify(block *at[verifyFile], tag bool) *Verify {
	f := &block.V
	r.need(block, &f.KeysFile)
	v := &Verify{
		KeysFile:        r.trustedFile(&f.KeysFile),
		Object:          string(f.Object.V),
		History:         f.History.V,
		AcceptRewriteOf: strings.ToLower(r.match(&f.AcceptRewriteOf, commitHash, "a full hash of 40 digits")),
	}
	if v.Object == VerifyTag && !tag {
		r.fail(&f.Object, `can be tag only with "git.tag": a branch and a commit have none`)
	}
	if v.History && !r.hasState {
		r.fail(&f.History, `needs "state.dir", which keeps the last accepted commit`)
	}
	if f.AcceptRewriteOf.Set && !r.hasState {
		r.fail(&f.AcceptRewriteOf, `needs "state.dir", which keeps the last accepted commit`)
	}
	return v
}

func (r *resolver) status(block *at[statusFile], g *Git, server gitServer) *GitStatus {
	const maxName = 200
	f := &block.V
	r.need(block, &f.Provider)
	s := &GitStatus{
		Provider:   string(f.Provider.V),
		Repository: strings.Trim(r.word(&f.Repository), "/"),
		URL:        r.apiURL(&f.URL),
		Token:      r.secret(&f.Token, &f.TokenFile, &f.TokenCommand),
		Name:       r.phrase(&f.Name, maxName),
		TargetURL:  r.pageURL(&f.TargetURL),
	}
	if !f.Provider.OK() {
		return s
	}
	if f.Repository.OK() && s.Repository != "" && !f.Provider.V.names(s.Repository) {
		r.fail(&f.Repository, "must be %s, not %q", f.Provider.V.form(), f.Repository.V)
	}
	if f.Provider.V != github || g.Auth.GitHubApp == nil {
		r.need(block, &f.TokenFile, &f.Token, &f.TokenCommand)
	}
	if g.URL == "" {
		return s // it is missing or wrong, and may provide the rest
	}
	if !f.Repository.Set {
		if s.Repository = server.path; !f.Provider.V.names(s.Repository) {
			r.fail(block, `needs a "repository" (%s): "git.url" has none`, f.Provider.V.form())
		}
	}
	if !f.URL.Set {
		if s.URL = server.api(f.Provider.V); s.URL == "" {
			r.fail(block, `needs a "url", that of the API: "git.url" names no server`)
		}
	}
	return s
}

// repositoryName matches OWNER/NAME, with or without groups in between.
var repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)

// names reports whether a repository of the provider can have the name.
func (p provider) names(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return repositoryName.MatchString(name) && (p == gitlab || strings.Count(name, "/") == 1)
}

// form returns the form of the provider's repository names.
func (p provider) form() string {
	if p == gitlab {
		return "GROUP/NAME or GROUP/SUBGROUP/NAME"
	}
	return "OWNER/NAME"
}

// gitServer is the server of a repository; empty for a repository on disk.
type gitServer struct {
	scheme, host string // of its pages
	path         string // of the repository, without .git
}

// serverOf returns the server of a URL that gitURL returned.
func serverOf(raw string) gitServer {
	scheme := gitScheme(raw)
	switch scheme {
	case "https", "http", "ssh":
	default:
		return gitServer{}
	}
	if !strings.Contains(raw, "://") {
		host, path, _ := strings.Cut(raw, ":")
		raw = "ssh://" + host + "/" + path
	}
	u, err := url.Parse(raw)
	if err != nil {
		return gitServer{}
	}
	s := gitServer{scheme, strings.ToLower(u.Host), strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")}
	if scheme == "ssh" {
		s.scheme, s.host = "https", strings.ToLower(u.Hostname())
	}
	switch s.host {
	case "ssh.github.com", "altssh.gitlab.com": // for networks that allow port 443 only
		_, s.host, _ = strings.Cut(s.host, ".")
	}
	return s
}

// api returns the base URL of the server's API; "" if there is no server.
//
// https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api
// https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency
// https://docs.gitlab.com/api/rest/
// https://docs.gitea.com/development/api-usage
func (s gitServer) api(p provider) string {
	switch {
	case s.host == "":
		return ""
	case p == gitlab:
		return s.scheme + "://" + s.host + "/api/v4"
	case p == gitea || p == forgejo:
		return s.scheme + "://" + s.host + "/api/v1"
	case s.host == "github.com":
		return "https://api.github.com"
	case strings.HasSuffix(s.host, ".ghe.com"):
		return "https://api." + s.host
	default:
		return s.scheme + "://" + s.host + "/api/v3"
	}
}

// Ref returns the revision that is followed, in git's words: a commit, or the
// full name of a tag or a branch.
func (g *Git) Ref() string {
	switch {
	case g.Commit != "":
		return g.Commit
	case g.Tag != "":
		return "refs/tags/" + g.Tag
	default:
		return "refs/heads/" + g.Branch
	}
}
