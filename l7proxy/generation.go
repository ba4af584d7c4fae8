// SPDX-License-Identifier: Apache-2.0

package l7proxy

import "sync"

// remembered is how many sets of profiles back the log can still be understood: a long request is
// reported at its end, with the rules of its start.
const remembered = 8

// generations remembers which generation brought which rules. Rules are named by an id that is a
// hash of them, so that a generation that does not change a profile changes nothing in Envoy.
type generations struct {
	mu  sync.Mutex
	all []generation // newest first
}

type generation struct {
	name string
	ids  map[string]string // by profile key
}

func (g *generations) add(name string, ids map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append([]generation{{name, ids}}, g.all[:min(len(g.all), remembered-1)]...)
}

// drop forgets the newest one: Envoy refused it.
func (g *generations) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = g.all[1:]
}

// of returns the newest generation with these rules of the profile, or nothing.
func (g *generations) of(key, id string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range g.all {
		if have, ok := one.ids[key]; ok && have == id {
			return one.name
		}
	}
	return ""
}
