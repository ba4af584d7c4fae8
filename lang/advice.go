// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// What wanted calls the parts of a rule that advice knows more of.
const (
	aPeer     = "a peer"
	anL4      = "a protocol and port such as tcp/443"
	aString   = "a string in double quotes"
	aName     = "a name"
	condition = "a condition"
	aBlock    = "`ingress` or `egress`"
	aRuleWord = "`allow`, `deny` or `pass`"
	aTestLine = "`given`, `allow` or `deny`"
	aClaim    = "`never` or `always`"
)

// remedy returns the code and the help for token i, which stands where want was expected; no help when
// nothing is known about it. Ends says that the place is behind a line.
func (p *parser) remedy(i int, want string, ends bool) (code diag.Code, help string) {
	t := p.toks[i]
	keyword := t.Type == tokenKeyword
	switch {
	case keyword && want == aName && !ends && p.nameless(i-1):
		return diag.Syntax, fmt.Sprintf("write a name before `%s`", t.Value)
	case keyword && want == aName && !ends:
		return diag.ReservedWord, "choose another name: this one is a word of the language"
	case t.Value == "except" && p.excepted(i):
		return diag.SecondExcept, "write one except: it takes everything behind it from everything before it"
	case t.Value == "any" && keyword && want == condition, t.Value == "workloads" && want == condition:
		return diag.ReservedWord, "every workload is the word workloads, where a name of workloads may stand"
	case keyword && !ends && (want == condition || want == "`}`" && p.next(i).Value == "="):
		return diag.ReservedWord, fmt.Sprintf("as a label key, quote it: %q", t.Value)
	}
	return diag.Syntax, p.advice(i, want, ends)
}

// excepted reports whether an except stands before token i in the same list.
func (p *parser) excepted(i int) bool {
	for i--; i >= 0; i-- {
		switch p.toks[i].Value {
		case "except":
			return true
		case "=", "from", "to", "{", "}":
			return false
		}
	}
	return false
}

// advice returns help for token i, which stands where want was expected.
func (p *parser) advice(i int, want string, ends bool) string {
	t, prev := p.toks[i], p.prev(i)
	lower := strings.ToLower(t.Value)
	switch {
	case (want == "" || want == "`)`") && !IsL4(prev) && p.dottedKey(i) != "":
		return p.quoteKey(i)
	case want == "`(`" && p.prev(i-1).Value == "@":
		return fmt.Sprintf(`write @%s("...")`, prev.Value)
	case t.Type == tokenNumber && p.protocolBefore(i) != "":
		return fmt.Sprintf("write %s/%s", p.protocolBefore(i), t.Value)
	case p.prev(i-1).Value == "header" && IsString(prev) && strings.Contains(Text(prev), ":"):
		name, value, _ := strings.Cut(Text(prev), ":")
		return fmt.Sprintf("write header %q = %q", name, strings.TrimSpace(value))
	case ends && want == "`on`":
		return "say for what: on tcp/443, or on any"
	case ends:
		return ""
	case t.Value == "=" && prev.Value == "=":
		return "write one ="
	case t.Type == tokenIdent && lower != t.Value && reservedWords()[lower]:
		return "write " + lower
	}
	for _, part := range []func(int, string) string{
		p.adviceHabit, p.adviceHabitL7, p.adviceHabitTest, p.adviceL4, p.advicePeer, p.adviceRule, p.adviceRequest, p.adviceSelector, p.adviceList, p.adviceTest,
	} {
		if help := part(i, want); help != "" {
			return help
		}
	}
	if t.Type != tokenIdent && t.Type != tokenKeyword {
		return ""
	}
	if help := diag.DidYouMean(t.Value, wantedWords(want)); help != "" || want != "a declaration" {
		return help
	}
	return p.firstWord(i)
}

// adviceSelector speaks of selectors and labels.
func (p *parser) adviceSelector(i int, want string) string {
	t, prev := p.toks[i], p.prev(i)
	first := p.toks[p.lineStart(i)].Value
	switch {
	case t.Type == tokenIdent && want == aString && p.next(i).Value != ".":
		return fmt.Sprintf("write %q", t.Value)
	case t.Type == tokenIdent && want == aString:
		return fmt.Sprintf("quote it: %q", p.dotted(i))
	case t.Value == "[" && want == aString:
		return `for one of several values, write in ["a", "b"]`
	case t.Value == "~" && want == aString:
		return `a label is compared as it is: write = "v" or in ["a", "b"]`
	case want == "`[`":
		return `write in ["a", "b"]`
	case t.Type == tokenLabel && (want == condition || want == "`}`"):
		return fmt.Sprintf("write %s = %s", Text(t), p.next(i).Value)
	case t.Value == "{" && want == condition:
		return `write a selector without braces, such as app = "web" and env = "prod"`
	case first == "workload" && t.Value == "," && want == "":
		return "write and between conditions"
	case first == "workload" && want == "" && (IsString(prev) || prev.Value == "]") && t.Type == tokenIdent:
		return fmt.Sprintf("write and before %s", t.Value)
	case first == "workload" && want == "" && (t.Value == "=" || t.Value == "!=") && p.prev(i-1).Value == "has":
		return fmt.Sprintf("write %s %s without has", prev.Value, t.Value)
	}
	return ""
}

// adviceList speaks of lists and definitions.
func (p *parser) adviceList(i int, want string) string {
	t := p.toks[i]
	text := ""
	if IsString(t) {
		text = Text(t)
	}
	_, err := ParsePrefix(text)
	switch {
	case t.Value == "[" && (want == aPeer || want == anL4 || strings.HasPrefix(want, "an address")):
		return "write the list without brackets, with commas"
	case IsString(t) && strings.Contains(want, "an address") && err == nil:
		return fmt.Sprintf("write %s without quotes", text)
	case IsString(t) && want == aName && identLength(Text(t)) == len(Text(t)) && text != "":
		return fmt.Sprintf("write %s without quotes", Text(t))
	case (t.Value == "any" || t.Value == "world") && strings.HasPrefix(want, "an address"):
		return "write 0.0.0.0/0, ::/0"
	case t.Value == "internet" && strings.HasPrefix(want, "an address"):
		return "internet is a peer by itself: write it in the rule"
	case t.Type == tokenLabel && want == aName:
		return fmt.Sprintf("write %s =", Text(t))
	case want == "`=`" && t.Value == ".":
		return fmt.Sprintf("a name has no dot: write %s-%s", p.prev(i).Value, p.next(i).Value)
	case IsString(t) && strings.HasPrefix(want, "`host`, an address"):
		return "write the address of the resolver, the name of a workload, or host"
	case want == "`=`" && t.Type != tokenKeyword && !p.firstOnLine(i):
		return fmt.Sprintf("write = before %s", t.Value)
	case want == "" && (IsAddress(t) && IsAddress(p.prev(i)) || IsL4(t) && IsL4(p.prev(i)) || IsString(t) && IsString(p.prev(i))):
		return fmt.Sprintf("write a comma before %s", t.Value)
	case t.Value == "," && p.headed(i, "resolver") && want == "`on`":
		return "declare one resolver for each address, and name them all in resolve via"
	}
	return ""
}

// adviceTest speaks of tests.
func (p *parser) adviceTest(i int, want string) string {
	t, prev, next := p.toks[i], p.prev(i), p.next(i)
	switch {
	case want == "" && t.Type == tokenIdent && p.firstOnLine(i) && next.Value == "=" && (p.next(i+1).Value == "{" || IsAddress(p.next(i+1))):
		return fmt.Sprintf("write given %s =", t.Value)
	case t.Value == "dns" && prev.Value == "->" && IsString(next):
		return fmt.Sprintf("a question goes to a resolver: write node on udp/53 dns %s", next.Value)
	case (want == aTestLine || want == "") && next.Value == "->":
		return fmt.Sprintf("write allow or deny before %s", t.Value)
	case want == aTestLine && p.late(i+1) && (p.next(i+1).Value == "->" || p.next(i+1).Value == "="):
		return fmt.Sprintf("write %s %s %s", next.Value, t.Value, p.next(i+1).Value)
	case (want == aTestLine || want == "") && t.Type == tokenIdent && (next.Value == "allow" || next.Value == "deny"):
		return fmt.Sprintf("write %s without %s", next.Value, t.Value)
	case t.Value == "from" && p.next(i+1).Value == "to" && strings.HasPrefix(want, aName):
		return fmt.Sprintf("write %s -> %s", next.Value, p.next(i+2).Value)
	case want == "`cname`" && p.next(i).Value == "." && prev.Value == "via":
		return "write by for via"
	case want == "`->`" && t.Value == ",":
		return "one end opens a flow: write a line for each"
	case want == "`->`":
		return "write ->"
	case want == "an address or labels in braces" && IsName(t) && next.Value == "=":
		return fmt.Sprintf("put the labels into braces: { %s = %s }", t.Value, p.next(i+1).Value)
	case want == "an address or labels in braces" && IsString(t):
		return fmt.Sprintf("write given dns %s = ADDRESS", t.Value)
	case (t.Value == "http" || t.Value == "https") && p.next(i+1).Type == tokenString:
		return fmt.Sprintf("write %s %s without %s", next.Value, p.next(i+1).Value, t.Value)
	}
	return ""
}

// firstWord says with which word the declaration of the name at token i begins, as far as what follows
// tells.
func (p *parser) firstWord(i int) string {
	t, next, value := p.toks[i], p.next(i), p.next(i+1)
	kind := ""
	switch {
	case i == 0 && (p.aloneOnLine(i) || next.Value == "package"):
		kind = "package"
	case t.Value == "include" || t.Value == "use":
		return "write import"
	case next.Value == "for":
		kind = "policy"
	case next.Value == "order":
		kind = "tier"
	case declares(next.Value) && next.Type == tokenKeyword:
		return fmt.Sprintf("write %s %s", next.Value, t.Value)
	case next.Value != "=":
	case IsAddress(value):
		kind = "cidrs"
	case IsL4(value):
		kind = "service"
	case IsString(value) && !slices.Contains([]string{"=", "!=", "in", "not"}, p.next(i+2).Value):
		kind = "domains"
	default:
		kind = "workload"
	}
	if kind == "" {
		return "begin it with a word such as workload, cidrs, domains, service or policy"
	}
	return fmt.Sprintf("write %s %s", kind, t.Value)
}

// wantedWords returns the words of the language that stand in want between backquotes.
func wantedWords(want string) []string {
	if want == "a declaration" {
		return []string{
			"package", "import", "workload", "cidrs", "domains", "service", "resolver", "tier", "default",
			"policy", "test", "prove", "todo",
		}
	}
	if want == "a rule" {
		return []string{"allow", "deny", "pass", "audit", "resolve"}
	}
	var words []string
	for i, part := range strings.Split(want, "`") {
		if i%2 == 1 && identLength(part) == len(part) {
			words = append(words, part)
		}
	}
	return words
}

// misspelt reports whether token i is probably what was wanted.
func (p *parser) misspelt(i int, want string) bool {
	t := p.toks[i]
	return t.Type == tokenIdent && diag.Nearest(t.Value, wantedWords(want)) != ""
}

// next returns the token behind i, the last one when there is none.
func (p *parser) next(i int) lexer.Token { return p.toks[min(i+1, len(p.toks)-1)] }

// dotted returns the words from token i on that dots join.
func (p *parser) dotted(i int) string {
	hi := i + 1
	for p.toks[hi].Value == "." && hi+2 < len(p.toks) {
		hi += 2
	}
	return Node{Tokens: p.toks[i:hi]}.Text()
}

// quoteKey says how to write the dotted word at token i: where no operator follows, it may be a name
// of the DNS as well as a key.
func (p *parser) quoteKey(i int) string {
	hi := i
	for p.toks[hi].Value == "." && hi+2 < len(p.toks) {
		hi += 2
	}
	switch p.toks[hi].Value {
	case "=", "!=", "in", "not":
		return fmt.Sprintf("as a label key, quote it: %q", p.dottedKey(i))
	}
	return fmt.Sprintf("quote it: %q", p.dottedKey(i))
}
