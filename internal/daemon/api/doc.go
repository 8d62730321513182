// Package api is what a daemon answers below /api/v1/: the types of its JSON, which are a
// public interface, and their client. The page shows what they say, and so does
// "reconciler get".
package api
