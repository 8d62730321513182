package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// defaultRole is the role of service apps if neither flag nor config names one.
const defaultRole config.Role = "ORG_ADMIN"

// accessFlags are the flags of access.
type accessFlags struct {
	role, manifests, tokenFile string
	wait                       time.Duration
}

func (a *app) accessCommand() *cobra.Command {
	var flags accessFlags
	cmd := &cobra.Command{
		Use:   "access DOMAIN",
		Short: "Exchange the token of a new org for a service app in it",
		Long: `Make a service app in an org, signed in by the token that the org's creation left
in ` + config.KeyTokensDir + `: with the public half of ` + config.KeyOrgsPrivateKey + `,
an admin role, and the scopes of what the manifests declare for the org (of
everything that can be declared, if that is nothing). Print the line for the
org's manifest.

The org is asked first who it is. Each step is in the journal before the next: run
it again after a failure, and it continues; there is never a second app. Run it
again when more is declared, and the app gets the scopes that it lacks. The token
is kept.

Exit codes: 0 the service app works; 1 on errors; 3 writes to the org are held.`,
		Example: `  reconciler access acme-new.okta.com
  age -d -i key.txt acme-new.token.age | reconciler access acme-new.okta.com --token-file -`,
		Args: atMostOne("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the DOMAIN of an org")
			}
			if !state.ValidDomain(args[0]) {
				return fmt.Errorf("%q is no domain of an org: write it as in acme.okta.com", args[0])
			}
			return a.access(cmd.Context(), strings.ToLower(args[0]), &flags)
		},
	}
	cmd.Flags().StringVar(&flags.role, "role", "", "the app's admin `ROLE` (default: that of "+config.KeyOrgsBootstrap+", else "+string(defaultRole)+")")
	setValues(cmd.Flags(), "role", defaultRole.Values())
	cmd.Flags().StringVar(&flags.manifests, "manifests", "", "read manifests from the file or folder `PATH` instead of the config's")
	cmd.Flags().StringVar(&flags.tokenFile, "token-file", "", "read the API token of a super admin of the org from `FILE` (- for stdin)")
	addWait(cmd.Flags(), &flags.wait)
	return cmd
}

func (a *app) access(ctx context.Context, domain string, flags *accessFlags) error {
	logger, err := a.logger()
	if err != nil {
		return err
	}
	if roles := defaultRole.Values(); flags.role != "" && !slices.Contains(roles, flags.role) {
		return fmt.Errorf("--role %q: must be %s%s", flags.role, strictyaml.OneOf(roles), strictyaml.DidYouMean(flags.role, roles))
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	if err := cfg.NeedAccess(); err != nil {
		return err
	}
	req := reconcile.AccessRequest{Domain: domain, Role: cmp.Or(flags.role, string(cfg.Orgs.Bootstrap), string(defaultRole))}
	if req.Token, err = a.givenToken(flags.tokenFile); err != nil {
		return err
	}
	j := journal.New(reconcile.StateOf(cfg), journal.Options{Logger: logger, Commands: commandsOf("access")})
	defer j.Close()
	if req.Declared, err = a.declaredOrg(ctx, cfg, j, domain, flags.manifests); err != nil {
		return err
	}
	if req.Declared == nil || req.Declared.Config == nil || len(req.Declared.Config.Objects) == 0 {
		a.warn("no configuration is declared for " + domain + ": the service app gets the scopes of everything that can be declared")
	}
	in, err := reconcile.OpenAccess(cfg, j, reconcile.AccessOptions{Environ: a.environ, Logger: logger})
	if err != nil {
		return err
	}
	var clientID string
	err = a.locked(ctx, j, flags.wait, func(ctx context.Context, w *journal.Writer) error {
		clientID, err = in.Obtain(ctx, w, req)
		return err
	})
	a.recordAction(cfg, accessEntry(domain, clientID, err))
	var held *reconcile.HeldError
	switch {
	case errors.As(err, &held):
		return refused{withHint(held.Error(), `"reconciler suspend --list" shows what is suspended`)}
	case errors.Is(err, reconcile.ErrNoToken):
		return withHint(fmt.Sprintf("no token of %s is stored where this program can read it", domain),
			"let a super admin of the org make one (Admin Console: Security, API, Tokens), and give it with --token-file")
	case err != nil:
		if errors.Is(err, errors.ErrUnsupported) {
			return text.WithHint(err, text.Hint(err)+", and give it with --token-file -")
		}
		return err
	}
	_, err = fmt.Fprintf(a.out, "access: {clientID: %s}\n", clientID)
	return err
}

// accessEntry returns what the history has of making a service app.
func accessEntry(domain, clientID string, err error) history.Entry {
	e := history.Entry{Org: domain, Action: "access", Outcome: "applied", Reason: "service app " + clientID}
	if err != nil {
		e.Outcome, e.Reason, e.Error = "failed", "", text.JoinLines(err.Error())
	}
	return e
}

// givenToken returns what returns the token in a file; nil if none is named.
func (a *app) givenToken(path string) (func() (string, error), error) {
	const maxToken = 64 << 10
	if path == "" {
		return nil, nil
	}
	in, name := io.Reader(a.in), "stdin"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		defer f.Close()
		in, name = f, path
	}
	data, err := io.ReadAll(io.LimitReader(in, maxToken))
	if err == nil {
		data, err = text.Decode(data)
	}
	token := strings.TrimSpace(string(data))
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("--token-file: %s: %w", name, err)
	}
	return func() (string, error) { return token, nil }, nil
}

// declaredOrg returns the org as the manifests declare it; nil if they don't, or if
// neither config nor path names any.
func (a *app) declaredOrg(ctx context.Context, cfg *config.Config, j *journal.Journal, domain, path string) (*state.DesiredOrg, error) {
	logger, err := a.logger()
	if err != nil {
		return nil, err
	}
	src, err := reconcile.OpenSource(cfg, path, j, logger)
	if errors.As(err, new(*config.MissingError)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	snap, err := src.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	if _, _, err := src.Verify(ctx, snap); err != nil {
		return nil, err
	}
	desired, err := reconcile.LoadDesired(snap, reconcile.LoadOptions(cfg))
	if err != nil {
		return nil, err
	}
	for i := range desired.State.Orgs {
		if o := &desired.State.Orgs[i]; o.Domain == domain {
			return o, nil
		}
	}
	return nil, nil
}
