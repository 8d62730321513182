package objects

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzObject gives an org two versions of an object, whatever they are: both must
// normalize to something that is equal to itself, and writing the one over the other
// must lead to it.
func FuzzObject(f *testing.F) {
	for _, seed := range []struct{ live, declared string }{
		{offices, `{"name":"Offices","gateways":[{"type":"CIDR","value":"192.0.2.1"},{"type":"CIDR","value":"192.0.2.1"}]}`},
		{staff, `{"profile":{"name":"Staff","x.y":[1,{"a":null}],"description":""}}`},
		{defaultSO, `{"type":"OKTA_SIGN_ON","name":"Default Policy","conditions":{"people":{"groups":{"include":["b","a","a"]}}}}`},
		{insight, `{"action":null,"excludeZones":{"x":1}}`},
		{`policies {"type":"MFA_ENROLL","name":"M","settings":{"authenticators":[{"key":"duo"},{"key":"duo"},null,"x"]}}`, `{"name":"M","settings":{"authenticators":[{"key":"duo","enroll":{"self":"OPTIONAL"}}]}}`},
		{`networkZones {"name":"N","gateways":[{"x":""},{"y":"0"}]}`, `{"name":"N","gateways":[{"x":""}]}`},
		{`networkZones {"type":"DYNAMIC","name":"D","asns":["2","1"],"locations":[{"country":"US","region":null}]}`, `{"name":"D","asns":{"include":["1"]},"locations":null}`},
	} {
		kind, raw, _ := cut(seed.live)
		f.Add(kind, []byte(raw), []byte(seed.declared))
	}
	f.Fuzz(func(t *testing.T, kind string, rawJSON, declaredJSON []byte) {
		k := ByName(kind)
		var raw, declared map[string]any
		if k == nil || json.Unmarshal(rawJSON, &raw) != nil || json.Unmarshal(declaredJSON, &declared) != nil || raw == nil || declared == nil {
			return
		}
		typ, _ := raw["type"].(string)
		ref := Ref{Kind: k, Name: "N"}
		if k.Typed {
			ref.Type = typ
		}
		live := &LiveObject{Ref: ref, Body: k.Normalize(raw, nil)}
		o := &Object{Ref: ref, Body: k.Normalize(declared, nil)}
		if diff := cmp.Diff(o.Body, k.Normalize(o.Body, nil)); diff != "" {
			t.Errorf("normalizing twice is not the same: %s", diff)
		}
		itself := &comparer{live: map[Ref]*place{}, order: map[Ref][]string{}}
		itself.update(o, &LiveObject{Ref: ref, Body: o.Body})
		if len(itself.result.Differences)+len(itself.result.Unfixable) > 0 {
			t.Errorf("not equal to itself:\n%s", lines(&itself.result))
		}
		c := &comparer{live: map[Ref]*place{}, order: map[Ref][]string{}}
		c.update(o, live)
		for i := range c.result.Differences {
			d := &c.result.Differences[i]
			d.Loses()
			if err := d.Check(live); err != nil {
				t.Errorf("before writing: %v", err)
			}
			written, err := d.Overlay(raw, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Check(&LiveObject{Ref: ref, Body: k.Normalize(written, nil)}); !errors.Is(err, ErrAlready) {
				t.Errorf("after writing %s\n%s: %v", lines(&c.result), show(written), err)
			}
		}
	})
}
