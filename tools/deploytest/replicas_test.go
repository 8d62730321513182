package deploytest

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/strvals"

	"reconciler/internal/store/postgres/postgrestest"
)

// database starts PostgreSQL, and returns the URL that leads pods to it: they see no
// socket of this machine.
func database(t *testing.T) string {
	t.Helper()
	socket := postgrestest.Start(t).Socket
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go forward(in, socket)
		}
	}()
	return "postgres://postgres@" + l.Addr().String() + "/postgres?sslmode=disable"
}

// forward has a connection go on to a socket, until one side ends it.
func forward(in net.Conn, socket string) {
	defer in.Close()
	out, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, in)
		out.Close()
	}()
	_, _ = io.Copy(in, out)
}

// replica is a pod that runs.
type replica struct {
	address string
	cmd     *exec.Cmd
}

// newReplica starts a pod on a node of its own, at an address of its own.
func newReplica(t *testing.T, o *objects, secrets map[string]string) *replica {
	t.Helper()
	r := &replica{address: freeAddress(t)}
	r.cmd = newNode(t, secrets).run(t, o, o.template().Spec.Containers[0])
	r.cmd.Env = append(r.cmd.Env, "RECONCILER_HTTP_ADDRESS="+strings.Replace(r.address, "127.0.0.1", "", 1))
	start(t, r.cmd)
	return r
}

// leads reports whether the replica is the one that leads.
func (r *replica) leads(t *testing.T, token string) bool {
	t.Helper()
	code, text, err := get("http://"+r.address+"/api/v1/status", token)
	if err != nil || code != http.StatusOK {
		t.Fatalf("%d %s %v", code, text, err)
	}
	var status struct {
		State string `json:"state"`
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	return status.State != "standby"
}

// shows checks that a replica answers page and API with the org that drifts.
func (r *replica) shows(t *testing.T, token string) {
	t.Helper()
	if got := drifts(t, r.address, token); !slices.Equal(got, []string{drifting}) {
		t.Errorf("orgs that drift: %v", got)
	}
	if code, text, err := get("http://"+r.address+"/", token); err != nil || code != http.StatusOK || !strings.Contains(text, drifting) {
		t.Errorf("the page: %d %v", code, err)
	}
}

// Two pods with their state in PostgreSQL and no volume: both are ready and show the org
// that drifts, one of them leads, and the other one takes over from it.
func TestReplicas(t *testing.T) {
	okta := simulate(t)
	token := okta.newToken(t)
	okta.orgs = okta.drifted(t)
	own := map[string]string{
		"own/reconciler.yaml": toYAML(t, okta.config),
		"own/orgs.yaml":       okta.orgs,
		"own/kustomization.yaml": `resources: [../deploy/overlays/replicas]
configMapGenerator: [{name: reconciler, behavior: replace, files: [reconciler.yaml, orgs.yaml]}]
`,
	}
	values := with(t, okta.values(t), "{replicas: 2, persistence: {enabled: false}, config: {state: {postgres: {urlFile: /run/secrets/postgres.url}}}}")
	for how, o := range map[string]*objects{"chart": mustRender(t, values), "kustomize": build(t, "own", own)} {
		t.Run(how, func(t *testing.T) {
			okta.secrets["postgres.url"] = database(t)
			var replicas []*replica
			for range *o.deployment.Spec.Replicas {
				replicas = append(replicas, newReplica(t, o, okta.secrets))
			}
			for _, r := range replicas {
				probe(t, r.address, o.template().Spec.Containers[0].ReadinessProbe)
				r.shows(t, token)
			}
			leader := slices.IndexFunc(replicas, func(r *replica) bool { return r.leads(t, token) })
			if leader < 0 {
				t.Fatal("no replica leads")
			}
			other := replicas[1-leader]
			if other.leads(t, token) {
				t.Fatal("two replicas lead")
			}

			if err := replicas[leader].cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			for killed := time.Now(); !other.leads(t, token); time.Sleep(50 * time.Millisecond) {
				if time.Since(killed) > 15*time.Second {
					t.Fatal("nobody takes over")
				}
			}
			probe(t, other.address, o.template().Spec.Containers[0].ReadinessProbe)
			other.shows(t, token)
		})
	}
}

// documented returns the block of code in docs/install.md that begins with a text.
func documented(t *testing.T, begins string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```\n"+begins)
	if !found {
		t.Fatalf("docs/install.md has no %q", begins)
	}
	block, _, _ = strings.Cut(begins+block, "\n```")
	return block
}

// settings are the arguments of --set in a command.
var settings = regexp.MustCompile(`--set\s+'?([^'\s]+)`)

// documentedValues returns the values that a command of docs/install.md hands to Helm:
// those of deploy/helm/simulator.yaml, and its settings.
func documentedValues(t *testing.T, command string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/helm/simulator.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := settings.FindAllStringSubmatch(command, -1)
	if !strings.Contains(command, " deploy/helm/reconciler -f deploy/helm/simulator.yaml ") || len(all) == 0 {
		t.Fatalf("another command: %s", command)
	}
	set := map[string]any{}
	for _, setting := range all {
		if err := strvals.ParseInto(setting[1], set); err != nil {
			t.Fatal(err)
		}
	}
	return with(t, string(text), toYAML(t, set))
}
