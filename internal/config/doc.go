// Package config reads how the program is to run: the config file, and the
// environment on top of it.
//
// A config is read strictly. Unknown keys, keys that stand there twice, values
// of the wrong type and values that can't work are all mistakes, and Load gives
// every one of them with its place. What a single command needs beyond that is
// asked for by the Need methods of Config, because a command such as validate
// needs nothing of it.
//
// Each key has an environment variable, which outranks the file: RECONCILER_
// and the key's path in upper snake case, with the index for a list
// (RECONCILER_PARENTS_0_NAME), and with commas between words where the items
// are nothing else. An empty variable counts as not set.
//
// Secrets don't stand in a config file. They are read from a file of their own,
// or come from the environment, and only when they are needed: a Secret knows
// where, and prints no more than that.
package config
