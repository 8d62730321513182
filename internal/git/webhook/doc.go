// Package webhook is the endpoint at which a git server announces a push, so that
// the daemon need not wait for its schedule.
//
// An announcement only causes git to be read now. Which commit there is, and
// whether it may be applied, is read from git itself. With the secret, or a
// captured request, an attacker can only cause git to be read more often: a
// Notifier turns any number of announcements into one run, and a run that finds
// the branch unchanged doesn't call Okta. So replays are not detected.
//
// The headers identify the kind of sender, which proves its identity in its own
// way, with SHA-256 only:
//
//   - GitHub, Gitea and Forgejo sign the body with the secret (HMAC):
//     https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries,
//     https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks/;
//   - GitLab sends its secret token as it is:
//     https://docs.gitlab.com/user/project/integrations/webhooks/;
//   - GitLab with a signing token signs an id, the time and the body, as
//     https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
//     has it; the time must be within five minutes of the local clock.
//
// All proofs in a request must be valid. A secret that begins with "whsec_" is a
// signing token: then its signature is required, and a secret token beside it,
// which GitLab may send too, is ignored. A request can't choose the weaker proof.
package webhook
