// Package links returns the web addresses of commits and files at forges. It calls
// nothing.
package links

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Repository is a repository at a forge whose web addresses are known. The zero value is
// one of which they aren't: all its links are empty.
type Repository struct {
	// base is the address of its front page.
	base string
	form form
}

// form is how a kind of forge builds its addresses. COMMIT, PATH and LINE are replaced.
type form struct{ commit, file, line string }

var (
	github    = form{"/commit/COMMIT", "/blob/COMMIT/PATH", "#LLINE"}
	gitlab    = form{"/-/commit/COMMIT", "/-/blob/COMMIT/PATH", "#LLINE"}
	gitea     = form{"/commit/COMMIT", "/src/commit/COMMIT/PATH", "#LLINE"}
	bitbucket = form{"/commits/COMMIT", "/src/COMMIT/PATH", "#lines-LINE"}

	// providers are the kinds by their names in a config.
	providers = map[string]form{"github": github, "gitlab": gitlab, "gitea": gitea, "forgejo": gitea}
	// hosts are those of forges that everybody uses.
	hosts = map[string]form{
		"github.com": github, "gitlab.com": gitlab, "bitbucket.org": bitbucket, "codeberg.org": gitea, "gitea.com": gitea,
	}
	// sshHosts are names of hosts that only ssh uses, such as where port 22 is closed.
	sshHosts = map[string]string{
		"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com", "altssh.bitbucket.org": "bitbucket.org",
	}
)

// Of returns the repository with a URL such as https://HOST/OWNER/NAME.git,
// ssh://git@HOST/OWNER/NAME.git or git@HOST:OWNER/NAME.git. Which kind of forge it is
// shows in the host: that of a forge that everybody uses, or one that begins with the
// name of its software, as gitlab.example.com.
func Of(repository string) Repository {
	if strings.ContainsFunc(repository, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return Repository{}
	}
	if !strings.Contains(repository, "://") {
		host, path, is := strings.Cut(repository, ":")
		if !is || strings.Contains(host, "/") {
			return Repository{} // a path on disk
		}
		repository = "ssh://" + host + "/" + strings.TrimPrefix(path, "/")
	}
	u, err := url.Parse(repository)
	if err != nil || u.Hostname() == "" {
		return Repository{}
	}
	u.Host = strings.ToLower(u.Host)
	switch u.Scheme {
	case "ssh": // whose port isn't that of the pages
		u.Scheme, u.Host = "https", u.Hostname()
		if web := sshHosts[u.Host]; web != "" {
			u.Host = web
		}
	case "https", "http":
	default:
		return Repository{}
	}
	f, known := hosts[u.Hostname()]
	if !known {
		first, _, several := strings.Cut(u.Hostname(), ".")
		if f, known = providers[first]; !several {
			known = false
		}
	}
	if strings.HasSuffix(u.Hostname(), ".ghe.com") {
		f, known = github, true
	}
	if !known {
		return Repository{}
	}
	return at(u.Scheme+"://"+u.Host, u.Path, f)
}

// At returns the repository with a name such as OWNER/NAME at a provider (github, gitlab,
// gitea or forgejo) with the base URL of its API.
func At(provider, api, name string) Repository {
	f, known := providers[provider]
	u, err := url.Parse(api)
	if !known || err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Repository{}
	}
	host, root := strings.ToLower(u.Host), strings.TrimSuffix(u.Path, "/")
	if web, is := strings.CutPrefix(host, "api."); provider == "github" && is && (web == "github.com" || strings.HasSuffix(web, ".ghe.com")) {
		host = web
	}
	if version := path.Base(root); apiVersion.MatchString(version) {
		root = strings.TrimSuffix(strings.TrimSuffix(root, "/"+version), "/api")
	}
	return at(u.Scheme+"://"+host+escape(root), name, f)
}

var (
	apiVersion = regexp.MustCompile(`^v[0-9]+$`)
	commitHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// at returns a repository; the zero one if its name can't be that of one.
func at(origin, name string, f form) Repository {
	name = strings.TrimSuffix(strings.Trim(name, "/"), ".git")
	if !strings.Contains(name, "/") || !proper(name) {
		return Repository{}
	}
	return Repository{base: origin + "/" + escape(name), form: f}
}

// proper reports whether each part of a path names something.
func proper(name string) bool {
	parts := strings.Split(name, "/")
	return !slices.Contains(parts, "") && !slices.Contains(parts, ".") && !slices.Contains(parts, "..")
}

// escape returns a path as it stands in a URL.
func escape(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// Commit returns the address of a commit, which is its whole hash; empty if there is
// none.
func (r Repository) Commit(hash string) string {
	if r.base == "" || !commitHash.MatchString(hash) {
		return ""
	}
	return r.base + strings.Replace(r.form.commit, "COMMIT", hash, 1)
}

// File returns the address of a line of a file at a commit; of the file alone for line 0.
// file is its path in the repository. It is empty if there is none.
func (r Repository) File(hash, file string, line int) string {
	if r.base == "" || !commitHash.MatchString(hash) || !proper(file) {
		return ""
	}
	link := strings.NewReplacer("COMMIT", hash, "PATH", escape(file)).Replace(r.form.file)
	if line > 0 {
		link += strings.Replace(r.form.line, "LINE", strconv.Itoa(line), 1)
	}
	return r.base + link
}
