// Package text words what people read: foreign text made safe for a terminal,
// counts with the right plural, and errors with a hint beside them. It imports
// nothing of this module, so that every package can use it.
package text
