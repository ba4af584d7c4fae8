// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"slices"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// maxUnions bounds the size of all unions of selectors that oneDirection compares subjects with; beyond it
// a subject counts as covered, since a warning must not be a guess.
const maxUnions = 1 << 24

// governs reports whether a policy governs its subject in a direction.
func (c *checker) governs(p *Policy, b *Block) bool {
	if b == nil || p.Audit || c.tiers[p.Tier].Default == program.Pass {
		return false
	}
	return len(b.Rules) == 0 || slices.ContainsFunc(b.Rules, func(r *Rule) bool { return !r.Audit })
}

// governed is whom the policies govern in one direction, by text.
type governed struct {
	texts     map[string]bool
	selectors []*program.Selector
	index     labelIndex[*program.Selector] // of selectors, once it is asked
	indexed   bool
	compared  int // the size of the unions so far
}

// oneDirection warns of a subject that is governed in one direction only, at the first policy that
// governs it.
func (c *checker) oneDirection(m *Module) {
	if slices.ContainsFunc(m.Policies, func(p *Policy) bool { return !p.known }) || c.mayHavePolicies() {
		return
	}
	if !slices.ContainsFunc(m.Policies, oneSided) {
		return
	}
	var in [2]governed
	for dir := range in {
		in[dir].texts = map[string]bool{}
		for _, p := range m.Policies {
			if !p.may[dir] {
				continue
			}
			if text := c.subjectText(p.Subject); !in[dir].texts[text] {
				in[dir].texts[text] = true
				if p.Subject.Selector != nil {
					in[dir].selectors = append(in[dir].selectors, p.Subject.Selector)
				}
			}
		}
	}
	warned := map[string]bool{}
	for _, p := range m.Policies {
		if !oneSided(p) {
			continue
		}
		text := c.subjectText(p.Subject)
		for dir, other := range []program.Direction{program.Egress: program.Ingress, program.Ingress: program.Egress} {
			d := program.Direction(dir)
			if !p.governs[d] || warned[text] || in[other].covers(p.Subject, text) {
				continue
			}
			warned[text] = true
			c.warnAt(diag.OneDirection, p.NameSpan, fmt.Sprintf("`%s` is governed in %s only: no policy covers its %s", p.SubjectText, d, other),
				fmt.Sprintf("add the %s rules, or %s none", other, other))
		}
	}
}

// oneSided reports whether a policy may govern one direction alone.
func oneSided(p *Policy) bool { return p.may[program.Egress] != p.may[program.Ingress] }

// mayHavePolicies reports whether a policy was not read.
func (c *checker) mayHavePolicies() bool {
	return slices.ContainsFunc(c.files, func(f *lang.File) bool {
		return f.Broken && (len(f.Lost) > 0 || slices.ContainsFunc(f.Decls, isOther))
	})
}

func isOther(d lang.Decl) bool {
	_, other := d.(*lang.Other)
	return other
}

// subjectText is one text for one set of subjects that are written alike.
func (c *checker) subjectText(s program.Subject) string {
	switch {
	case s.All:
		return "workloads"
	case s.Host:
		return "host"
	}
	text, ok := c.memory.texts[s.Selector]
	if !ok {
		text = s.Selector.String()
		c.memory.texts[s.Selector] = text
	}
	return text
}

// covers reports whether every subject of s is among g.
func (g *governed) covers(s program.Subject, text string) bool {
	if g.texts[text] || g.texts["workloads"] && !s.Host {
		return true
	}
	if s.Host {
		return false
	}
	subject := &program.Selector{Op: program.OpAnd}
	if s.Selector != nil {
		subject = s.Selector
	}
	if !g.indexed {
		for _, one := range g.selectors {
			g.index.add(one, one)
		}
		g.indexed = true
	}
	union := &program.Selector{Op: program.OpOr}
	g.index.each(subject, func(list []*program.Selector) { union.Args = append(union.Args, list...) })
	left := &program.Selector{Op: program.OpAnd, Args: []*program.Selector{subject, not(union)}}
	size := nodes(left)
	if g.compared += size; g.compared > maxUnions {
		return true
	}
	labels, ok := model(left, size)
	return !ok || meets(left, labels) != yes // without an example it gave up
}
