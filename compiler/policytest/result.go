// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"iter"

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
	// Got is the verdict that decided: of a pass the first one, else the one that is wrong.
	Got verdict.Verdict
	// Flow is what Got is the verdict on, with the addresses of the line; nil unless the line
	// failed.
	Flow *verdict.Flow
	// Judge is what Got is the verdict of; nil unless the line could be judged.
	Judge *verdict.Evaluator
}

// Half is one half of a verdict with its place. The zero value is one that does not exist.
type Half struct {
	Verdict  string // allow, deny, or empty
	Rule     string // as "by" names it
	Source   program.Source
	Governed bool // some policy of a tier that does not pass speaks of the subject
}

// NewHalf says where a half of a verdict by rules comes from.
func NewHalf(rules *program.Rules, h verdict.Half) Half {
	if !h.Exists {
		return Half{}
	}
	s := rules.Source(h.Rule)
	return Half{Verdict: word(h.Allow), Rule: s.Name, Source: s, Governed: h.Governed}
}

// String says the verdict and by what, as every report does.
func (h Half) String() string {
	text := h.Verdict + " by " + h.Rule
	if !h.Governed {
		text += ", no policy speaks of it"
	}
	return text
}

// Half says where a half of Got comes from; it is empty for one that does not exist.
func (r *Result) Half(d program.Direction) Half {
	if r.Judge == nil {
		return Half{}
	}
	return NewHalf(r.Judge.Rules(), half(r.Got, d))
}

// halves yields the halves of Got that exist, egress first.
func (r *Result) halves() iter.Seq2[program.Direction, Half] {
	return func(yield func(program.Direction, Half) bool) {
		for _, d := range []program.Direction{program.Egress, program.Ingress} {
			if h := r.Half(d); h.Verdict != "" && !yield(d, h) {
				return
			}
		}
	}
}

func word(allow bool) string {
	if allow {
		return program.Allow.String()
	}
	return program.Deny.String()
}
