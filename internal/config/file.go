package config

import (
	"time"

	"reconciler/internal/strictyaml"
)

// The types of this file are the config file as it is written. Tags say it all:
// yaml is the key; env is the key of what may only come from the environment;
// doc, jsonschema and default go into the JSON Schema and into docs/config.md.

type at[T any] = strictyaml.At[T]

type file struct {
	Aerial    aerialFile           `yaml:"aerial" doc:"The Aerial account and how to reach it."`
	Parents   []at[parentFile]     `yaml:"parents" doc:"Orgs through which child orgs are created."`
	Git       at[gitFile]          `yaml:"git" doc:"The git repository that holds the manifests. Excludes manifests."`
	Manifests at[string]           `yaml:"manifests" jsonschema:"minLength=1" doc:"A file or folder on disk with the manifests, instead of git."`
	Schedule  at[string]           `yaml:"schedule" jsonschema:"minLength=1,example=*/10 * * * *,example=@every 10m,example=CRON_TZ=Europe/Berlin 30 2 * * *" default:"*/10 * * * *" doc:"When the daemon looks: five cron fields, @hourly, @daily, @weekly, @monthly, @yearly or @every DURATION; CRON_TZ=ZONE may stand before fields."`
	Jitter    at[time.Duration]    `yaml:"jitter" default:"0s" doc:"Each time of the schedule is put off by a random time up to this, 0s to 1h and less than the time between two runs."`
	Windows   []at[windowFile]     `yaml:"windows" doc:"Times in which nothing is written (deny), or outside of which nothing is (allow). Drift is looked for all the same."`
	Suspend   []at[suspensionFile] `yaml:"suspend" doc:"Orgs to which nothing is written until the entry is removed or has expired. Drift is looked for all the same."`
	Mode      at[Mode]             `yaml:"mode" default:"report" doc:"Whether reconciler run mends differences (apply) or only tells of them (report). For reconciler apply it means nothing."`
	Guards    guardsFile           `yaml:"guards" doc:"Limits that a plan must keep to be applied."`
	Tokens    tokensFile           `yaml:"tokens" doc:"What becomes of the tokens of created orgs."`
	State     stateFile            `yaml:"state" doc:"What the program remembers."`
	HTTP      httpFile             `yaml:"http" doc:"The daemon's endpoints."`
}

type aerialFile struct {
	URL         at[string]        `yaml:"url" jsonschema:"pattern=^https?://,example=https://aerial-apac.okta.com" doc:"The Aerial API."`
	AccountID   at[string]        `yaml:"accountID" jsonschema:"pattern=^[A-Za-z0-9_-]+$,example=0200bs0617vvhv2v675mch1cukp" doc:"The id of the Aerial account."`
	Auth        aerialAuthFile    `yaml:"auth" doc:"The service app that the program signs in as."`
	Concurrency at[int]           `yaml:"concurrency" jsonschema:"minimum=1,maximum=10" default:"10" doc:"How many calls may be in flight, 1 to 10. Okta allows ten for the account, shared by everyone who uses it."`
	Timeout     at[time.Duration] `yaml:"timeout" default:"30s" doc:"How long one call may take, 100ms to 10m."`
}

type aerialAuthFile struct {
	OrgURL         at[string] `yaml:"orgURL" jsonschema:"pattern=^https?://,example=https://acme-aerial.okta.com" doc:"The Aerial org, in which the service app is registered."`
	ClientID       at[string] `yaml:"clientID" jsonschema:"minLength=1" doc:"The client id of the service app."`
	PrivateKey     at[string] `yaml:"-" env:"privateKey" doc:"The private key itself."`
	PrivateKeyFile at[string] `yaml:"privateKeyFile" jsonschema:"minLength=1" doc:"The private key of the service app: a PEM (PKCS#1, PKCS#8, SEC 1) or a JWK."`
	KeyID          at[string] `yaml:"keyID" jsonschema:"minLength=1" doc:"The id (kid) that Okta shows beside the public key. Not needed when a JWK says it."`
	DPoP           at[bool]   `yaml:"dpop" default:"false" doc:"Bind tokens to a key in memory (RFC 9449). Turned on by itself when Okta says that the app requires it."`
}

type parentFile struct {
	Name   at[string]         `yaml:"name" jsonschema:"required,minLength=1,example=acme" doc:"What manifests call the parent."`
	URL    at[string]         `yaml:"url" jsonschema:"required,pattern=^https?://,example=https://acme.okta.com" doc:"The parent org."`
	Domain at[string]         `yaml:"domain" jsonschema:"pattern=^[A-Za-z0-9-]+[.](okta|oktapreview|okta-emea)[.]com$,example=acme.okta.com" doc:"The parent's Okta domain. Needed when url is a custom domain, and otherwise taken from it."`
	Auth   at[parentAuthFile] `yaml:"auth" doc:"An API token, or a service app."`
	Settle at[time.Duration]  `yaml:"settle" default:"30s" doc:"How long a new org is left alone after its creation. Okta asks for at least 30s."`
}

type parentAuthFile struct {
	Token          at[string] `yaml:"-" env:"token" doc:"The API token itself."`
	TokenFile      at[string] `yaml:"tokenFile" jsonschema:"minLength=1" doc:"An API token (SSWS). Excludes the keys below."`
	ClientID       at[string] `yaml:"clientID" jsonschema:"minLength=1" doc:"The client id of a service app in the parent."`
	PrivateKey     at[string] `yaml:"-" env:"privateKey" doc:"The private key itself."`
	PrivateKeyFile at[string] `yaml:"privateKeyFile" jsonschema:"minLength=1" doc:"The private key of the service app, as in aerial.auth."`
	KeyID          at[string] `yaml:"keyID" jsonschema:"minLength=1" doc:"The id (kid) of the key, as in aerial.auth."`
	DPoP           at[bool]   `yaml:"dpop" default:"false" doc:"Bind tokens to a key in memory, as in aerial.auth."`
}

type gitFile struct {
	URL     at[string]      `yaml:"url" jsonschema:"required,minLength=1,example=https://git.example/okta-orgs.git,example=git@git.example:okta-orgs.git" doc:"The repository: https, ssh, user@host:path, file, or a path on disk."`
	Branch  at[string]      `yaml:"branch" jsonschema:"minLength=1" default:"main" doc:"The branch to follow. Excludes tag and commit."`
	Tag     at[string]      `yaml:"tag" jsonschema:"minLength=1" doc:"The tag to follow. Excludes branch and commit."`
	Commit  at[string]      `yaml:"commit" jsonschema:"pattern=^[0-9a-fA-F]{40}$" doc:"The commit to read, all 40 digits of it. Excludes branch and tag."`
	Path    at[string]      `yaml:"path" jsonschema:"minLength=1,example=orgs" doc:"The file or folder with the manifests, from the top of the repository; all of it by default."`
	Auth    gitAuthFile     `yaml:"auth" doc:"How to sign in: a username with a password or token (https), a GitHub App (https), or a key (ssh)."`
	Verify  at[verifyFile]  `yaml:"verify" doc:"Refuse commits that are not signed by one of the given keys."`
	Webhook at[webhookFile] `yaml:"webhook" doc:"Look at git as soon as a push is announced to POST /hooks/git. Without it there is no such endpoint."`
	Status  at[statusFile]  `yaml:"status" doc:"Report on the commit, at GitHub or GitLab, after a run of the daemon."`
}

type gitAuthFile struct {
	Username          at[string]        `yaml:"username" jsonschema:"minLength=1" doc:"The user at the git server; most servers take any beside a token."`
	Password          at[string]        `yaml:"-" env:"password" doc:"The password or token itself."`
	PasswordFile      at[string]        `yaml:"passwordFile" jsonschema:"minLength=1" doc:"The password or token."`
	CAFile            at[string]        `yaml:"caFile" jsonschema:"minLength=1" doc:"Certificates (PEM) of authorities to trust for https besides the system's."`
	SSHKeyFile        at[string]        `yaml:"sshKeyFile" jsonschema:"minLength=1" doc:"A private key for ssh."`
	SSHPassphrase     at[string]        `yaml:"-" env:"sshPassphrase" doc:"The passphrase of the private key for ssh itself."`
	SSHPassphraseFile at[string]        `yaml:"sshPassphraseFile" jsonschema:"minLength=1" doc:"The passphrase of the private key for ssh, if it has one."`
	KnownHostsFile    at[string]        `yaml:"knownHostsFile" jsonschema:"minLength=1" doc:"The host keys to trust, as in OpenSSH's known_hosts. Needed for ssh."`
	GitHubApp         at[githubAppFile] `yaml:"githubApp" doc:"A GitHub App that is installed on the repository (https), instead of a username and a password."`
}

type githubAppFile struct {
	AppID          at[plain]  `yaml:"appID" jsonschema:"required,minLength=1,example=12345" doc:"The app's id, or its client id."`
	InstallationID at[plain]  `yaml:"installationID" jsonschema:"required,minLength=1,example=678" doc:"The id of its installation: the digits at the end of the installation's address."`
	PrivateKey     at[string] `yaml:"-" env:"privateKey" doc:"The private key itself."`
	PrivateKeyFile at[string] `yaml:"privateKeyFile" jsonschema:"minLength=1" doc:"The private key that GitHub made for the app, a PEM."`
	URL            at[string] `yaml:"url" jsonschema:"pattern=^https?://,example=https://api.github.com,example=https://ghe.example/api/v3" doc:"GitHub's API. By default that of git.url's host: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server."`
}

type verifyFile struct {
	KeysFile        at[string]       `yaml:"keysFile" jsonschema:"required,minLength=1,example=allowed-signers.asc" doc:"Who may sign: PGP public keys, lines of OpenSSH's allowed_signers, or both."`
	Object          at[verifyObject] `yaml:"object" default:"commit" doc:"What has to be signed: the commit, or the tag of git.tag."`
	History         at[bool]         `yaml:"history" default:"false" doc:"Ask for the same of every commit since the last accepted one. Needs state.dir."`
	AcceptRewriteOf at[string]       `yaml:"acceptRewriteOf" jsonschema:"pattern=^[0-9a-fA-F]{40}$" doc:"The last accepted commit, all 40 digits of it, if the branch was rewritten on purpose and no longer contains it. Needs state.dir."`
}

// verifyObject is what has to be signed.
type verifyObject string

// Values returns the objects, for the strict decoder.
func (verifyObject) Values() []string { return []string{"commit", "tag"} }

type webhookFile struct {
	Secret     at[string] `yaml:"-" env:"secret" doc:"The secret itself."`
	SecretFile at[string] `yaml:"secretFile" jsonschema:"minLength=1" doc:"The secret that the git server signs with (GitHub, Gitea, Forgejo, GitLab's signing token) or sends along (GitLab's secret token)."`
}

type statusFile struct {
	Provider   at[provider] `yaml:"provider" jsonschema:"required" doc:"Whose API it is."`
	Repository at[string]   `yaml:"repository" jsonschema:"minLength=1,example=acme/okta-orgs" doc:"The repository, as OWNER/NAME. By default it is taken from git.url."`
	URL        at[string]   `yaml:"url" jsonschema:"pattern=^https?://,example=https://gitlab.example/api/v4" doc:"The API. By default that of git.url's host: https://api.github.com, https://HOST/api/v3 of a GitHub Enterprise Server, https://HOST/api/v4 of a GitLab."`
	Token      at[string]   `yaml:"-" env:"token" doc:"The token itself."`
	TokenFile  at[string]   `yaml:"tokenFile" jsonschema:"minLength=1" doc:"A token that may write commit statuses. With git.auth.githubApp the app's own is the default."`
	Name       at[string]   `yaml:"name" jsonschema:"minLength=1" default:"reconciler" doc:"What the report is called; another name for each program that reports on the same repository."`
	TargetURL  at[string]   `yaml:"targetURL" jsonschema:"pattern=^https?://,example=https://reconciler.acme.example/" doc:"What the report links to, such as the dashboard."`
}

// provider is whose API a commit status is sent to.
type provider string

const (
	github provider = "github"
	gitlab provider = "gitlab"
)

// Values returns the providers, for the strict decoder.
func (provider) Values() []string { return []string{string(github), string(gitlab)} }

type windowFile struct {
	Deny     at[string]        `yaml:"deny" jsonschema:"minLength=1,example=0 18 * * 5" doc:"When a window opens in which nothing is written: five cron fields. Excludes allow."`
	Allow    at[string]        `yaml:"allow" jsonschema:"minLength=1,example=0 9 * * 1-4" doc:"When a window opens outside of which nothing is written: five cron fields. Excludes deny."`
	Duration at[time.Duration] `yaml:"duration" jsonschema:"required" doc:"How long the window stays open, 1m to 8784h (366 days)."`
	Timezone at[string]        `yaml:"timezone" jsonschema:"minLength=1,example=Europe/Berlin" default:"UTC" doc:"By which clocks it opens: a name of the IANA database."`
	Orgs     at[[]at[string]]  `yaml:"orgs" jsonschema:"minItems=1,example=*.oktapreview.com" doc:"Patterns of domains (* and ? stand for any characters, [a-z] for one of a range). Without it all orgs and the account itself are meant. In the variable, commas are between them."`
}

type suspensionFile struct {
	Reason at[string]       `yaml:"reason" jsonschema:"required,minLength=1,example=Okta migration" doc:"Why, for whoever wonders."`
	Owner  at[string]       `yaml:"owner" jsonschema:"required,minLength=1,example=ada@acme.example" doc:"Whom to ask."`
	Until  at[plain]        `yaml:"until" jsonschema:"example=2026-12-01T00:00:00Z" doc:"When it ends by itself, as in RFC 3339. Without it, when the entry is removed."`
	Orgs   at[[]at[string]] `yaml:"orgs" jsonschema:"minItems=1,example=acme-*.okta.com" doc:"Patterns of domains, as in windows. Without it everything is suspended."`
}

// plain is text that YAML may take for a number or a time.
type plain string

// Verbatim makes the strict decoder take it as it is written.
func (plain) Verbatim() {}

type guardsFile struct {
	MaxDestructiveOrgs    at[int]           `yaml:"maxDestructiveOrgs" jsonschema:"minimum=0" default:"10" doc:"How many orgs may lose a product, be deactivated or deleted in one run. 0 means none at all."`
	MaxDestructivePercent at[int]           `yaml:"maxDestructivePercent" jsonschema:"minimum=0,maximum=100" default:"20" doc:"The same as a share of the declared orgs. One org is always within it."`
	DeactivationCooloff   at[time.Duration] `yaml:"deactivationCooloff" default:"0s" doc:"An org is deactivated only when two runs that far apart, or two commits, wanted it, 1m to 720h (30 days); 0s turns it off. Needs state.dir."`
}

type tokensFile struct {
	Dir            at[string] `yaml:"dir" jsonschema:"minLength=1" doc:"The folder that gets one file an org, readable by its owner only. Excludes command."`
	RecipientsFile at[string] `yaml:"recipientsFile" jsonschema:"minLength=1" doc:"Public keys of age, one a line: the files in dir are encrypted to all of them."`
	Command        at[string] `yaml:"command" jsonschema:"minLength=1,example=/usr/local/bin/store-token" doc:"A program that gets each token on its standard input, and in its environment which org it belongs to; it ends with 0 when the token is safe. Excludes dir."`
}

type stateFile struct {
	Dir at[string] `yaml:"dir" jsonschema:"minLength=1" doc:"The folder of journal and history."`
}

type httpFile struct {
	Address at[string] `yaml:"address" jsonschema:"pattern=:[0-9]+$" default:"127.0.0.1:8080" doc:"Where the daemon listens, as HOST:PORT. Nothing there asks who you are: keep it on loopback or behind something that does."`
}
