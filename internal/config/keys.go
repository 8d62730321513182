package config

import "fmt"

// Keys returns what hints call the settings of the Aerial API. Packages that
// know nothing of the config take it as a struct of their own.
func (*Aerial) Keys() struct{ URL, AccountID, Concurrency, Auth, OrgURL string } {
	return struct{ URL, AccountID, Concurrency, Auth, OrgURL string }{
		"aerial.url", "aerial.accountID", "aerial.concurrency", "aerial.auth", "aerial.auth.orgURL",
	}
}

// Keys returns what hints call the settings of a service app, wherever in the
// config it stands.
func (*Auth) Keys() struct{ OrgURL, ClientID, KeyID, DPoP string } {
	return struct{ OrgURL, ClientID, KeyID, DPoP string }{"orgURL", "clientID", "keyID", "dpop"}
}

// Keys returns what hints call the settings of the parent, and that of the
// account which is to manage its orgs.
func (p *Parent) Keys() struct{ URL, Auth, OrgURL, AccountID string } {
	of := func(key string) string { return fmt.Sprintf("`%s` of the parent %q", key, p.Name) }
	return struct{ URL, Auth, OrgURL, AccountID string }{of("url"), of("auth"), of("auth.orgURL"), "aerial.accountID"}
}
