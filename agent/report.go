// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"os"

	"mpol/agent/status"
)

// reject remembers why the files as they are now are not in force.
func (a *Agent) reject(err error) {
	r := &rejection{reason: err.Error()}
	var wrong *PolicyError
	if errors.As(err, &wrong) {
		for _, d := range wrong.Diagnostics {
			r.diagnostics = append(r.diagnostics, fmt.Sprintf("%s: %s: %s", d.Span, d.Code, d.Summary))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rejected = r
}

// accept remembers that they are.
func (a *Agent) accept() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rejected = nil
}

type rejection struct {
	reason      string
	diagnostics []string
}

// report is what `mpol status` shows.
func (a *Agent) report() status.Report {
	a.mu.Lock()
	g, rejected := a.current, a.rejected
	a.mu.Unlock()
	r := status.Report{PID: os.Getpid(), Started: a.started, Policies: a.cfg.Policies, Envoy: "not ready"}
	if rejected != nil {
		r.Rejected, r.Diagnostics = rejected.reason, rejected.diagnostics
	}
	if g == nil {
		return r
	}
	if a.l7.Ready() {
		r.Envoy = "ready"
	}
	r.Drops = a.datapath.Drops()
	r.Generation, r.Program, r.Applied = g.number, g.hash, g.applied
	for _, s := range g.program.Tables.Subjects {
		at := "interface " + s.Interface
		if s.Cgroup != "" {
			at = "cgroup " + s.Cgroup
		}
		r.Workloads = append(r.Workloads, status.Workload{
			Name: s.Workload, Attached: at, Egress: s.Egress >= 0, Ingress: s.Ingress >= 0,
		})
	}
	return r
}
