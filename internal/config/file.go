package config

import (
	"time"

	"reconciler/internal/strictyaml"
)

// The types of this file are the config file as it is written. The tag yaml is
// the key; env is that of a secret, which only the environment may contain; doc,
// jsonschema and default go into the JSON Schema and into docs/config.md; form is
// how resolver reads a text, of which forms_test.go has the schema.

type at[T any] = strictyaml.At[T]

type file struct {
	Aerial    aerialFile           `yaml:"aerial" doc:"The Aerial account and how to reach it."`
	Parents   []at[parentFile]     `yaml:"parents" doc:"Orgs through which child orgs are created."`
	Git       at[gitFile]          `yaml:"git" doc:"The git repository that holds the manifests. Excludes manifests."`
	Manifests at[string]           `yaml:"manifests" form:"path" doc:"A file or folder on disk with the manifests, instead of git."`
	Schedule  at[string]           `yaml:"schedule" form:"schedule" jsonschema:"example=*/10 * * * *,example=@every 10m,example=CRON_TZ=Europe/Berlin 30 2 * * *" default:"*/10 * * * *" doc:"When the daemon runs: five cron fields, @hourly, @daily, @weekly, @monthly, @yearly or @every DURATION; CRON_TZ=ZONE may precede the fields."`
	Jitter    at[time.Duration]    `yaml:"jitter" default:"0s" doc:"Each run is delayed by a random time up to this, 0s to 1h and less than the time between two runs."`
	Windows   []at[windowFile]     `yaml:"windows" doc:"Times in which nothing is written (deny), or outside of which nothing is written (allow). Drift is detected all the same."`
	Suspend   []at[suspensionFile] `yaml:"suspend" doc:"Orgs to which nothing is written until the entry is removed or expires. Drift is detected all the same."`
	Mode      at[Mode]             `yaml:"mode" default:"report" doc:"Whether reconciler run applies differences (apply) or only reports them (report). reconciler apply ignores it."`
	Orgs      orgsFile             `yaml:"orgs" doc:"How the configuration of orgs is read and written, through each org's own API."`
	Guards    guardsFile           `yaml:"guards" doc:"Limits that a plan must keep to be applied."`
	Tokens    tokensFile           `yaml:"tokens" doc:"Where the tokens of created orgs are stored."`
	State     stateFile            `yaml:"state" doc:"Where journal and history are kept."`
	Commands  commandsFile         `yaml:"commands" doc:"How the programs are run that print secrets or sign: those of the keys that end in Command, but for tokens.command."`
	HTTP      httpFile             `yaml:"http" doc:"The daemon's endpoints."`
	Notify    []at[receiverFile]   `yaml:"notify" doc:"Who is told when something changes: Slack, Microsoft Teams, webhooks."`
}

type aerialFile struct {
	URL         at[string]        `yaml:"url" form:"webURL" jsonschema:"example=https://aerial-apac.okta.com" doc:"The Aerial API."`
	AccountID   at[string]        `yaml:"accountID" jsonschema:"pattern=^[A-Za-z0-9_-]+$,example=0200bs0617vvhv2v675mch1cukp" doc:"The id of the Aerial account."`
	Auth        aerialAuthFile    `yaml:"auth" doc:"The service app that the program signs in as."`
	Concurrency at[int]           `yaml:"concurrency" jsonschema:"minimum=1,maximum=10" default:"10" doc:"How many calls may be in flight, 1 to 10. Okta allows ten for the account, shared by everyone who uses it."`
	Timeout     at[time.Duration] `yaml:"timeout" default:"30s" doc:"How long one call may take, 100ms to 10m."`
}

type aerialAuthFile struct {
	OrgURL            at[string]      `yaml:"orgURL" form:"webURL" jsonschema:"example=https://acme-aerial.okta.com" doc:"The Aerial org, in which the service app is registered."`
	ClientID          at[string]      `yaml:"clientID" form:"word" doc:"The client id of the service app."`
	PrivateKey        at[string]      `yaml:"-" env:"privateKey" doc:"The private key itself."`
	PrivateKeyFile    at[string]      `yaml:"privateKeyFile" form:"path" doc:"The private key of the service app: a PEM (PKCS#1, PKCS#8, SEC 1) or a JWK."`
	PrivateKeyCommand at[commandLine] `yaml:"privateKeyCommand" form:"command" jsonschema:"example=/usr/local/bin/read-key" doc:"A program, and its arguments, that prints the private key."`
	SignCommand       at[commandLine] `yaml:"signCommand" form:"command" jsonschema:"example=/usr/local/bin/sign" doc:"A program, and its arguments, that signs with a key that it keeps to itself. Needs publicKeyFile."`
	PublicKeyFile     at[string]      `yaml:"publicKeyFile" form:"path" doc:"The public key of signCommand: a PEM or a JWK."`
	KeyID             at[string]      `yaml:"keyID" form:"word" doc:"The id (kid) that Okta shows beside the public key. Not needed if the key is a JWK that has one."`
	DPoP              at[bool]        `yaml:"dpop" default:"false" doc:"Bind tokens to a key in memory (RFC 9449). Turned on automatically if Okta requires it of the app."`
}

type parentFile struct {
	Name   at[string]         `yaml:"name" form:"word" jsonschema:"required,example=acme" doc:"The name that manifests refer to."`
	URL    at[string]         `yaml:"url" form:"webURL" jsonschema:"required,example=https://acme.okta.com" doc:"The parent org."`
	Domain at[string]         `yaml:"domain" form:"oktaDomain" jsonschema:"example=acme.okta.com" doc:"The parent's Okta domain. Needed when url is a custom domain, and otherwise taken from it."`
	Auth   at[parentAuthFile] `yaml:"auth" doc:"An API token, or a service app."`
	Settle at[time.Duration]  `yaml:"settle" default:"30s" doc:"How long to wait after the creation of an org. Okta asks for at least 30s."`
}

type parentAuthFile struct {
	Token             at[string]      `yaml:"-" env:"token" doc:"The API token itself."`
	TokenFile         at[string]      `yaml:"tokenFile" form:"path" doc:"An API token (SSWS). Excludes the keys below."`
	TokenCommand      at[commandLine] `yaml:"tokenCommand" form:"command" doc:"A program, and its arguments, that prints the API token."`
	ClientID          at[string]      `yaml:"clientID" form:"word" doc:"The client id of a service app in the parent."`
	PrivateKey        at[string]      `yaml:"-" env:"privateKey" doc:"The private key itself."`
	PrivateKeyFile    at[string]      `yaml:"privateKeyFile" form:"path" doc:"The private key of the service app, as in aerial.auth."`
	PrivateKeyCommand at[commandLine] `yaml:"privateKeyCommand" form:"command" jsonschema:"example=/usr/local/bin/read-key" doc:"A program that prints the private key, as in aerial.auth."`
	SignCommand       at[commandLine] `yaml:"signCommand" form:"command" jsonschema:"example=/usr/local/bin/sign" doc:"A program that signs, as in aerial.auth."`
	PublicKeyFile     at[string]      `yaml:"publicKeyFile" form:"path" doc:"The public key of signCommand, as in aerial.auth."`
	KeyID             at[string]      `yaml:"keyID" form:"word" doc:"The id (kid) of the key, as in aerial.auth."`
	DPoP              at[bool]        `yaml:"dpop" default:"false" doc:"Bind tokens to a key in memory, as in aerial.auth."`
}

type gitFile struct {
	URL     at[string]      `yaml:"url" form:"gitURL" jsonschema:"required,example=https://git.example/okta-orgs.git,example=git@git.example:okta-orgs.git" doc:"The repository: https, ssh, user@host:path, file, or a path on disk."`
	Branch  at[string]      `yaml:"branch" form:"word" default:"main" doc:"The branch to follow. Excludes tag and commit."`
	Tag     at[string]      `yaml:"tag" form:"word" doc:"The tag to follow. Excludes branch and commit."`
	Commit  at[string]      `yaml:"commit" jsonschema:"pattern=^[0-9a-fA-F]{40}$" doc:"The commit to read, all 40 digits of it. Excludes branch and tag."`
	Path    at[string]      `yaml:"path" form:"path" jsonschema:"example=orgs" doc:"The file or folder with the manifests, from the top of the repository; all of it by default."`
	Auth    gitAuthFile     `yaml:"auth" doc:"How to sign in: a username with a password or token (https), a GitHub App (https), or a key (ssh)."`
	Verify  at[verifyFile]  `yaml:"verify" doc:"Reject commits that are not signed by one of the given keys."`
	Webhook at[webhookFile] `yaml:"webhook" doc:"Run as soon as a push is announced to POST /hooks/git. Without it there is no such endpoint."`
	Status  at[statusFile]  `yaml:"status" doc:"Set a commit status at GitHub, GitLab, Gitea or Forgejo after each run of the daemon."`
}

type gitAuthFile struct {
	Username             at[string]        `yaml:"username" form:"word" doc:"The user at the git server; with a token, most servers accept any."`
	Password             at[string]        `yaml:"-" env:"password" doc:"The password or token itself."`
	PasswordFile         at[string]        `yaml:"passwordFile" form:"path" doc:"The password or token."`
	PasswordCommand      at[commandLine]   `yaml:"passwordCommand" form:"command" doc:"A program, and its arguments, that prints the password or token."`
	CAFile               at[string]        `yaml:"caFile" form:"path" doc:"Certificates (PEM) of authorities to trust for https besides the system's."`
	SSHKeyFile           at[string]        `yaml:"sshKeyFile" form:"path" doc:"A private key for ssh."`
	SSHPassphrase        at[string]        `yaml:"-" env:"sshPassphrase" doc:"The passphrase of the private key for ssh itself."`
	SSHPassphraseFile    at[string]        `yaml:"sshPassphraseFile" form:"path" doc:"The passphrase of the private key for ssh, if it has one."`
	SSHPassphraseCommand at[commandLine]   `yaml:"sshPassphraseCommand" form:"command" doc:"A program, and its arguments, that prints the passphrase."`
	KnownHostsFile       at[string]        `yaml:"knownHostsFile" form:"path" doc:"The host keys to trust, as in OpenSSH's known_hosts. Needed for ssh."`
	GitHubApp            at[githubAppFile] `yaml:"githubApp" doc:"A GitHub App that is installed on the repository (https), instead of a username and a password."`
}

type githubAppFile struct {
	AppID             at[plain]       `yaml:"appID" form:"appID" jsonschema:"required,example=12345" doc:"The app's id, or its client id."`
	InstallationID    at[plain]       `yaml:"installationID" form:"number" jsonschema:"required,example=678" doc:"The id of its installation: the digits at the end of the installation's address."`
	PrivateKey        at[string]      `yaml:"-" env:"privateKey" doc:"The private key itself."`
	PrivateKeyFile    at[string]      `yaml:"privateKeyFile" form:"path" doc:"The private key that GitHub generated for the app, a PEM."`
	PrivateKeyCommand at[commandLine] `yaml:"privateKeyCommand" form:"command" jsonschema:"example=/usr/local/bin/read-key" doc:"A program that prints the private key, as in aerial.auth."`
	SignCommand       at[commandLine] `yaml:"signCommand" form:"command" jsonschema:"example=/usr/local/bin/sign" doc:"A program that signs with the app's RSA key (RS256), as in aerial.auth."`
	PublicKeyFile     at[string]      `yaml:"publicKeyFile" form:"path" doc:"The public key of signCommand, as in aerial.auth."`
	URL               at[string]      `yaml:"url" form:"apiURL" jsonschema:"example=https://api.github.com,example=https://ghe.example/api/v3" doc:"GitHub's API. By default that of git.url's host: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server."`
}

type verifyFile struct {
	KeysFile        at[string]       `yaml:"keysFile" form:"path" jsonschema:"required,example=allowed-signers.asc" doc:"Who may sign: PGP public keys, lines of OpenSSH's allowed_signers, or both."`
	Object          at[verifyObject] `yaml:"object" default:"commit" doc:"What has to be signed: the commit, or the tag of git.tag."`
	History         at[bool]         `yaml:"history" default:"false" doc:"Require the same of every commit since the last accepted one. Needs state.dir."`
	AcceptRewriteOf at[string]       `yaml:"acceptRewriteOf" jsonschema:"pattern=^[0-9a-fA-F]{40}$" doc:"The last accepted commit, all 40 digits of it, if the branch was rewritten on purpose and no longer contains it. Needs state.dir."`
}

// verifyObject is what has to be signed.
type verifyObject string

// Values returns the objects, for the strict decoder.
func (verifyObject) Values() []string { return []string{VerifyCommit, VerifyTag} }

type webhookFile struct {
	Secret        at[string]      `yaml:"-" env:"secret" doc:"The secret itself."`
	SecretFile    at[string]      `yaml:"secretFile" form:"path" doc:"The secret with which the git server signs requests (GitHub, Gitea, Forgejo, GitLab's signing token) or which it sends (GitLab's secret token)."`
	SecretCommand at[commandLine] `yaml:"secretCommand" form:"command" doc:"A program, and its arguments, that prints the secret."`
}

type statusFile struct {
	Provider     at[provider]    `yaml:"provider" jsonschema:"required" doc:"Which API it is."`
	Repository   at[string]      `yaml:"repository" form:"repository" jsonschema:"example=acme/okta-orgs" doc:"The repository, as OWNER/NAME. By default it is taken from git.url."`
	URL          at[string]      `yaml:"url" form:"apiURL" jsonschema:"example=https://gitlab.example/api/v4" doc:"The API. By default that of git.url's host: https://api.github.com, https://HOST/api/v3 of a GitHub Enterprise Server, https://HOST/api/v4 of a GitLab, https://HOST/api/v1 of a Gitea or Forgejo."`
	Token        at[string]      `yaml:"-" env:"token" doc:"The token itself."`
	TokenFile    at[string]      `yaml:"tokenFile" form:"path" doc:"A token that may write commit statuses. With git.auth.githubApp the app's own is the default."`
	TokenCommand at[commandLine] `yaml:"tokenCommand" form:"command" doc:"A program, and its arguments, that prints the token."`
	Name         at[string]      `yaml:"name" form:"phrase" default:"reconciler" doc:"The name of the status; it must differ between programs that report on the same repository."`
	TargetURL    at[string]      `yaml:"targetURL" form:"pageURL" jsonschema:"example=https://reconciler.acme.example/" doc:"What the status links to, such as the daemon's page (http.url)."`
}

// provider is whose API a commit status is sent to.
type provider string

const (
	github  provider = "github"
	gitlab  provider = "gitlab"
	gitea   provider = "gitea"
	forgejo provider = "forgejo"
)

// Values returns the providers, for the strict decoder.
func (provider) Values() []string {
	return []string{string(github), string(gitlab), string(gitea), string(forgejo)}
}

type windowFile struct {
	Deny     at[string]        `yaml:"deny" form:"cron" jsonschema:"example=0 18 * * 5" doc:"When a window opens in which nothing is written: five cron fields. Excludes allow."`
	Allow    at[string]        `yaml:"allow" form:"cron" jsonschema:"example=0 9 * * 1-4" doc:"When a window opens outside of which nothing is written: five cron fields. Excludes deny."`
	Duration at[time.Duration] `yaml:"duration" jsonschema:"required" doc:"How long the window stays open, 1m to 8784h (366 days)."`
	Timezone at[string]        `yaml:"timezone" form:"word" jsonschema:"example=Europe/Berlin" default:"UTC" doc:"The time zone of deny or allow: a name of the IANA database."`
	Orgs     at[[]at[string]]  `yaml:"orgs" form:"globs" jsonschema:"minItems=1,example=*.oktapreview.com" doc:"Patterns of domains (* and ? stand for any characters, [a-z] for one of a range). Without it all orgs and the account itself are meant. The variable separates them by commas."`
}

type suspensionFile struct {
	Reason at[string]       `yaml:"reason" form:"phrase" jsonschema:"required,example=Okta migration" doc:"The reason, which reports show."`
	Owner  at[string]       `yaml:"owner" form:"phrase" jsonschema:"required,example=ada@acme.example" doc:"Who is responsible."`
	Until  at[plain]        `yaml:"until" form:"time" jsonschema:"example=2026-12-01T00:00:00Z" doc:"When it expires, as in RFC 3339. Without it, it lasts until the entry is removed."`
	Orgs   at[[]at[string]] `yaml:"orgs" form:"globs" jsonschema:"minItems=1,example=acme-*.okta.com" doc:"Patterns of domains, as in windows. Without it everything is suspended."`
}

// plain is text that may look like a number or a time to YAML.
type plain string

// Verbatim makes the strict decoder read it as it is written.
func (plain) Verbatim() {}

type guardsFile struct {
	MaxDestructiveOrgs       at[int]           `yaml:"maxDestructiveOrgs" jsonschema:"minimum=0" default:"10" doc:"How many orgs may lose a product or an object, be deactivated or deleted in one run. 0 means none at all."`
	MaxDestructivePercent    at[int]           `yaml:"maxDestructivePercent" jsonschema:"minimum=0,maximum=100" default:"20" doc:"The same as a share of the declared orgs that are live and may be written. One org is always within it."`
	MaxDestructiveOrgsPerDay at[int]           `yaml:"maxDestructiveOrgsPerDay" jsonschema:"minimum=0" default:"20" doc:"How many orgs may lose something within 24 hours, in all runs with this state.dir together; without one, in one process. 0 means none at all."`
	MaxNewOrgs               at[int]           `yaml:"maxNewOrgs" jsonschema:"minimum=0" default:"10" doc:"How many orgs may be created or linked in one run, which can't be undone. 0 means none at all."`
	DeactivationCooloff      at[time.Duration] `yaml:"deactivationCooloff" default:"0s" doc:"An org is deactivated only if two runs this far apart, or two commits that declare something else for it, declare it inactive, 1m to 720h (30 days); 0s turns it off. Needs state.dir."`
	RevertWithin             at[time.Duration] `yaml:"revertWithin" default:"24h" doc:"How long after a run its way back counts as no loss for maxDestructiveOrgs, maxDestructivePercent and maxDestructiveOrgsPerDay, 0s to 720h (30 days); 0s: never. Needs state.dir to have any effect."`
	AllowLockout             at[[]at[string]]  `yaml:"allowLockout" form:"domains" jsonschema:"example=acme-lab.oktapreview.com" doc:"Domains of orgs for which changes are made that may lock everyone out. The variable separates them by commas."`
	OwnAddresses             at[[]at[string]]  `yaml:"ownAddresses" form:"addresses" jsonschema:"example=192.0.2.0/24" doc:"The addresses, or ranges in CIDR notation, that this program and the admins come from: no blocklist may hold them. The variable separates them by commas."`
}

type orgsFile struct {
	URL         at[string]        `yaml:"url" form:"orgsURL" default:"https://{domain}" doc:"Where an org's API is. {domain} stands for the org's domain."`
	Auth        orgsAuthFile      `yaml:"auth" doc:"The key of the service apps in the orgs, one for all of them or one each."`
	Concurrency at[int]           `yaml:"concurrency" jsonschema:"minimum=1,maximum=256" default:"64" doc:"How many orgs are read or written at the same time, 1 to 256."`
	CallsPerOrg at[int]           `yaml:"callsPerOrg" jsonschema:"minimum=1,maximum=35" default:"4" doc:"How many calls to one org may be in flight, 1 to 35."`
	Share       at[int]           `yaml:"share" jsonschema:"minimum=1,maximum=100" default:"50" doc:"How much of each of an org's rate limits is used at most, in percent, 1 to 100."`
	Every       at[time.Duration] `yaml:"every" default:"1h" doc:"How often the daemon reads the configuration of orgs, 0s to 720h (30 days); 0s: in each run."`
	Bootstrap   at[bootstrapFile] `yaml:"bootstrap" doc:"Make a service app in each org that is created. Needs orgs.auth and state.dir."`
}

type orgsAuthFile struct {
	PrivateKey        at[string]      `yaml:"-" env:"privateKey" doc:"The private key itself."`
	PrivateKeyFile    at[string]      `yaml:"privateKeyFile" form:"path" jsonschema:"example=/run/secrets/orgs.pem,example=/run/secrets/orgs/{domain}.pem" doc:"The private key of the service apps, as in aerial.auth. {domain} in the path stands for the org's domain: one key per org."`
	PrivateKeyCommand at[commandLine] `yaml:"privateKeyCommand" form:"command" jsonschema:"example=/usr/local/bin/read-key" doc:"A program that prints the private key, as in aerial.auth. {domain} in its arguments stands for the org's domain."`
	SignCommand       at[commandLine] `yaml:"signCommand" form:"command" jsonschema:"example=/usr/local/bin/sign" doc:"A program that signs, as in aerial.auth. {domain} in its arguments stands for the org's domain."`
	PublicKeyFile     at[string]      `yaml:"publicKeyFile" form:"path" doc:"The public key of signCommand, as in aerial.auth. {domain} in the path stands for the org's domain."`
	KeyID             at[string]      `yaml:"keyID" form:"word" doc:"The id (kid) of the key, as in aerial.auth."`
	DPoP              at[bool]        `yaml:"dpop" default:"false" doc:"Bind tokens to a key in memory, as in aerial.auth. Service apps that the program makes require it then."`
}

type bootstrapFile struct {
	Role at[Role] `yaml:"role" jsonschema:"required" doc:"The admin role that the service app gets."`
}

type tokensFile struct {
	Dir            at[string] `yaml:"dir" form:"path" doc:"The folder with one file per org, readable by its owner only. Excludes command."`
	RecipientsFile at[string] `yaml:"recipientsFile" form:"path" doc:"Public keys of age, one a line: the files in dir are encrypted to all of them."`
	Command        at[string] `yaml:"command" form:"path" jsonschema:"example=/usr/local/bin/store-token" doc:"A program that reads a token from standard input and the org from its environment, and exits with 0 when the token is stored. Excludes dir."`
}

type stateFile struct {
	Dir       at[string]        `yaml:"dir" form:"path" doc:"The folder of journal and history."`
	Postgres  at[postgresFile]  `yaml:"postgres" doc:"The PostgreSQL database of journal and history, in place of the folder, so that there can be more than one replica. What needs state.dir is met by it as well."`
	Retention at[time.Duration] `yaml:"retention" default:"2160h" doc:"How long the history is kept, 24h to 87600h (ten years). Needs state.dir."`
}

type postgresFile struct {
	URL        at[string]      `yaml:"-" env:"url" doc:"The URL itself."`
	URLFile    at[string]      `yaml:"urlFile" form:"path" jsonschema:"example=/run/secrets/postgres-url" doc:"The URL of the database, such as postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full. It is read again for each new connection."`
	URLCommand at[commandLine] `yaml:"urlCommand" form:"command" doc:"A program, and its arguments, that prints the URL."`
}

type commandsFile struct {
	Timeout at[time.Duration] `yaml:"timeout" default:"30s" doc:"How long a program may run, 100ms to 5m. It is killed then, with all that it started."`
	Cache   at[time.Duration] `yaml:"cache" default:"5m" doc:"How long a secret that a program printed is used before the program is run again, 0s to 24h; 0s: not at all. Signatures are never kept."`
}
