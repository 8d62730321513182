// Package rest makes the calls of Okta's APIs: the Aerial API, the API of a
// parent org, and the token endpoint.
//
// A [Caller] sends a [Call] until it succeeds, is refused, or may not be
// repeated. A [Policy], a value that stands at each kind of call, says how often
// and how long it is tried, and what may be repeated: a read always; a write
// that replaces what is there after a fresh look; a write that can't be done
// twice only when Okta said that it didn't look at it (429).
//
// Right before each send, the first one and each repetition, [Call.MaySend] is
// asked for the body, with a slot and the credentials in hand. It may forbid the
// send. What it looks at, by calls in the same slot, is no older than the round trip.
//
// Errors say what is certain: an [Error] is Okta's answer, an [UnsentError] a
// request that was never sent, and an [UncertainError] a write that may have
// taken effect. What a server says is cleaned before it gets into an error or a
// log: one line, printable, short, and without anything that looks like a token.
package rest
