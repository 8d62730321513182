// Package tokens keeps the tokens of new orgs.
//
// Okta shows the token of a new org's first super administrator once, in the
// response that creates the org. It can't be read again, nor revoked by hand. So
// the caller proves before it creates an org that a token could be kept (Probe),
// and keeps the token before anything else happens (Store). A Store that returned
// without an error has synced the token; one that was killed may have kept it,
// which Find finds out, and Finish completes.
//
// A sink never loses a token: it overwrites and deletes nothing. It never shows one
// either: not in errors, not in String, not in the arguments or the environment of
// a command.
//
// # Folders
//
// Dir and Age keep a file for each org, DOMAIN_ORGID.token, or .token.age when
// it is encrypted, in a folder that belongs to this user alone. Another token
// for the same org gets a name with ~2 and so on. Characters that don't belong
// in a file name are written as %XX.
//
// # Commands
//
// Exec hands each token to a program, such as the client of a secret store, on
// its standard input: the token's bytes and nothing behind them, no line end
// either. These variables describe it:
//
//	RECONCILER_TOKEN_DOMAIN      acme-new.okta.com
//	RECONCILER_TOKEN_ORG_ID      00oy0itaI2Yi7XGGE0g3, or empty if Okta's answer was cut off
//	RECONCILER_TOKEN_PARENT      the parent's name in the config
//	RECONCILER_TOKEN_CREATED_AT  2026-11-21T12:00:00Z
//	RECONCILER_TOKEN_PROBE       1 for a trial run; otherwise not set
//
// In a trial run the token is a random word, the domain is probe.invalid, and
// the program is to do all that it would do for a real one, as far as it can
// without leaving something behind.
//
// By ending with 0 the program promises that the token is safe. Any other end
// means that it isn't. The last line that it prints on standard output is where
// the token is, for people; the end of what it prints on standard error becomes
// part of the error. The token itself is masked in both.
package tokens
