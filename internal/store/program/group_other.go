//go:build !unix

package program

import "os/exec"

// group does nothing: the program alone is killed at the end of its time.
func group(*exec.Cmd) {}

// reap does nothing: nothing stays of a process that has ended.
func reap(*exec.Cmd) {}
