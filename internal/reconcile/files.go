package reconcile

import (
	"context"
	"fmt"
	"os"

	"reconciler/internal/config"
	"reconciler/internal/web"
)

// CheckFiles reads all files that a config names, such as keys, secrets and
// certificates, runs the programs that print secrets, and returns the first mistake. Each of them is read again when it is
// needed.
func CheckFiles(ctx context.Context, cfg *config.Config) error {
	if _, err := ReadKey(ctx, cfg.Aerial.Auth.PrivateKey); err != nil {
		return err
	}
	for i := range cfg.Parents {
		if err := checkAuth(ctx, &cfg.Parents[i].Auth); err != nil {
			return fmt.Errorf("parents: %q: %w", cfg.Parents[i].Name, err)
		}
	}
	if err := checkOrgsKey(ctx, &cfg.Orgs.Auth); err != nil {
		return err
	}
	if cfg.Manifests != "" {
		if _, err := os.Stat(cfg.Manifests); err != nil {
			return fmt.Errorf(config.KeyManifests+": %w", err)
		}
	}
	if cfg.Git != nil {
		return checkGitFiles(ctx, cfg.Git)
	}
	return nil
}

// checkOrgsKey reads the key of the service apps in the orgs. Where each org has one of
// its own, it is not known here which, and only their folder is looked at.
func checkOrgsKey(ctx context.Context, a *config.OrgsAuth) error {
	if folder := a.Folder(); folder != "" {
		if _, err := os.ReadDir(folder); err != nil {
			return fmt.Errorf(config.KeyOrgsPrivateKey+": %w", err)
		}
		return nil
	}
	if key := a.PrivateKey(""); key.IsSet() && !a.PerOrg() {
		_, err := ReadKey(ctx, key)
		return err
	}
	return nil
}

// checkAuth reads a parent's API token, or the key of its service app.
func checkAuth(ctx context.Context, a *config.Auth) error {
	if a.Token.IsSet() {
		_, err := a.Token.Read(ctx)
		return err
	}
	_, err := ReadKey(ctx, a.PrivateKey)
	return err
}

// checkAppKey reads the key of a GitHub App, or the public one where a program signs.
func checkAppKey(ctx context.Context, k config.Key) error {
	if s := k.Signer(); s != nil {
		_, err := remoteKey(s)
		return err
	}
	_, err := k.Read(ctx)
	return err
}

func checkGitFiles(ctx context.Context, git *config.Git) error {
	secrets := []config.Secret{git.Auth.Password, git.Auth.SSHPassphrase, git.Webhook}
	if app := git.Auth.GitHubApp; app != nil {
		if err := checkAppKey(ctx, app.PrivateKey); err != nil {
			return err
		}
	}
	if git.Status != nil {
		secrets = append(secrets, git.Status.Token)
	}
	for _, s := range secrets {
		if !s.IsSet() {
			continue
		}
		if _, err := s.Read(ctx); err != nil {
			return err
		}
	}
	for _, f := range [][2]string{
		{config.KeyGitSSHKeyFile, git.Auth.SSHKeyFile}, {config.KeyGitKnownHostsFile, git.Auth.KnownHostsFile},
	} {
		if f[1] == "" {
			continue
		}
		if _, err := os.ReadFile(f[1]); err != nil {
			return fmt.Errorf("%s: %w", f[0], err)
		}
	}
	if _, err := web.CertPool(git.Auth.CAFile); err != nil {
		return fmt.Errorf(config.KeyGitCAFile+": %w", err)
	}
	if git.Verify == nil {
		return nil
	}
	_, err := readKeys(git.Verify.KeysFile)
	return err
}
