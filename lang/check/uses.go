// SPDX-License-Identifier: Apache-2.0

package check

import (
	"reflect"

	"mpol/compiler/program"
)

// lookup is a name that was looked up, whether there was one or not.
type lookup struct {
	pkg  string
	in   space
	name string
}

// uses is what the check of something rests on beside its own text.
type uses struct {
	lookups []lookup
	failed  bool // a name had no value
	loose   bool // it rests on a mistake elsewhere, or on what could not be read
}

// meaning is what a name stands for, for whoever uses it.
type meaning struct {
	selector *program.Selector
	size     int // nodes of selector
	prefixes prefixes
	domains  []program.Domain
	l4       []program.L4
	server   program.Resolver
}

// gather runs f and returns what it used.
func (c *checker) gather(f func()) uses {
	outer := c.uses
	defer func() { c.uses = outer }()
	var own uses
	c.uses = &own
	f()
	own.lookups = distinct(own.lookups)
	return own
}

// lookUp returns the symbol of a name in a package, nil when it has none.
func (c *checker) lookUp(p *pkg, in space, name string) *symbol {
	if c.uses != nil {
		c.uses.lookups = append(c.uses.lookups, lookup{p.name, in, name})
	}
	return p.names[in][name]
}

// loose notes that what is being checked rests on more than its text and names.
func (c *checker) loose() {
	if c.uses != nil {
		c.uses.loose = true
	}
}

// fail notes that a name has no value.
func (c *checker) fail() {
	if c.uses != nil {
		c.uses.failed = true
	}
}

// hold reports whether every name in u means what it meant in the last Check.
func (c *checker) hold(u uses) bool {
	for _, l := range u.lookups {
		var now *symbol
		if p := c.byName[l.pkg]; p != nil {
			now = p.names[l.in][l.name]
		}
		if now == nil {
			if c.memory.symbol(l) != nil {
				return false
			}
			continue
		}
		if c.resolve(now); now.failed || now.differs {
			return false
		}
	}
	return true
}

// compare reports whether a symbol that has been resolved means something else than in the last Check,
// whose meaning it takes over otherwise: what is compared by identity stays the same.
func (s *symbol) compare() (differs bool) {
	if s.last == nil || !reflect.DeepEqual(s.meaning, s.last) {
		return true
	}
	s.meaning = s.last
	return false
}
