// SPDX-License-Identifier: Apache-2.0

package check

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// Memory makes a second Check of files of which few have changed cheap. A file is unchanged when it
// is the very same tree. What is remembered of a declaration, or of a file's policies, holds as long as
// every name in it means the same: see uses. Another tier, or another day, has all policies checked again.
//
// The zero value remembers nothing and is ready; one goroutine at a time uses it. Modules share what
// they have in common with earlier ones, so that nobody may change a Module.
type Memory struct {
	environment [sha256.Size]byte // of what is remembered of files
	packages    map[string]*pkg   // of the last Check
	files       map[*lang.File]*kept
	subjects    map[pair]bool
	texts       map[*program.Selector]string
	policies    int // how many there were in the last Check
	rules       int // how many of them had no error
	run         int // how many Checks there were, with this one
}

// kept is what is remembered of a file.
type kept struct {
	checked  bool // what follows holds as long as uses does
	uses     uses
	policies []*Policy
	placed   []*placed
	warnings diag.List // from the resolution of its policies, without errors once they are checked
	// about is the warnings about single rules and blocks, once they have been looked for.
	about  diag.List
	looked bool
	at     int // the place of the file in the last run
}

// Check is the function Check with what is remembered of earlier runs.
func (m *Memory) Check(files []*lang.File, opt Options) (*Module, diag.List) {
	return check(files, opt, m)
}

// maxRemembered bounds what is remembered of selectors, which come anew with every change.
const maxRemembered = 1 << 20

// begin forgets what does not hold for files any more.
func (m *Memory) begin(files []*lang.File, opt Options) {
	environment := environment(files, opt)
	now := make(map[*lang.File]*kept, len(files))
	for _, f := range files {
		if now[f] = m.files[f]; now[f] == nil || environment != m.environment {
			now[f] = &kept{}
		}
	}
	m.environment, m.files = environment, now
	m.run++
	m.reorder(files)
	if m.texts == nil || len(m.texts)+len(m.subjects) > maxRemembered {
		m.texts, m.subjects = map[*program.Selector]string{}, map[pair]bool{}
	}
}

// environment hashes what the check of a policy rests on beside its text and the names in it.
func environment(files []*lang.File, opt Options) [sha256.Size]byte {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s\n", opt.Today.UTC().Format(time.DateOnly), opt.Dates)
	for _, f := range files {
		for _, d := range f.Decls {
			if t, ok := d.(*lang.Tier); ok {
				fmt.Fprintf(sum, "%q %v\n", t.Text(), t.Broken)
			}
		}
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// reorder notes the order of files, and forgets what hangs on it if those that stay have another.
func (m *Memory) reorder(files []*lang.File) {
	last, same := -1, true
	for i, f := range files {
		k := m.files[f]
		if k.checked {
			same = same && k.at > last
			last = k.at
		}
		k.at = i
	}
	if same {
		return
	}
	for _, k := range m.files {
		for _, n := range k.placed {
			n.sought = false
		}
	}
}

// end notes what a Check has found out.
func (m *Memory) end(c *checker, module *Module) {
	m.packages, m.policies, m.rules = c.byName, len(module.Policies), len(c.placed)
}

// symbol returns what a name was in the last Check, nil if it was none.
func (m *Memory) symbol(l lookup) *symbol {
	if p := m.packages[l.pkg]; p != nil {
		return p.names[l.in][l.name]
	}
	return nil
}

// sizes returns how many names a package had in the last Check.
func (m *Memory) sizes(name string) (sizes [spaceCount]int) {
	if p := m.packages[name]; p != nil {
		for i, names := range p.names {
			sizes[i] = len(names)
		}
	}
	return sizes
}

// filePolicies adds the policies of a file to m, as they are remembered or else anew.
func (c *checker) filePolicies(m *Module, f *lang.File) {
	k := c.memory.files[f]
	if k.checked && c.hold(k.uses) {
		m.Policies = append(m.Policies, k.policies...)
		c.placed = append(c.placed, k.placed...)
		c.diags = append(c.diags, k.warnings...)
		return
	}
	before, first := len(c.diags), len(m.Policies)
	*k = kept{at: k.at}
	k.uses = c.gather(func() {
		for _, d := range f.Decls {
			if p, ok := d.(*lang.Policy); ok {
				m.Policies = append(m.Policies, c.policy(p))
			}
		}
	})
	// The list is sorted later, in place.
	k.policies, k.warnings = slices.Clone(m.Policies[first:]), slices.Clone(c.diags[before:])
	k.placed = place(k.policies)
	c.placed = append(c.placed, k.placed...)
	// An error may show a place in another file, which moves.
	k.checked = !k.uses.loose && !k.uses.failed && !k.warnings.HasErrors()
}
