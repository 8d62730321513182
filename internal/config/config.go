package config

import (
	"net/url"
	"time"

	"reconciler/internal/freeze"
	"reconciler/internal/freeze/schedule"
	"reconciler/internal/web"
)

// Config is a config that was checked and filled up with defaults. Paths in it
// can be opened as they are.
type Config struct {
	// File is the config file, or empty when there was none and everything
	// came from the environment.
	File    string
	Aerial  Aerial
	Parents []Parent
	// Git says where manifests come from; nil when they don't come from git.
	// Manifests is the file or folder on disk that they come from instead.
	// At most one of the two is given.
	Git       *Git
	Manifests string
	// Schedule says when the daemon looks; every ten minutes by default. Jitter
	// is by how much each of these times may be put off, at random; it is
	// shorter than the time between two of them.
	Schedule schedule.Schedule
	Jitter   time.Duration
	// Windows and Suspend say when nothing is to be written; drift is looked
	// for all the same. A window's zone is never nil, and patterns of orgs are in
	// lower case. Suspend may hold what has expired.
	Windows []freeze.Window
	Suspend []freeze.Suspension
	// Mode is never empty.
	Mode   Mode
	Guards Guards
	Tokens Tokens
	State  State
	HTTP   HTTP
}

// Mode reports whether the daemon mends differences or only tells of them.
type Mode string

const (
	// Report is the default: nothing is ever written.
	Report Mode = "report"
	Apply  Mode = "apply"
)

// Values returns the modes, for the strict decoder.
func (Mode) Values() []string { return []string{string(Report), string(Apply)} }

// Aerial is the account and how to reach it. URL, AccountID and Auth may be
// empty; see Config.NeedAerial.
type Aerial struct {
	URL       *url.URL
	AccountID string
	Auth      Auth
	// Concurrency is how many calls may be in flight, 1 to 10.
	Concurrency int
	// Timeout is that of one call.
	Timeout time.Duration
}

// Unknown says that nobody can tell from the config which org the Aerial org
// is, because it is addressed by a custom domain.
func (a *Aerial) Unknown() bool {
	u := a.Auth.OrgURL
	return u != nil && OktaDomain(u) == "" && !web.IsLoopback(u.Hostname())
}

// Auth is how to prove who we are to an org: as a service app, or, for parents,
// with an API token.
type Auth struct {
	// OrgURL is the authorization server: the Aerial org, or the parent itself.
	OrgURL   *url.URL
	ClientID string
	// PrivateKey is a PEM or a JWK.
	PrivateKey Secret
	// KeyID is empty when only the JWK knows it.
	KeyID string
	DPoP  bool
	// Token is an SSWS token. It is set only for parents, and then nothing of
	// the service app is.
	Token Secret
}

// Parent is an org through which child orgs are created.
type Parent struct {
	// Name is what manifests call it; unique.
	Name string
	URL  *url.URL
	// Domain is the parent's Okta domain, in lower case, as manifests would
	// name the org. It is empty where neither the config nor the URL tells it.
	Domain string
	Auth   Auth
	// Settle is how long a new org is left alone after its creation.
	Settle time.Duration
}

// Unknown says that nobody can tell which org the parent is, because it is
// addressed by a custom domain alone. A parent on this machine is none that
// Okta has, and doesn't count.
func (p *Parent) Unknown() bool {
	return p.Domain == "" && p.URL != nil && !web.IsLoopback(p.URL.Hostname())
}

// Git is a repository and what to read of it.
type Git struct {
	// URL is https, ssh, user@host:path, file, or a path on disk.
	URL string
	// Exactly one of the three is set.
	Branch, Tag, Commit string
	// Path is the file or folder with the manifests, from the top of the
	// repository; empty for all of it.
	Path string
	Auth GitAuth
	// Verify says who must have signed a commit; nil when nobody has to.
	Verify *Verify
	// Webhook is the secret that pushes are announced with. Where it is not
	// set, there is no webhook.
	Webhook Secret
	// Status says where to report on a commit; nil when nobody is to be told.
	Status *GitStatus
}

// GitAuth is how to prove who we are to the git server: with a password or
// token, as a GitHub App, or with a key for ssh.
type GitAuth struct {
	Username string
	Password Secret
	// CAFile holds certificates in PEM that are trusted for https besides the
	// system's; it may be empty.
	CAFile         string
	SSHKeyFile     string
	SSHPassphrase  Secret
	KnownHostsFile string
	// GitHubApp is nil when we are none. The URL is https then.
	GitHubApp *GitHubApp
}

// GitHubApp is an app that was installed on the repository. All of it is given.
type GitHubApp struct {
	// AppID is the app's id or its client id.
	AppID          string
	InstallationID string
	// PrivateKey is a PEM.
	PrivateKey Secret
	// URL is the base of the API, without a slash at its end.
	URL string
}

// Verify says which signatures a commit must have.
type Verify struct {
	// KeysFile holds PGP keys or lines of OpenSSH's allowed_signers, or both.
	KeysFile string
	// Object is what has to be signed, VerifyCommit or VerifyTag. With the
	// latter Git.Tag is set.
	Object string
	// History asks for the same of every commit since the last one that was
	// accepted. State.Dir is set then.
	History bool
	// AcceptRewriteOf is the last accepted commit that the branch may do
	// without, in lower case; empty for none. State.Dir is set with it.
	AcceptRewriteOf string
}

// What Verify.Object may be.
const (
	VerifyCommit = "commit"
	VerifyTag    = "tag"
)

// GitStatus says where and how to report on a commit.
type GitStatus struct {
	// Provider is "github" or "gitlab".
	Provider string
	// Repository is OWNER/NAME, at GitLab perhaps with groups in between.
	Repository string
	// URL is the base of the API, without a slash at its end.
	URL string
	// Token is not set when it is to be the GitHub App's.
	Token Secret
	// Name tells our report from those of others.
	Name string
	// TargetURL is what the report links to; empty for nothing.
	TargetURL string
}

// Guards are limits that a plan must keep to be applied.
type Guards struct {
	// MaxDestructiveOrgs is how many orgs may lose a product, be deactivated
	// or deleted in one run; 0 means none at all.
	MaxDestructiveOrgs int
	// MaxDestructivePercent is the same as a share of the declared orgs, from
	// 0 to 100.
	MaxDestructivePercent int
	// DeactivationCooloff is how long an org's deactivation must have been
	// announced before it is carried out; 0 for not at all. With it State.Dir
	// is set.
	DeactivationCooloff time.Duration
}

// Tokens says where the tokens of created orgs go: into a folder, encrypted or
// not, or to a program. All may be empty.
type Tokens struct {
	Dir string
	// RecipientsFile holds public keys of age; with Dir only.
	RecipientsFile string
	// Command is the path of a program.
	Command string
}

// State says where journal and history are kept; Dir may be empty.
type State struct{ Dir string }

// HTTP says where the daemon's endpoints are, as HOST:PORT.
type HTTP struct{ Address string }
