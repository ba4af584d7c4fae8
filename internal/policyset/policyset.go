// SPDX-License-Identifier: Apache-2.0

// Package policyset leads from the text of policies to a Module that may be used: parsed, checked
// and passed by the guardrails. The author's verbs and the agent take the same way.
//
// It reads no policies and compiles nothing.
//
//	files, err := source.Load(paths, os.Stdin)
//	rails, err := policyset.Guardrails([]string{"guardrails"})
//	module, diags, err := policyset.Read(ctx, files, policyset.Options{Guard: guard.Options{Guardrails: rails}})
//
// Invariants: the Module is nil when any diagnostic is an error, so that no caller can use what is
// wrong; the diagnostics are in file order.
package policyset

import (
	"context"
	"fmt"
	"os"

	"mpol/compiler/guard"
	"mpol/internal/source"
	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// Options say what is asked beside the language itself.
type Options struct {
	// Check is passed on; its Today and Dates say what becomes of a passed @expires.
	Check check.Options
	// Guard says which guardrails run; the zero value stands for the built-in ones.
	Guard guard.Options
	// Unguarded runs no guardrail: they veto what may be loaded and do not change what it means.
	Unguarded bool
}

// Set remembers what it has read, so that reading the same files again costs what has changed. The
// zero value is ready; one goroutine at a time uses it.
type Set struct {
	files  map[string]*parsed // by name, those of the last Read
	memory check.Memory
	guards guard.Memory
}

// Read is Read of a Set without memory.
func Read(ctx context.Context, files []source.File, opt Options) (*check.Module, diag.List, error) {
	return new(Set).Read(ctx, files, opt)
}

// Read returns the Module of files and every diagnostic about them. Guardrails judge only what the
// language allows: where there is an error before them, they are silent. The error is that of the
// guardrails' evaluation, such as the end of ctx.
func (s *Set) Read(ctx context.Context, files []source.File, opt Options) (*check.Module, diag.List, error) {
	var list diag.List
	var trees []*lang.File
	var names []string
	for i, p := range s.parse(files) {
		list = append(list, p.diags...)
		trees, names = append(trees, p.tree), append(names, files[i].Name)
	}
	module, found := s.memory.Check(trees, opt.Check)
	list = append(list, found...)
	if !opt.Unguarded && !list.HasErrors() {
		denied, err := s.guards.Run(ctx, module, opt.Guard)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, denied...)
	}
	list.Sort(names)
	if list.HasErrors() {
		module = nil
	}
	return module, list, nil
}

// Guardrails returns the built-in guardrails and those of folders, each in the form of
// policies/guardrails. A folder that cannot be read or holds none is an error, and so is a name that
// is taken already: nothing replaces a guardrail silently.
func Guardrails(folders []string) ([]guard.Guardrail, error) {
	all, err := guard.Builtin()
	if err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for _, g := range all {
		taken[g.Name] = "a built-in guardrail"
	}
	for _, folder := range folders {
		gs, err := guard.Load(folder, os.DirFS(folder))
		if err != nil {
			return nil, err
		}
		for _, g := range gs {
			if other := taken[g.Name]; other != "" {
				return nil, fmt.Errorf("guardrail %s has the name of %s; choose another", g.File, other)
			}
			taken[g.Name] = g.File
		}
		all = append(all, gs...)
	}
	return all, nil
}
