package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"reconciler/internal/config"
	"reconciler/internal/git/forge"
	"reconciler/internal/git/source"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/web"
)

// Source is a place that manifests are read from.
type Source struct {
	// Name describes the place, without credentials.
	Name string
	// Fetch reads what is there now.
	Fetch func(context.Context) (*source.Snapshot, error)

	verifier verifier
}

// OpenSource returns the place of the given file or folder, or else the one that
// the config names. It opens no connection. The error may be a
// *config.MissingError.
func OpenSource(cfg *config.Config, manifests string, j *journal.Journal, log *slog.Logger) (*Source, error) {
	if manifests == "" {
		if err := cfg.NeedSource(); err != nil {
			return nil, err
		}
		manifests = cfg.Manifests
	}
	if manifests != "" {
		fetch := func(context.Context) (*source.Snapshot, error) { return source.Local(manifests) }
		return &Source{Name: manifests, Fetch: fetch}, nil
	}
	opts, err := gitOptions(cfg.Git, log)
	if err != nil {
		return nil, err
	}
	git, err := source.NewGit(opts)
	if err != nil {
		return nil, err
	}
	return &Source{gitName(cfg.Git), git.Fetch, verifier{cfg: cfg, journal: j, git: opts, history: git.History}}, nil
}

// Verify checks a snapshot as each run does, and records nothing. It returns who
// signed it, "" where the config wants no signature, and what was accepted last,
// which is the zero Acceptance if that isn't known. The error says why the commit
// must not be used, or why it can't be checked.
func (s *Source) Verify(ctx context.Context, snap *source.Snapshot) (signer string, last journal.Acceptance, err error) {
	v := &s.verifier
	if v.rules() == nil {
		return "", last, nil
	}
	b, err := v.baseline()
	if err == nil {
		signer, err = v.check(ctx, snap)
	}
	return signer, b.last, err
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
		Logger: log,
	}
	opts.Auth.Refused = whenRefused(c.Auth.Password)
	if c.Auth.GitHubApp != nil {
		app, err := NewApp(c, web.Transport(c.Auth.CAFile), log)
		if err != nil {
			return opts, err
		}
		opts.Auth.Username, opts.Auth.Password, opts.Auth.Refused = "x-access-token", app.Token, app.Refused
	}
	return opts, nil
}

// NewApp returns the config's GitHub App, whose tokens are requested through send.
func NewApp(c *config.Git, send http.RoundTripper, log *slog.Logger) (*forge.App, error) {
	app := c.Auth.GitHubApp
	opts := forge.AppOptions{
		URL:            app.URL,
		AppID:          app.AppID,
		InstallationID: app.InstallationID,
		Key:            app.PrivateKey.Read,
		HTTP:           send,
		Logger:         log,
	}
	if s := app.PrivateKey.Signer(); s != nil {
		opts.Sign = func(ctx context.Context, input []byte) ([]byte, error) {
			key, err := remoteKey(s)
			if err != nil {
				return nil, err
			}
			if key.Algorithm != "RS256" {
				return nil, fmt.Errorf("%s: it is for %s, and GitHub takes RS256 alone", s.PublicName(), key.Algorithm)
			}
			return key.Sign(ctx, input)
		}
	}
	return forge.NewApp(opts)
}

// secretText returns a secret as the packages below take it: nil if it is not set.
func secretText(s config.Secret) func(context.Context) (string, error) {
	if !s.IsSet() {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		data, err := s.Read(ctx)
		return string(data), err
	}
}

// whenRefused returns what is called when a server refuses a secret, which is then read
// once more: nil where that would be the same one.
func whenRefused(s config.Secret) func(string) {
	if !s.IsPrinted() {
		return nil
	}
	return func(string) { s.Refused() }
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
func OpenForge(cfg *config.Config, log *slog.Logger, send http.RoundTripper) (*forge.Client, error) {
	if send == nil {
		send = web.Transport(cfg.Git.Auth.CAFile)
	}
	s := cfg.Git.Status
	token, refused := secretText(s.Token), whenRefused(s.Token)
	if token == nil {
		app, err := NewApp(cfg.Git, send, log)
		if err != nil {
			return nil, err
		}
		token, refused = app.Token, app.Refused
	}
	client, err := forge.New(forge.Options{
		Provider:   s.Provider,
		URL:        s.URL,
		Repository: s.Repository,
		Token:      token,
		Refused:    refused,
		HTTP:       send,
		Logger:     log,
	})
	if err != nil {
		return nil, fmt.Errorf(config.KeyGitStatus+": %w", err)
	}
	return client, nil
}

// LoadOptions returns what manifests may refer to of the config.
func LoadOptions(cfg *config.Config) state.LoadOptions {
	return state.LoadOptions{Parents: parentDomains(cfg)}
}

// parentDomains returns the domains of the config's parents by their names; never
// nil.
func parentDomains(cfg *config.Config) map[string]string {
	domains := map[string]string{}
	for i := range cfg.Parents {
		domains[cfg.Parents[i].Name] = cfg.Parents[i].Domain
	}
	return domains
}

// LoadDesired reads the manifests of a snapshot. The error is a *RefusedError if
// they have mistakes.
func LoadDesired(snap *source.Snapshot, opts state.LoadOptions) (*Desired, error) {
	desired, warnings, err := state.Load(
		[]state.Input{{FS: snap.FS, Root: snap.Root, Files: snap.Files, Name: snap.Display(snap.Root)}}, opts)
	if err != nil {
		return nil, &RefusedError{snap.Commit, err}
	}
	d := &Desired{State: desired, Commit: snap.Commit, snap: snap}
	for _, w := range warnings {
		d.Warnings = append(d.Warnings, w.String())
	}
	return d, nil
}
