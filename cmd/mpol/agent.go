// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"mpol/agent"
	"mpol/agent/config"
)

// defaultConfig is where the agent's configuration is expected.
const defaultConfig = "/etc/mpol/agent.yaml"

func newAgent(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "agent",
		Short: "Enforce policies on this node",
		Long: `Agent enforces the policies that its configuration names, until it is told to end, and reloads them
when their files change. Its end leaves the last generation in force; --cleanup removes everything.`,
		Args: none,
	}
	path := c.Flags().String("config", defaultConfig, "the configuration file (YAML)")
	cleanup := c.Flags().Bool("cleanup", false, "remove everything that an agent with this configuration left on the node")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(c.Context())
		defer stop()
		if *cleanup {
			return agent.Cleanup(ctx, cfg)
		}
		err = agent.Run(ctx, cfg, slog.New(slog.NewTextHandler(s.err, nil)))
		var wrong *agent.PolicyError
		if errors.As(err, &wrong) {
			if err := wrong.Write(s.err); err != nil {
				return err
			}
			return outcome(exitPolicy)
		}
		return err
	}
	return c
}
