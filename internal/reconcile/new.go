package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/git/forge"
	"reconciler/internal/git/source"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
)

// New returns a Reconciler for a config. It opens no connection, no secret and no
// file. The error may be a *config.MissingError.
func New(cfg *config.Config, opts Options) (*Reconciler, error) {
	if err := cfg.NeedAerial(); err != nil {
		return nil, err
	}
	r := &Reconciler{
		cfg: cfg, environ: opts.Environ, log: opts.Logger, guards: guardsOf(cfg), base: opts.Transport,
	}
	if r.base == nil {
		r.base = aerial.BaseTransport(cfg.Aerial.Concurrency)
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.journal = journal.New(cfg.State.Dir, journal.Options{Logger: r.log})
	r.holder.rules = func() *freeze.Rules { return Holds(cfg, r.journal) }
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

// guardsOf returns the limits of the config, and the orgs in it that are never
// deactivated.
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
	r.verifier = verifier{cfg: r.cfg, journal: r.journal, git: opts, history: git.History}
	return nil
}

// gitOptions returns what the config says of its repository.
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
	}
	if c.Auth.GitHubApp != nil {
		token, err := appToken(c, source.Transport(c.Auth.CAFile), log)
		if err != nil {
			return opts, err
		}
		opts.Auth.Username, opts.Auth.Password = "x-access-token", token
	}
	return opts, nil
}

// appToken returns the source of tokens of the config's GitHub App, which are
// requested through send.
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

// secretText returns a secret as the packages below take it: nil if it is not set.
func secretText(s config.Secret) func(context.Context) (string, error) {
	if !s.IsSet() {
		return nil
	}
	return func(context.Context) (string, error) {
		data, err := s.Read()
		return string(data), err
	}
}

// gitName describes a place in a repository.
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

// OpenForge returns a client for the statuses of commits, as git.status of the
// config describes it, which the config must have. It sends by send; nil stands
// for what the config says of its git server. It opens no connection.
func OpenForge(cfg *config.Config, version string, log *slog.Logger, send http.RoundTripper) (*forge.Client, error) {
	if send == nil {
		send = source.Transport(cfg.Git.Auth.CAFile)
	}
	s := cfg.Git.Status
	token := secretText(s.Token)
	if token == nil {
		var err error
		if token, err = appToken(cfg.Git, send, log); err != nil {
			return nil, err
		}
	}
	client, err := forge.New(forge.Options{
		Provider:   s.Provider,
		URL:        s.URL,
		Repository: s.Repository,
		Token:      token,
		HTTP:       send,
		UserAgent:  "reconciler/" + version,
		Logger:     log,
	})
	if err != nil {
		return nil, fmt.Errorf("git.status: %w", err)
	}
	return client, nil
}

// parentsOf returns the names of the config's parents; never nil.
func parentsOf(cfg *config.Config) []string {
	names := make([]string, len(cfg.Parents))
	for i := range names {
		names[i] = cfg.Parents[i].Name
	}
	return names
}

// loadDesired reads the manifests of a snapshot, which may name these parents;
// nil for any. The error is a *RefusedError if they have mistakes.
func loadDesired(snap *source.Snapshot, parents []string) (*Desired, error) {
	desired, warnings, err := state.Load(
		[]state.Input{{FS: snap.FS, Root: snap.Root, Name: snap.Display(snap.Root)}},
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
