// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// The exit codes of all verbs.
const (
	exitOK     = 0
	exitFailed = 1 // a test failed
	exitPolicy = 2 // the policy is wrong
	exitUsage  = 3 // usage, input or output, or the machine
)

// outcome is the error of a verb that has already said what there is to say.
type outcome int

// Error implements error; nobody prints it.
func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }
