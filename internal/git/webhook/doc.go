// Package webhook is the endpoint at which a git server announces a push, so that
// the daemon need not wait for its schedule.
//
// An announcement is believed in one thing only: "look at git now". Which
// commit there is, and whether it may be applied, is read from git itself. The
// worst that somebody with the secret can do is to have git looked at more often
// than needed, and a Bell makes one run of however many announcements.
//
// Who sends is told by the headers, and each sender proves itself in its own
// way, over SHA-256 only:
//
//   - GitHub, Gitea and Forgejo sign the body with the secret (HMAC):
//     https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries,
//     https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks/;
//   - GitLab sends its secret token along as it is:
//     https://docs.gitlab.com/user/project/integrations/webhooks/;
//   - GitLab with a signing token signs an id, the time and the body, as
//     https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
//     has it.
//
// All proofs that come with a request must hold. A secret that begins with
// "whsec_" is a signing token: then there must be its signature, and a secret
// token beside it, which GitLab may send too, counts for nothing. A request
// can't choose the weaker proof.
//
// A captured request is not worth much. Where the time is signed, it must be
// within five minutes of ours. What was accepted once is remembered for five
// minutes, and up to a number of them, by what is proven about it, and not by the
// delivery's number, which anybody can change: meanwhile it starts nothing when
// it comes again. After that it does, as nothing tells a repeat of somebody who
// listened from one that the git server was asked for: GitHub's "Redeliver" sends
// the same once more. GitLab's secret token proves nothing about what comes with
// it, and whoever has it can make up new requests; so none of those is
// remembered. The memory ends with the process, which looks at git anyway when it
// starts.
package webhook
