package simulator

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

var zones = &kind{
	name: "networkZones", path: "/api/v1/zones", scope: "okta.networkZones", prefix: "nzo", entity: "NetworkZone", target: "NetworkZone",
	events: events{"zone.create", "zone.update", "zone.activate", "zone.deactivate", "zone.delete"},
	born:   active,
	// The largest page is unconfirmed.
	page: 20, most: 200,
	parameters: []string{"filter"},
	filter: &grammar{attributes: map[string]attribute{
		"id": {kind: textual, ops: []string{"eq"}}, "usage": {kind: textual, ops: []string{"eq"}}, "system": {kind: boolean, ops: []string{"eq"}},
	}},
	shape: zoneShape, fill: fillZone, check: checkZone, view: viewZone, removable: zoneRemovable,
}

const maxZoneItems = 75

var categoryForm = regexp.MustCompile(`^[A-Z0-9]+(_[A-Z0-9]+)*$`)

func zoneShape(_ *orgCall, body doc) *shape {
	address := fields("type value", map[string]*shape{"type": oneOf("CIDR", "RANGE"), "value": text(1, 0)})
	asns := list(text(1, 10).like(digits, "the number of an autonomous system"), 0, maxZoneItems)
	locations := list(fields("country", map[string]*shape{
		"country": text(2, 2).like(capitals, "two capital letters"), "region": text(1, 10).orNull(),
	}), 0, maxZoneItems)
	both := func(s *shape) *shape { return fields("", map[string]*shape{"include": s, "exclude": s}) }
	common := fields("type name", map[string]*shape{
		"type": oneOf("IP", "DYNAMIC", "DYNAMIC_V2"), "name": text(1, 128), "usage": oneOf("POLICY", "BLOCKLIST"),
	})
	switch body["type"] {
	case "IP":
		return common.with("", map[string]*shape{"gateways": list(address, 0, 0).orNull(), "proxies": list(address, 0, 0).orNull()})
	case "DYNAMIC":
		return common.with("", map[string]*shape{
			"asns": asns.orNull(), "locations": locations.orNull(), "proxyType": oneOf("null", "Any", "Tor", "NotTorAnonymizer").orNull(),
		})
	case "DYNAMIC_V2":
		return common.with("", map[string]*shape{
			"asns": both(asns), "locations": both(locations.orNull()),
			// The list of categories grows monthly.
			"ipServiceCategories": both(list(text(1, 0).like(categoryForm.MatchString, "a category"), 0, maxZoneItems)),
		})
	}
	return common
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

func capitals(s string) bool { return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" }

// addressRange returns an address in the form that Okta keeps: a single IP becomes
// a range, host bits of a CIDR stay. ok is false if it is none.
func addressRange(kind, value string) (kept, keptAs string, ok bool) {
	if ip, err := netip.ParseAddr(value); err == nil {
		return "RANGE", ip.String() + "-" + ip.String(), true
	}
	if kind == "CIDR" {
		_, err := netip.ParsePrefix(value)
		return kind, value, err == nil
	}
	from, to, _ := strings.Cut(value, "-")
	a, err := netip.ParseAddr(strings.TrimSpace(from))
	b, err2 := netip.ParseAddr(strings.TrimSpace(to))
	return kind, value, err == nil && err2 == nil && a.Is4() == b.Is4() && !b.Less(a)
}

func checkZone(m *orgCall, t *set, it *item, body doc) *answer {
	system := it != nil && it.system
	if system {
		for _, field := range []string{"name", "usage"} {
			if _, has := body[field]; has && !same(it.body[field], body[field]) {
				return m.invalid(field, field+": The field of a system zone can't be changed")
			}
		}
	}
	if it != nil && body["type"] != it.body["type"] {
		return m.invalid("type", "type: The type of a network zone can't be changed")
	}
	var p problems
	empty := true
	switch body["type"] {
	case "IP":
		empty = checkAddresses(&p, body, system)
	case "DYNAMIC":
		proxy := digText(body, "proxyType")
		asns, _ := body["asns"].([]any)
		locations, _ := body["locations"].([]any)
		empty = len(asns)+len(locations) == 0 && (proxy == "" || proxy == "null")
	case "DYNAMIC_V2":
		for _, key := range []string{"asns", "locations", "ipServiceCategories"} {
			for _, side := range []string{"include", "exclude"} {
				items, _ := dig(body, key, side).([]any)
				empty = empty && len(items) == 0
			}
		}
	}
	if empty && !system {
		p.add("type", "The network zone must have at least one address, location, system or category")
	}
	return firstOf(m.bad(p), m.newName(t, it, "name", "", body))
}

// checkAddresses checks the addresses of an IP zone and reports whether it has
// none.
func checkAddresses(p *problems, body doc, system bool) (empty bool) {
	empty = true
	most := 150
	switch {
	case system:
		most = 5000
	case body["usage"] == "BLOCKLIST":
		most = 1000
	}
	for _, key := range []string{"gateways", "proxies"} {
		items, _ := body[key].([]any)
		empty = empty && len(items) == 0
		if len(items) > most {
			p.add(key, "The field can have at most %d items, got %d", most, len(items))
		}
		for _, item := range items {
			if _, _, ok := addressRange(digText(item, "type"), digText(item, "value")); !ok {
				p.add(key, "'%s' is not a valid %s", digText(item, "value"), digText(item, "type"))
			}
		}
	}
	return empty
}

func fillZone(_ *orgCall, _ *item, body doc) doc {
	switch body["type"] {
	case "IP":
		body = filled(body, doc{"usage": "POLICY", "gateways": nil, "proxies": nil})
		for _, key := range []string{"gateways", "proxies"} {
			items, _ := body[key].([]any)
			if len(items) == 0 {
				body[key] = nil
				continue
			}
			kept := make([]any, len(items))
			for i, item := range items {
				kind, value, _ := addressRange(digText(item, "type"), digText(item, "value"))
				kept[i] = doc{"type": kind, "value": value}
			}
			body[key] = kept
		}
	case "DYNAMIC":
		body = filled(body, doc{"usage": "POLICY", "asns": nil, "locations": nil, "proxyType": nil})
	default:
		both := doc{"include": []any{}, "exclude": []any{}}
		body = filled(body, doc{"usage": "POLICY", "asns": both, "locations": both, "ipServiceCategories": both})
	}
	return body
}

func viewZone(m *orgCall, t *set, it *item, out doc) {
	out["system"] = it.system
	out["_links"] = m.links(m.base+t.kind.path+"/"+it.id, it, "GET", "PUT", "DELETE")
}

func zoneRemovable(m *orgCall, _ *set, it *item) *answer {
	switch users := m.zoneUsers(it.id); {
	case it.system:
		return m.forbidden("A system zone can't be deleted")
	case it.status == active:
		return m.invalid("status", "status: The network zone must be deactivated before it is deleted")
	case len(users) > 0:
		return m.invalid("id", "id: The network zone is in use by "+strings.Join(users, ", "))
	}
	return nil
}

// zoneUsers returns what refers to a zone.
func (m *orgCall) zoneUsers(id string) []string {
	var users []string
	for _, p := range m.st.set("policies").items {
		for _, rule := range p.rules.items {
			network := dig(rule.body, "conditions", "network")
			if slices.Contains(digTexts(network, "include"), id) || slices.Contains(digTexts(network, "exclude"), id) {
				users = append(users, digText(p.body, "name")+"/"+digText(rule.body, "name"))
			}
		}
	}
	if slices.Contains(digTexts(m.st.settings["threatInsight"], "excludeZones"), id) {
		users = append(users, "ThreatInsight")
	}
	return users
}
