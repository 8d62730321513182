package objects

import (
	"slices"
	"strings"
	"testing"
)

func TestKinds(t *testing.T) {
	var names []string
	for i, k := range Kinds() {
		names = append(names, k.Name)
		t.Run(k.Name, func(t *testing.T) {
			if ByName(k.Name) != k {
				t.Error("ByName finds another kind")
			}
			checkKind(t, i, k)
			checkFields(t, i, k.Fields, "")
		})
	}
	want := "features networkZones groups behaviors policies policyRules trustedOrigins groupRules"
	if got := strings.Join(names[:8], " "); got != want {
		t.Errorf("the kinds are written in the order %s, want %s", got, want)
	}
	if ByName("nothing") != nil {
		t.Error("ByName finds a kind that there isn't")
	}
}

func checkKind(t *testing.T, place int, k *Kind) {
	switch {
	case k.Title == "" || !strings.HasSuffix(k.Doc, "."):
		t.Error("no title, or no sentence about it")
	case !strings.HasPrefix(k.API.Collection, "/") || !strings.HasPrefix(k.API.Scope, "okta.") || len(k.API.Events) == 0:
		t.Error("incomplete API")
	case k.API.Write != "PUT" && k.API.Write != "POST":
		t.Errorf("written by %s", k.API.Write)
	case k.Setting != (k.Key == ""):
		t.Error("a setting has no key, and all else has one")
	case (len(k.BuiltIn) > 0) != (k.API.BuiltInQuery != ""):
		t.Error("objects that Okta makes without a way to list them, or the reverse")
	case k.Typed && (len(k.Types) == 0 || !strings.Contains(k.API.Query, "{type}")):
		t.Error("a kind with types whose list isn't read by type")
	case k.Parent != nil && (k.Parent.order >= place || !strings.Contains(k.API.Collection, "{parent}")):
		t.Error("comes before its parent, or isn't below it")
	}
	if k.Key != "" {
		if f := k.FieldAt("", k.Key); f == nil || !f.Required || f.Type != Text {
			t.Errorf("the key %s isn't a required text", k.Key)
		}
	}
	if k.API.Lifecycle != (Find(k.Fields, "status") != nil && !k.Fixed && !k.Setting) {
		t.Error("has a status without calls to reach it, or the reverse")
	}
}

func checkFields(t *testing.T, place int, fields []Field, prefix string) {
	for i := range fields {
		f := &fields[i]
		name := prefix + f.Name
		if f.Name == "" {
			t.Errorf("%s: a field without a name", prefix)
		}
		for j := range i {
			if o := &fields[j]; o.Name == f.Name && !slices.ContainsFunc(append(o.Types, ""), func(typ string) bool { return typ != "" && !f.fits(typ) }) {
				t.Errorf("%s: twice for the same type", name)
			}
		}
		checkField(t, place, f, name)
	}
}

func checkField(t *testing.T, place int, f *Field, name string) {
	if !strings.HasSuffix(f.Doc, ".") {
		t.Errorf("%s: no sentence about it", name)
	}
	if (f.ReadOnly || f.Secret) != (f.Why != "") || f.Echo && !f.ReadOnly {
		t.Errorf("%s: can't be declared without a reason, or the reverse", name)
	}
	if f.Refers != "" {
		if k := ByName(f.Refers); k == nil || k.order >= place || f.Type != Text {
			t.Errorf("%s: refers to %s, which isn't written before", name, f.Refers)
		}
	}
	if f.Unique && (f.Type != Text || strings.Contains(name, ".") || len(f.Types) > 0) {
		t.Errorf("%s: only a text at the top is looked at", name)
	}
	if words := slices.Sorted(slices.Values(f.Enum)); len(slices.Compact(words)) != len(f.Enum) || len(f.Enum) > 0 && f.Type != Text {
		t.Errorf("%s: a word twice, or words of what is no text", name)
	}
	if f.Min != nil && f.Max != nil && *f.Min > *f.Max {
		t.Errorf("%s: nothing is in its bounds", name)
	}
	if (f.Type == List) != (f.Elem != nil) || f.Type != List && (f.Set || len(f.By) > 0) {
		t.Errorf("%s: a list without elements, or the reverse", name)
	}
	if f.Type == Mapping && len(f.Fields) == 0 || f.Type != Mapping && len(f.Fields) > 0 {
		t.Errorf("%s: a mapping without fields, or the reverse", name)
	}
	for _, by := range f.By {
		if Find(f.Elem.Fields, by) == nil {
			t.Errorf("%s: its elements have no %s", name, by)
		}
	}
	if f.Elem != nil {
		checkField(t, place, f.Elem, name+"[]")
	}
	checkFields(t, place, f.Fields, name+".")
}

func TestFindFor(t *testing.T) {
	for _, test := range []struct {
		typ  string
		want Type
	}{{"DYNAMIC", List}, {"DYNAMIC_V2", Mapping}, {"", List}} {
		if f := FindFor(networkZones.Fields, test.typ, "asns"); f == nil || f.Type != test.want {
			t.Errorf("%s: got %v", test.typ, f)
		}
	}
	if FindFor(networkZones.Fields, "IP", "asns") != nil || Find(networkZones.Fields, "nothing") != nil {
		t.Error("found a field that isn't there")
	}
	if f := networkZones.FieldAt("", "asns.include"); f == nil || f.Type != List {
		t.Errorf("the field below a mapping is %v", f)
	}
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct{ typ, value, wantType, want, wrong string }{
		{"CIDR", "198.51.100.4/24", "CIDR", "198.51.100.4/24", ""},
		{"CIDR", "192.0.2.1", "RANGE", "192.0.2.1-192.0.2.1", ""},
		{"RANGE", " 192.0.2.1 - 192.0.2.9 ", "RANGE", "192.0.2.1-192.0.2.9", ""},
		{"RANGE", "2001:DB8::1-2001:db8:0::2", "RANGE", "2001:db8::1-2001:db8::2", ""},
		{"CIDR", "2001:DB8::/32", "CIDR", "2001:db8::/32", ""},
		{"CIDR", "192.0.2.0/33", "CIDR", "192.0.2.0/33", "must be a CIDR such as 198.51.100.0/24"},
		{"RANGE", "192.0.2.0/24", "RANGE", "192.0.2.0/24", "is a CIDR, but its type is RANGE"},
		{"CIDR", "192.0.2.1-192.0.2.9", "CIDR", "192.0.2.1-192.0.2.9", "is a range, but its type is CIDR"},
		{"RANGE", "192.0.2.9-192.0.2.1", "RANGE", "192.0.2.9-192.0.2.1", "ends before it begins"},
		{"RANGE", "192.0.2.9-2001:db8::1", "RANGE", "192.0.2.9-2001:db8::1", "must be a range such as 198.51.100.1-198.51.100.9, or a CIDR"},
		{"RANGE", "office", "RANGE", "office-office", "must be a range such as 198.51.100.1-198.51.100.9, or a CIDR"},
	} {
		b := map[string]any{"gateways": []any{map[string]any{"type": test.typ, "value": test.value}}}
		if got := networkZones.Oddities.Check("IP", b)["gateways.0.value"]; got != test.wrong {
			t.Errorf("%s: %q is wrong, want %q", test.value, got, test.wrong)
		}
		m := networkZones.Normalize(b, nil)["gateways"].([]any)[0].(map[string]any)
		if m["type"] != test.wantType || m["value"] != test.want {
			t.Errorf("%s: got %v", test.value, m)
		}
	}
}

func TestOrigins(t *testing.T) {
	for _, test := range []struct{ origin, want, wrong string }{
		{"https://Portal.Acme.example/", "https://portal.acme.example", ""},
		{"HTTP://localhost:8080", "http://localhost:8080", ""},
		{"capacitor://App/Path", "capacitor://app/Path", ""},
		{"https://ada:secret@x.example", "https://ada:secret@x.example", "must not hold a user name or password"},
		{"portal", "portal", "must be an address such as https://portal.example.com"},
	} {
		b := map[string]any{"origin": test.origin}
		if got := trustedOrigins.KeyOf(b); got != test.want {
			t.Errorf("%s: got %s", test.origin, got)
		}
		if got := trustedOrigins.Oddities.Check("", b)["origin"]; got != test.wrong {
			t.Errorf("%s: %q is wrong, want %q", test.origin, got, test.wrong)
		}
	}
}

// The type of a rule follows from that of its policy.
func TestRuleTypes(t *testing.T) {
	for _, test := range []struct{ policy, rule, wrong string }{
		{signOn, "SIGN_ON", ""},
		{signOn, password, "must be SIGN_ON for a rule of a policy of the type OKTA_SIGN_ON, or be left out"},
		{password, password, ""},
		{mfaEnroll, "SIGN_ON", "must be MFA_ENROLL for a rule of a policy of the type MFA_ENROLL, or be left out"},
		{"", "SIGN_ON", ""},
	} {
		if got := policyRules.Oddities.Check(test.policy, map[string]any{"type": test.rule})["type"]; got != test.wrong {
			t.Errorf("%s in %s: %q, want %q", test.rule, test.policy, got, test.wrong)
		}
	}
}
