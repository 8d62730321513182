// Package webhook is the endpoint at which a git server announces a push, so that
// the daemon need not wait for its schedule.
//
// An announcement means one thing only: look at git now. Which commit there is,
// and whether it may be applied, is read from git itself. The worst that somebody
// with the secret, or with a captured request, can do is to have git asked once
// more often than needed: a Notifier turns any number of announcements into one
// run, and a run that finds the branch unmoved asks git and nobody else. So
// requests are not remembered to recognise repeats.
//
// The headers tell who sends, and each sender proves itself in its own way, over
// SHA-256 only:
//
//   - GitHub, Gitea and Forgejo sign the body with the secret (HMAC):
//     https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries,
//     https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks/;
//   - GitLab sends its secret token as it is:
//     https://docs.gitlab.com/user/project/integrations/webhooks/;
//   - GitLab with a signing token signs an id, the time and the body, as
//     https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
//     has it; the time must be within five minutes of ours.
//
// All proofs that come with a request must hold. A secret that begins with
// "whsec_" is a signing token: then its signature is required, and a secret token
// beside it, which GitLab may send too, is not looked at. A request can't choose
// the weaker proof.
package webhook
