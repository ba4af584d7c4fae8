// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"mpol/compiler"
	"mpol/compiler/policytest"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/internal/inventory"
	"mpol/internal/policyset"
	"mpol/lang/diag"
)

// judge answers flows: policies, with who takes part. Its evaluator is not safe for concurrent use;
// the rest does not change.
type judge struct {
	scene   *scene
	rules   *program.Rules
	eval    *verdict.Evaluator // of rules
	servers []server           // where questions are asked
	set     *policies
	spans   map[string]diag.Span // of rules, for mpol why
}

// newJudge reads policies, without guardrails, and inventory. What is wrong or doubtful it has said
// in a format when it returns; workloads without a policy, which have no place in a file of policies, are for
// people alone.
func newJudge(ctx context.Context, s streams, paths []string, path string, f format) (*judge, error) {
	if path == "" {
		return nil, errNoInventory
	}
	inv, err := inventory.Read(path)
	if err != nil {
		return nil, err
	}
	sc, err := newScene(inv)
	if err != nil {
		return nil, fmt.Errorf("inventory %s: %w", path, err)
	}
	set, err := load(s, paths)
	if err != nil {
		return nil, err
	}
	if set.module, set.list, err = policyset.Read(ctx, set.files, policyset.Options{Unguarded: true}); err != nil {
		return nil, err
	}
	if err := writeDiagnostics(s.err, f, set.list, set.texts); err != nil {
		return nil, err
	}
	if set.module == nil {
		return nil, outcome(exitPolicy)
	}
	j := newJudgeOf(set, sc)
	if f != human {
		return j, nil
	}
	for _, name := range j.ungoverned() {
		fmt.Fprintf(s.err, "%s: warning: no policy selects workload %q\n", path, name)
	}
	return j, nil
}

// newScenery makes a judge of policies without errors.
func newJudgeOf(set *policies, sc *scene) *judge {
	rules := compiler.Resolve(set.module, sc.inv)
	if len(sc.inv.Resolvers) == 0 {
		sc.resolve(unstated(&rules, sc))
		rules.Inventory = sc.inv
	}
	j := &judge{scene: sc, rules: &rules, eval: verdict.New(&rules), set: set}
	j.servers = j.findServers()
	return j
}

// clone returns a judge for another goroutine.
func (j *judge) clone() *judge {
	c := *j
	c.eval = verdict.New(j.rules)
	return &c
}

// unstated returns resolvers of either family for an inventory that states none: addresses of the
// Internet that no rule tells from others.
func unstated(rules *program.Rules, s *scene) []netip.Addr {
	var out []netip.Addr
	sampler := compiler.NewSampler(rules)
	for _, v4 := range []bool{true, false} {
		if a, ok := sampler.Internet(v4, s.Taken()); ok {
			out = append(out, a)
		}
	}
	return out
}

// ungoverned returns the workloads about which the policies say nothing, in either direction.
func (j *judge) ungoverned() []string {
	var out []string
	for i := range j.rules.Inventory.Workloads {
		if w := &j.rules.Inventory.Workloads[i]; len(j.eval.Policies(w)) == 0 {
			out = append(out, w.Name)
		}
	}
	return out
}

// way is one way in which a flow as written can go: from one address to one other.
type way struct {
	flow    verdict.Flow
	verdict verdict.Verdict
	// asked: it ends with the question for the name that it goes to.
	asked bool
}

// decide judges a flow in every way in which it can go. All must be allowed: the first that is not
// speaks for the flow, else the first.
func (j *judge) decide(f *flowLine) (way, error) {
	ways, err := j.ways(f)
	if err != nil {
		return way{}, err
	}
	if i := slices.IndexFunc(ways, func(w way) bool { return w.verdict.Action == verdict.Deny }); i >= 0 {
		return ways[i], nil
	}
	return ways[0], nil
}

func (j *judge) ways(f *flowLine) ([]way, error) {
	var flow verdict.Flow
	var err error
	if flow.Proto, flow.Port, err = parseL4(f.L4); err != nil {
		return nil, err
	}
	if err := f.content(&flow); err != nil {
		return nil, err
	}
	from, err := j.scene.at(f.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if j.scene.isName(f.To) {
		return j.toName(f, from, flow)
	}
	to, err := j.scene.at(f.To)
	if err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	var ways []way
	for _, a := range from {
		for _, b := range to {
			if a.Addr.Is4() == b.Addr.Is4() {
				flow.From, flow.To = a, b
				ways = append(ways, j.way(flow))
			}
		}
	}
	if len(ways) == 0 {
		return nil, fmt.Errorf("%s and %s have no addresses of one family", f.From, f.To)
	}
	return ways, nil
}

// way judges a flow between two addresses by what its client has looked up.
func (j *judge) way(f verdict.Flow) way {
	f.Names = j.scene.held[held{j.scene.holder(f.From), f.To.Addr}]
	return way{flow: f, verdict: j.eval.Decide(f)}
}

// toName judges a flow to a DNS name: the question for it, then each address of the answer that the
// client holds.
func (j *judge) toName(f *flowLine, from []verdict.End, flow verdict.Flow) ([]way, error) {
	name := program.ParseName(f.To)
	var ways []way
	for _, a := range from {
		flow.From = a
		if refused, is := j.question(a, name); is {
			ways = append(ways, refused)
			continue
		}
		for _, b := range j.scene.answers[answer{j.scene.holder(a), name.String()}] {
			if b.Is4() == a.Addr.Is4() {
				flow.To = verdict.End{Addr: b}
				ways = append(ways, j.way(flow))
			}
		}
	}
	if len(ways) == 0 {
		return nil, fmt.Errorf("to: %s holds no answer for %s that it could use; state it under \"names\" of the inventory", f.From, f.To)
	}
	return ways, nil
}

// question asks every resolver for a name and reports whether none of them may be asked.
func (j *judge) question(from verdict.End, name program.Name) (way, bool) {
	const typeA, typeAAAA = 1, 28
	f := verdict.Flow{From: from, Question: &verdict.Question{Name: name, Type: typeA}}
	if !from.Addr.Is4() {
		f.Question.Type = typeAAAA
	}
	refused := way{}
	for _, s := range j.servers {
		if s.end.Addr.Is4() != from.Addr.Is4() || s.end.Addr == from.Addr {
			continue
		}
		f.To, f.Proto, f.Port = s.end, s.l4.Proto, s.l4.First
		w := way{flow: f, verdict: j.eval.Decide(f), asked: true}
		if w.verdict.Action != verdict.Deny {
			return way{}, false
		}
		if !refused.asked {
			refused = w
		}
	}
	return refused, refused.asked
}

// server is where questions are asked.
type server struct {
	end verdict.End
	l4  program.L4
}

// findServers returns the resolvers of the node, then those that rules name, each once.
func (j *judge) findServers() []server {
	const portDNS = 53
	var out []server
	for _, a := range j.scene.inv.Resolvers {
		out = append(out, server{verdict.End{Addr: a}, program.L4{Proto: program.ProtoUDP, First: portDNS, Last: portDNS}})
	}
	known := map[string]bool{}
	for _, p := range j.rules.Policies {
		if p.Egress == nil {
			continue
		}
		for _, r := range p.Egress.Rules {
			for _, res := range r.Resolvers {
				if known[res.Name] {
					continue
				}
				known[res.Name] = true
				for _, e := range j.resolverEnds(res) {
					for _, l4 := range res.L4 {
						out = append(out, server{e, l4})
					}
				}
			}
		}
	}
	return out
}

// resolverEnds returns where a declared resolver answers; of a prefix its first address.
func (j *judge) resolverEnds(r program.Resolver) []verdict.End {
	var out []verdict.End
	for _, p := range r.Peers.Include {
		switch p.Kind {
		case program.PeerPrefix:
			out = append(out, verdict.End{Addr: p.Prefix.Addr()})
		case program.PeerHost:
			for _, a := range j.scene.inv.Node {
				out = append(out, verdict.End{Addr: a})
			}
		case program.PeerSelector:
			for i := range j.scene.inv.Workloads {
				if w := &j.scene.inv.Workloads[i]; policytest.Meets(p.Selector, w) {
					out = append(out, j.scene.ends[w.Name]...)
				}
			}
		}
	}
	return out
}
