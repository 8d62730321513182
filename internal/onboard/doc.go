// Package onboard creates orgs so that none is created twice and no token is
// lost, even if the process is killed between any two steps.
//
// Three things make that hard. The call that creates an org can't be repeated,
// because the first one may have worked. Its answer holds a token that is shown
// once. And a new org can't be used until it has settled. So there are two
// records: the journal of what was begun, and the token sink. The order in which
// they are written makes a crash at any point recoverable:
//
//  1. ask the parent whether it lets the account add its orgs: if not, nothing
//     else happens
//  2. prove that the sink works, by writing, reading and removing something
//  3. journal: the org is to be created
//  4. journal: the call is sent now, within the limit of its parent
//  5. send the call
//  6. sink: the token
//  7. journal: the org exists, since when, and where its token is
//  8. wait until it has settled, and let it be linked
//  9. journal: it is linked; it is done
//
// Each step is synced to disk before the next one begins. Steps 1 to 4, and whether
// writes are held, come right before each time that the call is sent, when its
// credentials are there: a call that a rate limit turned away did nothing, and is
// sent again as if it had never been.
//
// # After a crash
//
// Create reads journal and sink and continues from there. Before step 4 nothing
// was sent. If the sink has the token, the org exists, whatever the journal says.
// If the journal says that the call was sent and the sink has no token, it is
// unknown whether the org exists. Linking it by its domain tells, and is the next
// step anyway. If Okta refuses that, the call is sent again: a subdomain belongs to
// one org only, so there can't be a second one, and "it is taken" means that the org
// exists.
//
// An org that exists and whose token is nowhere has lost it. The run goes on, with
// an alarm that lasts until a person acknowledges it: a super admin of the org has
// to create another token by hand.
//
// The orgs of one parent are created one after the other, so that a problem
// affects one of them first.
package onboard
