package objects

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// lists are texts that must be taken apart as encoding/json does, and such that are no lists of
// objects.
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

// TestParseList: a list is taken apart as encoding/json does it, but for the fields that
// are left out.
func TestParseList(t *testing.T) {
	for _, data := range lists {
		checkParse(t, []byte(data))
	}
	t.Run("recorded", func(t *testing.T) {
		recorded, err := filepath.Glob(filepath.Join(reference(t, "answers"), "*.json"))
		if err != nil || len(recorded) == 0 {
			t.Fatal("no answers", err)
		}
		for _, name := range recorded {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			checkParse(t, slices.Concat([]byte("["), data, []byte("]")))
		}
	})
}

func FuzzParseList(f *testing.F) {
	for _, data := range lists {
		f.Add([]byte(data))
	}
	f.Fuzz(checkParse)
}

func checkParse(t *testing.T, data []byte) {
	for name, skip := range map[string]func(string) bool{"all": nil, "without links": func(field string) bool { return field == "_links" }} {
		var want []map[string]any
		valid := json.Unmarshal(data, &want) == nil && want != nil
		for _, o := range want {
			valid = valid && o != nil // of null nothing is made
			if skip != nil {
				delete(o, "_links")
			}
		}
		got, ok := ParseList(data, skip)
		if ok != valid || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s\n got %v, %v\nwant %v, %v", name, data, got, ok, want, valid)
		}
	}
}

// TestIgnored: without the fields that are ignored, an object is the same.
func TestIgnored(t *testing.T) {
	for _, k := range Kinds() {
		raw := map[string]any{"name": "x", "type": "OKTA_GROUP", "id": "1", "system": true, "priority": 1.0, "status": "ACTIVE"}
		for i := range k.Fields {
			if f := &k.Fields[i]; raw[f.Name] == nil {
				raw[f.Name] = "user"
			}
		}
		less := cloneMapping(raw)
		for name := range raw {
			if k.Ignored(name) {
				delete(less, name)
			}
		}
		if len(less) == len(raw) {
			t.Errorf("%s: nothing is ignored", k.Name)
		}
		id, name, system, ok := k.Ident(raw)
		id2, name2, system2, ok2 := k.Ident(less)
		if id != id2 || name != name2 || system != system2 || ok != ok2 {
			t.Errorf("%s: %v %v %v %v, without %v %v %v %v", k.Name, id, name, system, ok, id2, name2, system2, ok2)
		}
		if a, b := k.Undeclarable(raw), k.Undeclarable(less); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: can't be declared: %v, without %v", k.Name, a, b)
		}
		if a, b := k.Decode(raw, "", "", "", nil), k.Decode(less, "", "", "", nil); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: decoded %+v, without %+v", k.Name, a, b)
		}
	}
}
