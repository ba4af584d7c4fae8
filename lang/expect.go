// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"slices"
	"sort"
	"strings"
)

// wanted turns what participle says it expected, the rest of a production in EBNF, into what could
// stand first, in the words of the language. It is empty when nothing is known.
func wanted(message string) string {
	_, ebnf, ok := strings.Cut(message, "(expected ")
	if !ok {
		return ""
	}
	words := alternatives(strings.TrimSuffix(ebnf, ")"))
	if slices.Contains(words, "a condition") {
		return "a condition"
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " or " + words[last]
	}
	return strings.Join(words, "")
}

// alternatives returns the first words of an EBNF sequence, what is optional left out when a word
// that is not follows it.
func alternatives(ebnf string) []string {
	ebnf = strings.TrimSpace(ebnf)
	if ebnf == "" {
		return nil
	}
	if ebnf[0] != '(' {
		word, _, _ := strings.Cut(ebnf, " ")
		return []string{wordFor(strings.TrimRight(word, "?*+"))}
	}
	depth := 0
	for i, r := range ebnf {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			return choices(ebnf[1:i])
		}
	}
	return nil
}

// choices splits the inside of a group at its bars.
func choices(group string) []string {
	var words []string
	depth, from := 0, 0
	for i, r := range group + "|" {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == '|' && depth == 0:
			words = append(words, alternatives(group[from:i])...)
			from = i + 1
		}
	}
	return words
}

// wordFor names one terminal or production.
func wordFor(ebnf string) string {
	if name, ok := map[string]string{
		"<ident>":     "a name",
		"<string>":    "a string in double quotes",
		"<address>":   "an address",
		"<l4>":        "a protocol and port such as tcp/443",
		"<keyword>":   "a word",
		"<label>":     "a label",
		"Selector":    "a selector",
		"Term":        "a condition",
		"Condition":   "a condition",
		"Subject":     "a workload, `workloads`, `host` or a selector in parentheses",
		"Peers":       "a peer",
		"Peer":        "a peer",
		"L4List":      "a protocol and port such as tcp/443",
		"HTTPRequest": "a method and a path",
		"HTTP":        "`http`",
		"GRPC":        "`grpc`",
		"DNS":         "`dns`",
		"Header":      "`header`",
		"<number>":    "a number",
		"TLS":         "`tls`",
		"RuleName":    "the name of a rule",
		"Labels":      "labels in braces",
		"Label":       "a label",
	}[ebnf]; ok {
		return name
	}
	return "`" + strings.Trim(ebnf, `"`) + "`"
}

// lacking returns what must follow the word at token i and does not, empty when nothing is missing. The
// grammar gives an optional part up as a whole and then blames its first word.
func (p *parser) lacking(i, hi int) string {
	if i >= hi {
		return ""
	}
	next := p.toks[i+1]
	ends := i+1 == hi
	needs := func(ok bool, want string) string {
		if ok && !ends {
			return ""
		}
		return want
	}
	switch p.toks[i].Value {
	case "private":
		return needs(IsAddress(next) || IsName(next), "an address or the name of cidrs")
	case "via":
		if p.toks[p.lineStart(i)].Value == "given" {
			return needs(IsString(next), "a string in double quotes")
		}
		return needs(next.Value == "cname", "`cname`")
	case "types":
		return needs(IsName(next), "a type such as A")
	case "header", "upgrade":
		return needs(IsString(next), "a string in double quotes")
	case "except":
		return needs(next.Type != tokenKeyword || next.Value != "on" && next.Value != "to", "what is taken away")
	}
	return ""
}

// lineStart returns the first token on the line of token i.
func (p *parser) lineStart(i int) int {
	return sort.Search(i, func(j int) bool { return p.toks[j].Pos.Line >= p.toks[i].Pos.Line })
}
