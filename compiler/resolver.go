// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"slices"
	"strings"

	"mpol/compiler/program"
)

const portDNS = 53

// questionsL4 are the protocols and ports of the resolvers of the configuration.
func questionsL4() []program.L4 {
	return []program.L4{
		{Proto: program.ProtoUDP, First: portDNS, Last: portDNS},
		{Proto: program.ProtoTCP, First: portDNS, Last: portDNS},
	}
}

// resolver is DNS servers as a rule believes them: who they are, where they are asked, for which names.
type resolver struct {
	text  string // but for the ports; equal texts are equally believed
	peers program.Peers
	list  int // index into scope.lists, -1 where the configuration has no resolver
	l4    []program.L4
	about []program.NamePattern // none: every name
}

// resolversOf returns the resolvers of an allow with domain peers.
func (s *scope) resolversOf(r *program.Rule) []resolver {
	var out []resolver
	for i := range r.Resolvers {
		v := &r.Resolvers[i]
		if v.Node {
			out = append(out, resolver{text: "node", peers: s.nodePeers(), l4: questionsL4()})
			continue
		}
		text := v.Peers.String()
		for j, p := range v.For {
			text += map[bool]string{true: " for ", false: ", "}[j == 0] + string(p)
		}
		out = append(out, resolver{text: text, peers: v.Peers, l4: v.L4, about: v.For})
	}
	return out
}

// nodePeers are the resolvers of the configuration.
func (s *scope) nodePeers() program.Peers {
	var ps program.Peers
	for _, a := range s.answerers {
		ps.Include = append(ps.Include, program.Peer{Kind: program.PeerPrefix, Prefix: single(a)})
	}
	return ps
}

// believes reports whether v is believed about some name of d.
func (v *resolver) believes(d *program.Domain) bool {
	return len(v.about) == 0 || slices.ContainsFunc(v.about, func(p program.NamePattern) bool {
		return slices.ContainsFunc(d.Patterns, p.Meets)
	})
}

// namePeer is a domain peer with those who are believed about it.
type namePeer struct {
	key       string
	domain    program.Domain
	resolvers []resolver
}

// newNamePeer makes a name peer. Its key means the same for ever: who the node's resolvers are is in
// the key of the table.
func newNamePeer(d program.Domain, resolvers []resolver) namePeer {
	n := namePeer{key: d.String(), domain: d, resolvers: slices.Clone(resolvers)}
	slices.SortFunc(n.resolvers, func(a, b resolver) int { return strings.Compare(a.text, b.text) })
	n.resolvers = slices.CompactFunc(n.resolvers, func(a, b resolver) bool { return a.text == b.text })
	texts := make([]string, len(n.resolvers))
	for i, v := range n.resolvers {
		texts[i] = v.text
	}
	if by := strings.Join(texts, "; "); by != "node" {
		n.key += " by " + by
	}
	return n
}
