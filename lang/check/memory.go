// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// Memory makes a second Check of files of which few have changed cheap. A file is unchanged when it
// is the very same tree. What is remembered of a file's policies holds as long as no declaration but
// policies, tests and proofs has changed in any file, in which case all is checked again.
//
// The zero value remembers nothing and is ready; one goroutine at a time uses it. Modules share what
// they have in common with earlier ones, so that nobody may change a Module.
type Memory struct {
	environment [sha256.Size]byte
	acyclic     bool // the names of environment
	files       map[*lang.File]*kept
	symbols     map[lang.Decl]*symbol
	subjects    map[pair]bool
	texts       map[*program.Selector]string
	sizes       map[string][spaceCount]int // how many names a package had
	run         int                        // how many Checks there were, with this one
}

// kept is what is remembered of a file.
type kept struct {
	names    []byte // hash of its declarations but policies, tests and proofs, nil if there is none
	checked  bool
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
	sum := sha256.New()
	now := make(map[*lang.File]*kept, len(files))
	packages := map[string]bool{}
	for _, f := range files {
		k := m.files[f]
		if k == nil {
			k = &kept{names: names(f)}
		}
		now[f] = k
		if f.Package != nil {
			packages[f.Package.Name.Value] = true
		}
		sum.Write(k.names)
	}
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		fmt.Fprintf(sum, "package %s\n", name)
	}
	fmt.Fprintf(sum, "%s %s\n", opt.Today.UTC().Format(time.DateOnly), opt.Dates)
	m.files = now
	m.run++
	m.reorder(files)
	if len(m.texts)+len(m.subjects) > maxRemembered {
		m.texts, m.subjects = map[*program.Selector]string{}, map[pair]bool{}
	}
	if environment := [sha256.Size]byte(sum.Sum(nil)); m.symbols == nil || !bytes.Equal(environment[:], m.environment[:]) {
		*m = Memory{
			environment: environment, files: now, sizes: m.sizes, run: m.run, symbols: map[lang.Decl]*symbol{},
			subjects: map[pair]bool{}, texts: map[*program.Selector]string{},
		}
		for f, k := range now {
			now[f] = &kept{names: k.names}
		}
	}
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
func (m *Memory) end(c *checker) {
	m.symbols, m.sizes = c.values, map[string][spaceCount]int{}
	for _, p := range c.packages {
		var sizes [spaceCount]int
		for i, names := range p.names {
			sizes[i] = len(names)
		}
		m.sizes[p.name] = sizes
	}
}

// names hashes what a file declares for others: every token of its declarations but policies, tests
// and proofs, annotations included. It is nil for a file that declares nothing, of which others cannot
// know.
func names(f *lang.File) []byte {
	own := func(d lang.Decl) bool {
		switch d.(type) {
		case *lang.Policy, *lang.Test, *lang.Prove:
			return true
		}
		return false
	}
	sum := sha256.New()
	write := func(ts []lang.Token) {
		for _, t := range ts {
			sum.Write([]byte(t.Value))
			sum.Write([]byte{0})
		}
		sum.Write([]byte{1})
	}
	decls := slices.DeleteFunc(slices.Clone(f.Decls), own)
	if len(decls)+len(f.Lost) == 0 && (f.Package == nil || !f.Package.Broken && len(f.Package.Annotations) == 0) {
		return nil
	}
	if f.Package != nil {
		decls = append([]lang.Decl{f.Package}, decls...)
	}
	for _, d := range decls {
		h := d.Common()
		if h.Broken {
			sum.Write([]byte{2})
		}
		for _, a := range h.Annotations {
			write(a.Tokens)
		}
		write(h.Tokens)
	}
	return sum.Sum(nil)
}

// filePolicies adds the policies of a file to m, as they are remembered or else anew.
func (c *checker) filePolicies(m *Module, f *lang.File) {
	k := c.memory.files[f]
	if k.checked {
		m.Policies = append(m.Policies, k.policies...)
		c.placed = append(c.placed, k.placed...)
		c.diags = append(c.diags, k.warnings...)
		return
	}
	before, first := len(c.diags), len(m.Policies)
	for _, d := range f.Decls {
		if p, ok := d.(*lang.Policy); ok {
			m.Policies = append(m.Policies, c.policy(p))
		}
	}
	// The list is sorted later, in place.
	k.policies, k.warnings = slices.Clone(m.Policies[first:]), slices.Clone(c.diags[before:])
	k.placed = place(k.policies)
	c.placed = append(c.placed, k.placed...)
	// An error may show a place in another file, which moves.
	k.checked = !k.warnings.HasErrors()
}
