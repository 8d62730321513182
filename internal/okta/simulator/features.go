package simulator

import (
	"net/http"
	"slices"
	"strings"
)

// Feature is a self-service feature that orgs are offered. Every org is offered
// all of a seed's.
type Feature struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description,omitempty"`
	// Stage is EA or BETA; empty counts as EA.
	Stage string `yaml:"stage,omitempty"`
	// Closed means that the feature, a beta, can only be switched off.
	Closed bool `yaml:"closed,omitempty"`
	// Needs are the names of the features that must be on before this one.
	Needs []string `yaml:"needs,omitempty"`
}

// defaultFeatures are those of a seed that lists none. They are made up.
var defaultFeatures = []Feature{
	{Name: "Device Assurance Messages", Description: "Tells users what is wrong with their devices"},
	{Name: "Enhanced Network Zone Logging", Description: "Logs which zones matched"},
	{Name: "Zone Usage Report", Description: "Reports which zones are used", Needs: []string{"Enhanced Network Zone Logging"}},
	{Name: "New Admin Dashboard", Description: "A new dashboard", Stage: "BETA"},
	{Name: "Import Monitoring", Description: "Monitors imports", Stage: "BETA", Closed: true},
}

// featureSet are the features of an org, in the order of the seed. They have no
// endpoint to create one.
var featureSet = &kind{name: "features", path: "/api/v1/features", scope: "okta.features", prefix: "ftr", entity: "Feature", target: "Feature"}

// addFeatures adds the features that the org is offered.
func (m *orgCall) addFeatures(offered []Feature) {
	t := m.st.set("features")
	for _, f := range offered {
		value, state := f.Stage, "OPEN"
		if value == "" {
			value = "EA"
		}
		if f.Closed {
			state = "CLOSED"
		}
		needs := []any{}
		for _, name := range f.Needs {
			needs = append(needs, fixedID("ftr", name))
		}
		status := "DISABLED"
		if slices.Contains(m.st.org.Features, f.Name) {
			status = "ENABLED"
		}
		t.items = append(t.items, &item{
			// Whether ids are the same in all orgs is unconfirmed; these are.
			id: fixedID("ftr", f.Name), status: status,
			body: doc{"name": f.Name, "description": f.Description, "stage": doc{"value": value, "state": state}, "needs": needs},
		})
	}
}

func (m *orgCall) viewFeature(it *item) doc {
	self := m.base + featureSet.path + "/" + it.id
	return doc{
		"id": it.id, "type": "self-service", "status": it.status,
		"name": it.body["name"], "description": it.body["description"], "stage": it.body["stage"],
		"_links": doc{"self": doc{"href": self}, "dependents": doc{"href": self + "/dependents"}, "dependencies": doc{"href": self + "/dependencies"}},
	}
}

// dependencies returns what a feature needs; dependents what needs it.
func (t *set) dependencies(it *item) []*item {
	return t.featuresIf(func(other *item) bool { return slices.Contains(digTexts(it.body, "needs"), other.id) })
}

func (t *set) dependents(it *item) []*item {
	return t.featuresIf(func(other *item) bool { return slices.Contains(digTexts(other.body, "needs"), it.id) })
}

func (t *set) featuresIf(match func(*item) bool) []*item {
	return slices.DeleteFunc(slices.Clone(t.items), func(it *item) bool { return !match(it) })
}

// feature returns a handler of one feature.
func feature(handle func(*orgCall, *set, *item) *answer) handler {
	return orgRoute(func(m *orgCall) *answer {
		t, id := m.st.set("features"), m.c.args["id"]
		it := t.byID(id)
		if it == nil || m.power() == powerless {
			return m.notFound(id, featureSet.entity)
		}
		return handle(m, t, it)
	})
}

func (m *orgCall) listFeatures(items []*item) *answer {
	if refusal := m.query(); refusal != nil {
		return refusal
	}
	out := []doc{}
	for _, it := range items {
		if m.power() > powerless {
			out = append(out, m.viewFeature(it))
		}
	}
	return jsonAnswer(http.StatusOK, out)
}

// switchFeature enables or disables a feature. With mode=force what it needs is
// enabled, or what needs it disabled, as well.
func (m *orgCall) switchFeature(t *set, it *item) *answer {
	if refusal := firstOf(m.mayWrite(editor), m.query("mode")); refusal != nil {
		return refusal
	}
	want, others := "ENABLED", t.dependencies
	switch m.c.args["change"] {
	case "ENABLE":
	case "DISABLE":
		want, others = "DISABLED", t.dependents
	default:
		return m.invalid("lifecycle", "lifecycle: The field must be ENABLE or DISABLE")
	}
	mode := m.param("mode")
	if mode != "" && mode != "force" {
		return m.invalid("mode", "mode: The parameter must be force")
	}
	moved := closure(it, want, others)
	if len(moved) > 1 && mode != "force" {
		var names []string
		for _, other := range moved[1:] {
			names = append(names, digText(other.body, "name"))
		}
		return m.fail(http.StatusBadRequest, codeFeature, "The feature cannot be updated because of its dependencies.",
			strings.ToLower(want)+" first: "+strings.Join(names, ", "))
	}
	for _, other := range moved {
		if want == "ENABLED" && dig(other.body, "stage", "state") == "CLOSED" {
			return m.invalid("stage", "stage: A closed beta can't be enabled")
		}
	}
	for _, other := range slices.Backward(moved) {
		if other.status != want {
			other.status = want
			m.log(featureEvent(other, want), entity{ID: other.id, Type: "Feature", AlternateID: digText(other.body, "name"), DisplayName: digText(other.body, "name")})
		}
	}
	return jsonAnswer(http.StatusOK, m.viewFeature(it))
}

// closure returns a feature and all others that have to move before it does.
func closure(it *item, want string, others func(*item) []*item) []*item {
	all := []*item{it}
	for i := 0; i < len(all); i++ {
		for _, other := range others(all[i]) {
			if other.status != want && !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}

func featureEvent(it *item, want string) string {
	switch {
	case want == "DISABLED":
		return "system.feature.disable"
	case dig(it.body, "stage", "value") == "BETA":
		return "system.beta.feature.enable"
	}
	return "system.feature.enable"
}
