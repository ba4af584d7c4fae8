// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"mpol/compiler/program"
)

// peers writes a peer list in the words of the language, with every name resolved.
func peers(ps program.Peers) string {
	text := peerList(ps.Include)
	if len(ps.Except) > 0 {
		text += " except " + peerList(ps.Except)
	}
	return text
}

// towards is the word before the peers of a direction.
func towards(d program.Direction) string {
	if d == program.Ingress {
		return "from"
	}
	return "to"
}

func peerList(ps []program.Peer) string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = peer(p)
	}
	return strings.Join(texts, ", ")
}

func peer(p program.Peer) string {
	switch p.Kind {
	case program.PeerSelector:
		return "(" + selector(p.Selector) + ")"
	case program.PeerPrefix:
		return p.Prefix.String()
	case program.PeerDomain:
		return domain(p.Domain)
	}
	return p.Kind.String()
}

// subject writes whom a policy governs.
func subject(s program.Subject) string {
	if s.All {
		return "workloads"
	}
	return "(" + selector(s.Selector) + ")"
}

// selector writes a selector with parentheses around every argument that is an operator.
func selector(s *program.Selector) string {
	switch s.Op {
	case program.OpHas:
		return fmt.Sprintf("has %q", s.Key)
	case program.OpNot:
		return "not " + argument(s.Args[0])
	case program.OpAnd, program.OpOr:
		texts := make([]string, len(s.Args))
		for i, a := range s.Args {
			texts[i] = argument(a)
		}
		return strings.Join(texts, " "+s.Op.String()+" ")
	}
	if len(s.Values) == 1 {
		return fmt.Sprintf("%q = %q", s.Key, s.Values[0])
	}
	texts := make([]string, len(s.Values))
	for i, v := range s.Values {
		texts[i] = fmt.Sprintf("%q", v)
	}
	return fmt.Sprintf("%q in [%s]", s.Key, strings.Join(texts, ", "))
}

func argument(s *program.Selector) string {
	if s.Op == program.OpAnd || s.Op == program.OpOr {
		return "(" + selector(s) + ")"
	}
	return selector(s)
}
