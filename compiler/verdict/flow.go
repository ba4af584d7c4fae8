// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"net/netip"

	"mpol/compiler/program"
)

// Flow is one flow from a client to a server, perhaps with one question or request in it.
type Flow struct {
	From, To End
	Proto    uint8
	// Port is the server's, or an ICMP type<<8|code, or 0 where the protocol has none.
	Port uint16
	// Names are those that From has learned for To's address and that are still live, without aliases
	// and from a resolver that every rule believes; Answers are the others. They count only where a
	// name can open an address.
	Names   []program.Name
	Answers []Answer
	// At most one of these is set. Without any the verdict is that on the flow itself.
	HTTP     *HTTP
	TLS      *TLS
	Question *Question
}

// End is one end of a flow. An end with an address alone is whoever the inventory says owns it. A
// host workload needs both its name and the node's address at which it is seen; for a workload
// with a single address of its own the name suffices.
type End struct {
	Workload string
	Addr     netip.Addr
}

// Answer is what From has learned for To's address: the name that it asked for, the aliases that led
// to the address, and the resolver that said so.
type Answer struct {
	Name   program.Name
	Via    []program.Name
	Server End
}

// HTTP is a request as it stands on the wire. Path is the raw :path or request target, query
// included, empty for a CONNECT; Host the :authority or Host, with its port. Upgrade is the protocol
// to which it asks to change, Two says that it came over HTTP/2.
type HTTP struct {
	Method, Path, Host string
	Upgrade            string
	Two                bool
	Headers            []Header
}

// Header is one header line; the name in any case, the value without white space around it.
type Header struct{ Name, Value string }

// GRPC returns the request that calls a method of a service, whose name has its package.
func GRPC(service, method string) *HTTP {
	return &HTTP{
		Method: "POST", Path: "/" + service + "/" + method, Two: true,
		Headers: []Header{{Name: "content-type", Value: "application/grpc"}},
	}
}

// TLS is a client hello. Without a server name that can be read Present is false.
type TLS struct {
	ServerName string
	Present    bool
}

// Question is a DNS question to the flow's server.
type Question struct {
	Name program.Name
	Type uint16
}

// Action is what happens to a flow.
type Action uint8

// The actions. The zero value is Deny.
const (
	Deny Action = iota
	Allow
	Redirect // allowed, if the proxy for L7 allows what is in it
)

// String returns the word for the action.
func (a Action) String() string { return [...]string{"deny", "allow", "redirect"}[a] }

// Reason says why a verdict is what it is.
type Reason uint8

// The reasons. The zero value is Unknown.
const (
	Unknown    Reason = iota // an end that cannot be: denied
	ByRule                   // a rule matched
	ByDefault                // the default of a tier, "ungranted", or the program's default
	Ungoverned               // no policy has the direction for the subject
	Conflict                 // rules of two L7 kinds, or names with different L7 rules, apply: denied
	Unreadable               // not a request of the kind that the rules ask: denied
	Refused                  // a request that is denied whatever the rules, "by refused"
	Self                     // a workload with itself: never judged
	Foreign                  // neither end is enforced on this node: never judged
)

// String returns the word for the reason.
func (r Reason) String() string {
	return [...]string{
		"unknown end", "rule", "default", "ungoverned", "rules in conflict", "unreadable", "refused", "self", "not ours",
	}[r]
}

// Verdict is the answer of Decide.
//
// Half and Rule say who decided: of a deny the first half that denies, egress before ingress; of a
// flow with an L7 kind the first half that has it; of another allow egress if policies speak of it
// or there is no ingress half, else ingress. Of several rules that could be named it is the first in file order; for a redirect,
// the first allow of the deciding tier.
type Verdict struct {
	Action Action
	L7     program.L7Kind // of a flow that must speak it and is not denied as a flow
	Half   program.Direction
	Rule   program.RuleID // 0 where no rule took part
	Reason Reason
	// The results of both halves on their own.
	Egress, Ingress Half
	// Audit is the verdict of the program with every audit mark removed, nil where that is the same
	// action or there is no mark.
	Audit *Verdict
}

// Judged reports whether the flow is one that policies speak about.
func (v Verdict) Judged() bool { return v.Reason != Self && v.Reason != Foreign }

// Half is what one direction says. The zero value is a half that does not exist here: the subject
// is not enforced on this node.
type Half struct {
	Exists bool
	// Governed: some policy has the direction for the subject, so that there is a table.
	Governed bool
	Allow    bool
	L7       program.L7Kind
	Rule     program.RuleID
	Reason   Reason
	// Matching are the rules of the deciding tier that speak for the verdict, in file order; the
	// default's alone when none does.
	Matching []program.RuleID
}
