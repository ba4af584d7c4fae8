// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"maps"
	"slices"

	"mpol/lang"
	"mpol/lang/diag"
)

// space is a set of names that must differ.
type space int

// The spaces of a package.
const (
	sets space = iota // workloads, cidrs and domains share their names
	services
	resolvers
	policies
	tests
	proofs
	spaceCount
)

// pkg is the declarations of one package.
type pkg struct {
	name    string
	span    diag.Span // in its first file
	order   int
	names   [spaceCount]map[string]*symbol
	lost    []lang.Lost // of its files
	imports map[string]diag.Span
}

// scope is what the names of a file are looked up in.
type scope struct {
	pkg     *pkg
	imports map[string]bool // false for one that is missing and reported
	lost    lang.Lost       // of the file
}

// mayHave reports whether a name of one of kinds may be declared in p by what could not be read.
func (p *pkg) mayHave(name string, kinds ...string) bool {
	return slices.ContainsFunc(p.lost, func(l lang.Lost) bool { return l.Has(name, kinds...) })
}

// mayHave reports whether a name of one of kinds may be declared somewhere by what could not be read.
func (c *checker) mayHave(name string, kinds ...string) bool {
	return slices.ContainsFunc(c.packages, func(p *pkg) bool { return p.mayHave(name, kinds...) })
}

// ref is a name as it is used, with the package before it or without.
type ref struct {
	pkg, name string
	span      diag.Span
	orLabel   bool // the key of a label might have been meant
}

// text returns the name as written.
func (r ref) text() string {
	if r.pkg == "" {
		return r.name
	}
	return r.pkg + "." + r.name
}

// refOf makes a reference of a name or, with a member, of that of package name.
func refOf(name lang.Token, member *lang.Token) ref {
	r := ref{name: name.Value, span: lang.SpanOf(name)}
	if member != nil {
		r.pkg, r.name, r.span.End = r.name, member.Value, lang.SpanOf(*member).End
	}
	return r
}

// refNode makes a reference of one item of a list.
func refNode(n lang.Node) ref {
	if len(n.Tokens) == 1 {
		return refOf(n.Tokens[0], nil)
	}
	return refOf(n.Tokens[0], &n.Tokens[len(n.Tokens)-1])
}

// homeless is the name of the package of files whose package could not be read.
const homeless = ""

// openScopes gives every file its package and its imports.
func (c *checker) openScopes() {
	for _, f := range c.files {
		s := &scope{imports: map[string]bool{}, lost: f.Lost}
		c.scopes[f] = s
		if f.Package != nil {
			s.pkg = c.openPackage(f.Package.Name.Value, lang.SpanOf(f.Package.Name))
		}
	}
	for _, f := range c.files {
		if c.scopes[f].pkg == nil {
			c.scopes[f].pkg = c.openPackage(homeless, diag.Span{File: f.Name})
		}
	}
	for _, f := range c.files {
		if len(f.Lost) > 0 {
			c.scopes[f].pkg.lost = append(c.scopes[f].pkg.lost, f.Lost)
		}
		c.openImports(f)
	}
	c.importCycles()
}

func (c *checker) openPackage(name string, span diag.Span) *pkg {
	if p := c.byName[name]; p != nil {
		return p
	}
	p := &pkg{name: name, span: span, order: len(c.packages), imports: map[string]diag.Span{}}
	for i, n := range c.memory.sizes(name) {
		p.names[i] = make(map[string]*symbol, n)
	}
	c.packages, c.byName[name] = append(c.packages, p), p
	return p
}

// openImports checks the imports of a file: each names a package of the run, once.
func (c *checker) openImports(f *lang.File) {
	s := c.scopes[f]
	first := map[string]diag.Span{}
	for _, d := range f.Decls {
		d, ok := d.(*lang.Import)
		if !ok {
			continue
		}
		name, span := d.Name.Value, lang.SpanOf(d.Name)
		if at, twice := first[name]; twice {
			c.errorAt(diag.DuplicateName, span, fmt.Sprintf("package `%s` is imported twice", name), "remove one", diag.Related{Span: at, Summary: "the first"})
			continue
		}
		first[name], s.imports[name] = span, true
		if c.byName[name] == nil {
			if !c.mayHave(name, "package") {
				c.unknown(span, "package", name, c.packageNames(s.pkg.name), "name its files or folder on the command line too")
			}
			continue
		}
		if _, ok := s.pkg.imports[name]; !ok && s.pkg.name != homeless {
			s.pkg.imports[name] = span
		}
	}
}

func (c *checker) packageNames(but string) []string {
	if !c.near(len(c.packages)) {
		return nil
	}
	var names []string
	for _, p := range c.packages {
		if p.name != but {
			names = append(names, p.name)
		}
	}
	return names
}

// importCycles reports every cycle among packages once, at the import of its first member.
func (c *checker) importCycles() {
	state := map[*pkg]int{}
	var stack []*pkg
	var visit func(*pkg)
	visit = func(p *pkg) {
		if state[p] == 1 {
			c.importCycle(stack[slices.Index(stack, p):])
		}
		if state[p] != 0 {
			return
		}
		state[p] = 1
		stack = append(stack, p)
		for _, name := range slices.Sorted(maps.Keys(p.imports)) {
			visit(c.byName[name])
		}
		stack = stack[:len(stack)-1]
		state[p] = 2
	}
	for _, p := range c.packages {
		visit(p)
	}
}

func (c *checker) importCycle(members []*pkg) {
	first := slices.IndexFunc(members, func(p *pkg) bool {
		return !slices.ContainsFunc(members, func(q *pkg) bool { return q.order < p.order })
	})
	members = append(slices.Clone(members[first:]), members[:first]...)
	path := ""
	for _, p := range members {
		path += p.name + " -> "
	}
	next := members[1%len(members)]
	c.errorAt(diag.Cycle, members[0].imports[next.name], fmt.Sprintf("package `%s` imports itself: %s%s", members[0].name, path, members[0].name), "take one of the imports out")
}

// elsewhere returns a symbol that home has if a file whose package could not be read is of it.
func (c *checker) elsewhere(home *pkg, in space, name string) *symbol {
	if home.name != homeless {
		if lost := c.byName[homeless]; lost != nil {
			return lost.names[in][name]
		}
		return nil
	}
	for _, p := range c.packages {
		if s := p.names[in][name]; s != nil {
			return s
		}
	}
	return nil
}

// home returns the package that a reference leads to, nil when there is none, which is then
// reported.
func (c *checker) home(r ref) *pkg {
	if r.pkg == "" || r.pkg == c.at.pkg.name {
		return c.at.pkg
	}
	p := c.byName[r.pkg]
	imported, known := c.at.imports[r.pkg]
	if known && !imported {
		c.loose()
	}
	switch {
	case known: // nil, when the import is wrong
		return p
	case c.at.lost.Has(r.pkg, "import"), p == nil && c.mayHave(r.pkg, "package"):
		return nil
	case p == nil:
		c.unknown(r.span, "package", r.pkg, c.packageNames(c.at.pkg.name), fmt.Sprintf("quote it if it is a name of the DNS or the key of a label: %q", r.text()))
	default:
		c.errorAt(diag.UnknownName, r.span, fmt.Sprintf("package `%s` is not imported in this file", r.pkg), "write import "+r.pkg+" behind the package")
		c.at.imports[r.pkg] = false // one import is missing, wherever it is
		return nil
	}
	return nil
}
