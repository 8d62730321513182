// Package onboard makes new orgs in such a way that nothing can be lost, even
// if the process is killed between any two of its steps.
//
// Three things make that hard. The call that makes an org can't be repeated,
// because the first one may have worked. Its answer holds a token that is told
// once. And a new org can't be used until it has settled. So there are two
// books: the journal, which knows what was begun, and the token sink, which
// holds the tokens. The order in which they are written is the whole idea:
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
// Each line has lasted through a loss of power before the next begins.
//
// # After an end at any point
//
// Create looks at both books and takes up the work where it was left. Before 4
// nothing was sent. If the sink has the token, the org is there, whatever the
// journal missed. If the journal says that the call was sent and the sink has
// no token, then nobody knows whether there is an org. It can be found out by
// linking it by its domain, which is what is to happen next anyway. If Okta
// refuses that, the call is sent again: a subdomain belongs to one org only, so
// that there can't be a second one; "it is taken" means that the org is there.
//
// An org that is there and whose token is nowhere has lost it. That is no
// reason to stop, but it is an alarm which lasts until a person acknowledges
// it: a super admin of the org has to make another token by hand.
//
// At a parent, orgs are created one after the other: should something be wrong,
// it goes wrong once.
package onboard
