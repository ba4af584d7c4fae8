// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"
	"strings"
)

// protocolBefore returns the protocol that the number at token i is a port of: the word before it, or that
// of the port before it in a list.
func (p *parser) protocolBefore(i int) string {
	prev := p.prev(i)
	if prev.Value == "," && IsL4(p.prev(i-1)) {
		prev = p.prev(i - 1)
	}
	if prev.Value == "port" || prev.Value == "ports" {
		return "tcp"
	}
	protocol, _, _ := strings.Cut(prev.Value, "/")
	if isProtocol(protocol) {
		return protocol
	}
	return ""
}

func isProtocol(word string) bool {
	switch word {
	case "tcp", "udp", "sctp", "icmp", "icmpv6", "ip":
		return true
	}
	return false
}

// adviceL4 speaks of protocols and ports.
func (p *parser) adviceL4(i int, want string) string {
	t := p.toks[i]
	switch {
	case IsL4(t) && want == "`on`":
		return "write on " + t.Value
	case want == "`on`" && (t.Value == "port" || t.Value == "ports") && IsL4(p.next(i)):
		return "write on " + p.next(i).Value
	case t.Value == "." && IsL4(p.prev(i)) && p.next(i).Value == "." && p.next(i+1).Type == tokenNumber:
		return fmt.Sprintf("write %s-%s", p.prev(i).Value, p.next(i+1).Value)
	case want == "`on`" && (t.Value == "port" || t.Value == "ports") && p.next(i).Type == tokenNumber:
		return "write on tcp/" + p.next(i).Value
	case (IsL4(t) || isProtocol(t.Value)) && want == "`from` or `to`":
		return fmt.Sprintf("the peers come first: write %s PEERS on %s", p.towards(i), t.Value)
	case want != anL4:
		return ""
	case t.Type == tokenNumber:
		return "write tcp/" + t.Value
	case t.Type == tokenLabel && isProtocol(Text(t)):
		return fmt.Sprintf("write %s/%s", Text(t), p.next(i).Value)
	case WellKnown(t.Value) != "":
		return "write " + WellKnown(t.Value)
	}
	return ""
}

// towards returns the word that stands before the peers of a rule in the block of token i.
func (p *parser) towards(i int) string {
	if p.words == nil {
		p.words = []int{}
		for j := range p.toks {
			if p.isBlockWord(j) {
				p.words = append(p.words, j)
			}
		}
	}
	n, _ := slices.BinarySearch(p.words, i+1)
	if n > 0 && p.toks[p.words[n-1]].Value == "ingress" {
		return "from"
	}
	return "to"
}

// advicePeer speaks of peers and subjects.
func (p *parser) advicePeer(i int, want string) string {
	t, next := p.toks[i], p.next(i)
	subject := strings.HasPrefix(want, "a workload, `workloads`")
	switch {
	case subject && t.Value == "any":
		return "write workloads, and a policy of its own for host"
	case t.Value == "not" && want == aPeer && IsName(next):
		return "write workloads except " + next.Value
	case t.Value == "not" && want == "`on`":
		return "write except for not, without a comma before it"
	case t.Value == "{" && (want == aPeer || subject):
		return `write a selector in parentheses: (app = "web")`
	case (want == "`on`" || want == "`{`" || want == "`to`") && slices.Contains([]string{"=", "!=", "in"}, t.Value):
		return fmt.Sprintf("put the selector into parentheses: (%s %s ...)", p.prev(i).Value, t.Value)
	case (want == aPeer || want == "`on`") && t.Type == tokenLabel && next.Type == tokenNumber:
		return fmt.Sprintf("write %s on tcp/%s", Text(t), next.Value)
	case want == aPeer && t.Value == "node":
		return "write host: node is the resolvers of the agent's configuration"
	case want == aPeer && t.Type == tokenKeyword && (next.Value == "on" || next.Value == "," || next.Value == "except"):
		return fmt.Sprintf("%s is a word of the language, and nobody's name: write the name of a workload, cidrs or domains", t.Value)
	case want == "`on`" && (t.Value == "and" || t.Value == "or"):
		return "write a comma between peers"
	case want == "`on`" && t.Value == "." && p.dottedKey(i) != "":
		return fmt.Sprintf("quote it: %q", p.dottedKey(i))
	}
	return ""
}

// adviceRule speaks of the words of rules and headers.
func (p *parser) adviceRule(i int, want string) string {
	t, next := p.toks[i], p.next(i)
	word := strings.ToLower(t.Value)
	switch {
	case want == "`from` or `to`" && slices.Contains([]string{"all", "any", "anything", "everything", "everyone"}, word):
		if next.Value == "on" {
			return fmt.Sprintf("write %s any", p.towards(i))
		}
		return fmt.Sprintf("write %s any on any", p.towards(i))
	case want == "`from` or `to`" && (IsName(t) || IsAddress(t) || IsString(t) || t.Value == "("):
		return fmt.Sprintf("write %s %s", p.towards(i), t.Value)
	case want == aRuleWord && (t.Value == "from" || t.Value == "to") && isAction(next.Value):
		return fmt.Sprintf("write %s %s", next.Value, t.Value)
	case want == "`from` or `to`" && t.Type == tokenLabel:
		return fmt.Sprintf("write %s %s", t.Value, p.prev(i).Value)
	case want == "" && (t.Value == "from" || t.Value == "to") && IsL4(p.prev(i)):
		return "a rule names the other end alone: its policy says for whom it is"
	case t.Value == "not" && next.Value == "allow":
		return "write deny for not allow"
	case t.Value == "not" && next.Value == "deny":
		return "write allow for not deny"
	case want == "a rule" && t.Value == "reject":
		return fmt.Sprintf("write deny %s ... reject", next.Value)
	case t.Value == "default" && (want == "" || want == aBlock || want == "a rule"):
		return "remove it: a default stands outside of policies, and what no rule of a policy allows is denied"
	case t.Value == "log" && strings.Contains(want, "`deny`"):
		return "log stands at the end of the rule"
	case t.Value == "reject" && p.prev(i).Value == "log":
		return "write reject log"
	case (want == "a rule" || strings.Contains(want, "`allow`")) && slices.Contains([]string{"permit", "accept", "grant"}, word):
		return "write allow"
	case (want == "a rule" || strings.Contains(want, "`deny`")) && slices.Contains([]string{"drop", "block", "forbid", "refuse", "reject"}, word):
		return "write deny"
	case strings.Contains(want, "`ingress`") && slices.Contains([]string{"in", "inbound", "input"}, word):
		return "write ingress"
	case strings.Contains(want, "`egress`") && slices.Contains([]string{"out", "outbound", "output"}, word):
		return "write egress"
	case want == "`{`" && t.Value == "tier":
		return "write in " + next.Value
	case want == "`{`" && (t.Value == "," || IsName(t)) && p.headed(i, "policy"):
		return "name both by one workload, or write a selector in parentheses: (a or b)"
	case want == "`for`" && IsName(t):
		return fmt.Sprintf("write for %s", t.Value)
	case want == "`default`" && (t.Value == "deny" || t.Value == "allow" || t.Value == "pass"):
		return "write default " + t.Value
	case t.Type == tokenLabel && strings.Contains(want, "`ingress`") && p.isWord(Text(t)):
		return fmt.Sprintf("write %s { ... }", Text(t))
	}
	return ""
}

func (*parser) isWord(text string) bool { return text == "ingress" || text == "egress" }

// headed reports whether the line of token i begins with a word.
func (p *parser) headed(i int, word string) bool { return p.toks[p.lineStart(i)].Value == word }

// adviceRequest speaks of L7 parts.
func (p *parser) adviceRequest(i int, want string) string {
	t, prev := p.toks[i], p.prev(i)
	switch {
	case IsString(t) && prev.Value == "{" && p.prev(i-1).Value == "http":
		if method, path, ok := strings.Cut(Text(t), " "); ok && method == strings.ToUpper(method) && strings.HasPrefix(path, "/") {
			return fmt.Sprintf("write %s %q", method, path)
		}
		return fmt.Sprintf("write a method before it: GET %s, or any %s", t.Value, t.Value)
	case want == "" && (IsL4(prev) || IsName(prev)) && IsString(p.next(i)) && strings.HasPrefix(Text(p.next(i)), "/") && t.Value == strings.ToUpper(t.Value):
		return fmt.Sprintf("write http { %s %s }", t.Value, p.next(i).Value)
	case want == "`{`" && (prev.Value == "http" || prev.Value == "grpc" || prev.Value == "dns"):
		return fmt.Sprintf("write %s { ... }", prev.Value)
	case want == "`sni`" && IsString(t):
		return "write sni " + t.Value
	case t.Value == "sni" && IsString(p.next(i)):
		return fmt.Sprintf("write tls { sni %s }", p.next(i).Value)
	case t.Value == "https" && want == "":
		return `write tls { sni "name.example" }: what is encrypted cannot be read`
	case want == "`,` or `}`" && p.next(i).Type == tokenString:
		return "write a comma before " + t.Value
	}
	return ""
}
