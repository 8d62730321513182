package deploytest

import (
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// What can't work is refused before anything is sent to a cluster, with words that say
// what to do.
func TestChartRefuses(t *testing.T) {
	single := readValues(t, "single")
	for _, test := range []struct{ name, values, wanted string }{
		{"nothing", "", "config.aerial is needed: config is the program's config, see docs/config.md"},
		{"a key that doesn't exist", single + "replica: 2\n", "additional properties 'replica' not allowed"},
		{"a key of the config that doesn't exist", with(t, single, "config: {mod: apply}"), "at '/config': additional properties 'mod' not allowed"},
		{"a value that the config can't have", with(t, single, "config: {mode: fix}"), "at '/config/mode': value must be one of 'report', 'apply'"},
		{"a key in place of its file", with(t, single, "config: {aerial: {auth: {privateKey: x}}}"), "additional properties 'privateKey' not allowed"},
		{"keys that exclude one another", with(t, single, "config: {manifests: orgs}"), "at '/config': 'not' failed"},
		{"an address", with(t, single, "config: {http: {address: ':80'}}"), "config.http.address: remove it"},
		{"nobody to sign in", strings.Replace(single, "auth: {tokensFile: /run/secrets/tokens.yaml}", "openMetrics: true", 1), "config.http.auth is needed"},
		{"replicas on a volume", with(t, single, "replicas: 2"), "replicas: more than one needs config.state.postgres"},
		{"a volume for two", with(t, readValues(t, "replicas"), "persistence: {enabled: true}"), "set persistence.enabled to false, or accessModes to [ReadWriteMany]"},
		{"no replica", with(t, single, "replicas: 0"), "at '/replicas': minimum: got 0, want 1"},
		{"a secret in a variable", with(t, single, "env: [{name: RECONCILER_GIT_AUTH_PASSWORD, value: hunter2}]"), "env: RECONCILER_GIT_AUTH_PASSWORD is a secret, which would stand in the pod"},
		{"a tag as digest", with(t, single, "image: {digest: v1}"), "at '/image/digest'"},
		{"a second config", with(t, single, "files: {reconciler.yaml: x}"), "invalid propertyName 'reconciler.yaml'"},
		{"a domain for a range", with(t, single, "networkPolicy: {okta: {cidrs: [acme.okta.com]}}"), "at '/networkPolicy/okta/cidrs/0'"},
	} {
		if _, _, err := renderChart(test.values); err == nil || !strings.Contains(err.Error(), test.wanted) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.wanted)
		}
	}
}

// with returns values with others laid over them.
func with(t *testing.T, values, over string) string {
	t.Helper()
	var all []map[string]any
	for _, text := range []string{values, over} {
		v, err := loader.LoadValues(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return toYAML(t, loader.MergeMaps(all[0], all[1]))
}
