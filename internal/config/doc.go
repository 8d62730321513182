// Package config reads the config file and, on top of it, the environment.
//
// A config is read strictly: unknown keys, duplicate keys, values of the wrong
// type and values that can't work are errors, and Load returns all of them with
// their positions. What a single command needs beyond that is checked by the Need
// methods of Config: validate, for instance, needs nothing.
//
// Each key has an environment variable, which outranks the file: RECONCILER_
// and the key's path in upper snake case, with an index for lists of blocks
// (RECONCILER_PARENTS_0_NAME). A list of words is written with commas. An empty
// variable counts as not set.
//
// The config file contains no secrets. They are read from files of their own, or
// come from the environment, and only when they are needed: a Secret knows where
// it is, and prints only that.
package config
