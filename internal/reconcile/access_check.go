package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// AccessCheck is what came of trying the way into an org.
type AccessCheck struct {
	// Way is what signs in to the org; empty if nothing does.
	Way string
	// Read is why not all that is declared can be read: nothing signs in, the org is
	// another one, or some kinds can't be read. It may have a hint.
	Read error
	// Manage is why no token can be had that may write what is declared. It may have a
	// hint.
	Manage error
}

// Check tries the way into an org as far as it can without writing: what signs in, which
// org it is, a token, a read of all that has to be read to compare what is declared, and a
// token that may write it.
func (a *Access) Check(ctx context.Context, o *state.DesiredOrg, orgID string) AccessCheck {
	var c AccessCheck
	with, err := a.Credentials(o.Domain, orgID, o.ClientID)
	if err != nil {
		c.Read = err
		return c
	}
	switch with.ClientID {
	case "":
		c.Way = "the token that its creation left"
	case o.ClientID:
		c.Way = "the service app of the manifest"
	default:
		c.Way = "the service app that reconciler access made"
	}
	target := objects.Target{Domain: o.Domain, OrgID: orgID, ClientID: o.ClientID}
	reads := objects.ReadsOf(o.Config.Objects)
	if _, err := a.client.Read(ctx, target, reads); err != nil {
		c.Read = a.readEach(ctx, target, reads, err)
		return c
	}
	if o.Mode == state.Report {
		return c // nothing is ever written to it
	}
	var kinds []*objects.Kind
	for _, x := range o.Config.Objects {
		kinds = append(kinds, x.Ref.Kind)
	}
	c.Manage = a.client.CheckManage(ctx, target, kinds)
	return c
}

// readEach reads the kinds one by one, because reading all of them failed with err, and
// returns an error that names the scope of each that can't be read; err itself if none
// can.
func (a *Access) readEach(ctx context.Context, target objects.Target, reads objects.Reads, err error) error {
	var problems, hints []string
	for _, k := range reads.Kinds {
		one := reads
		one.Kinds = []*objects.Kind{k}
		_, why := a.client.Read(ctx, target, one)
		switch {
		case ctx.Err() != nil:
			return err
		case why != nil:
			problems = append(problems, fmt.Sprintf("%s.read: %s", k.API.Scope, text.JoinLines(why.Error())))
			if hint := text.Hint(why); hint != "" && !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
		}
	}
	if len(problems) == 0 || len(problems) == len(reads.Kinds) {
		return err
	}
	return text.WithHint(fmt.Errorf("%d of %d kinds can't be read: %s", len(problems), len(reads.Kinds), strings.Join(problems, "; ")), strings.Join(hints, "; "))
}
