package demo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// baseline is what the orgs that were there from the start are configured with.
const baseline = `version: 1
baselines:
  workforce:
    networkZones:
      - {name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}]}
      - {name: Attackers, type: IP, usage: BLOCKLIST, gateways: [{type: CIDR, value: 203.0.113.0/24}]}
    groups:
      - profile: {name: Contractors, description: External staff}
    groupRules:
      - name: Contractors by type
        conditions: {expression: {value: 'user.userType=="contractor"'}}
        actions: {assignUserToGroups: {groupIds: [Contractors]}}
    policies:
      - type: OKTA_SIGN_ON
        name: Contractors
        conditions: {people: {groups: {include: [Contractors]}}}
        rules:
          - name: From offices
            conditions: {network: {connection: ZONE, include: [Offices]}}
            actions: {signon: {access: ALLOW}}
          - {name: Elsewhere, actions: {signon: {access: DENY}}}
    settings:
      threatInsight: {action: block, excludeZones: [Offices]}
`

// deletedZone is the zone of the baseline that somebody deletes in driftingOrg.
const deletedZone = "Attackers"

// everybody is a gateway that holds all of IPv4.
const everybody = "{type: CIDR, value: 0.0.0.0/0}"

var accessLine = regexp.MustCompile(`(?m)^    access: .*$`)

// configure declares a baseline for the orgs that have a service app.
func (d *demo) configure(ctx context.Context) error {
	d.chapter("A baseline: what ten orgs are configured with, declared once")
	d.say("  (baselines: [workforce] was added to each of them, and to %s its id)\n\n$ cat orgs/baselines.yaml\n%s",
		createdOrg, strings.TrimSpace(baseline))
	if err := d.commitBaseline("a baseline", baseline); err != nil {
		return err
	}
	fleet := accessLine.ReplaceAllString(d.fleet, "$0\n    baselines: [workforce]")
	created, _ := d.sim.Org(createdOrg)
	fleet = strings.Replace(fleet, "domain: "+createdOrg, "domain: "+createdOrg+"\n    id: "+created.ID, 1)
	if err := d.commit("the orgs that get it", fleet); err != nil {
		return err
	}
	out, err := d.command(ctx, exitDifferences, "diff", "--detailed-exitcode")
	if err != nil {
		return err
	}
	if err := contains(out, "10 orgs", "groupRules/Contractors by type", "settings/threatInsight"); err != nil {
		return err
	}
	if err := d.lastLine(ctx, "apply", "--yes"); err != nil {
		return err
	}
	domains := d.configured()
	for _, domain := range domains {
		if err := d.checkBaseline(domain); err != nil {
			return err
		}
	}
	if _, err := d.command(ctx, exitOK, "diff", "--detailed-exitcode"); err != nil {
		return err
	}
	d.fact("one baseline configured %d orgs: zones, a group with its rule, a policy and its rules in their order, a setting", len(domains))
	return nil
}

// deleteByHand shows the drift of an object, and its repair.
func (d *demo) deleteByHand(ctx context.Context) error {
	d.chapter("An admin deletes a zone by hand")
	objects := d.sim.Objects(driftingOrg)
	if err := objects.Delete("networkZones", deletedZone, "mallory@acme.example"); err != nil {
		return err
	}
	d.say("  (the zone %s of %s)", deletedZone, driftingOrg)
	out, err := d.command(ctx, exitDifferences, "diff", "--detailed-exitcode")
	if err != nil {
		return err
	}
	if err := contains(out, driftingOrg, "networkZones/"+deletedZone); err != nil {
		return err
	}
	err = d.daemon(ctx, modeApply, func(ctx context.Context, address string) error {
		return d.await(ctx, address, func(s *status) bool { return s.LastRun.Result == "in-sync" && len(s.Drift) == 0 })
	})
	if err != nil {
		return err
	}
	if _, ok := objects.Get("networkZones", deletedZone); !ok {
		return fmt.Errorf("the zone %s of %s is still missing", deletedZone, driftingOrg)
	}
	d.say("\nThe daemon, in apply mode, makes it again. Afterwards:")
	if _, err := d.command(ctx, exitOK, "diff", "--detailed-exitcode"); err != nil {
		return err
	}
	d.fact("the zone that was deleted by hand in %s was found missing, and made again", driftingOrg)
	return nil
}

// lockOut commits a blocklist that would shut everybody out.
func (d *demo) lockOut(ctx context.Context) error {
	d.chapter("A blocklist that would lock everybody out")
	d.say("  (%s was added to the zone %s)", everybody, deletedZone)
	gateways := "gateways: [{type: CIDR, value: 203.0.113.0/24}"
	if err := d.commitBaseline("block some more", strings.Replace(baseline, gateways, gateways+", "+everybody, 1)); err != nil {
		return err
	}
	writes := len(d.sim.Writes())
	out, err := d.command(ctx, exitRefused, "apply", "--yes")
	if err != nil {
		return err
	}
	if err := contains(out, "lockout", "holds all of IPv4"); err != nil {
		return err
	}
	if len(d.sim.Writes()) != writes {
		return errors.New("something was written although the guard refused")
	}
	d.fact("the guard refused the blocklist that would have locked everybody out of ten orgs; nothing was written")
	return d.commitBaseline("revert", baseline)
}

const baselineFile = "orgs/baselines.yaml"

func (d *demo) commitBaseline(message, text string) error {
	_, err := d.repo.Commit(message, map[string]string{baselineFile: text})
	return err
}

// configured returns the domains of the orgs that have the baseline.
func (d *demo) configured() []string {
	var domains []string
	for _, o := range d.managed() {
		if o.Domain != linkedOrg && o.Domain != createdOrg {
			domains = append(domains, o.Domain)
		}
	}
	return domains
}

// checkBaseline checks at the simulator that an org is configured as the baseline
// declares.
func (d *demo) checkBaseline(domain string) error {
	objects := d.sim.Objects(domain)
	for _, o := range [][2]string{
		{"networkZones", "Offices"},
		{"networkZones", deletedZone},
		{"groups", "Contractors"},
		{"groupRules", "Contractors by type"},
		{"policies/OKTA_SIGN_ON", "Contractors"},
	} {
		if _, ok := objects.Get(o[0], o[1]); !ok {
			return fmt.Errorf("%s has no %s/%s", domain, o[0], o[1])
		}
	}
	rules, err := objects.List("policyRules/OKTA_SIGN_ON/Contractors")
	if err != nil {
		return err
	}
	if len(rules) != 2 || rules[0]["name"] != "From offices" || rules[1]["name"] != "Elsewhere" {
		return fmt.Errorf("the rules of %s are not those of the baseline: %v", domain, rules)
	}
	if setting, _ := objects.Get("settings", "threatInsight"); setting["action"] != "block" {
		return fmt.Errorf("ThreatInsight of %s is not what was applied: %v", domain, setting)
	}
	return nil
}
