// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"mpol/e2e/lab"
)

// TestReload_interrupted kills the agent at one stage of a switch after the other: one generation
// is in force, whole, and the next agent brings the edit into force.
func TestReload_interrupted(t *testing.T) {
	t.Parallel()
	n, port := reloaded(t)
	one := n.Device(0)
	state := func() string {
		return tcp(t, one, port(7000)) + " " + tcp(t, one, port(7001)) + " " + tcp(t, one, port(7100))
	}
	open := map[uint16]string{
		7000: lab.Answered + " " + lab.Refused + " " + lab.Answered,
		7001: lab.Refused + " " + lab.Answered + " " + lab.Answered,
	}
	old, next := uint16(7000), uint16(7001)
	for round := range 8 {
		check(t, n.Edit(policyFile, fmt.Sprintf("tcp/%d\n", old), fmt.Sprintf("tcp/%d\n", next)))
		stage := time.NewTimer(time.Duration(round) * 40 * time.Millisecond)
		<-stage.C
		check(t, n.KillAgent(syscall.SIGKILL))
		if got := state(); got != open[old] && got != open[next] {
			t.Errorf("round %d, without an agent: %s", round, got)
		}
		check(t, n.StartAgent(t.Context()))
		soon(t, fmt.Sprintf("the edit of round %d", round), state, open[next])
		old, next = next, old
	}
}
