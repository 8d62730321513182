package deploytest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// kindsOf are those of each way to deploy.
var kindsOf = map[string]string{
	"single":   "ConfigMap Deployment NetworkPolicy PersistentVolumeClaim Service ServiceAccount",
	"replicas": "ConfigMap Deployment NetworkPolicy PodDisruptionBudget Service ServiceAccount",
	"cronjob":  "ConfigMap CronJob NetworkPolicy PersistentVolumeClaim ServiceAccount",
}

func readValues(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHelmLint(t *testing.T) {
	for _, name := range []string{"", "single", "replicas", "cronjob", "everything"} {
		var values map[string]any
		if name != "" {
			var err error
			if values, err = loader.LoadValues(strings.NewReader(readValues(t, name))); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range lint.RunAll(chartDir, values, "identity").Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("with the values %q: %v", name, m)
			}
		}
	}
}

// Each way to deploy has the objects that it should have, by the chart and by
// kustomize, and the same pods.
func TestDeploy(t *testing.T) {
	for name, kinds := range kindsOf {
		t.Run(name, func(t *testing.T) {
			chart := mustRender(t, readValues(t, name))
			kustomized := build(t, "deploy/overlays/"+name, nil)
			for _, o := range []*objects{chart, kustomized} {
				if got := strings.Join(o.kinds, " "); got != kinds {
					t.Errorf("got %s, want %s", got, kinds)
				}
				checkPod(t, o)
				checkNetwork(t, o, name)
			}
			same(t, chart, kustomized)
		})
	}
}

// same checks that pods don't depend on how they are deployed, but for names and for
// where settings stand: the chart has them in the config, kustomize in the environment.
func same(t *testing.T, chart, kustomized *objects) {
	t.Helper()
	ignored := []cmp.Option{
		cmpopts.IgnoreFields(corev1.PodSpec{}, "Volumes", "ServiceAccountName"),
		cmpopts.IgnoreFields(corev1.Container{}, "Env", "Image", "ImagePullPolicy"),
		cmpopts.IgnoreFields(corev1.TopologySpreadConstraint{}, "LabelSelector"),
		cmpopts.SortSlices(func(a, b corev1.VolumeMount) int { return strings.Compare(a.Name, b.Name) }),
	}
	if diff := cmp.Diff(chart.template().Spec, kustomized.template().Spec, ignored...); diff != "" {
		t.Errorf("the pods differ (-chart +kustomize):\n%s", diff)
	}
	if diff := cmp.Diff(chart.network.Spec.Ingress, kustomized.network.Spec.Ingress, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the ways in differ (-chart +kustomize):\n%s", diff)
	}
	if chart.deployment != nil {
		if diff := cmp.Diff(chart.deployment.Spec, kustomized.deployment.Spec, cmpopts.IgnoreFields(chart.deployment.Spec, "Selector", "Template")); diff != "" {
			t.Errorf("the Deployments differ (-chart +kustomize):\n%s", diff)
		}
	}
	if chart.cronJob != nil {
		if diff := cmp.Diff(chart.cronJob.Spec, kustomized.cronJob.Spec, cmpopts.IgnoreTypes(corev1.PodTemplateSpec{})); diff != "" {
			t.Errorf("the CronJobs differ (-chart +kustomize):\n%s", diff)
		}
	}
	if chart.budget != nil {
		if diff := cmp.Diff(chart.budget.Spec, kustomized.budget.Spec, cmpopts.IgnoreFields(chart.budget.Spec, "Selector")); diff != "" {
			t.Errorf("the budgets differ (-chart +kustomize):\n%s", diff)
		}
	}
}

// checkPod holds a pod against the strictest of Kubernetes' Pod Security Standards, and
// against what that doesn't ask for.
func checkPod(t *testing.T, o *objects) {
	t.Helper()
	template := o.template()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &template.ObjectMeta, &template.Spec) {
		if !result.Allowed {
			t.Errorf("the pod is not restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	pod, container := template.Spec, template.Spec.Containers[0]
	if no := pod.AutomountServiceAccountToken; no == nil || *no {
		t.Error("the pod has a service account's token")
	}
	if no := o.serviceAccount.AutomountServiceAccountToken; no == nil || *no || pod.ServiceAccountName != o.serviceAccount.Name {
		t.Errorf("the pod runs as %q, the service account is %q", pod.ServiceAccountName, o.serviceAccount.Name)
	}
	if yes := container.SecurityContext.ReadOnlyRootFilesystem; yes == nil || !*yes {
		t.Error("the root file system can be written")
	}
	if container.Resources.Requests.Cpu().IsZero() || container.Resources.Requests.Memory().IsZero() || container.Resources.Limits.Memory().IsZero() {
		t.Errorf("resources are missing: %v", container.Resources)
	}
	checkMounts(t, o)
	if o.deployment == nil {
		return
	}
	if container.LivenessProbe == nil || container.ReadinessProbe == nil || container.StartupProbe == nil {
		t.Error("a probe is missing")
	}
	for _, selector := range []map[string]string{o.deployment.Spec.Selector.MatchLabels, o.service.Spec.Selector, o.network.Spec.PodSelector.MatchLabels} {
		checkSelects(t, selector, template.Labels)
	}
	if o.budget != nil {
		checkSelects(t, o.budget.Spec.Selector.MatchLabels, template.Labels)
	}
	if o.monitor != nil {
		checkSelects(t, o.monitor.Spec.Selector.MatchLabels, o.service.Labels)
	}
	if port := o.service.Spec.Ports[0].TargetPort; port != intstr.FromString(container.Ports[0].Name) {
		t.Errorf("the service leads to %v", &port)
	}
}

// checkSelects checks that a selector selects labels, and not those of everybody.
func checkSelects(t *testing.T, selector, labels map[string]string) {
	t.Helper()
	if len(selector) == 0 {
		t.Error("a selector selects everything")
	}
	for key, value := range selector {
		if labels[key] != value {
			t.Errorf("the selector %v does not select %v", selector, labels)
		}
	}
}

// checkMounts checks that each mount has its volume, and each volume what it is made of.
// Secrets must be readable by the group alone.
func checkMounts(t *testing.T, o *objects) {
	t.Helper()
	spec := o.template().Spec
	volumes := map[string]corev1.Volume{}
	for _, volume := range spec.Volumes {
		volumes[volume.Name] = volume
		mounted := slices.ContainsFunc(spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume.Name })
		if !mounted {
			t.Errorf("the volume %s is not mounted", volume.Name)
		}
		switch {
		case volume.ConfigMap != nil && volume.ConfigMap.Name != o.config.Name:
			t.Errorf("the volume %s is the ConfigMap %q, which is not that of the config, %q", volume.Name, volume.ConfigMap.Name, o.config.Name)
		case volume.PersistentVolumeClaim != nil && o.claim != nil && volume.PersistentVolumeClaim.ClaimName != o.claim.Name:
			t.Errorf("the volume %s is of the claim %q, which is not there", volume.Name, volume.PersistentVolumeClaim.ClaimName)
		case volume.Secret != nil && *volume.Secret.DefaultMode != 0o440, volume.Projected != nil && *volume.Projected.DefaultMode != 0o440:
			t.Errorf("the files of the volume %s are not for the group alone", volume.Name)
		}
	}
	for _, mount := range spec.Containers[0].VolumeMounts {
		if volumes[mount.Name].Name == "" {
			t.Errorf("there is no volume %s", mount.Name)
		}
	}
}

// checkNames checks that names can be resolved, by pods that have none of our labels.
func checkNames(t *testing.T, rules []networkingv1.NetworkPolicyEgressRule) {
	t.Helper()
	for _, peer := range rules[0].To {
		if peer.PodSelector == nil {
			continue
		}
		pods, err := metav1.LabelSelectorAsSelector(peer.PodSelector)
		if err != nil {
			t.Fatal(err)
		}
		if pods.Matches(labels.Set{"k8s-app": "kube-dns"}) {
			return
		}
	}
	t.Errorf("names can't be resolved: %v", rules[0])
}

// checkNetwork checks the egress that a policy allows: DNS, and what each way to deploy
// needs besides the internet.
func checkNetwork(t *testing.T, o *objects, name string) {
	t.Helper()
	spec := o.network.Spec
	if want := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}; !slices.Equal(spec.PolicyTypes, want) {
		t.Errorf("the policy is about %v", spec.PolicyTypes)
	}
	var ports []int
	for _, rule := range spec.Egress {
		if len(rule.Ports) == 0 {
			t.Errorf("a rule lets out to every port: %v", rule)
		}
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.IntValue())
		}
		for _, peer := range rule.To {
			if peer.IPBlock != nil && strings.HasSuffix(peer.IPBlock.CIDR, "/0") && len(peer.IPBlock.Except) == 0 {
				t.Errorf("a rule lets out to private networks: %v", rule)
			}
		}
	}
	checkNames(t, spec.Egress)
	if slices.Contains(ports, 5432) != (name == "replicas") || !slices.Contains(ports, 443) {
		t.Errorf("the policy lets out to the ports %v", ports)
	}
	for _, rule := range spec.Ingress {
		if len(rule.From) == 0 || len(rule.Ports) != 1 || rule.Ports[0].Port.StrVal != "http" {
			t.Errorf("a rule lets in too much: %v", rule)
		}
	}
	if (len(spec.Ingress) == 0) != (name == "cronjob") {
		t.Errorf("the policy lets in by %v", spec.Ingress)
	}
}
