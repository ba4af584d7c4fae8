// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mpol/agent/config"
	"mpol/agent/status"
)

func newStatus(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what the agent of this node is doing",
		Long: `Status asks the running agent which generation is in force, what it governs and what it dropped. It
ends with 1 when the policy files as they are now were rejected.`,
		Args: none,
	}
	path := c.Flags().String("config", defaultConfig, "the agent's configuration file (YAML)")
	f := addFormat(c, human, asJSON)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
		defer cancel()
		r, err := status.Read(ctx, cfg.State)
		if err != nil {
			return err
		}
		if err := writeStatus(s.out, *f, r); err != nil {
			return err
		}
		if r.Rejected != "" {
			return outcome(exitFailed)
		}
		return nil
	}
	return c
}

func writeStatus(w io.Writer, f format, r status.Report) error {
	if f != human {
		return json.NewEncoder(w).Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "agent\tpid %d, since %s\n", r.PID, r.Started.Format(time.DateTime))
	fmt.Fprintf(t, "in force\tgeneration %d, since %s, program %.12s\n", r.Generation, r.Applied.Format(time.DateTime), r.Program)
	fmt.Fprintf(t, "policies\t%s\n", strings.Join(r.Policies, ", "))
	fmt.Fprintf(t, "envoy\t%s\n", r.Envoy)
	for _, wl := range r.Workloads {
		fmt.Fprintf(t, "workload\t%s at %s, %s\n", wl.Name, wl.Attached, governed(wl))
	}
	reasons := make([]string, 0, len(r.Drops))
	for reason, n := range r.Drops {
		if n > 0 {
			reasons = append(reasons, fmt.Sprintf("%s %d", reason, n))
		}
	}
	slices.Sort(reasons)
	if len(reasons) > 0 {
		fmt.Fprintf(t, "dropped\t%s\n", strings.Join(reasons, ", "))
	}
	if r.Rejected != "" {
		fmt.Fprintf(t, "REJECTED\t%s; the generation in force stays\n", r.Rejected)
		for _, d := range r.Diagnostics {
			fmt.Fprintf(t, "\t%s\n", d)
		}
	}
	return t.Flush()
}

func governed(w status.Workload) string {
	switch {
	case w.Egress && w.Ingress:
		return "both directions governed"
	case w.Egress:
		return "egress governed, ingress not"
	case w.Ingress:
		return "ingress governed, egress not"
	}
	return "not governed"
}
