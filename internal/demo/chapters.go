package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The orgs that something happens to.
const (
	gainingOrg  = "acme-emea-retail.okta.com"
	linkedOrg   = "acme-new.okta.com"
	driftingOrg = "acme-apac-retail.okta.com"
	createdOrg  = "acme-fresh.okta.com"
)

// lifecycle is the product that gainingOrg gains.
const lifecycle = "P000139"

// review looks at a change as CI does for a pull request: without credentials,
// so without a call to Okta.
func (d *demo) review(ctx context.Context) error {
	d.chapter("A pull request: one org is to gain a product, a new org is to be linked")
	fleet := addProduct(d.fleet, gainingOrg, lifecycle)
	fleet += fmt.Sprintf("  - domain: %s\n    cell: ok1\n    status: ACTIVE\n    products: [P000052, P000131]\n", linkedOrg)
	if err := d.commit("link acme-new, lifecycle management for EMEA", fleet); err != nil {
		return err
	}
	// The demo may be run in a clone of something else, which would be compared.
	manifests := filepath.Join(d.repo.Dir(), "orgs")
	out, err := d.command(ctx, exitDifferences, "diff", "--base", "main~1", "--manifests", manifests, "--offline", "--detailed-exitcode")
	if err != nil {
		return err
	}
	if err := contains(out, "Declared change", linkedOrg, lifecycle); err != nil {
		return err
	}
	if n := len(d.sim.Requests()); n > 0 {
		return fmt.Errorf("a review of manifests alone called Okta %d times", n)
	}
	d.fact("diff --base said what the change means for each org, without credentials or a call to Okta")
	return nil
}

func (d *demo) plan(ctx context.Context) error {
	d.chapter("It is merged: what differs from live now?")
	out, err := d.command(ctx, exitDifferences, "diff", "--detailed-exitcode")
	if err != nil {
		return err
	}
	if err := contains(out, linkedOrg, lifecycle, "cannot be undone"); err != nil {
		return err
	}
	if n := len(d.sim.Writes()); n > 0 {
		return fmt.Errorf("the diff wrote %d times", n)
	}
	d.fact("diff showed the plan, marked what cannot be undone, and wrote nothing")
	return nil
}

func (d *demo) apply(ctx context.Context) error {
	d.chapter("Apply it, and look again")
	if _, err := d.command(ctx, exitOK, "apply", "--yes"); err != nil {
		return err
	}
	linked, _ := d.sim.Org(linkedOrg)
	gained, _ := d.sim.Org(gainingOrg)
	if !linked.Managed || !slices.Equal(linked.Products, []string{"P000052", "P000131"}) || !slices.Contains(gained.Products, lifecycle) {
		return errors.New("the account is not what was applied")
	}
	if _, err := d.command(ctx, exitOK, "diff", "--detailed-exitcode"); err != nil {
		return err
	}
	d.fact("apply linked %s and enabled %s in %s; the next diff was empty", linkedOrg, lifecycle, gainingOrg)
	return nil
}

func (d *demo) drift(ctx context.Context) error {
	d.chapter("Somebody changes an org by hand, behind git's back")
	if err := d.sim.SetOrgProducts(driftingOrg, []string{"P000052"}, "mallory@acme.example"); err != nil {
		return err
	}
	d.say("  (MFA was taken from %s)\n\nA daemon in report mode looks every second:", driftingOrg)
	writes := len(d.sim.Writes())
	return d.daemon(ctx, modeReport, func(ctx context.Context, address string) error {
		if err := d.await(ctx, address, func(s *status) bool {
			return len(s.Drift) == 1 && s.Drift[0].Org == driftingOrg
		}); err != nil {
			return err
		}
		if _, err := d.command(ctx, exitOK, "status", "--address", address); err != nil {
			return err
		}
		if len(d.sim.Writes()) != writes {
			return errors.New("report mode wrote something")
		}
		d.fact("the daemon found the drift of %s on schedule and, in report mode, left it alone", driftingOrg)
		return nil
	})
}

func (d *demo) repair(ctx context.Context) error {
	d.chapter("The same daemon with mode: apply repairs it")
	return d.daemon(ctx, modeApply, func(ctx context.Context, address string) error {
		if err := d.await(ctx, address, func(s *status) bool {
			return s.LastRun.Result == "in-sync" && len(s.Drift) == 0
		}); err != nil {
			return err
		}
		if _, err := d.command(ctx, exitOK, "status", "--address", address); err != nil {
			return err
		}
		if org, _ := d.sim.Org(driftingOrg); !slices.Equal(org.Products, []string{"P000052", "P000131"}) {
			return fmt.Errorf("%s was not repaired: %v", driftingOrg, org.Products)
		}
		d.fact("in apply mode it repaired %s", driftingOrg)
		return nil
	})
}

var anyProducts = regexp.MustCompile(`products: \[.*\]`)

func (d *demo) refuse(ctx context.Context) error {
	d.chapter("A dangerous commit: a script emptied every list of products")
	good := d.fleet
	if err := d.commit("clean up", anyProducts.ReplaceAllString(d.fleet, "products: []")); err != nil {
		return err
	}
	writes := len(d.sim.Writes())
	err := d.daemon(ctx, modeApply, func(ctx context.Context, address string) error {
		return d.await(ctx, address, func(s *status) bool { return s.LastRun.Result == "refused" })
	})
	if err != nil {
		return err
	}
	d.say("The daemon, in apply mode, refuses. So does apply:")
	out, err := d.command(ctx, exitRefused, "apply", "--yes")
	if err != nil {
		return err
	}
	if err := contains(out, "maxDestructivePercent"); err != nil {
		return err
	}
	if len(d.sim.Writes()) != writes {
		return errors.New("something was written although the guard refused")
	}
	d.fact("the guards refused the commit that would have emptied the fleet; nothing was written")
	return d.commit("revert", good)
}

func (d *demo) onboard(ctx context.Context) error {
	d.chapter("A new org, and a process that is killed while it makes it")
	fleet := d.fleet + fmt.Sprintf(`  - domain: %s
    cell: ok1
    products: [P000052, P000131]
    create:
      parent: %s
      name: Acme Fresh
      admin: {firstName: Ada, lastName: Admin, email: ada@acme.example, login: ada@acme.example}
`, createdOrg, d.parent)
	if err := d.commit("make acme-fresh", fleet); err != nil {
		return err
	}
	if err := d.killedApply(ctx); err != nil {
		return err
	}
	made, _ := d.sim.Org(createdOrg)
	if made.Managed || len(made.Tokens) != 1 {
		return errors.New("the process was not killed half-way")
	}
	d.say("(killed with SIGKILL, when the org was made and its token stored, but nothing linked)")
	d.say("\nThe journal knows how far it got. The same command again makes no second org:")
	if _, err := d.command(ctx, exitOK, "apply", "--yes"); err != nil {
		return err
	}
	creations := 0
	for _, r := range d.sim.Requests() {
		if r.Method == http.MethodPost && r.Path == "/api/v1/orgs" {
			creations++
		}
	}
	made, _ = d.sim.Org(createdOrg)
	tokens, err := d.tokens()
	switch {
	case err != nil:
		return err
	case creations != 1 || !made.Managed || !slices.Equal(made.Products, []string{"P000052", "P000131"}):
		return fmt.Errorf("after %d creations: %s is not as declared", creations, createdOrg)
	case len(tokens) != 1 || tokens[0] != made.Tokens[0]:
		return errors.New("the new org's token is not in the token folder")
	}
	d.fact("%s was made once, although the first apply was killed half-way; its token, which Okta shows once, was safe", createdOrg)
	return nil
}

// addProduct adds a product to the list of the org with this domain.
func addProduct(fleet, domain, id string) string {
	at := strings.Index(fleet, "domain: "+domain)
	list := strings.Index(fleet[at:], "products: [") + at
	end := strings.Index(fleet[list:], "]") + list
	return fleet[:end] + ", " + id + fleet[end:]
}

func contains(out string, parts ...string) error {
	for _, part := range parts {
		if !strings.Contains(out, part) {
			return fmt.Errorf("the output lacks %q", part)
		}
	}
	return nil
}
