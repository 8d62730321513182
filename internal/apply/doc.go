// Package apply carries out a plan, and nothing but the plan.
//
// It trusts no earlier answer: right before a write it reads again what the
// change rests on and leaves the org alone when that has moved, and after the
// write it reads back what is in force. The orgs are independent of each
// other; one that fails stops only its own remaining changes.
package apply
