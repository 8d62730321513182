// Package org reads and writes the objects that orgs are configured with, through
// each org's own Management API.
//
// What a kind of objects is, and how it is read and written, stands in the tables
// of package objects; nothing here knows one kind from another.
//
// Four promises hold for everything here:
//
//   - The id of an org is read first, without credentials. If it isn't the id that
//     Aerial has, nothing else is sent, not even a request for a token.
//   - A read is whole or an error. A list that can't be read to its end, an object
//     without an id, an answer that isn't JSON never turn into "there is nothing".
//   - Orgs have nothing in common: limits, retries, tokens and failures of one are
//     of no concern to another.
//   - A write rests on a look at what it changes that is no older than a round trip,
//     and is looked at again afterwards.
//
// See https://developer.okta.com/docs/api/openapi/okta-management/guides/overview/.
package org
