// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"slices"

	"mpol/compiler"
	"mpol/compiler/policytest"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/internal/source"
	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// judge answers flows: policies, with who takes part.
type judge struct {
	scene *scene
	rules program.Rules
	eval  *verdict.Evaluator   // of rules
	text  map[string][]byte    // of the files
	spans map[string]diag.Span // of the rules, by the place where they begin
}

// newJudge reads policies and inventory. What is wrong or doubtful it has said when it returns.
func newJudge(s streams, paths []string, inventory string) (*judge, error) {
	if inventory == "" {
		return nil, usageError{fmt.Errorf("name the inventory: --inventory FILE")}
	}
	sc, err := readScene(inventory)
	if err != nil {
		return nil, err
	}
	set, err := readLanguage(s, paths)
	if err != nil {
		return nil, err
	}
	if err := writeDiagnostics(s.err, human, set.list, set.files); err != nil {
		return nil, err
	}
	if set.module == nil {
		return nil, outcome(exitPolicy)
	}
	j := &judge{scene: sc, rules: compiler.Resolve(set.module, sc.inv), text: map[string][]byte{}, spans: map[string]diag.Span{}}
	if len(sc.inv.Resolvers) == 0 {
		sc.inv.Resolvers = unstated(&j.rules, sc)
		j.rules.Inventory = sc.inv
	}
	j.eval = verdict.New(&j.rules)
	for _, f := range set.files {
		j.text[f.Name] = f.Text
	}
	for _, p := range set.module.Policies {
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				j.spans[r.PlaceSpan.String()] = r.Span
			}
		}
	}
	for _, name := range j.ungoverned() {
		fmt.Fprintf(s.err, "%s: warning: no policy selects workload %q\n", inventory, name)
	}
	return j, nil
}

// readLanguage reads policies without guardrails: they veto what may be loaded and do not change what
// it means.
func readLanguage(s streams, paths []string) (*policies, error) {
	files, err := source.Load(paths, s.in)
	if err != nil {
		return nil, err
	}
	set := &policies{files: files}
	var trees []*lang.File
	var names []string
	for _, f := range files {
		tree, found := lang.Parse(f.Name, f.Text)
		set.list = append(set.list, found...)
		trees, names = append(trees, tree), append(names, f.Name)
	}
	module, found := check.Check(trees, check.Options{})
	set.list = append(set.list, found...)
	set.list.Sort(names)
	if !set.list.HasErrors() {
		set.module = module
	}
	return set, nil
}

// unstated returns resolvers of either family for an inventory that states none: addresses of the
// Internet that no rule tells from others.
func unstated(rules *program.Rules, s *scene) []netip.Addr {
	var taken, out []netip.Addr
	for a := range s.owner {
		taken = append(taken, a)
	}
	for _, l := range s.names {
		taken = append(taken, l.addresses...)
	}
	sampler := compiler.NewSampler(rules)
	for _, v4 := range []bool{true, false} {
		if a, ok := sampler.Internet(v4, taken); ok {
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
	from, err := j.scene.ends(f.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if j.scene.isName(f.To) {
		return j.toName(f, from, flow)
	}
	to, err := j.scene.ends(f.To)
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
		for _, l := range j.scene.names {
			if l.workload != j.scene.holder(a) || !slices.Equal(l.name, name) {
				continue
			}
			for _, b := range l.addresses {
				if b.Is4() == a.Addr.Is4() {
					flow.To = verdict.End{Addr: b}
					ways = append(ways, j.way(flow))
				}
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
	for _, s := range j.servers() {
		if s.end.Addr.Is4() != from.Addr.Is4() {
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

// servers returns the resolvers of the node, then those that rules name.
func (j *judge) servers() []server {
	const portDNS = 53
	var out []server
	for _, a := range j.scene.inv.Resolvers {
		out = append(out, server{verdict.End{Addr: a}, program.L4{Proto: program.ProtoUDP, First: portDNS, Last: portDNS}})
	}
	for _, p := range j.rules.Policies {
		if p.Egress == nil {
			continue
		}
		for _, r := range p.Egress.Rules {
			for _, res := range r.Resolvers {
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
					ends, _ := j.scene.find(w.Name)
					out = append(out, ends...)
				}
			}
		}
	}
	return out
}
