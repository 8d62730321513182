package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/journal"
)

// An apply that can't announce what it promises to announce writes nothing at
// all, and can be repeated.
func TestApplyThatCannotAnnounce(t *testing.T) {
	r := newRig(t, 10, false)
	manifest := filepath.Join(r.dir, "inactive.yaml")
	if err := os.WriteFile(manifest, []byte(`version: 1
orgs:
  - {domain: acme-amer-retail.okta.com, cell: ok2, status: INACTIVE}
  - {domain: acme-apac-retail.okta.com, cell: ok11, products: [P000052]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	apply := func() (int, string, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"apply", "--yes", "--config", r.config, "--manifests", manifest},
			stdio{strings.NewReader(""), &out, &errs}, []string{"RECONCILER_GUARDS_DEACTIVATION_COOLOFF=24h"})
		return code, out.String(), errs.String()
	}
	writes := func() int {
		n := 0
		for _, q := range r.sim.Requests() {
			if q.Aerial && q.Method != "GET" {
				n++
			}
		}
		return n
	}
	held, err := journal.Open(filepath.Join(r.dir, "state"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := apply()
	if code != exitError || writes() > 0 || !strings.Contains(errs, "reconciler: nothing was written, because it could not be taken down: ") || !strings.Contains(errs, "\nhint: ") {
		t.Errorf("exit code %d after %d writes:\n%s", code, writes(), errs)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	code, out, errs := apply()
	if code != exitOK || writes() != 1 || !strings.Contains(out, "only announces it") {
		t.Errorf("exit code %d after %d writes:\n%s%s", code, writes(), out, errs)
	}
	if code, out, _ = apply(); code != exitOK || !strings.Contains(out, "cooling off: announced at ") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}
