// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"net/netip"
	"slices"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// resolveAll gives every declared name its value, in file order, so that a mistake in a name that
// nobody uses is reported too.
func (c *checker) resolveAll() {
	for _, s := range c.symbols {
		c.resolve(s)
	}
}

// resolve gives s its value once. The names that it uses are no cycle: see cycles.
func (c *checker) resolve(s *symbol) {
	if s.resolved || s.failed {
		return
	}
	s.resolved = true
	if s.same && s.last != nil && !s.uses.loose && c.hold(s.uses) {
		s.meaning = s.last
		return
	}
	defer func(at *scope) { c.at = at }(c.at)
	c.at = s.scope
	errors := len(c.diags)
	s.meaning = new(meaning)
	s.uses = c.gather(func() { c.value(s) })
	s.failed = s.failed || s.uses.failed || len(c.diags) > errors
	s.differs = s.compare()
}

// value sets what s stands for.
func (c *checker) value(s *symbol) {
	switch d := s.decl.(type) {
	case *lang.Workload:
		s.selector, s.size = c.selector(d.Selector)
		s.failed = s.selector == nil
	case *lang.Cidrs:
		c.resolveCidrs(s, d)
	case *lang.Domains:
		c.resolveDomains(s, d)
	case *lang.Service:
		s.l4 = c.l4List(d.Items.Items)
	case *lang.Resolver:
		if s.resolver = c.resolver(d); s.resolver != nil {
			s.server = s.resolver.Server
		}
		s.failed = s.resolver == nil
	}
}

func (c *checker) resolveCidrs(s *symbol, d *lang.Cidrs) {
	include, ok := c.prefixList(d.Items)
	except, ok2 := c.prefixList(d.Minus)
	if !ok || !ok2 {
		s.failed = true
		return
	}
	s.prefixes = union(include).minus(union(except))
	if len(s.prefixes) == 0 {
		c.errorAt(diag.Empty, s.span, fmt.Sprintf("cidrs `%s` hold no address", s.name), "take away less, or remove it")
	}
}

func (c *checker) prefixList(items []lang.Token) ([]netip.Prefix, bool) {
	var ps []netip.Prefix
	ok := true
	for _, n := range lang.Split(items) {
		if t := n.Tokens[0]; lang.IsAddress(t) {
			if p, err := lang.ParsePrefix(t.Value); err == nil {
				ps = append(ps, p)
			}
			continue
		}
		sym := c.use(sets, refNode(n), "cidrs")
		if sym == nil {
			ok = false
			continue
		}
		ps = append(ps, sym.prefixes...)
	}
	return ps, ok
}

// use returns the resolved symbol of a name, nil when there is none or when it failed.
func (c *checker) use(in space, r ref, kinds ...string) *symbol {
	sym := c.find(in, r, kinds...)
	if sym != nil {
		c.resolve(sym)
	}
	if sym == nil || sym.failed {
		c.fail()
		return nil
	}
	return sym
}

// resolveDomains gives a domains name its value: its own patterns less its excepts, and beside
// them the names in it, less the same excepts.
func (c *checker) resolveDomains(s *symbol, d *lang.Domains) {
	except, less, ok := c.takenAway(d)
	own, taken := program.Domain{Except: except, Less: less}, nameSetOf([]program.Domain{{Patterns: except}})
	var nested []program.Domain
	for _, n := range lang.Split(d.Items) {
		if t := n.Tokens[0]; lang.IsString(t) {
			if p, good := c.pattern(t, d.Annotations); good {
				own.Patterns = append(own.Patterns, p)
			} else {
				ok = false
			}
			continue
		}
		sym := c.use(sets, refNode(n), "domains")
		if sym == nil {
			ok = false
			continue
		}
		for _, inner := range sym.domains {
			if len(inner.Except)+len(inner.Less) == 0 {
				own.Patterns = append(own.Patterns, inner.Patterns...)
				continue
			}
			if inner.Patterns = taken.uncovered(inner.Patterns); len(inner.Patterns) == 0 {
				continue
			}
			inner.Except = sortedPatterns(append(slices.Clone(inner.Except), except...))
			inner.Less = slices.Concat(inner.Less, less)
			nested = append(nested, inner)
		}
	}
	if !ok {
		s.failed = true
		return
	}
	own.Patterns = taken.uncovered(sortedPatterns(own.Patterns))
	if len(own.Patterns) > 0 {
		s.domains = append(s.domains, own)
	}
	s.domains = append(s.domains, nested...)
	if len(s.domains) == 0 {
		c.errorAt(diag.Empty, s.span, fmt.Sprintf("domains `%s` hold no name", s.name), "take away less, or remove it")
	}
}

// takenAway returns the patterns behind except, and the domains that have an except of their own.
func (c *checker) takenAway(d *lang.Domains) (ps []program.NamePattern, less []program.Domain, ok bool) {
	ok = true
	for _, n := range lang.Split(d.Minus) {
		if t := n.Tokens[0]; lang.IsString(t) {
			p, good := c.pattern(t, d.Annotations)
			ok = ok && good
			ps = append(ps, p)
			continue
		}
		sym := c.use(sets, refNode(n), "domains")
		if sym == nil {
			ok = false
			continue
		}
		for _, taken := range sym.domains {
			if len(taken.Except)+len(taken.Less) > 0 {
				less = append(less, taken)
				continue
			}
			ps = append(ps, taken.Patterns...)
		}
	}
	return sortedPatterns(ps), less, ok
}

func sortedPatterns(ps []program.NamePattern) []program.NamePattern {
	slices.Sort(ps)
	return slices.Compact(ps)
}
