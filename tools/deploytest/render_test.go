// Package deploytest checks what is deployed to Kubernetes, the Helm chart and the
// kustomizations: Helm and kustomize themselves render them, as libraries, the objects
// are decoded as strictly as the API server could, and a rendered pod is started as
// far as that works without a cluster. It is a module of its own, so that the program
// depends on none of it:
//
//	cd tools/deploytest && go test ./...
package deploytest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

const (
	chartDir     = "../../deploy/helm/reconciler"
	kustomizeDir = "../../deploy/kustomize"
)

// strict decodes objects of the kinds that we deploy, and takes no key that they don't
// have, and none twice.
var strict = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	builder := runtime.NewSchemeBuilder(appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme, monitoringv1.AddToScheme)
	if err := builder.AddToScheme(scheme); err != nil {
		panic(err)
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
}()

// objects are what is deployed, by kind.
type objects struct {
	deployment     *appsv1.Deployment
	cronJob        *batchv1.CronJob
	service        *corev1.Service
	serviceAccount *corev1.ServiceAccount
	config         *corev1.ConfigMap
	claim          *corev1.PersistentVolumeClaim
	network        *networkingv1.NetworkPolicy
	budget         *policyv1.PodDisruptionBudget
	monitor        *monitoringv1.ServiceMonitor
	// kinds of all of them, sorted.
	kinds []string
}

// template returns the pods of the Deployment or the CronJob.
func (o *objects) template() *corev1.PodTemplateSpec {
	if o.cronJob != nil {
		return &o.cronJob.Spec.JobTemplate.Spec.Template
	}
	return &o.deployment.Spec.Template
}

// decode reads YAML documents. Two objects of one kind are an error: there is a place
// for one.
func decode(text []byte) (*objects, error) {
	o := &objects{}
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	defer documents.Close()
	for buffer := make([]byte, 1<<20); ; {
		n, err := documents.Read(buffer)
		if err == io.EOF {
			slices.Sort(o.kinds)
			return o, nil
		}
		if err != nil {
			return nil, err
		}
		if err := o.add(bytes.Clone(buffer[:n])); err != nil {
			return nil, err
		}
	}
}

func (o *objects) add(document []byte) error {
	lines := slices.DeleteFunc(strings.Split(string(document), "\n"), func(line string) bool {
		return line == "" || line == "---" || strings.HasPrefix(line, "#")
	})
	if len(lines) == 0 {
		return nil
	}
	object, _, err := strict.Decode(document, nil, nil)
	if err != nil {
		return fmt.Errorf("%w in\n%s", err, document)
	}
	kind := object.GetObjectKind().GroupVersionKind().Kind
	if slices.Contains(o.kinds, kind) {
		return fmt.Errorf("two objects of kind %s", kind)
	}
	o.kinds = append(o.kinds, kind)
	switch object := object.(type) {
	case *appsv1.Deployment:
		o.deployment = object
	case *batchv1.CronJob:
		o.cronJob = object
	case *corev1.Service:
		o.service = object
	case *corev1.ServiceAccount:
		o.serviceAccount = object
	case *corev1.ConfigMap:
		o.config = object
	case *corev1.PersistentVolumeClaim:
		o.claim = object
	case *networkingv1.NetworkPolicy:
		o.network = object
	case *policyv1.PodDisruptionBudget:
		o.budget = object
	case *monitoringv1.ServiceMonitor:
		o.monitor = object
	default:
		return fmt.Errorf("an object of kind %s, which the test doesn't know", kind)
	}
	return nil
}

// renderChart does what helm template does, with values as a user's file has them.
func renderChart(values string) (*objects, string, error) {
	chart, err := loader.LoadDir(chartDir)
	if err != nil {
		return nil, "", err
	}
	given, err := loader.LoadValues(strings.NewReader(values))
	if err != nil {
		return nil, "", err
	}
	release := common.ReleaseOptions{Name: "okta", Namespace: "identity", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, "", err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, "", err
	}
	var text bytes.Buffer
	var notes string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, "NOTES.txt") {
			notes = files[name]
			continue
		}
		fmt.Fprintf(&text, "---\n# Source: %s\n%s\n", name, files[name])
	}
	o, err := decode(text.Bytes())
	return o, notes, err
}

func mustRender(t *testing.T, values string) *objects {
	t.Helper()
	o, _, err := renderChart(values)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// build does what kustomize build does, on the kustomizations and files of ours.
func build(t *testing.T, kustomization string, files map[string]string) *objects {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS(kustomizeDir)); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(dir, kustomization))
	if err != nil {
		t.Fatal(err)
	}
	text, err := all.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	o, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
