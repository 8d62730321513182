package history

import (
	"cmp"
	"time"
)

// Who returns who it was, as people call them: the actor, and what it was in words if it
// was no person's change.
func (c *Cause) Who() string {
	actor := cmp.Or(c.Actor, c.ActorID, "somebody")
	if c.By != "" {
		return c.By + " (" + actor + ")"
	}
	return actor
}

// String returns who it was, from where and when, and whether that may still change, on
// one line.
func (c *Cause) String() string {
	s := c.Who()
	if c.Address != "" {
		s += " from " + c.Address
	}
	s += " at " + c.Time.UTC().Format(time.RFC3339)
	if c.Provisional {
		s += ", so far"
	}
	return s
}
