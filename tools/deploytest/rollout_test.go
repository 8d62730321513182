package deploytest

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"
)

func toYAML(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Another config makes other pods, and so do other files beside it; what concerns no
// pod doesn't.
func TestConfigRollsPods(t *testing.T) {
	single := readValues(t, "single")
	before := mustRender(t, single).deployment.Spec
	for values, rolls := range map[string]bool{
		"config: {mode: apply}":                          true,
		"config: {git: {branch: release}}":               true,
		"files: {known_hosts: x}":                        true,
		"service: {port: 80}":                            false,
		"networkPolicy: {okta: {cidrs: [192.0.2.0/24]}}": false,
	} {
		after := mustRender(t, with(t, single, values)).deployment.Spec
		if got := !reflect.DeepEqual(before.Template, after.Template); got != rolls {
			t.Errorf("with %s pods are replaced: %v", values, got)
		}
		if diff := cmp.Diff(before.Selector, after.Selector); diff != "" {
			t.Errorf("with %s the selector changes, which Kubernetes refuses:\n%s", values, diff)
		}
	}
}

// A user's kustomization on top of ours replaces the config, and what it needs.
func TestKustomizationOfOnesOwn(t *testing.T) {
	own := func(config string) map[string]string {
		return map[string]string{
			"own/reconciler.yaml": config,
			"own/known_hosts":     "git.example ssh-ed25519 AAAA\n",
			"own/kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: identity
resources: [../deploy/overlays/single]
components: [../deploy/components/servicemonitor]
images: [{name: reconciler, newName: registry.example/reconciler, newTag: v1.2.3}]
configMapGenerator:
  - name: reconciler
    behavior: replace
    files: [reconciler.yaml, known_hosts]
`,
		}
	}
	one, other := build(t, "own", own("mode: report\n")), build(t, "own", own("mode: apply\n"))
	checkPod(t, one)
	if one.config.Data["reconciler.yaml"] != "mode: report\n" || one.config.Data["known_hosts"] == "" {
		t.Errorf("the config is %v", one.config.Data)
	}
	if image := one.template().Spec.Containers[0].Image; image != "registry.example/reconciler:v1.2.3" {
		t.Errorf("the image is %s", image)
	}
	if one.monitor == nil || one.monitor.Namespace != "identity" {
		t.Errorf("the monitor is %v", one.monitor)
	}
	if reflect.DeepEqual(one.template(), other.template()) {
		t.Error("another config leaves the pods as they are")
	}
	if diff := cmp.Diff(one.deployment.Spec.Selector, other.deployment.Spec.Selector); diff != "" {
		t.Errorf("another config changes the selector, which Kubernetes refuses:\n%s", diff)
	}
}

// Every value does something, at the place where it belongs.
func TestEveryValue(t *testing.T) {
	o := mustRender(t, readValues(t, "everything"))
	checkPod(t, o)
	checkNetworkIsNarrow(t, o)
	pod := o.template()
	container := pod.Spec.Containers[0]
	for what, got := range map[string]any{
		"okta-orgs": o.deployment.Name,
		"registry.example/identity/reconciler@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef": container.Image,
		"Always":                string(container.ImagePullPolicy),
		"registry":              pod.Spec.ImagePullSecrets[0].Name,
		"okta":                  o.serviceAccount.Name,
		"identity":              pod.Annotations["team"],
		"control":               pod.Labels["tier"],
		"HTTPS_PROXY":           container.Env[0].Name,
		"fast":                  *o.claim.Spec.StorageClassName,
		"5Gi":                   o.claim.Spec.Resources.Requests.Storage().String(),
		"keep":                  o.claim.Annotations["helm.sh/resource-policy"],
		"daily":                 o.claim.Annotations["backup"],
		"LoadBalancer":          string(o.service.Spec.Type),
		"1m":                    string(o.monitor.Spec.Endpoints[0].Interval),
		"metrics/viewer":        o.monitor.Spec.Endpoints[0].Authorization.Credentials.Name + "/" + o.monitor.Spec.Endpoints[0].Authorization.Credentials.Key,
		"prometheus":            o.monitor.Labels["release"],
		"1Gi":                   container.Resources.Limits.Memory().String(),
		"pool":                  keyOf(pod.Spec.NodeSelector),
		"Exists":                string(pod.Spec.Tolerations[0].Operator),
		"high":                  pod.Spec.PriorityClassName,
		"/usr/local/bin":        container.VolumeMounts[len(container.VolumeMounts)-1].MountPath,
		"https://vault.example": volume(pod, "secrets").Projected.Sources[1].ServiceAccountToken.Audience,
	} {
		if got != what {
			t.Errorf("got %v, want %s", got, what)
		}
	}
	if pod.Spec.Affinity == nil || o.service.Spec.Ports[0].Port != 80 || o.service.Annotations["internal"] != "true" {
		t.Errorf("affinity is %v, the service %v", pod.Spec.Affinity, o.service)
	}
}

func keyOf(m map[string]string) string {
	for key := range m {
		return key
	}
	return ""
}

func volume(pod *corev1.PodTemplateSpec, name string) corev1.Volume {
	for _, v := range pod.Spec.Volumes {
		if v.Name == name {
			return v
		}
	}
	return corev1.Volume{}
}

// checkNetworkIsNarrow checks the policy of everything.yaml: no rule lets out to more
// than what is given.
func checkNetworkIsNarrow(t *testing.T, o *objects) {
	t.Helper()
	var got []string
	for _, rule := range o.network.Spec.Egress {
		for _, peer := range rule.To {
			to := "names"
			if peer.IPBlock != nil {
				to = peer.IPBlock.CIDR
			}
			got = append(got, to+" "+rule.Ports[0].Port.String())
		}
	}
	wanted := []string{"names 53", "169.254.20.10/32 53", "192.0.2.0/24 443", "2001:db8::/32 443", "198.51.100.7/32 2222", "10.1.2.3/32 3128"}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("the policy lets out elsewhere (-want +got):\n%s", diff)
	}
}

// The config gets through Helm unchanged, whatever YAML makes of its values: texts of
// digits, times, zeros and empty lists stay what they are.
func TestConfigThroughHelm(t *testing.T) {
	values := readValues(t, "everything")
	var given struct {
		Config map[string]any `json:"config"`
	}
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal([]byte(mustRender(t, values).config.Data["reconciler.yaml"]), &got); err != nil {
		t.Fatal(err)
	}
	given.Config["http"].(map[string]any)["address"] = ":8080"
	given.Config["state"] = map[string]any{"dir": "/var/lib/reconciler/state"}
	if diff := cmp.Diff(given.Config, got); diff != "" {
		t.Errorf("the config differs (-values +pod):\n%s", diff)
	}
}

// The configs that we give as examples are good ones, to the program itself.
func TestConfigsAreValid(t *testing.T) {
	program := program(t)
	orgs := filepath.Join(t.TempDir(), "orgs.yaml")
	if err := os.WriteFile(orgs, []byte("version: 1\norgs: [{domain: acme.okta.com, cell: ok1}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"single", "replicas", "cronjob"} {
		for how, o := range map[string]*objects{"chart": mustRender(t, readValues(t, name)), "kustomize": build(t, "deploy/overlays/"+name, nil)} {
			file := filepath.Join(t.TempDir(), "reconciler.yaml")
			if err := os.WriteFile(file, []byte(o.config.Data["reconciler.yaml"]), 0o600); err != nil {
				t.Fatal(err)
			}
			check := command(program, "validate", "--config", file, orgs)
			for _, e := range o.template().Spec.Containers[0].Env {
				check.Env = append(check.Env, e.Name+"="+e.Value)
			}
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s by %s: %v\n%s", name, how, err, out)
			}
		}
	}
}
