// Package aerial calls the Okta Aerial API: the layer above a company's orgs
// that knows which orgs the account manages and which products each has.
//
// The API has three properties that everything here follows from.
//
// It allows ten concurrent calls per account, shared with everyone else who
// uses the account. So a Client has that many slots; a call holds one while it
// is in flight and none while it waits to be sent again.
//
// Its reads decide what is written. So a read is whole or an error: a page that
// can't be read, a list that is null, an answer that isn't JSON never turn into
// "there are no orgs".
//
// Some of its writes can't be undone. So only reads and writes that may be
// repeated are repeated. A call that links an org or requests its deletion is
// sent again only when Okta said that it didn't look at it (429); any other
// failure that leaves its outcome open is a *rest.UncertainError, and the caller
// has to look. The other writes replace what is there: before one is repeated
// after more than a moment, the caller is asked whether it still should be.
//
// Credentials are put on by the transport that is passed in; no request leaves
// the configured origin, whatever a Link header or a redirect says.
//
// See https://developer.okta.com/docs/api/openapi/aerial/guides/overview.
package aerial
