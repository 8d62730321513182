package browsertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// world is the simulator, the repository of the manifests, an OpenID provider and two
// daemons on the same account: one that anyone on this machine may use, and one with
// sign-in.
type world struct {
	dir     string
	program string
	okta    *process
	oktaURL string
	repo    string
	// base is the simulator's config, with the manifests from git.
	base     string
	provider *provider
	// open and guarded are the daemons.
	open, guarded *daemon
}

// daemon is a running daemon.
type daemon struct {
	*process
	url    string
	config string
}

// newWorld starts everything. dir is removed by the caller.
func newWorld(ctx context.Context, dir string) (w *world, err error) {
	w = &world{dir: dir, program: filepath.Join(dir, "reconciler"), repo: filepath.Join(dir, "repo")}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	build := exec.CommandContext(ctx, "go", "build", "-o", w.program, "./cmd/reconciler")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return w, fmt.Errorf("building the program: %w\n%s", err, out)
	}
	if w.provider, err = startProvider(); err != nil {
		return w, err
	}
	if err := w.simulate(); err != nil {
		return w, err
	}
	if w.open, err = w.daemon("open", ""); err != nil {
		return w, err
	}
	secret := filepath.Join(dir, "oidc.secret")
	if err := os.WriteFile(secret, []byte(clientSecret), 0o600); err != nil {
		return w, err
	}
	auth := fmt.Sprintf(`, auth: {oidc: {issuer: '%s', clientID: %s, clientSecretFile: '%s', groups: {viewer: [okta-viewers], operator: [okta-operators]}}}`,
		w.provider.URL, clientID, secret)
	if w.guarded, err = w.daemon("guarded", auth); err != nil {
		return w, err
	}
	w.provider.allow(w.guarded.url + "/signin/callback")
	return w, errors.Join(w.open.ready(ctx), w.guarded.ready(ctx))
}

func (w *world) close() {
	for _, d := range []*daemon{w.open, w.guarded} {
		if d != nil {
			d.end()
		}
	}
	if w.okta != nil {
		w.okta.end()
	}
	if w.provider != nil {
		w.provider.Close()
	}
}

var clientLine = regexp.MustCompile(`access: \{clientID: (\w+)\}`)

// simulate starts the simulator, and commits the manifests of its fleet.
func (w *world) simulate() (err error) {
	file, dir := filepath.Join(w.dir, "seed.yaml"), filepath.Join(w.dir, "okta")
	if err := os.WriteFile(file, []byte(seed()), 0o600); err != nil {
		return err
	}
	w.okta, err = start(exec.Command(w.program, "simulate", "--seed", file, "--dir", dir, "--log-level", "error"), "# try:")
	if err != nil {
		return err
	}
	config, err := os.ReadFile(filepath.Join(dir, "reconciler.yaml"))
	if err != nil {
		return err
	}
	written, err := os.ReadFile(filepath.Join(dir, "orgs", "orgs.yaml"))
	if err != nil {
		return err
	}
	client := clientLine.FindSubmatch(written)
	url := regexp.MustCompile(`(?m)^  url: "(.*)"`).FindSubmatch(config)
	if client == nil || url == nil {
		return fmt.Errorf("the simulator wrote no client or URL:\n%s\n%.300s", config, written)
	}
	w.oktaURL = string(url[1])
	w.base = regexp.MustCompile(`(?m)^(manifests|tokens): .*\n`).ReplaceAllString(string(config), "") +
		"git: {url: '" + w.repo + "', path: orgs}\n"
	w.base = strings.Replace(w.base, "orgs:\n", "orgs:\n  every: 0s\n", 1)
	for name, text := range manifests(string(client[1])) {
		path := filepath.Join(w.repo, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return errors.Join(w.git("init", "-q", "-b", "main"), w.git("add", "."), w.git("commit", "-q", "-m", "The fleet"))
}

// git runs git in the repository of the manifests.
func (w *world) git(args ...string) error {
	cmd := exec.Command("git", append([]string{"-C", w.repo}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		cmd.Env = append(cmd.Env, "GIT_"+who+"_NAME=Ada Admin", "GIT_"+who+"_EMAIL=ada@acme.example", "GIT_"+who+"_DATE=2026-11-02T09:00:00Z")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// daemon starts a daemon with a state folder of its own. http is more of that part of
// the config.
func (w *world) daemon(name, http string) (*daemon, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	d := &daemon{url: "http://" + address, config: filepath.Join(w.dir, name+".yaml")}
	text := regexp.MustCompile(`state: \{dir: .*\}`).ReplaceAllString(w.base, fmt.Sprintf("state: {dir: '%s'}", filepath.Join(w.dir, name+"-state"))) +
		fmt.Sprintf("schedule: '@every 24h'\nmode: report\nhttp: {address: '%s', url: 'http://%s'%s}\n", address, address, http)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	d.process, err = start(exec.Command(w.program, "run", "--config", d.config), "msg=serving")
	return d, err
}

// ready waits until the first run succeeded.
func (d *daemon) ready(ctx context.Context) error {
	var last string
	for {
		resp, err := http.Get(d.url + "/readyz")
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		last = string(body)
		select {
		case <-ctx.Done():
			return fmt.Errorf("the daemon isn't ready: %s\n%s", last, d.output())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// runNow has the daemon run, and waits for the end of it.
func (w *world) runNow(ctx context.Context, d *daemon) error {
	out, err := exec.CommandContext(ctx, w.program, "reconcile", "--wait", "--config", d.config).CombinedOutput()
	if code := new(exec.ExitError); errors.As(err, &code) && code.ExitCode() == 4 {
		err = nil // some orgs can't be read, which is as it is in this fleet
	}
	if err != nil {
		return fmt.Errorf("reconcile: %w\n%s", err, out)
	}
	return nil
}

// changeZone is what another admin does: it sets the addresses of the zone Offices.
func (w *world) changeZone(ctx context.Context, domain, cidr string) error {
	base := w.oktaURL + "/org/" + domain + "/api/v1/zones"
	list, err := w.asAdmin(ctx, domain, http.MethodGet, base, "")
	if err != nil {
		return err
	}
	id := regexp.MustCompile(`"id":\s*"(\w+)"[^}]*"name":\s*"Offices"`).FindStringSubmatch(list)
	if id == nil {
		return fmt.Errorf("no zone Offices in %s: %s", domain, list)
	}
	_, err = w.asAdmin(ctx, domain, http.MethodPut, base+"/"+id[1],
		`{"type": "IP", "name": "Offices", "status": "ACTIVE", "usage": "POLICY", "gateways": [{"type": "CIDR", "value": "`+cidr+`"}]}`)
	return err
}

func (w *world) asAdmin(ctx context.Context, domain, method, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "SSWS "+adminToken(domain))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s\n%s", method, url, resp.Status, data)
	}
	return string(data), err
}

// process is a program that runs until the tests end.
type process struct {
	cmd *exec.Cmd

	mu  sync.Mutex
	out bytes.Buffer
	// sign is what tells that it serves, and begun is closed then; ended at its end.
	sign         string
	begun, ended chan struct{}
}

// start starts a program, and waits until its output contains a sign that it serves.
func start(cmd *exec.Cmd, sign string) (*process, error) {
	p := &process{cmd: cmd, sign: sign, begun: make(chan struct{}), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	select {
	case <-p.begun:
		return p, nil
	case <-p.ended:
	case <-time.After(patience):
	}
	_ = cmd.Process.Kill()
	return nil, fmt.Errorf("%s doesn't serve:\n%s", strings.Join(cmd.Args, " "), p.output())
}

// Write keeps what the program printed.
func (p *process) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Write(data)
	if p.sign != "" && strings.Contains(p.out.String(), p.sign) {
		p.sign = ""
		close(p.begun)
	}
	return len(data), nil
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// end kills the program.
func (p *process) end() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}
