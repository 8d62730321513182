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
	Aerial    aerialFile       `yaml:"aerial" doc:"The Aerial account and how to reach it."`
	Parents   []at[parentFile] `yaml:"parents" doc:"Orgs through which child orgs are created."`
	Git       at[gitFile]      `yaml:"git" doc:"The git repository that holds the manifests. Excludes manifests."`
	Manifests at[string]       `yaml:"manifests" jsonschema:"minLength=1" doc:"A file or folder on disk with the manifests, instead of git."`
	Schedule  at[string]       `yaml:"schedule" jsonschema:"minLength=1,example=*/10 * * * *,example=@every 10m,example=CRON_TZ=Europe/Berlin 30 2 * * *" default:"*/10 * * * *" doc:"When the daemon looks: five cron fields, @hourly, @daily, @weekly, @monthly, @yearly or @every DURATION; CRON_TZ=ZONE may stand before fields."`
	Mode      at[Mode]         `yaml:"mode" default:"report" doc:"Whether reconciler run mends differences (apply) or only tells of them (report). For reconciler apply it means nothing."`
	Guards    guardsFile       `yaml:"guards" doc:"Limits that a plan must keep to be applied."`
	Tokens    tokensFile       `yaml:"tokens" doc:"What becomes of the tokens of created orgs."`
	State     stateFile        `yaml:"state" doc:"What the program remembers."`
	HTTP      httpFile         `yaml:"http" doc:"The daemon's endpoints."`
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
	URL    at[string]  `yaml:"url" jsonschema:"required,minLength=1,example=https://git.example/okta-orgs.git,example=git@git.example:okta-orgs.git" doc:"The repository: https, ssh, user@host:path, file, or a path on disk."`
	Branch at[string]  `yaml:"branch" jsonschema:"minLength=1" default:"main" doc:"The branch to follow. Excludes tag and commit."`
	Tag    at[string]  `yaml:"tag" jsonschema:"minLength=1" doc:"The tag to follow. Excludes branch and commit."`
	Commit at[string]  `yaml:"commit" jsonschema:"pattern=^[0-9a-fA-F]{40}$" doc:"The commit to read, all 40 digits of it. Excludes branch and tag."`
	Path   at[string]  `yaml:"path" jsonschema:"minLength=1,example=orgs" doc:"The file or folder with the manifests, from the top of the repository; all of it by default."`
	Auth   gitAuthFile `yaml:"auth" doc:"How to sign in: a username with a password or token (https), or a key (ssh)."`
}

type gitAuthFile struct {
	Username       at[string] `yaml:"username" jsonschema:"minLength=1" doc:"The user at the git server; most servers take any beside a token."`
	Password       at[string] `yaml:"-" env:"password" doc:"The password or token itself."`
	PasswordFile   at[string] `yaml:"passwordFile" jsonschema:"minLength=1" doc:"The password or token."`
	SSHKeyFile     at[string] `yaml:"sshKeyFile" jsonschema:"minLength=1" doc:"A private key for ssh, without a passphrase."`
	KnownHostsFile at[string] `yaml:"knownHostsFile" jsonschema:"minLength=1" doc:"The host keys to trust, as in OpenSSH's known_hosts. Needed for ssh."`
}

type guardsFile struct {
	MaxDestructiveOrgs    at[int] `yaml:"maxDestructiveOrgs" jsonschema:"minimum=0" default:"10" doc:"How many orgs may lose a product, be deactivated or deleted in one run. 0 means none at all."`
	MaxDestructivePercent at[int] `yaml:"maxDestructivePercent" jsonschema:"minimum=0,maximum=100" default:"20" doc:"The same as a share of the declared orgs. One org is always within it."`
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
