// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/diag"
)

// Status is what became of a line.
type Status uint8

// The statuses. The zero value is Error: the line does not say enough to be judged.
const (
	Error Status = iota
	Fail
	Pass
)

// String returns the word for the status.
func (s Status) String() string { return [...]string{"error", "fail", "pass"}[s] }

// Result is one line of a test, judged.
type Result struct {
	Test   string
	Status Status
	Span   diag.Span // of the line
	// Summary says in one line what was expected and what came instead, or what the line lacks;
	// empty for a pass. Help is what to write, or empty.
	Summary string
	Help    string
	// Got is the verdict that decided: of a pass the first one, else the one that is wrong. Egress
	// and Ingress say where its halves come from; empty for a half that does not exist.
	Got             verdict.Verdict
	Egress, Ingress Half
	// Flow is what Got is the verdict on, by Rules with the addresses of the line; nil of an Error.
	Flow  verdict.Flow
	Rules *program.Rules
}

// Half is one half of a verdict with its place.
type Half struct {
	Verdict string // allow, deny, or empty
	Rule    string // as "by" names it
	Source  program.Source
}

func newHalf(rules *program.Rules, h verdict.Half) Half {
	if !h.Exists {
		return Half{}
	}
	s := rules.Source(h.Rule)
	return Half{Verdict: word(h.Allow), Rule: s.Name, Source: s}
}

func word(allow bool) string {
	if allow {
		return program.Allow.String()
	}
	return program.Deny.String()
}
