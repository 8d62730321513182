package objects

import (
	"fmt"
	"net/netip"
	"strings"
)

// networkZones are sets of addresses or places that policies and ThreatInsight name.
var networkZones = &Kind{
	Name: "networkZones", Title: "network zone",
	Doc: "Network zones: addresses, places or networks that policies name, or that are blocked.",
	Key: "name",
	Own: []string{"BlockedIpZone", "DefaultEnhancedDynamicZone", exemptZone, "LegacyIpZone"},
	Fields: []Field{
		{Name: "name", Required: true, Max: new(128), Doc: "The zone's name."},
		{
			Name: "type", Required: true, Immutable: true, Enum: []string{"DYNAMIC", "DYNAMIC_V2", "IP"},
			Doc: "Addresses (IP), or places and networks (DYNAMIC, or DYNAMIC_V2 with exceptions). It can't be changed.",
		},
		{Name: "usage", Enum: []string{"BLOCKLIST", "POLICY"}, Doc: "Whether policies name the zone, or all requests from it are blocked."},
		lifecycle,
		addresses("gateways", "The addresses from which requests come, 150 at most (1,000 in a blocklist, 5,000 in Okta's own zone)."),
		addresses("proxies", "The addresses of trusted proxies."),
		{Name: "asns", Type: List, Set: true, Max: new(75), Types: dynamic, Doc: "Numbers of autonomous systems.", Elem: &asn},
		{
			Name: "proxyType", Enum: []string{"Any", "NotTorAnonymizer", "Tor", "null"}, Nullable: true, Empty: "null", Types: dynamic,
			Doc: "The kind of proxy that requests come through; null for none.",
		},
		locations("locations", "The places from which requests come.", dynamic),
		sides("asns", "Numbers of autonomous systems.", func(name, doc string) Field {
			return Field{Name: name, Type: List, Set: true, Max: new(75), Doc: doc, Elem: &Field{Doc: asn.Doc}}
		}),
		sides("locations", "The places from which requests come.", func(name, doc string) Field { return locations(name, doc, nil) }),
		sides("ipServiceCategories", "The proxies and VPNs through which requests come.", func(name, doc string) Field {
			f := words(name, doc, true, ipServices...)
			f.Max = new(75)
			return f
		}),
		madeByOkta(false),
		{Name: "useAsExemptList", Type: Boolean, Doc: "Allows the addresses of DefaultExemptIpZone.", ReadOnly: true, Why: "it is sent for DefaultExemptIpZone, and never read"},
	},
	Oddities: Oddities{
		Normalize: normalZone,
		Check:     checkZone,
		Lacks:     zoneLacks,
		Send: func(_ Ref, raw, body map[string]any) {
			if raw["system"] == true && raw["name"] == exemptZone {
				body["useAsExemptList"] = true
			}
		},
	},
	API: API{
		Collection:      "/api/v1/zones",
		Query:           "limit=200",
		Paged:           true,
		Write:           "PUT",
		Lifecycle:       true,
		DeactivateFirst: true,
		Scope:           "okta.networkZones",
		Events:          []string{"zone.", "network_zone."},
	},
}

// exemptZone is the zone whose addresses pass all blocklists. Okta takes a change of it
// only with useAsExemptList, which it never returns.
const exemptZone = "DefaultExemptIpZone"

var (
	dynamic  = []string{"DYNAMIC"}
	enhanced = []string{"DYNAMIC_V2"}
	asn      = Field{Doc: "The number, as a text."}
)

// addresses returns a set of ranges of addresses.
func addresses(name, doc string) Field {
	return Field{
		Name: name, Type: List, Set: true, By: []string{"type", "value"}, Max: new(5000), Nullable: true, Types: []string{"IP"}, Doc: doc,
		Elem: &Field{Type: Mapping, Doc: "One range of addresses.", Fields: []Field{
			{Name: "type", Required: true, Enum: []string{"CIDR", "RANGE"}, Doc: "How the addresses are written."},
			{Name: "value", Required: true, Doc: "The addresses: 198.51.100.0/24, or 198.51.100.1-198.51.100.9."},
		}},
	}
}

// locations returns a set of places.
func locations(name, doc string, types []string) Field {
	return Field{
		Name: name, Type: List, Set: true, By: []string{"country", "region"}, Max: new(75), Nullable: true, Types: types, Doc: doc,
		Elem: &Field{Type: Mapping, Doc: "One place.", Fields: []Field{
			{Name: "country", Required: true, Min: new(2), Max: new(2), Doc: "The country's code of ISO 3166-1, such as US."},
			{Name: "region", Nullable: true, Doc: "The region's code of ISO 3166-2 without the country, such as CA."},
		}},
	}
}

// sides returns a mapping of what a DYNAMIC_V2 zone has and what it leaves out.
func sides(name, doc string, list func(name, doc string) Field) Field {
	return Field{
		Name: name, Type: Mapping, Types: enhanced, Doc: doc,
		Fields: []Field{list("include", "What belongs to the zone."), list("exclude", "What does not belong to the zone.")},
	}
}

// normalZone writes ranges as Okta returns them.
func normalZone(body map[string]any) {
	if body["proxyType"] == "" {
		body["proxyType"] = "null"
	}
	for _, name := range []string{"gateways", "proxies"} {
		list, _ := body[name].([]any)
		for _, e := range list {
			if m, ok := e.(map[string]any); ok {
				normalAddress(m)
			}
		}
	}
}

// normalAddress writes an address alone as the range a-a, whatever its type, as Okta
// does. The host bits of a CIDR stay: Okta keeps them.
func normalAddress(m map[string]any) {
	s, ok := m["value"].(string)
	if !ok {
		return
	}
	var buffer [96]byte // which two addresses fit into: most are as they are to be
	if normal, alone := appendAddress(buffer[:0], strings.TrimSpace(s)); string(normal) != s {
		m["value"] = string(normal)
		if alone {
			m["type"] = "RANGE"
		}
	}
}

// appendAddress appends the normal form of a CIDR, a range or an address to b, and reports
// whether it is an address alone.
func appendAddress(b []byte, s string) (_ []byte, alone bool) {
	if ip, bits, ok := strings.Cut(s, "/"); ok {
		return append(append(appendIP(b, ip), '/'), bits...), false
	}
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		last = first
		_, err := netip.ParseAddr(first)
		alone = err == nil
	}
	return appendIP(append(appendIP(b, first), '-'), last), alone
}

// appendIP appends an address in its one form to b, and what is none as it is.
func appendIP(b []byte, s string) []byte {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		return a.AppendTo(b)
	}
	return append(b, s...)
}

// zoneLacks returns what a new zone must have one of.
func zoneLacks(body map[string]any) string {
	of := map[string][]string{
		"IP":         {"gateways", "proxies"},
		"DYNAMIC":    {"asns", "locations", "proxyType"},
		"DYNAMIC_V2": {"asns", "locations", "ipServiceCategories"},
	}
	typ, _ := body["type"].(string)
	for _, name := range of[typ] {
		switch v := body[name].(type) {
		case nil:
		case []any:
			if len(v) > 0 {
				return ""
			}
		default:
			return ""
		}
	}
	return strings.Join(of[typ], " or ")
}

// checkZone returns what is wrong with the addresses of a zone.
func checkZone(_ string, body map[string]any) map[string]string {
	wrong := map[string]string{}
	for _, name := range []string{"gateways", "proxies"} {
		list, _ := body[name].([]any)
		for i, e := range list {
			m, _ := e.(map[string]any)
			if s, ok := m["value"].(string); ok {
				if why := checkAddress(m["type"], s); why != "" {
					wrong[fmt.Sprintf("%s.%d.value", name, i)] = why
				}
			}
		}
	}
	return wrong
}

// checkAddress returns what is wrong with a range of addresses; empty if nothing is.
func checkAddress(typ any, s string) string {
	if strings.Contains(s, "/") {
		if _, err := netip.ParsePrefix(strings.TrimSpace(s)); err != nil {
			return "must be a CIDR such as 198.51.100.0/24"
		}
		if typ == "RANGE" {
			return "is a CIDR, but its type is RANGE"
		}
		return ""
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, errA := netip.ParseAddr(strings.TrimSpace(first))
	b, errB := netip.ParseAddr(strings.TrimSpace(last))
	switch {
	case errA != nil || errB != nil || a.Is4() != b.Is4():
		return "must be a range such as 198.51.100.1-198.51.100.9, or a CIDR"
	case b.Less(a):
		return "ends before it begins"
	case isRange && typ == "CIDR":
		return "is a range, but its type is CIDR"
	}
	return ""
}

// ipServices are the services that Okta is known to tell apart. It adds to them.
var ipServices = []string{
	"ABCPROXY_PROXY", "ALL_ANONYMIZERS", "ALL_ANONYMIZERS_EXCEPT_TOR", "ALL_IP_SERVICES", "ALL_PROXIES_VPNS", "ANONYMIZER_TOR",
	"APPLE_ICLOUD_RELAY_PROXY", "ASTRILL_VPN", "AVAST_VPN", "BIGMAMA_PROXY", "CYBERGHOST_VPN", "DATAIMPULSE_PROXY", "EXPRESS_VPN",
	"FACELESS_PROXY", "FROXY_PROXY", "GEONODE_PROXY", "GLOBALPROTECT_VPN", "GOOGLE_VPN", "IPCOLA_PROXY", "IPIDEA_PROXY",
	"IPROXYSHOP_PROXY", "LUMINATI_PROXY", "MULLVAD_VPN", "NETNUT_PROXY", "NEXUS_PROXY", "NORD_VPN", "OCULUS_PROXY", "OXYLABS_PROXY",
	"PIA_VPN", "PROXYLINE_PROXY", "PROXYRACK_PROXY", "SAMSUNG_VPN", "SPACEPROXIES_PROXY", "SURFSHARK_VPN", "SYMANTEC_VPN",
	"TRENDMICRO_VPN", "ULTRASURF_VPN", "VIGOR_SSL_VPN", "WARP_VPN", "YILU_PROXY",
}
