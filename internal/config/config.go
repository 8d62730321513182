package config

import (
	"net/netip"
	"net/url"
	"time"

	"reconciler/internal/freeze"
	"reconciler/internal/freeze/schedule"
	"reconciler/internal/store/program"
	"reconciler/internal/web"
)

// Config is a valid config with defaults filled in. Paths in it can be opened as
// they are.
type Config struct {
	// File is the config file, or empty if everything came from the environment.
	File    string
	Aerial  Aerial
	Parents []Parent
	// Git is the repository of the manifests; nil if they are not in git.
	// Manifests is a file or folder on disk instead. At most one of the two is
	// set.
	Git       *Git
	Manifests string
	// Schedule is when the daemon runs; every ten minutes by default. Jitter is
	// the longest random delay of each run; it is shorter than the time between
	// two of them.
	Schedule schedule.Schedule
	Jitter   time.Duration
	// Windows and Suspend restrict when something is written; drift is detected
	// at all times. A window's zone is never nil, and patterns of orgs are in
	// lower case. Suspend may contain entries that have expired.
	Windows []freeze.Window
	Suspend []freeze.Suspension
	// Mode is never empty.
	Mode   Mode
	Orgs   Orgs
	Guards Guards
	Tokens Tokens
	State  State
	HTTP   HTTP
	// Notify is who the daemon tells of what changes.
	Notify []Receiver

	// programs runs the programs that print secrets or sign, for all of them.
	programs hidden[program.Cache]
	// commands are those programs.
	commands hidden[commands]
}

// Mode is whether the daemon applies differences or only reports them.
type Mode string

const (
	// Report is the default: nothing is written.
	Report Mode = "report"
	Apply  Mode = "apply"
)

// Values returns the modes, for the strict decoder.
func (Mode) Values() []string { return []string{string(Report), string(Apply)} }

// Aerial is the account and its API. URL, AccountID and Auth may be empty; see
// [Config.NeedAerial].
type Aerial struct {
	URL       *url.URL
	AccountID string
	Auth      Auth
	// Concurrency is how many calls may be in flight, 1 to 10.
	Concurrency int
	// Timeout is that of one call.
	Timeout time.Duration
}

// Unknown reports whether the config does not tell which org the Aerial org is,
// because its URL has a custom domain.
func (a *Aerial) Unknown() bool {
	u := a.Auth.OrgURL
	return u != nil && OktaDomain(u) == "" && !web.IsLoopback(u.Hostname())
}

// Auth are the credentials for an org: those of a service app, or, for parents,
// an API token.
type Auth struct {
	// OrgURL is the authorization server: the Aerial org, or the parent itself.
	OrgURL   *url.URL
	ClientID string
	// PrivateKey is a PEM or a JWK, or what a program signs with.
	PrivateKey Key
	// KeyID is empty if only the JWK has it.
	KeyID string
	DPoP  bool
	// Token is an SSWS token. Only a parent can have one, and then nothing of
	// the service app is set.
	Token Secret
}

// Parent is an org through which child orgs are created.
type Parent struct {
	// Name is the unique name that manifests refer to.
	Name string
	URL  *url.URL
	// Domain is the parent's Okta domain, in lower case. It is empty if neither
	// the config nor the URL has it.
	Domain string
	Auth   Auth
	// Settle is how long to wait after the creation of an org.
	Settle time.Duration
}

// Unknown reports whether the config does not tell which org the parent is,
// because its URL has a custom domain and no Okta domain is set. A parent on this
// machine is not Okta's, and is never unknown.
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
	// Verify is nil if commits need no signature.
	Verify *Verify
	// Webhook is the secret of the push webhook. If it is not set, there is no
	// webhook.
	Webhook Secret
	// Status is nil if no commit statuses are reported.
	Status *GitStatus
}

// GitAuth are the credentials for the git server: a password or token, a GitHub
// App, or a key for ssh.
type GitAuth struct {
	Username string
	Password Secret
	// CAFile contains certificates in PEM that are trusted for https besides
	// the system's; it may be empty.
	CAFile         string
	SSHKeyFile     string
	SSHPassphrase  Secret
	KnownHostsFile string
	// GitHubApp may be nil. If it isn't, the URL is https.
	GitHubApp *GitHubApp
}

// GitHubApp is an app that is installed on the repository. All fields are set.
type GitHubApp struct {
	// AppID is the app's id or its client id.
	AppID          string
	InstallationID string
	// PrivateKey is a PEM, or what a program signs with.
	PrivateKey Key
	// URL is the base URL of the API, without a slash at its end.
	URL string
}

// Verify is which signatures a commit must have.
type Verify struct {
	// KeysFile contains PGP keys or lines of OpenSSH's allowed_signers, or both.
	KeysFile string
	// Object is what has to be signed, VerifyCommit or VerifyTag. With the
	// latter Git.Tag is set.
	Object string
	// History requires the same of every commit since the last accepted one.
	// State is set with it.
	History bool
	// AcceptRewriteOf is the last accepted commit, in lower case, if the branch
	// no longer has to contain it; otherwise empty. State is set with it.
	AcceptRewriteOf string
}

// What Verify.Object may be.
const (
	VerifyCommit = "commit"
	VerifyTag    = "tag"
)

// GitStatus is where and how commit statuses are reported.
type GitStatus struct {
	// Provider is "github", "gitlab", "gitea" or "forgejo".
	Provider string
	// Repository is OWNER/NAME, at GitLab perhaps with groups in between.
	Repository string
	// URL is the base URL of the API, without a slash at its end.
	URL string
	// Token is not set if the GitHub App's is used.
	Token Secret
	// Name identifies our status among those of others.
	Name string
	// TargetURL is what the status links to; it may be empty.
	TargetURL string
}

// Guards are limits that a plan must keep to be applied.
type Guards struct {
	// MaxDestructiveOrgs is how many orgs may lose a product, be deactivated or
	// deleted in one run.
	MaxDestructiveOrgs int
	// MaxDestructivePercent is the same as a share of the declared orgs that are
	// live and may be written, from 0 to 100.
	MaxDestructivePercent int
	// MaxDestructiveOrgsPerDay is how many may within 24 hours, in all runs.
	MaxDestructiveOrgsPerDay int
	// MaxNewOrgs is how many orgs may be created or linked in one run.
	MaxNewOrgs int
	// DeactivationCooloff is how long before its deactivation an org must have
	// been declared inactive for the first time; 0 for no such rule. State
	// is set with it.
	DeactivationCooloff time.Duration
	// RevertWithin is for how long after a run what takes back its changes counts as
	// no loss; 0 for never.
	RevertWithin time.Duration
	// AllowLockout are the domains, in lower case, of orgs for which changes are
	// made that may lock everyone out.
	AllowLockout []string
	// OwnAddresses are where this program and the admins come from. A single
	// address is a prefix of all its bits.
	OwnAddresses []netip.Prefix
}

// Tokens is where the tokens of created orgs are stored: in a folder, encrypted
// or not, or by a program. All may be empty.
type Tokens struct {
	Dir string
	// RecipientsFile contains public keys of age; only with Dir.
	RecipientsFile string
	// Command is the path of a program.
	Command string
}

// State is where journal and history are kept: a folder, a PostgreSQL database, or nowhere.
type State struct {
	Dir string
	// Postgres is the URL of the database. It excludes Dir.
	Postgres Secret
	// Retention is how long the history is kept.
	Retention time.Duration
}

// IsSet reports whether anything is kept.
func (s State) IsSet() bool { return s.Dir != "" || s.Postgres.IsSet() }
