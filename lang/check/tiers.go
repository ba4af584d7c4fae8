// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// appTier is the tier that a policy belongs to unless it says otherwise.
const appTier = "app"

// tier is a tier with its declaration, nil for those that exist without one. A broken one is known by
// name alone.
type tier struct {
	program.Tier
	decl   *lang.Tier
	broken bool
}

// builtinTiers are those that exist without a declaration.
func builtinTiers() []tier {
	return []tier{
		{Tier: program.Tier{Name: "admin", Order: 100, Default: program.Pass}},
		{Tier: program.Tier{Name: appTier, Order: 200, Default: program.Deny}},
		{Tier: program.Tier{Name: "baseline", Order: 300, Default: program.Pass}},
	}
}

// resolveTiers collects the tiers, which belong to the whole program, ascending by order.
func (c *checker) resolveTiers(m *Module) {
	c.tiers, c.tierAt = builtinTiers(), map[string]int{}
	orders := map[int]int{} // index by order
	for i, t := range c.tiers {
		c.tierAt[t.Name], orders[t.Order] = i, i
	}
	for _, f := range c.files {
		for _, d := range f.Decls {
			if t, ok := d.(*lang.Tier); ok {
				c.addTier(t, orders)
			}
		}
	}
	slices.SortStableFunc(c.tiers, func(a, b tier) int { return cmp.Compare(a.Order, b.Order) })
	for i, t := range c.tiers {
		c.tierAt[t.Name] = i
		m.Tiers = append(m.Tiers, t.Tier)
		if t.decl != nil && !t.broken {
			m.TierPlaces = append(m.TierPlaces, TierPlace{
				Tier: i, Doc: strings.Join(t.decl.Doc, "\n"), Annotations: resolved(t.decl.Annotations), Span: t.decl.Span(),
			})
		}
	}
	slices.SortFunc(m.TierPlaces, func(a, b TierPlace) int { return c.comparePlaces(a.Span, b.Span) })
}

// comparePlaces orders places by file and offset.
func (c *checker) comparePlaces(a, b diag.Span) int {
	return cmp.Or(cmp.Compare(c.order[a.File], c.order[b.File]), cmp.Compare(a.Start.Offset, b.Start.Offset))
}

// addTier adds a declared tier; orders are the tiers by their order.
func (c *checker) addTier(d *lang.Tier, orders map[int]int) {
	span := lang.SpanOf(d.Name)
	if i, twice := c.tierAt[d.Name.Value]; twice {
		old := c.tiers[i]
		if old.decl == nil {
			c.errorAt(diag.BuiltinName, span, fmt.Sprintf("the tier `%s` exists without a declaration", old.Name), "choose another name")
			return
		}
		c.errorAt(diag.DuplicateName, span, fmt.Sprintf("tier `%s` is declared twice", old.Name), "a tier belongs to the whole program: remove one",
			diag.Related{Span: lang.SpanOf(old.decl.Name), Summary: "the first"})
		return
	}
	t := tier{Tier: program.Tier{Name: d.Name.Value}, decl: d, broken: d.Broken}
	if !t.broken {
		t.Default = action(d.Default.Value)
		var err error
		if t.Order, err = strconv.Atoi(d.Order.Value); err != nil || t.Order > maxOrder {
			c.errorAt(diag.BadNumber, lang.SpanOf(d.Order), fmt.Sprintf("the order %s is more than %d", d.Order.Value, maxOrder), "write a smaller number")
			t.broken = true
		}
		if i, clash := orders[t.Order]; clash && !t.broken {
			c.tierClash(t, c.tiers[i])
		} else if !t.broken {
			orders[t.Order] = len(c.tiers)
		}
	}
	c.tierAt[t.Name] = len(c.tiers)
	c.tiers = append(c.tiers, t)
}

// maxOrder is the highest order of a tier.
const maxOrder = 1_000_000_000

// tierClash reports a tier whose order another one has.
func (c *checker) tierClash(t, old tier) {
	summary := fmt.Sprintf("the tiers `%s` and `%s` have the order %d both", old.Name, t.Name, t.Order)
	if old.decl == nil {
		c.errorAt(diag.TierOrder, lang.SpanOf(t.decl.Order), summary, "admin is 100, app 200, baseline 300: choose another order")
		return
	}
	c.errorAt(diag.TierOrder, lang.SpanOf(t.decl.Order), summary, "choose another order", diag.Related{Span: lang.SpanOf(old.decl.Order), Summary: "the other tier"})
}

// tierOf returns the index of a policy's tier, and whether its default may be asked for.
func (c *checker) tierOf(d *lang.Policy) (int, bool) {
	name := appTier
	if d.Tier != nil {
		name = d.Tier.Value
	}
	if i, ok := c.tierAt[name]; ok {
		return i, !c.tiers[i].broken
	}
	if c.mayHave(name, "tier") {
		c.loose()
		return 0, false
	}
	var names []string
	if c.near(len(c.tiers)) {
		names = slices.Collect(maps.Keys(c.tierAt))
	}
	c.unknown(lang.SpanOf(*d.Tier), "tier", name, names, fmt.Sprintf("declare it: tier %s order 50 default pass", name))
	return 0, false
}
