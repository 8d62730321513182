package report

import (
	"fmt"
	"strings"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/state"
)

// newPlan fills in what every plan has.
func newPlan(orgs, inSync int, p diff.Plan) *diff.Plan {
	p.Version = diff.PlanVersion
	p.Digest = "sha256:" + strings.Repeat("0123456789abcdef", 4)
	p.Account = "0200bs0617vvhv2v675mch1cukp"
	if p.Revision == "" {
		p.Revision = "4f0c2d1b9e8a7766554433221100ffeeddccbbaa"
	}
	p.Changes = append([]diff.Change{}, p.Changes...)
	p.Unfixable = append([]diff.Unfixable{}, p.Unfixable...)
	p.Unmanaged = append([]diff.Unmanaged{}, p.Unmanaged...)
	p.Unknown = append([]diff.Unknown{}, p.Unknown...)
	p.Refusals = append([]diff.Refusal{}, p.Refusals...)
	p.Summary = diff.Summary{
		Declared: orgs, Orgs: orgs, InSync: inSync, Changes: len(p.Changes),
		Unmanaged: len(p.Unmanaged), Unfixable: len(p.Unfixable), Unknown: len(p.Unknown),
	}
	for _, c := range p.Changes {
		if c.Blocked != "" {
			p.Summary.Blocked++
		}
		if c.Destructive {
			p.Summary.Destructive++
		}
	}
	return &p
}

func rename(before, after string) diff.Change {
	return diff.Change{Action: diff.RenameAccount, Before: diff.Text(before), After: diff.Text(after)}
}

func create(org string, c *state.Create) diff.Change {
	return diff.Change{Org: org, Action: diff.CreateOrg, Irreversible: true, Cell: "ok1", Create: c}
}

func link(org, id string) diff.Change {
	return diff.Change{Org: org, OrgID: id, Action: diff.LinkOrg, Irreversible: true, Cell: "ok1"}
}

func update(org, id string, enable, disable []string) diff.Change {
	return diff.Change{
		Org: org, OrgID: id, Action: diff.UpdateProducts,
		Before: diff.List(disable), After: diff.List(enable),
		Enable: append([]string{}, enable...), Disable: append([]string{}, disable...),
		Destructive: len(disable) > 0,
	}
}

func status(org, id string, before, after state.Status) diff.Change {
	return diff.Change{
		Org: org, OrgID: id, Action: diff.SetStatus,
		Before: diff.Text(string(before)), After: diff.Text(string(after)),
		Destructive: after == state.Inactive,
	}
}

func deletion(org, id string) diff.Change {
	return diff.Change{Org: org, OrgID: id, Action: diff.RequestDeletion, Destructive: true, Irreversible: true}
}

func blocked(c diff.Change, why string) diff.Change {
	c.Blocked = why
	return c
}

var productNames = map[string]string{
	"P000052": "sso",
	"P000131": "mfa",
	"P000139": "IT Products - Lifecycle Management with 1 OIN App",
}

func allActions() *diff.Plan {
	return newPlan(9, 2, diff.Plan{
		Products: productNames,
		Changes: []diff.Change{
			rename("Acme", "Acme Holdings"),
			update("acme-emea.okta.com", "00oy0itaI2Yi7XGGE0g3", []string{"P000139"}, []string{"P000131"}),
			status("acme-emea.okta.com", "00oy0itaI2Yi7XGGE0g3", state.Inactive, state.Active),
			status("acme-labs.oktapreview.com", "00o1labs00000000000g", state.Active, state.Inactive),
			create("acme-new.okta.com", &state.Create{
				Parent: "acme", Name: "Acme New", Website: "https://acme.example",
				Admin: state.Admin{FirstName: "Ada", LastName: "Admin", Email: "okta@acme.example", Login: "ada@acme.example"},
			}),
			link("acme-new.okta.com", ""),
			update("acme-new.okta.com", "", []string{"P000052", "P000131"}, nil),
			status("acme-old.okta.com", "00o1old000000000000g", state.Active, state.Inactive),
			deletion("acme-old.okta.com", "00o1old000000000000g"),
			update("acme-shop.okta.com", "00o1shop00000000000g", []string{"P001113"}, nil),
		},
	})
}

func troubled() *diff.Plan {
	return newPlan(8, 1, diff.Plan{
		Products: productNames,
		Changes: []diff.Change{
			update("acme-bank.okta.com", "00o1bank00000000000g", []string{"P000139"}, nil),
			blocked(update("acme-bank.okta.com", "00o1bank00000000000g", nil, []string{"P000131"}), "protected"),
			blocked(update("acme-shop.okta.com", "00o1shop00000000000g", []string{"P000139"}, []string{"P000131"}), "mode: report"),
			status("acme-test.okta.com", "00o1test00000000000g", state.Active, state.Inactive),
			blocked(status("acme.okta.com", "00o1acme00000000000g", state.Active, state.Inactive), "a parent org is never deactivated"),
		},
		Unfixable: []diff.Unfixable{{Org: "acme-apac.okta.com", Field: "cell", Desired: "ok1", Actual: "ok2"}},
		Unknown: []diff.Unknown{{
			Org: "acme-dark.okta.com", OrgID: "00o1dark00000000000g",
			Error: `403 E0000006: You do not have permission to perform the requested action (errorId "oaeQ3k9JMZwRZ2vn8qsLPcSrw")`,
			Hint:  "the org may not be managed by this account any more",
		}},
		Unmanaged: []diff.Unmanaged{{Org: "acme-aerial.okta.com", OrgID: "00o1aerial000000000g"}, {Org: "", OrgID: "00o1nameless0000000g"}},
		Refusals: []diff.Refusal{
			{Guard: "parentOrg", Message: "acme.okta.com is a parent org, which is never deactivated or deleted: set its status to ACTIVE in the manifest, or take it out"},
			{Guard: "maxDestructiveOrgs", Message: "1 org would lose a product or an object, be deactivated or deleted (acme-test.okta.com), but only 0 may in one run: if that is intended, apply it to fewer orgs at a time, or raise maxDestructiveOrgs"},
		},
	})
}

func outcomes(p *diff.Plan, results ...apply.Outcome) *apply.Result {
	for i, c := range p.Changes {
		results[i].Org, results[i].OrgID, results[i].Action = c.Org, c.OrgID, c.Action
	}
	return &apply.Result{Outcomes: results}
}

var (
	done       = apply.Outcome{Result: apply.Applied}
	wasBlocked = apply.Outcome{Result: apply.Blocked}
	stopped    = apply.Outcome{Result: apply.Skipped, Error: "the run was stopped"}
)

func failure(err, hint string) apply.Outcome {
	return apply.Outcome{Result: apply.Failed, Error: err, Hint: hint}
}

func skipped(why string) apply.Outcome { return apply.Outcome{Result: apply.Skipped, Error: why} }

func withFailures() Data {
	p := allActions()
	r := outcomes(p,
		done, // the account
		done, // emea
		done,
		failure("left alone: the status is now INACTIVE, but the plan was made for ACTIVE", "somebody changed the org since the plan was made: run diff again"), // labs
		done, // new
		failure(`400 E0000001: Api validation failed: consent; The org did not consent (errorId "oaeQ3k9JMZwRZ2vn8qsLPcSrw")`, "a super admin of the org has to grant the account consent first"),
		skipped("link-org failed before it"),
		done, // old
		apply.Outcome{Result: apply.Applied, Hint: "not read back: the run was stopped"},
		done, // shop
	)
	r.Outcomes[4].OrgID = "00o1new000000000000g"
	return Data{Plan: p, Result: r}
}

func interrupted() Data {
	p := troubled()
	p.Refusals = []diff.Refusal{}
	r := outcomes(p, done, wasBlocked, wasBlocked, stopped, wasBlocked)
	r.Interrupted = true
	return Data{Plan: p, Result: r}
}

// fleet is a plan that touches n orgs, most of them in the same way.
func fleet(n int) *diff.Plan {
	p := diff.Plan{Products: productNames}
	for i := range n {
		org, id := fmt.Sprintf("acme-%05d.okta.com", i), fmt.Sprintf("00o%05d000000000000g", i)
		switch {
		case i%100 == 7:
			p.Changes = append(p.Changes, status(org, id, state.Active, state.Inactive))
		case i%10 == 3:
			p.Changes = append(p.Changes, update(org, id, []string{"P000139"}, []string{"P000131"}))
		default:
			p.Changes = append(p.Changes, update(org, id, []string{"P000139"}, nil))
		}
	}
	for i := range n {
		p.Unmanaged = append(p.Unmanaged, diff.Unmanaged{Org: fmt.Sprintf("free-%05d.okta.com", i), OrgID: fmt.Sprintf("00f%05d000000000000g", i)})
	}
	return newPlan(n+500, 500, p)
}

// evil is a text that means something to every medium it could land in.
const evil = "\x1b[31m\x1b]0;owned\x07a\r\nb\u202ec\u200bd\xff" +
	"`x` ``` ~~~ | <script>alert(1)</script> </details> <!-- @acme/admins #1 !2 https://evil.example www.evil.example " +
	"[l](javascript:alert(1)) ![i](https://evil.example/i.png) **b** \\| $x$ :tada: {{.}} ' \" &amp;"

func hostile() Data {
	p := newPlan(5, 0, diff.Plan{
		Revision: evil,
		Products: map[string]string{"P000052": evil, evil: "```"},
		Changes: []diff.Change{
			rename(evil, "\n```\n</details>\n"),
			blocked(create(evil, &state.Create{
				Parent: evil, Name: "```", Website: evil,
				Admin: state.Admin{FirstName: evil, LastName: evil, Email: evil, Login: evil},
			}), evil),
			link("```", evil),
			update("```", evil, []string{"P000052"}, []string{evil}),
			status("```", evil, evil, "```"),
			{Org: "~~~", Action: evil},
		},
		Unfixable: []diff.Unfixable{{Org: evil, Field: evil, Desired: evil, Actual: "`"}},
		Unmanaged: []diff.Unmanaged{{Org: evil, OrgID: evil}},
		Unknown:   []diff.Unknown{{Org: evil, OrgID: evil, Error: evil + strings.Repeat("`", 10_000), Hint: evil}},
		Refusals:  []diff.Refusal{{Guard: evil, Message: evil}},
	})
	p.Account, p.Digest = evil, evil
	r := outcomes(p, failure(evil, evil), apply.Outcome{Result: evil}, skipped("```"), skipped(evil), done, done)
	return Data{Plan: p, Result: r, Title: evil, Warnings: []string{evil, "```"}}
}

func inSync() *diff.Plan { return newPlan(4, 4, diff.Plan{}) }
