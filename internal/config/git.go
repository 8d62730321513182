package config

import (
	"net/url"
	"regexp"
	"strings"
)

func (r *resolver) git(block *at[gitFile]) *Git {
	f := &block.V
	g := &Git{
		URL:    r.gitURL(&f.URL),
		Branch: r.word("git.branch", &f.Branch),
		Tag:    r.word("git.tag", &f.Tag),
		Commit: strings.ToLower(r.word("git.commit", &f.Commit)),
		Path:   r.inside("git.path", &f.Path),
		Auth: GitAuth{
			Username:       r.word("git.auth.username", &f.Auth.Username),
			Password:       r.secret("git.auth.password", &f.Auth.Password, &f.Auth.PasswordFile),
			CAFile:         r.trustedFile("git.auth.caFile", &f.Auth.CAFile),
			SSHKeyFile:     r.privateFile("git.auth.sshKeyFile", &f.Auth.SSHKeyFile),
			SSHPassphrase:  r.secret("git.auth.sshPassphrase", &f.Auth.SSHPassphrase, &f.Auth.SSHPassphraseFile),
			KnownHostsFile: r.trustedFile("git.auth.knownHostsFile", &f.Auth.KnownHostsFile),
		},
	}
	if !f.URL.Set {
		r.errs.Add(block.Pos, `"git" has no "url"`)
	}
	r.oneRef(f, g)
	if f.Commit.OK() && !commitHash.MatchString(g.Commit) {
		r.errs.Add(f.Commit.Pos, `"git.commit" must be a full hash of 40 digits ("git rev-parse REV" prints it), not %q`, f.Commit.V)
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
		g.Webhook = r.secret("git.webhook.secret", &f.Webhook.V.Secret, &f.Webhook.V.SecretFile)
		if !f.Webhook.V.Secret.Set && !f.Webhook.V.SecretFile.Set {
			r.errs.Add(f.Webhook.Pos, `"git.webhook" has no "secretFile"`)
		}
	}
	if f.Status.OK() {
		g.Status = r.status(&f.Status, g, server)
	}
	return g
}

var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// oneRef sees to it that one of branch, tag and commit is left.
func (r *resolver) oneRef(f *gitFile, g *Git) {
	refs := []struct {
		name string
		at   *at[string]
	}{{"branch", &f.Branch}, {"tag", &f.Tag}, {"commit", &f.Commit}}
	first := -1
	for i, ref := range refs {
		switch {
		case !ref.at.Set:
		case first < 0:
			first = i
		default:
			r.errs.Add(ref.at.Pos, `"git.%s" and "git.%s" (%s) exclude one another: keep one`, ref.name, refs[first].name, refs[first].at.Pos)
		}
	}
	if first > 0 {
		g.Branch = "" // the default
	}
}

// gitAuth checks that what is given for signing in goes together, and with the
// URL. For a repository on disk none of it is used.
func (r *resolver) gitAuth(f *gitFile, scheme string) {
	a := &f.Auth
	password := a.Password.Set || a.PasswordFile.Set
	if a.SSHKeyFile.Set && password {
		r.errs.Add(a.SSHKeyFile.Pos, `"git.auth.sshKeyFile" and a password exclude one another: keep one`)
	}
	if a.GitHubApp.OK() && (a.Username.Set || password || a.SSHKeyFile.Set) {
		r.errs.Add(a.GitHubApp.Pos, `"git.auth.githubApp" excludes a username, a password and an ssh key: keep one way to sign in`)
	}
	for _, v := range []*at[string]{&a.SSHPassphrase, &a.SSHPassphraseFile} {
		if v.Set && !a.SSHKeyFile.Set {
			r.errs.Add(v.Pos, `"git.auth.sshPassphraseFile" needs "sshKeyFile" beside it`)
		}
	}
	switch scheme {
	case "https", "http":
		if a.SSHKeyFile.Set {
			r.errs.Add(a.SSHKeyFile.Pos, `"git.auth.sshKeyFile" is of no use for https: use "username" and "passwordFile", or an ssh URL`)
		}
		if a.Username.Set && !password && !a.GitHubApp.Set {
			r.errs.Add(a.Username.Pos, `"git.auth.username" needs "passwordFile" beside it`)
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
			r.errs.Add(a.CAFile.Pos, `"git.auth.caFile" is of no use for ssh, where "knownHostsFile" says whom to trust`)
		}
	}
	if a.GitHubApp.OK() && f.URL.OK() {
		r.errs.Add(a.GitHubApp.Pos, `"git.auth.githubApp" needs an https URL in "git.url": GitHub takes an app's token nowhere else`)
	}
}

func (r *resolver) githubApp(block *at[githubAppFile], server gitServer) *GitHubApp {
	const key = "git.auth.githubApp."
	f := &block.V
	app := &GitHubApp{
		AppID:          r.word(key+"appID", written(&f.AppID)),
		InstallationID: r.word(key+"installationID", written(&f.InstallationID)),
		PrivateKey:     r.secret(key+"privateKey", &f.PrivateKey, &f.PrivateKeyFile),
		URL:            r.apiURL(key+"url", &f.URL),
	}
	if app.AppID != "" && !appID.MatchString(app.AppID) {
		r.errs.Add(f.AppID.Pos, "%q must be an id such as 12345 or Iv23liAbCdEfGhIjKlMn, not %q", key+"appID", app.AppID)
	}
	if app.InstallationID != "" && !number.MatchString(app.InstallationID) {
		r.errs.Add(f.InstallationID.Pos, "%q must be a number such as 678, not %q", key+"installationID", app.InstallationID)
	}
	if !f.AppID.Set {
		r.errs.Add(block.Pos, `"git.auth.githubApp" has no "appID"`)
	}
	if !f.InstallationID.Set {
		r.errs.Add(block.Pos, `"git.auth.githubApp" has no "installationID"`)
	}
	if !f.PrivateKey.Set && !f.PrivateKeyFile.Set {
		r.errs.Add(block.Pos, `"git.auth.githubApp" has no "privateKeyFile"`)
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

// written returns text that YAML may have taken for something else as any other.
func written(v *at[plain]) *at[string] {
	return &at[string]{V: string(v.V), Pos: v.Pos, Set: v.Set, Bad: v.Bad}
}

func (r *resolver) verify(block *at[verifyFile], tag bool) *Verify {
	f := &block.V
	v := &Verify{
		KeysFile:        r.trustedFile("git.verify.keysFile", &f.KeysFile),
		Object:          string(f.Object.V),
		History:         f.History.V,
		AcceptRewriteOf: strings.ToLower(r.word("git.verify.acceptRewriteOf", &f.AcceptRewriteOf)),
	}
	if !f.KeysFile.Set {
		r.errs.Add(block.Pos, `"git.verify" has no "keysFile"`)
	}
	if v.Object == "tag" && !tag {
		r.errs.Add(f.Object.Pos, `"git.verify.object" can be tag only with "git.tag": a branch and a commit have none`)
	}
	if v.History && !r.remembers {
		r.errs.Add(f.History.Pos, `"git.verify.history" needs "state.dir", which keeps the last accepted commit`)
	}
	if f.AcceptRewriteOf.Set && !r.remembers {
		r.errs.Add(f.AcceptRewriteOf.Pos, `"git.verify.acceptRewriteOf" needs "state.dir", which keeps the last accepted commit`)
	}
	if v.AcceptRewriteOf != "" && !commitHash.MatchString(v.AcceptRewriteOf) {
		r.errs.Add(f.AcceptRewriteOf.Pos, `"git.verify.acceptRewriteOf" must be a full hash of 40 digits, not %q`, f.AcceptRewriteOf.V)
	}
	return v
}

func (r *resolver) status(block *at[statusFile], g *Git, server gitServer) *GitStatus {
	const maxName = 200
	f := &block.V
	s := &GitStatus{
		Provider:   string(f.Provider.V),
		Repository: strings.Trim(r.word("git.status.repository", &f.Repository), "/"),
		URL:        r.apiURL("git.status.url", &f.URL),
		Token:      r.secret("git.status.token", &f.Token, &f.TokenFile),
		Name:       r.phrase("git.status.name", &f.Name, maxName),
		TargetURL:  r.link("git.status.targetURL", &f.TargetURL),
	}
	if !f.Provider.Set {
		r.errs.Add(block.Pos, `"git.status" has no "provider"`)
	}
	if !f.Provider.OK() {
		return s
	}
	if f.Repository.OK() && s.Repository != "" && !f.Provider.V.names(s.Repository) {
		r.errs.Add(f.Repository.Pos, `"git.status.repository" must be %s, not %q`, f.Provider.V.form(), f.Repository.V)
	}
	if !f.Token.Set && !f.TokenFile.Set && (f.Provider.V != github || g.Auth.GitHubApp == nil) {
		r.errs.Add(block.Pos, `"git.status" has no "tokenFile"`)
	}
	if g.URL == "" {
		return s // it could have told the rest
	}
	if !f.Repository.Set {
		if s.Repository = server.path; !f.Provider.V.names(s.Repository) {
			r.errs.Add(block.Pos, `"git.status" needs a "repository" (%s): "git.url" doesn't tell it`, f.Provider.V.form())
		}
	}
	if !f.URL.Set {
		if s.URL = server.api(f.Provider.V); s.URL == "" {
			r.errs.Add(block.Pos, `"git.status" needs a "url", that of the API: "git.url" names no server`)
		}
	}
	return s
}

// repository matches OWNER/NAME, with more or less in between.
var repository = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)

// names reports whether the provider may have a repository of that name.
func (p provider) names(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return repository.MatchString(name) && (p == gitlab || strings.Count(name, "/") == 1)
}

// form says how the provider's repositories are called.
func (p provider) form() string {
	if p == gitlab {
		return "GROUP/NAME or GROUP/SUBGROUP/NAME"
	}
	return "OWNER/NAME"
}

// gitServer is what the URL of a repository tells of the server that has it. All
// is empty for a repository on disk.
type gitServer struct {
	scheme, host string // where its pages are
	path         string // of the repository, without .git
}

// serverOf takes apart what gitURL gave.
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
	case "ssh.github.com", "altssh.gitlab.com": // for networks that let port 443 through only
		_, s.host, _ = strings.Cut(s.host, ".")
	}
	return s
}

// api returns the base of the server's API; "" when there is no server.
//
// https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api
// https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency
// https://docs.gitlab.com/api/rest/
func (s gitServer) api(p provider) string {
	switch {
	case s.host == "":
		return ""
	case p == gitlab:
		return s.scheme + "://" + s.host + "/api/v4"
	case s.host == "github.com":
		return "https://api.github.com"
	case strings.HasSuffix(s.host, ".ghe.com"):
		return "https://api." + s.host
	default:
		return s.scheme + "://" + s.host + "/api/v3"
	}
}
