package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"reconciler/internal/config"
	"reconciler/internal/git/signature"
	"reconciler/internal/git/source"
	"reconciler/internal/git/webhook"
	"reconciler/internal/reconcile"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// gitChecks are those of a repository, around that of the source; without a
// repository it is that one alone.
func (e *examination) gitChecks() []*check {
	if e.cfg == nil || e.cfg.Git == nil {
		return []*check{{name: "source", look: e.source}}
	}
	return []*check{
		{name: "git access", look: e.gitAccess},
		{name: "source", needs: []string{"git access"}, look: e.source},
		{name: "signatures", after: []string{"source"}, look: e.signatures},
		{name: "webhook", look: e.webhook},
		{name: "commit status", after: []string{"source"}, look: e.commitStatus},
	}
}

// soon is how long before its end a key or a certificate gets a warning.
const soon = 30 * 24 * time.Hour

// gitAccess checks all that is needed to sign in at the git server, before
// anything is fetched from it.
func (e *examination) gitAccess(ctx context.Context) Check {
	g := e.cfg.Git
	if source.LocalPath(g.URL) != "" {
		return fine("the repository is on this machine: no credentials are needed")
	}
	a := &g.Auth
	found := Check{Status: OK}
	if a.CAFile != "" { // which a GitHub App needs too
		if found = e.authorities(a.CAFile); found.Status == Failure {
			return found
		}
	}
	way, err := e.signIn(ctx, a)
	if err != nil {
		return e.trouble(ctx, err, e.forgeWire)
	}
	found.Message = strings.TrimSuffix(way+"; "+found.Message, "; ")
	return found
}

// signIn tries the credentials for the git server, as far as that can be done
// without the server, and returns what they are.
func (e *examination) signIn(ctx context.Context, a *config.GitAuth) (string, error) {
	switch {
	case a.GitHubApp != nil:
		app := a.GitHubApp
		if err := e.getAppToken(ctx); err != nil {
			if text.Hint(err) == "" && ctx.Err() == nil {
				err = text.WithHint(err, config.KeyGitHubApp+" takes the app's id, the installation's, and the private key (PEM) that GitHub made for the app")
			}
			return "", err
		}
		return fmt.Sprintf("a token was given to the GitHub App %s, installation %s", app.AppID, app.InstallationID), nil
	case a.SSHKeyFile != "":
		return sshKey(ctx, a)
	case a.Password.IsSet():
		if _, err := a.Password.Read(ctx); err != nil {
			return "", text.WithHint(err, "put the password or token there, or correct the path in the config")
		}
		return fmt.Sprintf("%s can be read", a.Password), nil
	}
	return "no credentials are configured", nil
}

// forge returns what carries calls to the API of the git server.
func (e *examination) forge() http.RoundTripper {
	if file := e.cfg.Git.Auth.CAFile; file != "" {
		return web.Transport(file)
	}
	return e.opts.Transport
}

// getAppToken gets a token of a GitHub App, which writes nothing.
func (e *examination) getAppToken(ctx context.Context) error {
	e.forgeWire = &recorder{base: e.forge()}
	app, err := reconcile.NewApp(e.cfg.Git, e.forgeWire, e.opts.Logger)
	if err == nil {
		_, err = app.Token(ctx)
	}
	return err
}

// sshKey reads the key as the source does, and names it by its fingerprint.
func sshKey(ctx context.Context, a *config.GitAuth) (string, error) {
	data, err := os.ReadFile(a.SSHKeyFile)
	if err != nil {
		return "", text.WithHint(fmt.Errorf(config.KeyGitSSHKeyFile+": %w", err), "put the private key there, or correct the path in the config")
	}
	if data, err = text.Decode(data); err != nil {
		return "", fmt.Errorf(config.KeyGitSSHKeyFile+": reading %q: %w", a.SSHKeyFile, err)
	}
	data = text.PEM(data)
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch isLocked := errors.As(err, &locked); {
	case isLocked && !a.SSHPassphrase.IsSet():
		return "", text.WithHint(fmt.Errorf("the SSH key %q needs a passphrase", a.SSHKeyFile), "set "+config.KeyGitSSHPassphrase+", or use a deploy key of its own without one")
	case isLocked:
		passphrase, err := a.SSHPassphrase.Read(ctx)
		if err != nil {
			return "", text.WithHint(err, "put the passphrase there, or correct the path in the config")
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(data, passphrase); err != nil {
			return "", text.WithHint(fmt.Errorf("the passphrase doesn't open the SSH key %q", a.SSHKeyFile), "\"ssh-keygen -y -f FILE\" asks for it and shows whether it is right")
		}
	case err != nil:
		return "", text.WithHint(fmt.Errorf("%q is no SSH private key that can be read", a.SSHKeyFile), "it takes what ssh-keygen writes: the private key, not the .pub file")
	}
	return fmt.Sprintf("%q can be used: %s", a.SSHKeyFile, ssh.FingerprintSHA256(signer.PublicKey())), nil
}

// authorities looks at the certificates that are trusted beside the system's.
func (e *examination) authorities(file string) Check {
	const hint = "it takes the authority's certificate in PEM (BEGIN CERTIFICATE)"
	data, err := os.ReadFile(file)
	if err != nil {
		return failed(fmt.Sprintf(config.KeyGitCAFile+": %v", err), "put the certificate there, or correct the path in the config")
	}
	if data, err = text.Decode(data); err != nil {
		return failed(fmt.Sprintf(config.KeyGitCAFile+": reading %q: %v", file, err), hint)
	}
	data = text.PEM(data)
	var old []string
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return failed(fmt.Sprintf(config.KeyGitCAFile+": %q holds something else than certificates", file), hint)
		}
		n++
		if c.NotAfter.Sub(e.opts.Now()) < soon {
			old = append(old, fmt.Sprintf("that of %q ends at %s", cmp.Or(c.Subject.CommonName, c.Subject.String()), stamp(c.NotAfter)))
		}
	}
	if n == 0 {
		return failed(fmt.Sprintf(config.KeyGitCAFile+": there is no certificate in %q", file), hint)
	}
	found := warnings(fine("%s of %q, trusted beside the system's", count(n, "certificate"), file), old)
	if len(old) > 0 {
		found.Hint = "put the authority's new certificate beside it"
	}
	return found
}

// signatures looks at the keys that may sign, and whether the newest commit is
// one that a run would use.
func (e *examination) signatures(ctx context.Context) Check {
	rules := e.cfg.Git.Verify
	if rules == nil {
		return fine("off: commits are used whoever made them")
	}
	data, err := os.ReadFile(rules.KeysFile)
	if err != nil {
		return failed(fmt.Sprintf(config.KeyGitVerifyKeys+": %v", err), "without the keys no commit is used: put the file there, or correct the path in the config")
	}
	keys, err := signature.Parse(rules.KeysFile, data)
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	ring := e.keyringOf(keys)
	words := "the newest commit is not known"
	if read := e.fetched.Load(); read != nil {
		if words, err = e.signed(ctx, read); err != nil {
			return e.trouble(ctx, err, nil)
		}
	}
	if !e.cfg.State.IsSet() && e.cfg.Git.Commit == "" {
		ring.remark("without "+config.KeyStateDir+" it isn't noticed when the branch was rewritten before a start", "set "+config.KeyStateDir+" in the config")
	}
	found := warnings(fine("%s; %s", words, ring), ring.remarks)
	found.Hint = ring.hint
	return found
}

// signed returns who signed the newest commit or tag, and how it relates to the
// one that was accepted last.
func (e *examination) signed(ctx context.Context, read *fetched) (string, error) {
	signer, last, err := read.from.Verify(ctx, read.Snapshot)
	if err != nil {
		return "", err
	}
	what := fmt.Sprintf("commit %.12s", read.Commit)
	if e.cfg.Git.Verify.Object == config.VerifyTag {
		what = fmt.Sprintf("tag %q", e.cfg.Git.Tag)
	}
	words := fmt.Sprintf("%s is signed by %s", what, signer)
	switch {
	case last.Commit == read.Commit:
		words += ", accepted at " + stamp(last.At)
	case last.Commit != "" && last.Commit == e.cfg.Git.Verify.AcceptRewriteOf:
		words += fmt.Sprintf(", and may do without %.12s, as "+config.KeyGitAcceptRewrite+" says", last.Commit)
	case last.Commit != "" && e.cfg.Git.Commit == "":
		words += fmt.Sprintf(", and contains %.12s, the last accepted one", last.Commit)
	}
	return words, nil
}

// keyring summarizes the allowed keys.
type keyring struct {
	ssh, pgp int
	remarks  []string
	hint     string // of the first remark
}

func (r *keyring) remark(text, hint string) {
	r.remarks = append(r.remarks, text)
	r.hint = cmp.Or(r.hint, hint)
}

// String counts the keys.
func (r *keyring) String() string {
	var parts []string
	if r.ssh > 0 {
		parts = append(parts, count(r.ssh, "SSH key"))
	}
	if r.pgp > 0 {
		parts = append(parts, count(r.pgp, "OpenPGP key"))
	}
	return "keysFile has " + strings.Join(parts, " and ")
}

// keyringOf looks for keys that are of no use, or soon won't be.
func (e *examination) keyringOf(keys *signature.Keys) *keyring {
	r := &keyring{}
	now := e.opts.Now()
	all := keys.List(now)
	useless := 0
	for _, k := range all {
		if k.Kind == "ssh" {
			r.ssh++
		} else {
			r.pgp++
		}
		switch {
		case k.Reason == signature.Expired && !k.Until.IsZero():
			useless++
			r.remark(fmt.Sprintf("the key of %s expired at %s", k.Signer, stamp(k.Until)), "take it out of the file, or put the extended key there")
		case k.Reason != "":
			useless++
			r.remark(fmt.Sprintf("the key of %s can't sign commits: %s", k.Signer, strings.ReplaceAll(string(k.Reason), "_", " ")), "take it out of the file, or put one there that can")
		case !k.Until.IsZero() && k.Until.Sub(now) < soon:
			r.remark(fmt.Sprintf("the key of %s expires at %s", k.Signer, stamp(k.Until)), "put the extended key, or its successor, into the file before")
		}
	}
	if useless == len(all) {
		r.remarks = append([]string{"no key is left that can sign, so no new commit will be used"}, r.remarks...)
	}
	return r
}

// webhook looks at the secret that pushes are announced with.
func (e *examination) webhook(ctx context.Context) Check {
	const minSecret = 16 // bytes, and better are 32
	g := e.cfg.Git
	if !g.Webhook.IsSet() {
		return fine("off: git is looked at on schedule only")
	}
	secret, err := g.Webhook.Read(ctx)
	if err != nil {
		return failed(text.JoinLines(err.Error()), "put the secret there that the git server has, or correct the path in the config")
	}
	if err := webhook.CheckSecret(secret); err != nil {
		return failed(fmt.Sprintf("%s: %v", g.Webhook, err), "copy GitLab's signing token in full, or choose another secret")
	}
	switch {
	case len(secret) < minSecret:
		return warned(fmt.Sprintf("%s has less than %d bytes, which can be guessed", g.Webhook, minSecret), "make a longer one, here and at the git server: openssl rand -hex 32")
	case g.Commit != "":
		return warned(config.KeyGitCommit+" never moves, so there is nothing that a push could announce", "follow a branch or a tag, or remove "+config.KeyGitWebhook)
	}
	found := fine("POST /hooks/git on %s, with the secret of %s", e.cfg.HTTP.Address, g.Webhook)
	if host, _, _ := net.SplitHostPort(e.cfg.HTTP.Address); host == "localhost" || net.ParseIP(host).IsLoopback() {
		found.Message += "; a proxy on this machine has to pass it on, with localhost as the Host"
	}
	return found
}

// commitStatus reads the status of the newest commit. Whether a token may write
// could only be found out by writing.
func (e *examination) commitStatus(ctx context.Context) Check {
	s := e.cfg.Git.Status
	if s == nil {
		return fine("off: nothing is reported on commits")
	}
	read := e.fetched.Load()
	if read == nil {
		return Check{Status: Skipped, Message: "needs source"}
	}
	commit := read.Commit
	wire := &recorder{base: e.forge()}
	client, err := reconcile.OpenForge(e.cfg, e.opts.Logger, wire)
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	last, err := client.LastStatus(ctx, commit, s.Name)
	if err != nil {
		found := e.trouble(ctx, err, wire)
		if found.Hint == "" && errors.Is(err, fs.ErrNotExist) {
			found.Hint = "put the token there, or correct the path in the config"
		}
		return found
	}
	said := "none yet"
	if last != nil {
		said = strings.TrimSuffix(fmt.Sprintf("%s: %s", last.State, last.Description), ": ")
	}
	return fine("%q of commit %.12s in %s is %s; whether the token may also write shows with the first report", s.Name, commit, s.Repository, said)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
