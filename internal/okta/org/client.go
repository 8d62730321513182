// Package org reads and writes the objects that orgs are configured with, through
// each org's own Management API.
package org

import (
	"context"

	"reconciler/internal/okta/objects"
)

// Client reads and writes the configuration of orgs. Its methods may be called
// concurrently.
type Client struct{}

// Read reads the lists that a comparison needs, of an org that is proven to be the
// one that target means. The result is whole, or an error.
func (c *Client) Read(ctx context.Context, target objects.Target, what objects.Reads) (*objects.Live, error) {
	panic("not built")
}

// Editor writes the objects of one org, one after the other.
type Editor struct{}

// Open prepares to write the differences to an org, which must be the one that target
// means.
func (c *Client) Open(ctx context.Context, target objects.Target, what objects.Reads) (*Editor, error) {
	panic("not built")
}

// Write makes one change: it reads the object again and holds it against d, asks
// maySend right before each send, overlays the fields of d on what was read, sends, and
// reads back. An error wraps objects.ErrAlready if there was nothing to do. The note is
// what the user should know of a change that was made; empty if there is nothing.
func (e *Editor) Write(ctx context.Context, d *objects.Difference, maySend func(context.Context) error) (note string, err error) {
	panic("not built")
}
