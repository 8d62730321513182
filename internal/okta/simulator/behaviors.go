package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// behaviorPage is how many behaviors are on a page. There is no parameter for it.
const behaviorPage = 10

var behaviors = &kind{
	name: "behaviors", path: "/api/v1/behaviors", scope: "okta.behaviors", prefix: "bhv", entity: "BehaviorSettings", target: "BehaviorSettings",
	events: events{
		"security.behavior.settings.create", "security.behavior.settings.update", "security.behavior.settings.activate",
		"security.behavior.settings.deactivate", "security.behavior.settings.delete",
	},
	born:  active,
	shape: behaviorShape,
	check: func(m *orgCall, t *set, it *item, body doc) *answer {
		if it != nil && body["type"] != it.body["type"] {
			return m.invalid("type", "type: The type of a behavior can't be changed")
		}
		byRadius := dig(body, "settings", "granularity") == "LAT_LONG"
		if has := dig(body, "settings", "radiusKilometers") != nil; has != byRadius && body["type"] == "ANOMALOUS_LOCATION" {
			return m.invalid("settings.radiusKilometers", "settings.radiusKilometers: The field goes with the granularity LAT_LONG, and only with it")
		}
		return m.newName(t, it, "name", "", body)
	},
	fill: func(_ *orgCall, _ *item, body doc) doc {
		settings, _ := body["settings"].(doc)
		if body["type"] == "VELOCITY" {
			return body
		}
		settings = filled(settings, doc{"maxEventsUsedForEvaluation": json.Number("20"), "minEventsNeededForEvaluation": json.Number("0")})
		if r, ok := settings["radiusKilometers"].(json.Number); ok && !strings.Contains(r.String(), ".") {
			settings["radiusKilometers"] = r + ".0"
		}
		body["settings"] = settings
		return body
	},
	view: func(m *orgCall, t *set, it *item, out doc) {
		out["_links"] = m.links(m.base+t.kind.path+"/"+it.id, it, "GET", "PUT", "DELETE")
	},
	time: func(it *item) (created, updated string) {
		const form = "2006-01-02 15:04:05.0"
		return it.created.UTC().Format(form), it.updated.UTC().Format(form)
	},
	removable: func(m *orgCall, _ *set, it *item) *answer {
		if it.status == active {
			return m.invalid("status", "status: The behavior must be deactivated before it is deleted")
		}
		return nil
	},
}

func behaviorShape(_ *orgCall, body doc) *shape {
	history := map[string]*shape{"maxEventsUsedForEvaluation": number(1, 100), "minEventsNeededForEvaluation": number(0, 10)}
	settings, need := fields("", history), "name type settings"
	switch body["type"] {
	case "VELOCITY":
		settings = fields("velocityKph", map[string]*shape{"velocityKph": number(1, 1<<31-1)})
	case "ANOMALOUS_LOCATION":
		settings = settings.with("granularity", map[string]*shape{
			"granularity": oneOf("CITY", "COUNTRY", "LAT_LONG", "SUBDIVISION"), "radiusKilometers": number(1, 1<<31-1),
		})
	default:
		need = "name type"
	}
	return fields(need, map[string]*shape{
		"name": text(1, 128), "settings": settings,
		"type": oneOf("ANOMALOUS_LOCATION", "ANOMALOUS_DEVICE", "ANOMALOUS_IP", "ANOMALOUS_ASN", "VELOCITY"),
	})
}

// listBehaviors answers pages by name. Beside every page that isn't empty is a link
// to the next one, also beside the last.
func (m *orgCall) listBehaviors() *answer {
	if refusal := m.query("after", "limit"); refusal != nil {
		return refusal
	}
	if _, err := strconv.Atoi(m.param("limit")); err != nil && m.param("limit") != "" {
		return m.invalid("limit", "limit: The limit must be a number")
	}
	t := m.st.set("behaviors")
	sorted := slices.SortedFunc(slices.Values(t.items), func(a, b *item) int {
		return strings.Compare(digText(a.body, "name"), digText(b.body, "name"))
	})
	after := m.param("after")
	out, last := []json.RawMessage{}, ""
	for _, it := range sorted {
		name := digText(it.body, "name")
		if name > after && len(out) < behaviorPage && m.power() > powerless {
			out, last = append(out, m.encode(t, it)), name
		}
	}
	a := jsonAnswer(http.StatusOK, out)
	q := m.c.r.URL.Query()
	q.Set("limit", strconv.Itoa(behaviorPage))
	link(a, "self", m.c.url, q)
	if last != "" {
		q.Set("after", last)
		link(a, "next", m.c.url, q)
	}
	return a
}
