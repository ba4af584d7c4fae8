// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"mpol/agent/enforceable"
	"mpol/compiler"
	"mpol/compiler/program"
)

func newCompile(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "compile PATH... --inventory FILE",
		Short: "Print the program that a node would enforce",
		Long: `Compile prints what policies mean for an inventory: the rules as resolved and the tables that the
datapath, the DNS proxy and the L7 proxy enforce. Equal input gives equal bytes.

The inventory is a YAML file with workloads, node_addresses and resolvers; the agent's configuration
is one too. Nothing is taken from the machine. What no node enforces yet is an error.`,
		Args: paths,
	}
	f := addFormat(c, human, asJSON)
	folders := addGuardrails(c)
	inventory := c.Flags().String("inventory", "", "YAML file with workloads, node_addresses and resolvers (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *inventory == "" {
			return usageError{errors.New("name the inventory: --inventory FILE")}
		}
		inv, err := readInventory(*inventory)
		if err != nil {
			return err
		}
		set, err := read(c.Context(), s, args, *folders, nil)
		if err != nil {
			return err
		}
		var p *program.Program
		if set.module != nil {
			compiled, list := compiler.Compile(set.module, inv)
			if err := inventoryFault(*inventory, list); err != nil {
				return err
			}
			p, set.list = compiled, slices.Concat(set.list, list, enforceable.Check(set.module))
			set.list.Sort(set.module.Files)
		}
		if err := writeDiagnostics(s.err, *f, set.list, set.files); err != nil {
			return err
		}
		if set.list.HasErrors() {
			return outcome(exitPolicy)
		}
		return writeProgram(s, *f, p)
	}
	return c
}

func writeProgram(s streams, f format, p *program.Program) error {
	if f == asJSON {
		text, err := p.JSON()
		if err != nil {
			return err
		}
		_, err = s.out.Write(text)
		return err
	}
	return p.WriteText(s.out)
}
