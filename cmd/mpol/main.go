// SPDX-License-Identifier: Apache-2.0

// Command mpol checks, tests and compiles network policies written in the .mpol language, and runs
// the agent that enforces them on a Linux node.
//
// It is the rim of the program: flags, files and the standard streams. What the words of a policy
// mean is decided elsewhere.
//
//	mpol check policies/          # is it right?
//	mpol test policies/           # does it do what its tests say?
//	mpol compile policies/ --inventory node.yaml
//
// Invariants: one file a verb; a verb writes what was asked for to stdout and all else to stderr;
// every verb ends with one of the codes of exit.go, or by a signal that it does not wait for.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// untilSignal returns a context that ends with ctx or when the process is told to end, for verbs that have
// something left to do then. Any other verb a signal ends at once, even while it waits for its input.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
