package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"reconciler/internal/text"
)

// CanBecome returns why a daemon that runs with c can't take up next in its place;
// nil if it can. What a process is built on stays as it is until it ends: the
// account, the journal, the place of tokens, and the address that it listens on.
func (c *Config) CanBecome(next *Config) error {
	var keys []string
	for _, fixed := range []struct {
		key  string
		same bool
	}{
		{KeyAerialAccountID, c.Aerial.AccountID == next.Aerial.AccountID},
		{KeyTokensDir, c.Tokens.Dir == next.Tokens.Dir},
		{KeyTokensRecipients, c.Tokens.RecipientsFile == next.Tokens.RecipientsFile},
		{KeyTokensCommand, c.Tokens.Command == next.Tokens.Command},
		{KeyStateDir, c.State.Dir == next.State.Dir},
		{KeyStatePostgres, c.State.Postgres.same(next.State.Postgres)},
		{KeyStateRetention, c.State.Retention == next.State.Retention},
		{KeyHTTPAddress, c.HTTP.Address == next.HTTP.Address},
	} {
		if !fixed.same {
			keys = append(keys, fixed.key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return text.WithHint(fmt.Errorf("a running daemon can't change %s", strings.Join(keys, ", ")),
		"restart it for that, or put back the old value to have the other changes taken up")
}

// SameManifests reports whether manifests that were read with c may be used with
// next: both take them from the same place, by the same rules, which the parents'
// domains belong to.
func (c *Config) SameManifests(next *Config) bool {
	sameParent := func(a, b Parent) bool { return a.Name == b.Name && a.Domain == b.Domain }
	return c.Manifests == next.Manifests && c.Git.sameManifests(next.Git) && slices.EqualFunc(c.Parents, next.Parents, sameParent)
}

// sameManifests is SameManifests for git alone: who announces a push, and who is told
// of a result, changes nothing of what is read.
func (g *Git) sameManifests(next *Git) bool {
	if g == nil || next == nil {
		return g == next
	}
	read := func(g Git) Git {
		g.Webhook, g.Status = Secret{}, nil
		g.Auth = g.Auth.declared()
		return g
	}
	return reflect.DeepEqual(read(*g), read(*next))
}

// declared returns the credentials without what is kept of them, to be compared.
func (a GitAuth) declared() GitAuth {
	a.Password, a.SSHPassphrase = a.Password.declared(), a.SSHPassphrase.declared()
	if a.GitHubApp != nil {
		app := *a.GitHubApp
		app.PrivateKey = app.PrivateKey.declared()
		a.GitHubApp = &app
	}
	return a
}
