package doctor

import (
	"context"
	"fmt"
	"strings"

	"reconciler/internal/config"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/text"
)

// users looks at who may use the daemon's endpoints, and asks the OpenID provider what it
// says of itself.
func (e *examination) users(ctx context.Context) Check {
	h := &e.cfg.HTTP
	if err := h.CheckAuth(); err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	if h.Auth.None {
		if h.OnLoopback() && h.URL == nil {
			return fine("nobody signs in: whoever is on this machine is an operator")
		}
		return warned("nobody signs in: whoever reaches the daemon sees every org, every change and who made it", "set "+config.KeyHTTPTokensFile+" or "+config.KeyHTTPOIDC)
	}
	var ways []string
	if h.Auth.TokensFile != "" {
		entries, err := signin.ReadTokens(h.Auth.TokensFile)
		if err != nil {
			return mistakes(err)
		}
		ways = append(ways, count(len(entries), "token"))
	}
	o := h.Auth.OIDC
	if o == nil {
		found := fine("%s", ways[0])
		if ways[0] == count(0, "token") {
			found = warned("no token yet: nobody can use the daemon", `"reconciler token" makes one`)
		}
		return found
	}
	if _, err := o.ClientSecret.Read(ctx); err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	provider, err := signin.Discover(ctx, o, e.opts.Transport)
	if err != nil {
		return e.trouble(ctx, err, nil)
	}
	redirect := "the address under which the daemon is asked for on this machine, with " + signin.CallbackPath
	if h.URL != nil {
		redirect = h.URL.String() + signin.CallbackPath
	}
	found := fine("%s", strings.Join(append(ways, fmt.Sprintf("sign-in at %s, redirect URI %s", o.Issuer, redirect)), "; "))
	if !provider.GroupsScope {
		found = warnings(found, []string{"the provider doesn't name the scope groups: its application has to send the claim groups by itself"})
	}
	return found
}
