package history

import (
	"cmp"
	"strings"
	"time"
)

// maxClient is how many characters of a program's name a line shows.
const maxClient = 60

// Who returns who it was, as people call them: what it was in words, or the actor.
func (c *Cause) Who() string {
	if c.By != "" {
		return c.By
	}
	return cmp.Or(c.Actor, c.ActorID, "somebody")
}

// String returns who it was, when, from where, and what is in doubt about it, on one line.
func (c *Cause) String() string {
	var b strings.Builder
	b.WriteString(c.Who() + ", " + c.Time.UTC().Format(time.RFC3339))
	if c.Address != "" {
		b.WriteString(", from " + c.Address)
	}
	if c.Client != "" {
		client := []rune(c.Client)
		if len(client) > maxClient {
			client = append(client[:maxClient-1], '…')
		}
		b.WriteString(", by " + string(client))
	}
	if c.Doubt != "" {
		b.WriteString(" (" + c.Doubt + ")")
	}
	return b.String()
}
