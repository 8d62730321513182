// Package parent calls a parent org: the Org Creator API, which makes child
// orgs, and the API that shows whether the parent lets an Aerial account add its
// orgs.
//
// The call that makes an org can't be repeated, because the first one may have
// worked; it can't be undone; and its answer holds, once and never again, a token
// of the new org's super admin. So it is sent again only when Okta said that it
// looked at nothing (429). It is waited for up to the timeout, also when its
// context ends. An answer that leaves open whether there is a new org now is a
// *rest.UncertainError. And an answer that arrived in part is read as far as it
// goes, for the token may be in it.
//
// Credentials are put on by the transport that is passed in; no request leaves
// the configured origin and no redirect is followed.
//
// See https://developer.okta.com/docs/api/openapi/okta-management/management/tag/OrgCreator/
// and https://developer.okta.com/docs/api/openapi/okta-management/management/tag/OrgSettingSupport/.
package parent
