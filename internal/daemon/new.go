package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/git/forge"
	"reconciler/internal/git/source"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/auth"
	"reconciler/internal/state"
	"reconciler/internal/web"
)

// New puts together what the config describes. It opens no connection and no
// secret. The error may be a *config.MissingError.
func New(cfg *config.Config, opts Options) (*Reconciler, error) {
	if err := cfg.NeedAerial(); err != nil {
		return nil, err
	}
	return build(cfg, opts, aerial.BaseTransport(cfg.Aerial.Concurrency))
}

// build is New with a transport of the caller's for all that goes to Okta.
func build(cfg *config.Config, opts Options, base http.RoundTripper) (*Reconciler, error) {
	r := &Reconciler{
		cfg: cfg, environ: opts.Environ, log: opts.Logger, guards: guardsOf(cfg), base: base,
		held: newHolder(cfg),
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if !opts.NoManifests {
		if err := r.setSource(opts.Manifests); err != nil {
			return nil, err
		}
	}
	if err := r.setClients(opts.Observer); err != nil {
		return nil, err
	}
	return r, nil
}

// guardsOf gives the limits of the config, and the orgs that it names and that
// are never deactivated.
func guardsOf(cfg *config.Config) diff.Guards {
	g := diff.Guards{
		MaxDestructiveOrgs:    cfg.Guards.MaxDestructiveOrgs,
		MaxDestructivePercent: cfg.Guards.MaxDestructivePercent,
		AerialDomain:          config.OktaDomain(cfg.Aerial.Auth.OrgURL),
		UnknownAerial:         cfg.Aerial.Unknown(),
	}
	for i := range cfg.Parents {
		switch p := &cfg.Parents[i]; {
		case p.Domain != "":
			g.ParentDomains = append(g.ParentDomains, p.Domain)
		case p.Unknown():
			g.UnknownParents = append(g.UnknownParents, p.Name)
		}
	}
	return g
}

// setSource decides where manifests are read from: the given file or folder,
// else what the config says.
func (r *Reconciler) setSource(manifests string) error {
	if manifests == "" {
		if err := r.cfg.NeedSource(); err != nil {
			return err
		}
		manifests = r.cfg.Manifests
	}
	if manifests != "" {
		r.source = manifests
		r.fetch = func(context.Context) (*source.Snapshot, error) { return source.Local(manifests) }
		return nil
	}
	c := r.cfg.Git
	opts, err := gitOptions(c, r.log)
	if err != nil {
		return err
	}
	git, err := source.NewGit(opts)
	if err != nil {
		return err
	}
	r.source, r.fetch = gitName(c), git.Fetch
	r.verifier = verifier{cfg: r.cfg, git: opts, history: git.History, log: r.log}
	return nil
}

// gitOptions gives what the config says of its repository.
func gitOptions(c *config.Git, log *slog.Logger) (source.GitOptions, error) {
	opts := source.GitOptions{
		URL:    c.URL,
		Branch: c.Branch,
		Tag:    c.Tag,
		Commit: c.Commit,
		Path:   c.Path,
		Auth: source.Auth{
			Username:       c.Auth.Username,
			Password:       secretText(c.Auth.Password),
			CAFile:         c.Auth.CAFile,
			SSHKeyFile:     c.Auth.SSHKeyFile,
			SSHPassphrase:  secretText(c.Auth.SSHPassphrase),
			KnownHostsFile: c.Auth.KnownHostsFile,
		},
		Logger: log,
		Names: source.Names{
			URL:            config.KeyGitURL,
			Path:           config.KeyGitPath,
			Username:       config.KeyGitUsername,
			Password:       config.KeyGitPasswordFile,
			CAFile:         config.KeyGitCAFile,
			SSHKeyFile:     config.KeyGitSSHKeyFile,
			SSHPassphrase:  config.KeyGitSSHPassphrase,
			KnownHostsFile: config.KeyGitKnownHostsFile,
		},
	}
	if c.Auth.GitHubApp != nil {
		token, err := appToken(c, web.Transport(c.Auth.CAFile), log)
		if err != nil {
			return opts, err
		}
		opts.Auth.Username, opts.Auth.Password = "x-access-token", token
	}
	return opts, nil
}

// appToken gives tokens of the config's GitHub App, which are asked for through
// send.
func appToken(c *config.Git, send http.RoundTripper, log *slog.Logger) (func(context.Context) (string, error), error) {
	app := c.Auth.GitHubApp
	return forge.AppToken(forge.AppOptions{
		URL:            app.URL,
		AppID:          app.AppID,
		InstallationID: app.InstallationID,
		Key:            app.PrivateKey.Read,
		HTTP:           send,
		Logger:         log,
	})
}

// secretText gives a secret as the packages below take it: nil where it is not set.
func secretText(s config.Secret) func(context.Context) (string, error) {
	if !s.IsSet() {
		return nil
	}
	return func(context.Context) (string, error) {
		data, err := s.Read()
		return string(data), err
	}
}

// gitName names a place in a repository, for people.
func gitName(g *config.Git) string {
	name := g.URL
	switch {
	case g.Tag != "":
		name += ", tag " + g.Tag
	case g.Commit != "":
		name += ", commit " + g.Commit
	default:
		name += ", branch " + g.Branch
	}
	if g.Path != "" {
		name += ", path " + g.Path
	}
	return name
}

// setClients makes the client that reads, and the way to one that writes. Both
// share the service app, connections, retry budget and the limit on calls.
func (r *Reconciler) setClients(observer aerial.Observer) error {
	a := &r.cfg.Aerial
	tokens, err := auth.New(auth.Options{
		OrgURL:   a.Auth.OrgURL,
		ClientID: a.Auth.ClientID,
		KeyID:    a.Auth.KeyID,
		Key:      privateKey(a.Auth.PrivateKey),
		DPoP:     a.Auth.DPoP,
		HTTP:     r.base,
		Timeout:  a.Timeout,
		Logger:   r.log,
	})
	if err != nil {
		return err
	}
	as := func(scope string) func(http.RoundTripper) http.RoundTripper {
		return func(base http.RoundTripper) http.RoundTripper { return tokens.Transport(base, a.URL, scope) }
	}
	reading, err := aerial.New(aerial.Options{
		URL:         a.URL,
		AccountID:   a.AccountID,
		Transport:   r.base,
		Auth:        as(scopeRead),
		Concurrency: a.Concurrency,
		Timeout:     a.Timeout,
		Logger:      r.log,
		Observer:    observer,
	})
	if err != nil {
		return err
	}
	r.read = reading
	r.writer = func() writer { return reading.As(as(scopeManage)) }
	return nil
}

func privateKey(s config.Secret) func() (auth.Key, error) {
	return func() (auth.Key, error) {
		data, err := s.Read()
		if err != nil {
			return auth.Key{}, err
		}
		key, err := auth.ParsePrivateKey(data)
		if err != nil {
			return auth.Key{}, fmt.Errorf("%s: %w", s, err)
		}
		return key, nil
	}
}

// parentsOf gives the names of the config's parents; never nil.
func parentsOf(cfg *config.Config) []string {
	names := make([]string, len(cfg.Parents))
	for i := range names {
		names[i] = cfg.Parents[i].Name
	}
	return names
}

// loadDesired reads the manifests of a snapshot, which may name these parents;
// nil for any. A mistake in them is a *RefusedError.
func loadDesired(snap *source.Snapshot, parents []string) (*Desired, error) {
	desired, warnings, err := state.Load(
		[]state.Input{{FS: snap.FS, Root: snap.Root, Files: snap.Files, Name: snap.Display(snap.Root)}},
		state.LoadOptions{Parents: parents},
	)
	if err != nil {
		return nil, &RefusedError{snap.Commit, err}
	}
	d := &Desired{State: desired, Commit: snap.Commit, snap: snap}
	for _, w := range warnings {
		d.Warnings = append(d.Warnings, w.String())
	}
	return d, nil
}
