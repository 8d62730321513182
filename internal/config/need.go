package config

import (
	"fmt"
	"strings"
)

// MissingError lists the keys that a command needs and the config lacks.
type MissingError struct {
	// File is the config file; empty if there is none.
	File string
	// Keys are the paths of the keys. A secret is named by its file's key.
	Keys []string

	any bool // one of them is enough
}

// Error returns one line with all keys.
func (e *MissingError) Error() string {
	where := "the config"
	if e.File != "" {
		where = fmt.Sprintf("config file %q", e.File)
	}
	between := ", "
	if e.any {
		between = " or "
	}
	return where + " lacks " + strings.Join(e.Keys, between)
}

// Hint returns what to do about it.
func (e *MissingError) Hint() string {
	if e.any {
		return "set one of them, or name a file or folder with --manifests"
	}
	var names []string
	for _, key := range e.Keys {
		names = append(names, envName(key))
	}
	return "add them, or set " + strings.Join(names, ", ")
}

// NeedAerial returns the keys that the Aerial API needs and the config lacks, as
// a *MissingError; nil if it lacks none. The key id may be missing, because a JWK
// has its own.
func (c *Config) NeedAerial() error {
	a, e := &c.Aerial, &MissingError{File: c.File}
	need := func(key string, met bool) {
		if !met {
			e.Keys = append(e.Keys, key)
		}
	}
	need(KeyAerialURL, a.URL != nil)
	need(KeyAerialAccountID, a.AccountID != "")
	need(KeyAerialOrgURL, a.Auth.OrgURL != nil)
	need(KeyAerialClientID, a.Auth.ClientID != "")
	need(KeyAerialPrivateKey, a.Auth.PrivateKey.IsSet())
	if len(e.Keys) == 0 {
		return nil
	}
	return e
}

// NeedAccess returns the keys that making a service app in an org needs and the config
// lacks, as a *MissingError; nil if it lacks none.
func (c *Config) NeedAccess() error {
	e := &MissingError{File: c.File}
	for _, need := range []struct {
		key string
		met bool
	}{
		{KeyAerialAccountID, c.Aerial.AccountID != ""},
		{KeyOrgsPrivateKey, c.Orgs.HasAuth()},
		{KeyStateDir, c.State.IsSet()},
	} {
		if !need.met {
			e.Keys = append(e.Keys, need.key)
		}
	}
	if len(e.Keys) == 0 {
		return nil
	}
	return e
}

// NeedSource returns a *MissingError if the config names no manifests.
func (c *Config) NeedSource() error {
	if c.Git != nil || c.Manifests != "" {
		return nil
	}
	return &MissingError{File: c.File, Keys: []string{KeyGit, KeyManifests}, any: true}
}
