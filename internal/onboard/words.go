package onboard

import (
	"fmt"
	"strings"

	"reconciler/internal/store/journal"
)

// Alarm says on one line which token is lost and why, and apart from that what
// to do about it. It is for a creation whose Alarm method gives true.
func Alarm(c *journal.Creation) (message, hint string) {
	who := fmt.Sprintf("%q", c.Domain)
	if c.OrgID != "" {
		who += " (" + c.OrgID + ")"
	}
	return fmt.Sprintf("the token of the new org %s is lost: %s", who, c.LostReason), hintLost(c.Domain)
}

// hintLost says how to make up for a lost token.
func hintLost(domain string) string {
	return fmt.Sprintf("a super admin of the org makes another one (%s: Security, API, Tokens) and puts it where tokens are kept; then: reconciler acknowledge %s",
		adminConsole(domain), domain)
}

func noteLost(domain, reason string) string {
	return "THE ORG'S TOKEN IS LOST: " + reason + "; " + hintLost(domain)
}

// adminConsole is where an org's Admin Console is.
func adminConsole(domain string) string {
	sub, base, _ := strings.Cut(domain, ".")
	return "https://" + sub + "-admin." + base
}

// reason says why nobody has the token of an org that is there. A sink that
// can't tell what it holds may have it all the same.
func (o *Onboarder) reason(rec *journal.Creation, loss *journal.Loss, untold bool) string {
	why := "the process ended before the answer to the call that created the org was stored"
	switch {
	case rec.Unanswered > 0:
		why = "the answer to the call that created the org was lost"
	case loss != nil && rec.Step != journal.Sent && rec.Step != journal.Created:
		why = "the journal was damaged and set aside, and if this program created the org, nobody knows where its token is"
	}
	switch {
	case !untold:
		return why
	case o.sink == nil:
		return why + " (or it is where `tokens` of the config used to say: look there first)"
	default:
		return fmt.Sprintf("%s (or the %s has it: look there first)", why, o.sink)
	}
}
