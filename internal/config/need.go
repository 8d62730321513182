package config

import (
	"fmt"
	"strings"
)

// MissingError says which keys a command needs and the config lacks.
type MissingError struct {
	// File is the config file; empty when there is none.
	File string
	// Keys are the paths of the keys. A secret is named by its file's key.
	Keys []string

	any bool // any one of them will do
}

// Error names all of them on one line.
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

// Hint says what else would do.
func (e *MissingError) Hint() string {
	if e.any {
		return "give one of them, or name a file or folder with --manifests"
	}
	var names []string
	for _, key := range e.Keys {
		names = append(names, envName(key))
	}
	return "add them, or set " + strings.Join(names, ", ")
}

// NeedAerial says what is missing to talk to the Aerial API, as a
// *MissingError; nil when nothing is. A key id may be missing, because a JWK
// has its own.
func (c *Config) NeedAerial() error {
	a := &c.Aerial
	return c.need(
		requirement{"aerial.url", a.URL != nil},
		requirement{"aerial.accountID", a.AccountID != ""},
		requirement{"aerial.auth.orgURL", a.Auth.OrgURL != nil},
		requirement{"aerial.auth.clientID", a.Auth.ClientID != ""},
		requirement{"aerial.auth.privateKeyFile", a.Auth.PrivateKey.IsSet()},
	)
}

// NeedSource says that there are no manifests to read, as a *MissingError; nil
// when there are.
func (c *Config) NeedSource() error {
	if c.Git != nil || c.Manifests != "" {
		return nil
	}
	return &MissingError{File: c.File, Keys: []string{"git", "manifests"}, any: true}
}

type requirement struct {
	key string
	met bool
}

func (c *Config) need(all ...requirement) error {
	e := &MissingError{File: c.File}
	for _, r := range all {
		if !r.met {
			e.Keys = append(e.Keys, r.key)
		}
	}
	if len(e.Keys) == 0 {
		return nil
	}
	return e
}
