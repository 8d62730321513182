package deploytest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// buildProgram returns the program: the one that DEPLOYTEST_PROGRAM names, or a new one.
// It must be static, as the image has nothing else.
var buildProgram = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("DEPLOYTEST_PROGRAM"); path != "" {
		return path, nil
	}
	path := filepath.Join(programDir, "reconciler")
	build := exec.Command("go", "build", "-o", path, "./cmd/reconciler")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, nil
})

// programDir is where the program is built.
var programDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if programDir, err = os.MkdirTemp("", "deploytest-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(programDir)
		return m.Run()
	}())
}

func program(t *testing.T) string {
	t.Helper()
	path, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// command returns a command that knows nothing of this process's settings.
func command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NO_COLOR=1"}
	return cmd
}

// start starts a command, and has it ended with the test. What it says is shown if the
// test fails.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stderr = &out
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("%s ended with %v:\n%s", cmd.Args, err, out.String())
		}
	})
}

// okta is the simulator: the secrets for it, the config, and the manifests.
type okta struct {
	secrets map[string]string
	config  map[string]any
	orgs    string
}

// simulate starts the simulator, with few orgs.
func simulate(t *testing.T) okta {
	t.Helper()
	dir := t.TempDir()
	cmd := command(program(t), "simulate", "--listen", "127.0.0.1:0", "--orgs", "5", "--dir", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "# serving ") {
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	o := okta{secrets: map[string]string{}, orgs: read("orgs/orgs.yaml")}
	config := strings.ReplaceAll(read("reconciler.yaml"), dir+"/orgs", "/etc/reconciler/orgs")
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(config, dir, "/run/secrets")), &o.config); err != nil {
		t.Fatal(err)
	}
	o.config["manifests"] = "/etc/reconciler/orgs.yaml"
	for _, name := range []string{"aerial.pem", "orgs.pem", "parent.token"} {
		o.secrets[name] = read(name)
	}
	delete(o.config, "state")
	delete(o.config, "tokens")
	return o
}

// newToken adds a token for the daemon to the secrets, and returns it.
func (o *okta) newToken(t *testing.T) string {
	t.Helper()
	out, err := command(program(t), "token", "test", "--role", "viewer").Output()
	if err != nil {
		t.Fatal(err)
	}
	token, line, _ := strings.Cut(string(out), "\n")
	o.secrets["tokens.yaml"] = line
	o.config["http"] = map[string]any{"auth": map[string]any{"tokensFile": "/run/secrets/tokens.yaml"}}
	return token
}

// values are those of the chart.
func (o *okta) values(t *testing.T, env ...map[string]any) string {
	t.Helper()
	return toYAML(t, map[string]any{
		"config":  o.config,
		"files":   map[string]any{"orgs.yaml": o.orgs},
		"secrets": []any{map[string]any{"secret": map[string]any{"name": "reconciler"}}},
		"env":     env,
	})
}

// user is that of the image, and its group.
const user = 65532

// node stands in for the node on which a pod runs: it has a folder for each volume, and
// one for what is in the image.
type node struct {
	root    string
	secrets map[string]string
}

// newNode has the image in it: the program alone.
func newNode(t *testing.T, secrets map[string]string) *node {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a pod is started in a root folder of its own, which needs root")
	}
	n := &node{root: filepath.Join(t.TempDir(), "root"), secrets: secrets}
	data, err := os.ReadFile(program(t))
	if err != nil {
		t.Fatal(err)
	}
	n.folder(t, "/", 0o755, 0)
	n.file(t, "/reconciler", data, 0o755)
	return n
}

func (n *node) folder(t *testing.T, name string, mode os.FileMode, group int) {
	t.Helper()
	name = filepath.Join(n.root, name)
	if err := os.MkdirAll(name, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(name, 0, group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func (n *node) file(t *testing.T, name string, data []byte, mode os.FileMode) {
	t.Helper()
	name = filepath.Join(n.root, name)
	if err := os.WriteFile(name, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(name, 0, user); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// mount makes the folders of the pod's volumes, with owners and modes as the kubelet
// gives them to a pod with this fsGroup. What is mounted before is kept if it is to
// outlive the pod.
func (n *node) mount(t *testing.T, o *objects, container corev1.Container) {
	t.Helper()
	pod := o.template()
	for _, mount := range container.VolumeMounts {
		switch v := volume(pod, mount.Name); {
		case v.ConfigMap != nil:
			n.folder(t, mount.MountPath, 0o755, user)
			for name, text := range o.config.Data {
				n.file(t, filepath.Join(mount.MountPath, name), []byte(text), 0o644)
			}
		case v.Projected != nil:
			n.secret(t, mount.MountPath, os.FileMode(*v.Projected.DefaultMode))
		case v.Secret != nil:
			n.secret(t, mount.MountPath, os.FileMode(*v.Secret.DefaultMode))
		case v.EmptyDir != nil, v.PersistentVolumeClaim != nil:
			n.folder(t, mount.MountPath, os.ModeSetgid|0o775, user)
		default:
			t.Fatalf("a volume of an unknown kind: %v", v)
		}
	}
}

func (n *node) secret(t *testing.T, folder string, mode os.FileMode) {
	t.Helper()
	n.folder(t, folder, 0o755, user)
	for name, text := range n.secrets {
		n.file(t, filepath.Join(folder, name), []byte(text), mode)
	}
}

// run returns a container of the pod, to be started: as its user, without capabilities,
// and with the node's folder as its root, in which it can write to volumes alone.
func (n *node) run(t *testing.T, o *objects, container corev1.Container) *exec.Cmd {
	t.Helper()
	n.mount(t, o, container)
	pod := o.template().Spec
	context := pod.SecurityContext
	cmd := exec.Command("/reconciler", container.Args...)
	cmd.Dir = "/"
	cmd.Env = []string{"NO_COLOR=1"}
	for _, e := range container.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     n.root,
		Credential: &syscall.Credential{Uid: uint32(*context.RunAsUser), Gid: uint32(*context.RunAsGroup), Groups: []uint32{uint32(*context.FSGroup)}},
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// freeAddress returns an address of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// probe waits until the pod answers a probe as one that is well.
func probe(t *testing.T, address string, p *corev1.Probe) {
	t.Helper()
	if p.HTTPGet.Port != intstr.FromString("http") {
		t.Fatalf("the probe asks port %v", &p.HTTPGet.Port)
	}
	last := "no answer"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		code, text, err := get("http://"+address+p.HTTPGet.Path, "")
		if err == nil && code == http.StatusOK {
			return
		}
		if last = fmt.Sprintf("%d %s", code, text); err != nil {
			last = err.Error()
		}
	}
	t.Fatalf("%s: %s", p.HTTPGet.Path, last)
}

func get(url, token string) (code int, text string, err error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// drifts returns the domains of the orgs that the daemon says differ.
func drifts(t *testing.T, address, token string) []string {
	t.Helper()
	code, text, err := get("http://"+address+"/api/v1/drift", token)
	if err != nil || code != http.StatusOK {
		t.Fatalf("%d %s %v", code, text, err)
	}
	var list struct {
		Items []struct {
			Org string `json:"org"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	var orgs []string
	for _, item := range list.Items {
		orgs = append(orgs, item.Org)
	}
	return slices.Compact(orgs)
}

const drifting = "acme-amer-retail.okta.com"

// drifted returns manifests in which one org is declared to have less than it has.
func (o *okta) drifted(t *testing.T) string {
	t.Helper()
	entry := regexp.MustCompile(`(?s)(- domain: ` + regexp.QuoteMeta(drifting) + `\n.*?products: )\[[^]]*\]`)
	changed := entry.ReplaceAllString(o.orgs, "${1}[sso]")
	if changed == o.orgs {
		t.Fatalf("no %s in\n%s", drifting, o.orgs)
	}
	return changed
}

// A pod of the chart works with what it has: the image is the program alone, it runs as
// nobody, writes to its volumes alone, reads secrets by its group, and is ready with
// drift on its API and its page.
func TestPodOfChart(t *testing.T) {
	okta := simulate(t)
	token := okta.newToken(t)
	okta.orgs = okta.drifted(t)
	address := freeAddress(t)
	o := mustRender(t, okta.values(t, map[string]any{"name": "RECONCILER_HTTP_ADDRESS", "value": strings.Replace(address, "127.0.0.1", "", 1)}))
	n := newNode(t, okta.secrets)
	container := o.template().Spec.Containers[0]
	start(t, n.run(t, o, container))

	for _, p := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		probe(t, address, p)
	}
	if got := drifts(t, address, token); !slices.Equal(got, []string{drifting}) {
		t.Errorf("orgs that drift: %v", got)
	}
	if code, text, err := get("http://"+address+"/", token); err != nil || code != http.StatusOK || !strings.Contains(text, drifting) {
		t.Errorf("the page: %d %v", code, err)
	}
	if code, _, err := get("http://"+address+"/metrics", ""); err != nil || code != http.StatusUnauthorized {
		t.Errorf("metrics without a token: %d %v", code, err)
	}
	if code, text, err := get("http://"+address+"/metrics", token); err != nil || code != http.StatusOK || !strings.Contains(text, "reconciler_drift{") {
		t.Errorf("metrics: %d %v", code, err)
	}
	if info, err := os.Stat(filepath.Join(n.root, "var/lib/reconciler/state")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the state's folder: %v %v", info, err)
	}
}

// A job of the CronJob ends with what a run ends with, and the next one knows of it.
func TestPodOfCronJob(t *testing.T) {
	okta := simulate(t)
	okta.config["mode"] = "apply"
	okta.orgs = okta.drifted(t)
	n := newNode(t, okta.secrets)
	o := mustRender(t, with(t, okta.values(t), "cronJob: {enabled: true}"))
	for _, wanted := range []string{"applied=1", "result=in-sync"} {
		out, err := n.run(t, o, o.template().Spec.Containers[0]).CombinedOutput()
		if err != nil || !strings.Contains(string(out), wanted) {
			t.Fatalf("%v, want %s in\n%s", err, wanted, out)
		}
	}
}

// The commands of docs/install.md for a first look lead to what it says: the page, with
// an org that drifts, with the state in a volume and in PostgreSQL.
func TestFirstLook(t *testing.T) {
	created := documented(t, "kubectl create secret generic reconciler \\\n  --from-literal=postgres.url=")
	_, upgrade, _ := strings.Cut(created, "\n"+"helm upgrade")
	for name, command := range map[string]string{"volume": documented(t, "helm install demo"), "PostgreSQL": upgrade} {
		t.Run(name, func(t *testing.T) {
			values, secrets := documentedValues(t, command), map[string]string{}
			if name == "PostgreSQL" {
				secrets["postgres.url"] = database(t)
			}
			firstLook(t, values, secrets)
		})
	}
}

func firstLook(t *testing.T, values string, secrets map[string]string) {
	t.Helper()
	okta, address := freeAddress(t), freeAddress(t)
	values = strings.ReplaceAll(values, "127.0.0.1:9000", okta)
	values = strings.Replace(values, "@every 30s", "@every 1s", 1) // the first run finds no simulator yet
	values = with(t, values, "env: [{name: RECONCILER_HTTP_ADDRESS, value: '"+strings.Replace(address, "127.0.0.1", "", 1)+"'}]")
	o := mustRender(t, values)
	checkPod(t, o)
	if image := o.template().Spec.Containers[0].Image; image != "REGISTRY/reconciler:TAG" {
		t.Errorf("the image is %s", image)
	}
	n := newNode(t, secrets)
	for _, container := range append(o.template().Spec.InitContainers, o.template().Spec.Containers...) {
		start(t, n.run(t, o, container))
	}
	probe(t, address, o.template().Spec.Containers[0].ReadinessProbe)
	if code, text, err := get("http://"+address+"/", ""); err != nil || code != http.StatusOK || !strings.Contains(text, drifting) {
		t.Errorf("the page: %d %v", code, err)
	}
}
