// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mpol/lang"
	"mpol/lang/diag"
)

// maxChain bounds how many names stand behind each other.
const maxChain = 1000

// symbolBlock is how many symbols are made at once.
const symbolBlock = 256

// symbol is a declared name with what it stands for, which is set once resolved.
type symbol struct {
	kind  string // workload, cidrs, domains, service, resolver, policy, test, proof
	name  string
	span  diag.Span
	decl  lang.Decl
	scope *scope
	space space
	// failed symbols got an error; using them is no further mistake.
	failed   bool
	resolved bool
	*meaning           // empty until it is resolved
	resolver *Resolver // of a resolver, with its places
	uses     uses      // of its value
	names    []ref     // in its declaration, for cycles
	visited  walked    // by cycles
	last     *meaning  // what it meant in the last Check, nil for nothing
	same     bool      // it is declared by the very same tree as then
	differs  bool      // it does not mean what it meant then
}

// full returns the name with its package.
func (s *symbol) full() string { return s.scope.pkg.name + "." + s.name }

// declare collects the names of all files.
func (c *checker) declare() {
	for _, f := range c.files {
		c.at = c.scopes[f]
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *lang.Workload:
				c.add(sets, "workload", d.Name, d)
			case *lang.Cidrs:
				c.add(sets, "cidrs", d.Name, d)
			case *lang.Domains:
				c.add(sets, "domains", d.Name, d)
			case *lang.Service:
				c.add(services, "service", d.Name, d)
			case *lang.Resolver:
				c.add(resolvers, "resolver", d.Name, d)
			case *lang.Policy:
				c.add(policies, "policy", d.Name, d)
			case *lang.Test:
				c.add(tests, "test", d.Name, d)
			case *lang.Prove:
				c.add(proofs, "proof", d.Name, d)
			}
		}
	}
}

// add declares a name in the package of the present file; a test or proof without a name is broken.
func (c *checker) add(in space, kind string, name lang.Token, d lang.Decl) {
	if name.Value == "" {
		return
	}
	text, names := lang.Text(name), c.at.pkg.names[in]
	if old, ok := names[text]; ok {
		c.errorAt(diag.DuplicateName, lang.SpanOf(name), fmt.Sprintf("%s `%s` is declared twice", kind, text), "choose another name",
			diag.Related{Span: old.span, Summary: "the first " + old.kind})
		return
	}
	s := c.memory.symbol(lookup{c.at.pkg.name, in, text})
	var last *meaning
	if s != nil && !s.failed {
		last = s.meaning
	}
	if s != nil && s.decl == d {
		s.same, s.resolved, s.differs, s.visited, s.meaning = true, false, false, 0, c.nothing
	} else {
		s = c.newSymbol()
		*s = symbol{kind: kind, name: text, span: lang.SpanOf(name), decl: d, space: in, meaning: c.nothing, names: references(d)}
	}
	s.scope, s.failed, s.last = c.at, d.Common().Broken, last
	names[text] = s
	if in < policies { // what the others are is remembered of their files
		c.symbols = append(c.symbols, s)
	}
}

// newSymbol returns room for one.
func (c *checker) newSymbol() *symbol {
	if len(c.spare) == 0 {
		c.spare = make([]symbol, symbolBlock)
	}
	s := &c.spare[0]
	c.spare = c.spare[1:]
	return s
}

// find returns the symbol of a name when it is of the kind wanted, and reports why not otherwise.
func (c *checker) find(in space, r ref, kinds ...string) *symbol {
	home := c.home(r)
	if home == nil {
		return nil
	}
	s := c.lookUp(home, in, r.name)
	if s == nil {
		s = c.elsewhere(home, in, r.name)
		c.loose()
	}
	if s != nil && slices.Contains(kinds, s.kind) {
		return s
	}
	if home.mayHave(r.name, kinds...) {
		return nil
	}
	for _, other := range home.names[:tests] {
		if s == nil {
			s = other[r.name]
		}
	}
	if s != nil {
		c.errorAt(diag.WrongKind, r.span, fmt.Sprintf("`%s` is the name of %s; this place takes %s", r.text(), oneOf([]string{s.kind}), oneOf(kinds)),
			c.otherKind(home, in, r, s, kinds), diag.Related{Span: s.span, Summary: "declared here"})
		return nil
	}
	names := c.namesOf(home, in, r.pkg, kinds)
	if r.pkg == "" {
		names = append(names, builtinNames(kinds)...)
	}
	c.unknown(r.span, strings.TrimPrefix(oneOf(kinds), "a "), r.text(), names, declareHelp(r, kinds))
	return nil
}

// maxNear bounds the names that are compared with unknown ones: beyond it, help is given without one that is
// near.
const maxNear = 1 << 20

// near reports whether n more names may be compared with an unknown one.
func (c *checker) near(n int) bool {
	c.nearby += n
	return c.nearby <= maxNear
}

// namesOf returns the names of kinds in home as a file with a package before them or none writes them, none
// after many of them.
func (c *checker) namesOf(home *pkg, in space, before string, kinds []string) []string {
	if !c.near(len(home.names[in])) {
		return nil
	}
	var names []string
	for n, s := range home.names[in] {
		if slices.Contains(kinds, s.kind) {
			r := ref{pkg: before, name: n}
			names = append(names, r.text())
		}
	}
	return names
}

// builtinNames returns the names that stand beside the declared ones where a name of one of kinds is wanted.
func builtinNames(kinds []string) []string {
	switch {
	case slices.Contains(kinds, "resolver"):
		return []string{"node"}
	case slices.Contains(kinds, "workload") && slices.Contains(kinds, "cidrs"):
		return []string{"any", "workloads", "host", "world", "internet"}
	}
	return nil
}

// oneOf joins kinds for a message.
func oneOf(kinds []string) string {
	last := len(kinds) - 1
	switch {
	case last == 0 && (kinds[0] == "cidrs" || kinds[0] == "domains"): // they are many
		return kinds[0]
	case last == 0:
		return "a " + kinds[0]
	}
	return "a " + strings.Join(kinds[:last], ", ") + " or " + kinds[last]
}

// unknown reports a name that nothing has. Its help is the nearest one, else instead.
func (c *checker) unknown(span diag.Span, kind, text string, names []string, instead string) {
	help := diag.DidYouMean(text, names)
	if help == "" {
		help = instead
	}
	c.errorAt(diag.UnknownName, span, fmt.Sprintf("no %s is named `%s`", kind, text), help)
}

// cycles reports every cycle among names once, at its first member, and marks what cannot be
// resolved.
func (c *checker) cycles() {
	var stack []*symbol
	var visit func(*symbol)
	visit = func(s *symbol) {
		switch {
		case s.visited == left:
			return
		case s.visited == entered:
			c.cycle(stack[slices.Index(stack, s):])
			return
		case len(stack) >= maxChain:
			c.errorAt(diag.TooDeep, s.span, fmt.Sprintf("more than %d names stand behind each other", maxChain), "name things directly")
			s.failed = true
			return
		}
		s.visited = entered
		stack = append(stack, s)
		for _, r := range s.names {
			home := s.scope.pkg
			if r.pkg != "" {
				home = c.byName[r.pkg]
			}
			if home == nil {
				continue
			}
			if next := home.names[s.space][r.name]; next != nil && next.kind == s.kind {
				visit(next)
				s.failed = s.failed || next.failed
			}
		}
		stack = stack[:len(stack)-1]
		s.visited = left
	}
	for _, s := range c.symbols {
		visit(s)
	}
}

// walked is how far cycles is with a symbol.
type walked int8

const (
	entered walked = iota + 1
	left
)

func (c *checker) cycle(members []*symbol) {
	first := slices.MinFunc(members, func(a, b *symbol) int {
		return cmp.Or(cmp.Compare(c.order[a.span.File], c.order[b.span.File]), cmp.Compare(a.span.Start.Offset, b.span.Start.Offset))
	})
	i := slices.Index(members, first)
	path := ""
	for _, m := range append(slices.Clone(members[i:]), members[:i]...) {
		path += m.name + " -> "
		m.failed = true
	}
	c.errorAt(diag.Cycle, first.span, fmt.Sprintf("%s `%s` names itself: %s%s", first.kind, first.name, path, first.name), "take one of the names out")
}

// references returns the names that a declaration uses, in the order in which they stand.
func references(d lang.Decl) []ref {
	var refs []ref
	add := func(ts []lang.Token) {
		for _, n := range lang.Split(ts) {
			if lang.IsName(n.Tokens[0]) {
				refs = append(refs, refNode(n))
			}
		}
	}
	switch d := d.(type) {
	case *lang.Workload:
		if d.Selector != nil {
			selectorNames(d.Selector, &refs)
		}
	case *lang.Cidrs:
		add(d.Items)
		add(d.Minus)
	case *lang.Domains:
		add(d.Items)
		add(d.Minus)
	case *lang.Service:
		add(d.Items.Items)
	}
	return refs
}
