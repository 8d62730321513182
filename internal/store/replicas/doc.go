// Package replicas keeps what the replicas of one daemon share through their PostgreSQL
// database: the leader's status, plan and log of the last runs, requests to the leader
// that another replica got, and the sessions of people.
//
// None of it decides what is written to Okta, and all of it may be lost: the leader
// publishes it again. So it is neither in backups nor moved with a state.
package replicas
