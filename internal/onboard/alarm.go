package onboard

import (
	"fmt"
	"strings"

	"reconciler/internal/store/journal"
)

// Alarm returns one line that says which token is lost and why, and a hint. It is
// for a creation whose Alarm method returns true.
func Alarm(c *journal.Creation) (message, hint string) {
	who := fmt.Sprintf("%q", c.Domain)
	if c.OrgID != "" {
		who += " (" + c.OrgID + ")"
	}
	return fmt.Sprintf("the token of the new org %s is lost: %s", who, c.LostReason), hintLost(c.Domain)
}

// hintLost returns how to replace a lost token.
func hintLost(domain string) string {
	return fmt.Sprintf("a super admin of the org creates another one (%s: Security, API, Tokens) and stores it where tokens are kept; then: reconciler acknowledge %s",
		adminConsole(domain), domain)
}

func noteLost(domain, reason string) string {
	return "THE ORG'S TOKEN IS LOST: " + reason + "; " + hintLost(domain)
}

// adminConsole returns the URL of an org's Admin Console.
func adminConsole(domain string) string {
	sub, base, _ := strings.Cut(domain, ".")
	return "https://" + sub + "-admin." + base
}

// lossReason is why there is no token of an org that exists. A sink that can't
// look tokens up may have it nevertheless.
func (o *Onboarder) lossReason(rec *journal.Creation, loss *journal.Loss, token lookup) string {
	why := "the process ended before the answer to the call that created the org was stored"
	switch {
	case rec.Unanswered > 0:
		why = "the answer to the call that created the org was lost"
	case loss != nil && rec.Step != journal.Sent && rec.Step != journal.Created:
		why = "the journal was damaged and set aside, and if this program created the org, it is unknown where its token is"
	}
	switch {
	case !token.unsupported:
		return why
	case o.sink == nil:
		return why + " (or it is where `tokens` of the config pointed before: look there first)"
	default:
		return fmt.Sprintf("%s (or the %s has it: look there first)", why, o.sink)
	}
}
