package org

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
)

// lists are answers that a decoder must take apart as encoding/json does, and such that
// it must leave to that.
var lists = []string{
	`[]`, ` [ ] `, `[{}]`, `[ {} , {} ]`, `null`, `{}`, `[null]`, `[1]`, `[[]]`, `"x"`, `7`, ``, `[`, `[{]`, `[{}] x`, `[{"a":}]`, `[{"a":1,}]`,
	`[{"id":"1","a":null,"b":true,"c":false,"d":-0,"e":1.5e3,"f":0}]`,
	`[{"a":[],"b":{},"c":[[],[1,[2]],{"x":[{}]}]}]`,
	` [ { "a" : [ 1 , "x" , { "b" : null } ] , "c" : { "d" : "e" } } ] `,
	"[\n\t{\r\n\"a\"\t:\n1\r}\n]",
	`[{"a":"\"","b":"\\","c":"\\\"","d":"\\\\","e":"x\\","f\"":"\u00e9\ud83d\ude00\n\/"}]`,
	`[{"a":"é 😀","é":"x","":""}]`,
	"[{\"a\":\"\xff\",\"\xff\":1}]",
	"[{\"a\":\"\u2028\"}]",
	`[{"a":1,"a":2},{"a":{"b":1},"a":{"c":2}}]`,
	`[{"a":1e999}]`, `[{"a":123456789012345678901234567890}]`,
	`[{"_links":{"self":{"href":"}]\"{[","hints":{"allow":["GET","PUT"]}},"n":[1,[],{},null,true]},"id":"1"}]`,
	`[{"id":"1","_links":[]},{"_links":"x","id":"2"},{"_links":1},{"_links":null},{"a":{"_links":1}}]`,
	`[{"_links":"\\"}]`, `[{"\u005flinks":{}}]`,
}

// TestDecodeList: a list is decoded as encoding/json decodes it, but for the fields that
// are left out.
func TestDecodeList(t *testing.T) {
	for _, body := range lists {
		checkDecode(t, []byte(body))
	}
	recorded, _ := filepath.Glob(filepath.Join(os.Getenv("RECONCILER_REFERENCE"), "answers", "*.json"))
	for _, name := range recorded {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		checkDecode(t, []byte("["+string(body)+"]"))
	}
}

// TestDecodeCut: of an answer that was cut, nothing is taken.
func TestDecodeCut(t *testing.T) {
	cut := errors.New("cut")
	if list, err := decodeList(&rest.Answer{Body: []byte("[]"), Cut: cut}, nil); list != nil || err != cut {
		t.Error(list, err)
	}
}

func FuzzDecodeList(f *testing.F) {
	for _, body := range lists {
		f.Add([]byte(body))
	}
	f.Fuzz(checkDecode)
}

func checkDecode(t *testing.T, body []byte) {
	links := func(field string) bool { return field == "_links" }
	for name, skip := range map[string]func(string) bool{"all": nil, "without links": links} {
		want, wantErr := rest.Decode[[]raw](&rest.Answer{Body: body})
		for _, o := range want {
			if skip != nil {
				delete(o, "_links")
			}
		}
		got, err := decodeList(&rest.Answer{Body: body}, skip)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s\n got %v, %v\nwant %v, %v", name, body, got, err, want, wantErr)
		}
		d := decoder{text: body, names: map[string]string{}}
		if json.Valid(body) && wantErr == nil && len(want) > 0 && want[0] != nil {
			if _, ok := d.list(); !ok && err == nil && !hasNull(want) {
				t.Errorf("%s: left to encoding/json", body)
			}
		}
	}
}

// hasNull reports whether the list has an element that is no object.
func hasNull(list []raw) bool {
	for _, o := range list {
		if o == nil {
			return true
		}
	}
	return false
}

// BenchmarkDecodeList decodes 200 network zones with the links and dates that Okta adds.
func BenchmarkDecodeList(b *testing.B) {
	var all []raw
	for i := range 200 {
		z := zone(fmt.Sprintf("nzo%d", i), fmt.Sprintf("Zone %d", i))
		z["created"], z["lastUpdated"] = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"
		link := func(action string, allow ...string) raw {
			return raw{"href": "https://acme.okta.com/api/v1/zones/nzo1" + action, "hints": raw{"allow": allow}}
		}
		z["_links"] = raw{"self": link("", "GET", "PUT", "DELETE"), "deactivate": link("/lifecycle/deactivate", "POST")}
		all = append(all, z)
	}
	a := &rest.Answer{Body: []byte(asJSON(all))}
	b.SetBytes(int64(len(a.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeList(a, objects.ByName("networkZones").Ignored); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeStd(b *testing.B) {
	var all []raw
	for i := range 200 {
		z := zone(fmt.Sprintf("nzo%d", i), fmt.Sprintf("Zone %d", i))
		z["created"], z["lastUpdated"] = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"
		link := func(action string, allow ...string) raw {
			return raw{"href": "https://acme.okta.com/api/v1/zones/nzo1" + action, "hints": raw{"allow": allow}}
		}
		z["_links"] = raw{"self": link("", "GET", "PUT", "DELETE"), "deactivate": link("/lifecycle/deactivate", "POST")}
		all = append(all, z)
	}
	a := &rest.Answer{Body: []byte(asJSON(all))}
	b.SetBytes(int64(len(a.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rest.Decode[[]raw](a); err != nil {
			b.Fatal(err)
		}
	}
}
