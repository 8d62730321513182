// Package auth puts Okta's credentials on requests, as http.RoundTrippers.
//
// A Client is one OAuth 2.0 service app in one org. It signs a short-lived
// assertion with the app's private key (private_key_jwt, the only client
// authentication that Okta accepts for its own scopes), exchanges it for an
// access token, keeps the token until shortly before it expires, and gets another
// one when an API answers 401. With DPoP (RFC 9449) each token is bound to a
// second key, made in memory, and each request carries a fresh proof of it.
//
// Three promises hold for everything here:
//
//   - A credential goes to one origin, the one that was named, and to no other:
//     not on a redirect, not on a link out of an API's answer.
//   - No assertion, proof, token or key is in any error, log line or printed
//     value.
//   - Many goroutines that need a token at once cause one token call.
package auth
