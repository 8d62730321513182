package state

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"testing/fstest"
)

// configuredFleet writes manifests of n orgs that share a baseline of 200 objects, ten
// of which have variables. Each tenth org has an object of its own laid over it.
func configuredFleet(n int) fstest.MapFS {
	var b bytes.Buffer
	b.WriteString("version: 1\nbaselines:\n  all:\n    networkZones:\n")
	for i := range 60 {
		fmt.Fprintf(&b, "      - {name: Zone %d, type: IP, gateways: [{type: CIDR, value: 198.51.%d.0/24}, {type: RANGE, value: 203.0.113.1-203.0.113.%d}]}\n", i, i, i+2)
	}
	b.WriteString("    groups:\n")
	for i := range 60 {
		fmt.Fprintf(&b, "      - profile: {name: Group %d, description: The people of group %d}\n", i, i)
	}
	b.WriteString("    groupRules:\n")
	for i := range 40 {
		fmt.Fprintf(&b, "      - {name: Rule %d, conditions: {expression: {value: 'user.department==\"%d\"'}}, actions: {assignUserToGroups: {groupIds: [Group %d]}}}\n", i, i, i)
	}
	b.WriteString("    trustedOrigins:\n")
	for i := range 10 {
		fmt.Fprintf(&b, "      - {name: Site %d, origin: 'https://${subdomain}-%d.acme.example', scopes: [{type: CORS}, {type: REDIRECT}]}\n", i, i)
	}
	b.WriteString("    policies:\n")
	for i := range 10 {
		fmt.Fprintf(&b, "      - type: OKTA_SIGN_ON\n        name: Policy %d\n        conditions: {people: {groups: {include: [Group %d]}}}\n        rules:\n", i, i)
		for j := range 2 {
			fmt.Fprintf(&b, "          - {name: Rule %d, conditions: {network: {connection: ZONE, include: [Zone %d]}}, actions: {signon: {access: ALLOW}}}\n", j, i+j)
		}
	}
	b.WriteString("defaults: {baselines: [all]}\norgs:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - domain: acme-%05d.okta.com\n    labels: {tier: production}\n    access: {clientID: 0oa%05d}\n", i, i)
		if i%10 == 0 {
			fmt.Fprintf(&b, "    configuration: {networkZones: [{name: Zone 7, gateways: [{type: CIDR, value: 192.0.2.0/24}]}]}\n")
		}
	}
	return fstest.MapFS{"orgs.yaml": &fstest.MapFile{Data: b.Bytes()}}
}

func loadConfigured(t testing.TB, fsys fstest.MapFS) *Desired {
	d, _, err := Load([]Input{{FS: fsys, Root: "orgs.yaml"}}, LoadOptions{})
	if err != nil {
		t.Fatalf("%.1000v", err)
	}
	return d
}

func BenchmarkLoadConfigured(b *testing.B) {
	fsys := configuredFleet(1000)
	b.ReportAllocs()
	for b.Loop() {
		loadConfigured(b, fsys)
	}
	d, held := held(b, fsys)
	b.ReportMetric(float64(held)/(1<<20), "MB-held")
	runtime.KeepAlive(d)
}

// held loads a fleet and returns how many bytes it holds.
func held(t testing.TB, fsys fstest.MapFS) (*Desired, int64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d := loadConfigured(t, fsys)
	runtime.GC()
	runtime.ReadMemStats(&after)
	return d, int64(after.HeapAlloc) - int64(before.HeapAlloc)
}
