// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"mpol/agent/enforceable"
	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/internal/inventory"
	"mpol/lang/diag"
)

func newCompile(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "compile PATH... --inventory FILE",
		Short: "Print the program that a node would enforce",
		Long: `Compile prints what policies mean for an inventory: the rules as resolved and the tables that the
datapath, the DNS proxy and the L7 proxy enforce. Equal input gives equal bytes.

The inventory is a YAML or JSON file with workloads, node_addresses and resolvers; the agent's
configuration is one too. A workload runs here if it has an interface or a cgroup. Nothing is taken from
the machine. What no node enforces yet is an error, and so is what is more than a node holds: the limit-
codes of mpol explain.`,
		Args: paths,
	}
	f := addFormat(c, human, asJSON)
	q := reading{guardrails: addGuardrails(c), inventory: addInventory(c, "whom to compile for (required)")}
	c.RunE = func(c *cobra.Command, args []string) error {
		inv, limits, err := readNode(*q.inventory)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(inv.Workloads, func(w program.Workload) bool { return w.Local() }) {
			fmt.Fprintf(s.err, "%s: warning: no workload runs on this node: none has an interface or a cgroup\n", *q.inventory)
		}
		set, err := q.read(c.Context(), s, args)
		if err != nil {
			return err
		}
		var p *program.Program
		if set.module != nil {
			memory := compiler.Memory{Limits: limits}
			compiled, list := memory.Compile(set.module, inv)
			if err := inventoryFault(*q.inventory, list); err != nil {
				return err
			}
			p, set.list = compiled, slices.Concat(set.list, list, enforceable.Check(set.module))
			set.list.Sort(set.module.Files)
		}
		if err := writeDiagnostics(s.err, *f, set.list, set.texts); err != nil {
			return err
		}
		if set.list.HasErrors() {
			return outcome(exitPolicy)
		}
		return writeProgram(s, *f, p)
	}
	return c
}

// readNode reads the inventory of a node, and what bounds its programs.
func readNode(path string) (inv program.Inventory, limits program.Limits, err error) {
	if path == "" {
		return inv, limits, errNoInventory
	}
	file, err := inventory.Read(path)
	if err != nil {
		return inv, limits, err
	}
	if inv, err = file.Node(); err != nil {
		return inv, limits, fmt.Errorf("inventory %s: %w", path, err)
	}
	return inv, file.Limits, nil
}

// inventoryFault returns what the compiler found wrong with an inventory, which has no place in a
// policy, or nil.
func inventoryFault(path string, list diag.List) error {
	for _, d := range list {
		if d.Code == compiler.CodeInventory || d.Code == compiler.CodeLimitInventory {
			return fmt.Errorf("inventory %s: %s", path, d.Summary)
		}
	}
	return nil
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
