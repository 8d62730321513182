// Package replicas keeps what the replicas of one daemon tell each other through their
// PostgreSQL database: the status of the one that leads, what the last runs hold, what
// the one that leads is asked for at another one, and the sessions of people.
//
// None of it decides what is written to Okta, and all of it may be lost: who leads tells
// it anew. So it is neither in a backup nor taken along when a state moves.
package replicas
