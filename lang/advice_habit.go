// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"strings"

	"mpol/lang/diag"
)

// colons reports words with a colon where a declaration, a block or a line of a test begins, as in YAML, and
// takes each for the word.
func (p *parser) colons() {
	for i, t := range p.toks {
		if t.Type != tokenLabel || !p.colonWord(i) {
			continue
		}
		p.errorAt(diag.Syntax, SpanOf(t), fmt.Sprintf("expected `%s`, found `%s`", Text(t), t.Value), "write "+Text(t)+" without the colon")
		p.toks[i].Type, p.toks[i].Value = tokenKeyword, Text(t)
	}
}

// colonWord reports whether the label at token i cannot be that of a rule.
func (p *parser) colonWord(i int) bool {
	next, third := p.next(i), p.next(i+1)
	switch word := Text(p.toks[i]); word {
	case "ingress", "egress":
		return next.Value == "{" || next.Value == "none"
	case "default":
		return (next.Value == "allow" || next.Value == "deny") && third.Value != "from" && third.Value != "to"
	case "package", "import":
		return next.Type == tokenIdent && p.firstOnLine(i) && p.firstOnLine(i+2)
	case "test", "prove":
		return IsString(next) && third.Value == "{"
	case "given", "workload", "cidrs", "domains", "service", "resolver":
		return third.Value == "="
	case "policy":
		return third.Value == "for"
	case "tier":
		return third.Value == "order"
	}
	return false
}

// adviceHabit speaks of what stands almost right in declarations and rules.
func (p *parser) adviceHabit(i int, want string) string {
	t, prev, next := p.toks[i], p.prev(i), p.next(i)
	switch {
	case want == "`]`" && IsString(t), want == "`on`" && p.peerBehind(i), want == "`}`" && p.typeBehind(i):
		return "write a comma before " + t.Value
	case want == "" && (t.Value == "and" || t.Value == "or") && IsL4(prev):
		return "write a comma for " + t.Value
	case want == "`order`" && t.Type == tokenNumber:
		return "write order " + t.Value
	case want == "a number" && t.Value == "=" && prev.Value == "order":
		return "write order " + next.Value
	case t.Value == "in" && prev.Value == "audit" && want == "`{`":
		return fmt.Sprintf("write in %s audit", next.Value)
	case want == "`on`" && (t.Value == "to" || t.Value == "from") && IsL4(next):
		return "write on " + next.Value
	case (want == "" || want == "a declaration") && next.Value == "(" && p.firstOnLine(i):
		return fmt.Sprintf(`write @%s("...")`, t.Value)
	case p.isWord(t.Value) && isAction(prev.Value):
		return fmt.Sprintf("write %s %s", prev.Value, next.Value)
	case strings.HasPrefix(want, "a workload, `workloads`") && IsAddress(t):
		return "a policy governs workloads or the host: addresses are peers"
	case want == aRuleWord && (t.Value == "from" || t.Value == "to") && p.lateAction(i) > 0:
		return fmt.Sprintf("write %s %s", p.toks[p.lateAction(i)].Value, t.Value)
	}
	return ""
}

// adviceHabitL7 speaks of what stands almost right in L7 parts.
func (p *parser) adviceHabitL7(i int, want string) string {
	t, prev, next := p.toks[i], p.prev(i), p.next(i)
	switch {
	case want == "`sni`" && t.Value == "pinned":
		return "write tls pinned"
	case want == "`sni`" && IsName(t):
		return "write sni " + t.Value
	case t.Value == "=" && prev.Value == "sni":
		return "write sni " + next.Value
	case t.Value == "sni" && prev.Value == "tls" && IsName(next):
		return fmt.Sprintf("write tls { sni %s }", next.Value)
	case t.Value == "type" && next.Type == tokenIdent && strings.Contains(want, "`}`"):
		return "write types"
	case want == "a method and a path" && IsName(t) && IsName(next) && IsString(p.next(i+1)):
		return fmt.Sprintf("write a comma between methods: %s, %s", t.Value, next.Value)
	case want == "" && IsString(t) && strings.HasPrefix(Text(t), "/") && !p.asserted(i) && (IsL4(prev) || IsName(prev)):
		return fmt.Sprintf("write http { GET %s }", t.Value)
	case want == "" && t.Value == "{" && (IsL4(prev) || IsName(prev)) && (next.Value == "any" || IsName(next)):
		return "write http { ... }"
	case want == "" && isPart(t.Value) && prev.Value == "}":
		return "a rule has one part for requests: write both into one, or two rules"
	case isPart(t.Value) && (prev.Value == "reject" || prev.Value == "log"):
		return fmt.Sprintf("write %s behind the %s part", prev.Value, t.Value)
	case t.Value == "host" && IsName(next) && strings.Contains(want, "`}`"):
		return fmt.Sprintf("write host %q", p.dotted(i+1))
	case t.Value == "header" && want == "" && !p.asserted(i):
		return `write http { any "/**" header ... }`
	case strings.Contains(want, "`present`") && IsString(t):
		return fmt.Sprintf("write header %s = %s", prev.Value, t.Value)
	}
	return ""
}

// adviceHabitTest speaks of what stands almost right in tests and proofs.
func (p *parser) adviceHabitTest(i int, want string) string {
	t, prev, next := p.toks[i], p.prev(i), p.next(i)
	switch {
	case want == "`,` or `}`" && IsName(t) && next.Value == "=":
		return "write a comma before " + t.Value
	case t.Type == tokenLabel && prev.Value == "given":
		return fmt.Sprintf("write given %s =", Text(t))
	case want == "`}`" && IsString(t) && prev.Value == "{":
		return "write app = " + t.Value
	case (t.Value == "pass" || t.Value == "reject") && p.next(i+1).Value == "->":
		return "write deny for " + t.Value
	case prev.Value == "->" && isWide(t.Value):
		return "a line names one end: an address such as 198.51.100.1, a party, host or node"
	case want == "" && IsString(t) && strings.HasPrefix(Text(t), "/") && p.asserted(i):
		return "write a method before it: GET " + t.Value
	case want == "the name of a rule" && IsString(t):
		return fmt.Sprintf("write by %s", Text(t))
	case want == "" && t.Value == "by" && p.isWord(prev.Value):
		return fmt.Sprintf("write by before at %s", prev.Value)
	case want == "" && t.Value == "in" && p.isWord(next.Value):
		return "write at " + next.Value
	case prev.Value == "at" && (t.Value == "server" || t.Value == "destination"):
		return "write at ingress"
	case prev.Value == "at" && (t.Value == "client" || t.Value == "source"):
		return "write at egress"
	case want == "`never` or `always`" && (t.Value == "no" || t.Value == "not" || t.Value == "deny"):
		return "write never"
	}
	return ""
}

// isWide reports whether a word for peers stands for many.
func isWide(word string) bool {
	return word == "any" || word == "world" || word == "internet" || word == "workloads"
}

// isPart reports whether an L7 part begins with a word.
func isPart(word string) bool {
	return word == "http" || word == "grpc" || word == "dns" || word == "tls"
}

// peerBehind reports whether token i is a peer right behind another one, and the list goes on.
func (p *parser) peerBehind(i int) bool {
	t, next := p.toks[i], p.next(i).Value
	return (IsName(t) || IsString(t) || IsAddress(t) || isWide(t.Value)) && (next == "on" || next == "," || next == "except")
}

// typeBehind reports whether token i is a type of questions right behind another one.
func (p *parser) typeBehind(i int) bool {
	for j := i - 1; j > 0 && j > i-20; j-- {
		switch t := p.toks[j]; {
		case t.Value == "types":
			return p.toks[i].Type == tokenIdent
		case t.Type != tokenIdent && t.Value != ",":
			return false
		}
	}
	return false
}

// asserted reports whether token i stands on a line of a test, behind its ends.
func (p *parser) asserted(i int) bool {
	for j := p.lineStart(i); j < i; j++ {
		if p.toks[j].Value == "->" {
			return true
		}
	}
	return false
}

// lateAction returns where, behind the peers of a rule whose from or to is token i, its action stands on the
// same line, 0 if it does not.
func (p *parser) lateAction(i int) int {
	line := p.toks[i].Pos.Line
	for j := i + 1; p.toks[j].Pos.Line == line; j++ {
		switch t := p.toks[j]; {
		case t.Type == tokenLabel, t.Value == "on", t.Value == "}", j == len(p.toks)-1:
			return 0
		case isAction(t.Value):
			return j
		}
	}
	return 0
}
