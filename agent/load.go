// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"mpol/agent/config"
	"mpol/agent/enforceable"
	"mpol/compiler"
	"mpol/compiler/guard"
	"mpol/compiler/program"
	"mpol/internal/policyset"
	"mpol/internal/source"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// PolicyError says that the policy files cannot become a program.
type PolicyError struct {
	Diagnostics diag.List
	texts       map[string][]byte
}

// Error counts the mistakes; Write says them.
func (e *PolicyError) Error() string {
	n := 0
	for _, d := range e.Diagnostics {
		if d.Severity == diag.Error {
			n++
		}
	}
	if n == 1 {
		return "the policy has a mistake"
	}
	return fmt.Sprintf("the policy has %d mistakes", n)
}

// Write renders the diagnostics for people, without colour.
func (e *PolicyError) Write(w io.Writer) error {
	return diag.WriteHuman(w, e.Diagnostics, func(file string) []byte { return e.texts[file] }, false)
}

func newPolicyError(list diag.List, files []source.File) *PolicyError {
	e := &PolicyError{Diagnostics: list, texts: map[string][]byte{}}
	for _, f := range files {
		e.texts[f.Name] = f.Text
	}
	return e
}

// loader leads from the files of the configuration to a program. It remembers the last time, so that a
// reload costs what has changed. The zero value with a configuration is ready; one goroutine at a time
// uses it.
type loader struct {
	cfg      *config.Config
	policies policyset.Set
	compiler compiler.Memory
}

// load reads the guardrails and policy files of the configuration and compiles the policies. What a
// node cannot keep to is refused; what has expired is reported and decides nothing. Its error is a
// *PolicyError when the files are wrong. Nobody may change the program or inv any more.
func (l *loader) load(ctx context.Context, inv program.Inventory) (*program.Program, diag.List, error) {
	rails, err := policyset.Guardrails(l.cfg.Guardrails)
	if err != nil {
		return nil, nil, err
	}
	files, err := source.Load(l.cfg.Policies, nil)
	if err != nil {
		return nil, nil, err
	}
	module, list, err := l.policies.Read(ctx, files, policyset.Options{
		Check: check.Options{Inventory: inv.Workloads, Today: time.Now(), Dates: diag.Warning}, Guard: guard.Options{Guardrails: rails},
	})
	if err != nil {
		return nil, nil, err
	}
	if module == nil {
		return nil, nil, newPolicyError(list, files)
	}
	l.compiler.Limits = l.cfg.Listen.Limits()
	p, found := l.compiler.Compile(module, inv)
	list = slices.Concat(list, enforceable.Check(module), found)
	if list.HasErrors() {
		return nil, nil, newPolicyError(list, files)
	}
	return p, list, nil
}
