// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"strconv"
	"time"

	"mpol/bpf"
	"mpol/compiler/program"
	"mpol/dnsproxy"
)

// generation is a program in force.
type generation struct {
	number  uint32
	program *program.Program
	hash    string
	applied time.Time
	view    *dnsproxy.View
	rules   map[string]program.RuleID // by the key of their source
	logged  map[string]bool           // names of the rules that ask for a report
}

// replaceChanged brings p into force unless it is in force already, at the places that are there now.
func (a *Agent) replaceChanged(ctx context.Context, p *program.Program, places string) (changed bool, err error) {
	hash := p.Hash()
	if hash == a.current.hash && places == a.places {
		return false, nil
	}
	return true, a.replace(ctx, p, hash, places)
}

// replace switches from the generation in force to p, whose name is hash:
//
//  1. requests must pass the profiles of both, and new profiles have their listeners;
//  2. entries of p are written beside the old ones, which no packet sees yet;
//  3. questions must pass both, and answers open their addresses for both;
//  4. what workloads still remember of earlier answers is opened for p;
//  5. one word is written;
//  6. the rules of the old generation go, its entries last.
//
// An error before 5 takes everything back.
func (a *Agent) replace(ctx context.Context, p *program.Program, hash, places string) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	old := a.current
	if err := a.sweep(); err != nil {
		return err
	}
	// Requests judged by both are logged under the coming one's number, which is not known yet.
	if err := a.l7.Apply(ctx, "", a.profileSets(p)...); err != nil {
		return err
	}
	stage, err := a.datapath.Stage(p, a.l7.Port)
	if err != nil {
		return errors.Join(err, a.restore(old))
	}
	next := newGeneration(stage.Generation(), p, hash)
	if old != nil {
		a.dns.Apply(old.view, next.view)
	}
	for _, g := range a.dns.Replay(next.view) {
		err := a.commit(ctx, g)
		if errors.Is(err, bpf.ErrNamesFull) {
			// Not worth the switch, which may close something: the workload asks again.
			a.log.Warn("an address that was learned earlier is not open any more", "error", err)
			continue
		}
		if err != nil {
			return errors.Join(err, stage.Abort(), a.restore(old))
		}
	}
	a.expect(next)
	if err := stage.Commit(); err != nil {
		a.expect(nil)
		return errors.Join(err, stage.Abort(), a.restore(old))
	}
	a.arrived()
	a.places = places
	a.endForbidden(next)
	a.dns.Apply(next.view)
	a.unswept = stage
	err = errors.Join(a.l7.Apply(ctx, next.label(), p.Tables.Profiles), a.sweep())
	if err != nil {
		a.log.Error("what only the old generation used is still there", "error", err)
	}
	return nil
}

// sweep removes what only the old generation used. It can open nothing: after an error more is kept
// than needed, and the next switch begins by trying again.
func (a *Agent) sweep() error {
	if a.unswept == nil {
		return nil
	}
	if err := a.unswept.Sweep(); err != nil {
		return err
	}
	a.unswept = nil
	return nil
}

func newGeneration(number uint32, p *program.Program, hash string) *generation {
	g := &generation{
		number: number, program: p, hash: hash, view: dnsproxy.ViewOf(uint64(number), &p.Tables),
		rules: map[string]program.RuleID{}, logged: map[string]bool{},
	}
	for id, s := range p.Rules.Sources {
		g.rules[s.Key] = program.RuleID(id)
	}
	for _, policy := range p.Rules.Policies {
		for _, d := range []program.Direction{program.Egress, program.Ingress} {
			if b := policy.Block(d); b != nil {
				for _, r := range b.Rules {
					if r.Log {
						g.logged[p.Rules.Source(r.ID).Name] = true
					}
				}
			}
		}
	}
	return g
}

// label names the generation in Envoy's log.
func (g *generation) label() string { return strconv.FormatUint(uint64(g.number), 10) }

// profileSets are the profiles of the generation in force, if any, and of p.
func (a *Agent) profileSets(p *program.Program) [][]program.Profile {
	if a.current == nil {
		return [][]program.Profile{p.Tables.Profiles}
	}
	return [][]program.Profile{a.current.program.Tables.Profiles, p.Tables.Profiles}
}

// restore brings the proxies back to old after a switch that failed.
func (a *Agent) restore(old *generation) error {
	if old == nil {
		a.dns.Apply()
		return nil
	}
	a.dns.Apply(old.view)
	ctx, cancel := context.WithTimeout(context.Background(), settle)
	defer cancel()
	return a.l7.Apply(ctx, old.label(), old.program.Tables.Profiles)
}

// expect makes next a generation that events are explained by; it is called before the word is
// written, since its first packet may be earlier than the writer's next step.
func (a *Agent) expect(next *generation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.coming = next
}

// arrived makes the expected generation the one in force.
func (a *Agent) arrived() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.coming.applied = time.Now()
	a.previous, a.current, a.coming = a.current, a.coming, nil
}

// at returns the generation of a number, the one in force when there is none.
func (a *Agent) at(number uint32) *generation {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range []*generation{a.previous, a.coming} {
		if g != nil && g.number == number {
			return g
		}
	}
	return a.current
}
