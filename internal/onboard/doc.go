// Package onboard creates new orgs so that nothing is lost, even if the process is
// killed between any two steps.
//
// Three things make that hard. The call that creates an org can't be repeated,
// because the first one may have worked. Its response has a token that is shown
// once. And a new org can't be used until it has settled. So there are two
// records: the journal, of what was begun, and the token sink, which holds the
// tokens. They are written in this order:
//
//  1. ask the parent whether it lets the account add its orgs: if not, nothing
//     else happens
//  2. prove that the sink works, by writing, reading and removing something
//  3. journal: the org is to be created
//  4. journal: the call is sent now, within the limit of its parent
//  5. send the call
//  6. sink: the token
//  7. journal: the org is there, since when, and where its token is
//  8. wait until it has settled, and let it be linked
//  9. journal: it is linked; it is done
//
// Each step is synced to disk before the next begins.
//
// # After an end at any point
//
// Create reads both records and continues where the work was left. Before 4 nothing
// was sent. If the sink has the token, the org is there, whatever the journal lacks.
// If the journal says that the call was sent and the sink has no token, it isn't
// known whether there is an org. Linking it by its domain, which is the next step
// anyway, finds that out. If Okta refuses that, the call is sent again: a subdomain
// belongs to one org only, so there can't be a second one; "it is taken" means that
// the org is there.
//
// The token of an org that is there, and that the sink doesn't have, is lost. The
// run goes on, with an alarm until a person acknowledges it: a super admin of the
// org has to create another token by hand.
//
// The orgs of a parent are created one after the other, so that an error occurs
// once.
package onboard
