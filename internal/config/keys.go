package config

import "fmt"

// Keys of the config, for the messages of other packages.
const (
	KeyAerialURL         = "aerial.url"
	KeyAerialAccountID   = "aerial.accountID"
	KeyAerialAuth        = "aerial.auth"
	KeyAerialOrgURL      = "aerial.auth.orgURL"
	KeyAerialClientID    = "aerial.auth.clientID"
	KeyAerialPrivateKey  = "aerial.auth.privateKeyFile"
	KeyAerialKeyID       = "aerial.auth.keyID"
	KeyAerialDPoP        = "aerial.auth.dpop"
	KeyAerialConcurrency = "aerial.concurrency"

	KeyGit               = "git"
	KeyGitURL            = "git.url"
	KeyGitCommit         = "git.commit"
	KeyGitPath           = "git.path"
	KeyGitUsername       = "git.auth.username"
	KeyGitPasswordFile   = "git.auth.passwordFile"
	KeyGitCAFile         = "git.auth.caFile"
	KeyGitSSHKeyFile     = "git.auth.sshKeyFile"
	KeyGitSSHPassphrase  = "git.auth.sshPassphraseFile"
	KeyGitKnownHostsFile = "git.auth.knownHostsFile"
	KeyGitHubApp         = "git.auth.githubApp"
	KeyGitVerify         = "git.verify"
	KeyGitVerifyKeys     = "git.verify.keysFile"
	KeyGitAcceptRewrite  = "git.verify.acceptRewriteOf"
	KeyGitWebhook        = "git.webhook"
	KeyGitStatus         = "git.status"
	KeyManifests         = "manifests"

	KeyOrgsURL         = "orgs.url"
	KeyOrgsAuth        = "orgs.auth"
	KeyOrgsCallsPerOrg = "orgs.callsPerOrg"
	KeyOrgsShare       = "orgs.share"
	KeyOrgsPrivateKey  = "orgs.auth.privateKeyFile"
	KeyOrgsKeyID       = "orgs.auth.keyID"
	KeyOrgsDPoP        = "orgs.auth.dpop"
	KeyOrgsBootstrap   = "orgs.bootstrap"

	KeyAllowLockout        = "guards.allowLockout"
	KeyOwnAddresses        = "guards.ownAddresses"
	KeyDeactivationCooloff = "guards.deactivationCooloff"
	KeyRevertWithin        = "guards.revertWithin"
	KeyMaxPerDay           = "guards.maxDestructiveOrgsPerDay"

	KeyTokensDir        = "tokens.dir"
	KeyTokensRecipients = "tokens.recipientsFile"
	KeyTokensCommand    = "tokens.command"
	KeyStateDir         = "state.dir"
	KeyStatePostgres    = "state.postgres"
	KeyStatePostgresURL = "state.postgres.urlFile"
	KeyStateRetention   = "state.retention"
	KeyHTTPAddress      = "http.address"
	KeyHTTPURL          = "http.url"
	KeyHTTPAuth         = "http.auth"
	KeyHTTPTokensFile   = "http.auth.tokensFile"
	KeyHTTPOIDC         = "http.auth.oidc"
	KeyHTTPIssuer       = "http.auth.oidc.issuer"
	KeyHTTPClientID     = "http.auth.oidc.clientID"
	KeyHTTPClientSecret = "http.auth.oidc.clientSecretFile"
	KeyHTTPGroups       = "http.auth.oidc.groups"
	KeyHTTPOpenMetrics  = "http.openMetrics"
	KeyNotify           = "notify"
)

// Keys returns what hints call the settings of the Aerial API. Packages that
// know nothing of the config take it as a struct of their own.
func (*Aerial) Keys() struct{ URL, AccountID, Concurrency, Auth, OrgURL string } {
	return struct{ URL, AccountID, Concurrency, Auth, OrgURL string }{
		KeyAerialURL, KeyAerialAccountID, KeyAerialConcurrency, KeyAerialAuth, KeyAerialOrgURL,
	}
}

// Keys returns what hints call the settings of a service app, wherever in the
// config it stands.
func (*Auth) Keys() struct{ OrgURL, ClientID, KeyID, DPoP string } {
	return struct{ OrgURL, ClientID, KeyID, DPoP string }{"orgURL", "clientID", "keyID", "dpop"}
}

// Keys returns what hints call the settings of the orgs' APIs.
func (*Orgs) Keys() struct{ URL, Auth, ClientID, KeyID, DPoP, CallsPerOrg, Share string } {
	return struct{ URL, Auth, ClientID, KeyID, DPoP, CallsPerOrg, Share string }{
		KeyOrgsURL, KeyOrgsAuth, "access.clientID", KeyOrgsKeyID, KeyOrgsDPoP, KeyOrgsCallsPerOrg, KeyOrgsShare,
	}
}

// Keys returns what hints call the settings of the parent, and that of the
// account which is to manage its orgs.
func (p *Parent) Keys() struct{ URL, Auth, OrgURL, AccountID string } {
	of := func(key string) string { return fmt.Sprintf("`%s` of the parent %q", key, p.Name) }
	return struct{ URL, Auth, OrgURL, AccountID string }{of("url"), of("auth"), of("auth.orgURL"), KeyAerialAccountID}
}
