// Package apply carries out a plan, and nothing but the plan.
//
// Right before a write it reads again what the change is based on, and skips the
// write if that has changed since; after the write it reads back what is in force.
// Orgs are independent of each other: a failure stops only the remaining changes of
// its own org.
package apply
