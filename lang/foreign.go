// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"mpol/lang/diag"
)

// foreign returns how much of rest, which begins with no token, is one mistake, and what its author,
// who may think of another language, writes here instead.
func (s *scanner) foreign(rest string) (n int, help string) {
	line, _, _ := strings.Cut(rest, "\n")
	line = strings.TrimSuffix(line, "\r")
	_, n = utf8.DecodeRuneInString(rest)
	switch {
	case strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, "/*"):
		return len(line), "a comment begins with #"
	case rest[0] == ';':
		return n, "remove it: nothing stands between declarations or rules"
	case rest[0] == '\'':
		if end := strings.IndexByte(line[1:], '\''); end >= 0 {
			return end + 2, "strings stand in double quotes: write " + fmt.Sprintf("%q", line[1:end+1])
		}
		return n, "strings stand in double quotes"
	case rest[0] == '&':
		return len(line) - len(strings.TrimLeft(line, "&")), "write and"
	case rest[0] == '|':
		return len(line) - len(strings.TrimLeft(line, "|")), "write or"
	case rest[0] == '!':
		return n, "write not"
	case rest[0] == '/':
		return s.slash(line)
	case rest[0] == ':' && len(s.tokens) > 0 && s.tokens[len(s.tokens)-1].Type == tokenIdent:
		return n, fmt.Sprintf("write a label without a space: %s:", s.tokens[len(s.tokens)-1].Value)
	}
	return n, ""
}

// slash returns as foreign does what a / and the word behind it was meant to be: a protocol and port,
// or the text of a string.
func (s *scanner) slash(line string) (n int, help string) {
	n = 1
	for n < len(line) && (identLength(line[n:]) > 0 || strings.IndexByte("0123456789./-", line[n]) >= 0) {
		n++
	}
	before := s.adjacent()
	if before == "" || n == 1 {
		return 1, ""
	}
	if near := diag.Nearest(strings.ToLower(before), []string{"tcp", "udp", "sctp", "icmp", "icmpv6", "ip"}); near != "" {
		return n, "write " + near + line[:n]
	}
	return n, fmt.Sprintf("quote it: %q", before+line[:n])
}

// adjacent returns the words and dots that stand right before the scanner's place.
func (s *scanner) adjacent() string {
	at := s.pos.Offset
	for i := len(s.tokens) - 1; i >= 0; i-- {
		t := s.tokens[i]
		word := t.Type == tokenIdent || t.Type == tokenKeyword || t.Value == "."
		if !word || t.Pos.Offset+len(t.Value) != at {
			break
		}
		at = t.Pos.Offset
	}
	return s.text[at:s.pos.Offset]
}

// remedy returns the code and the help for token i, which stands where want was expected; false when
// nothing is known about it. Ends says that the place is behind a line.
func (p *parser) remedy(i int, want string, ends bool) (code diag.Code, help string, ok bool) {
	t := p.toks[i]
	keyword := t.Type == tokenKeyword
	quote := fmt.Sprintf("as a label key, quote it: %q", t.Value)
	switch {
	case keyword && want == "a name" && !ends:
		return diag.ReservedWord, "choose another name", true
	case t.Value == "except" && keyword:
		return diag.SecondExcept, "write one except: it takes everything behind it from everything before it", true
	case keyword && !ends && (want == "a condition" || want == "`}`" && p.next(i).Value == "="):
		return diag.ReservedWord, quote, true
	}
	if help = p.advice(i, want, ends); help != "" {
		return diag.Syntax, help, true
	}
	return diag.Syntax, "", false
}

// advice returns help for token i, which stands where want was expected.
func (p *parser) advice(i int, want string, ends bool) string {
	t, prev := p.toks[i], p.prev(i)
	protocol := strings.TrimSuffix(prev.Value, "/")
	lower := strings.ToLower(t.Value)
	switch {
	case (want == "" || want == "`)`") && p.dottedKey(i) != "":
		return p.quoteKey(i)
	case want == "" && t.Type == tokenIdent && p.firstOnLine(i) && p.next(i).Value == "=" && (p.next(i+1).Value == "{" || IsAddress(p.next(i+1))):
		return fmt.Sprintf("write given %s =", t.Value)
	case t.Type == tokenNumber && isProtocol(protocol):
		return fmt.Sprintf("write %s/%s", protocol, t.Value)
	case want == "`(`" && p.prev(i-1).Value == "@":
		return fmt.Sprintf(`write @%s("...")`, prev.Value)
	case ends:
		return ""
	case t.Type == tokenIdent && want == "a string in double quotes":
		return fmt.Sprintf("write %q", t.Value)
	case t.Value == "=" && prev.Value == "=":
		return "write one ="
	case t.Value == "[" && (want == "a peer" || strings.HasPrefix(want, "a protocol")):
		return "write the list without brackets, with commas"
	case t.Value == "log" && strings.Contains(want, "`deny`"):
		return "log stands at the end of the rule"
	case t.Type == tokenIdent && lower != t.Value && reservedWords()[lower]:
		return "write " + lower
	case t.Type == tokenIdent || t.Type == tokenKeyword:
		if help := diag.DidYouMean(t.Value, wantedWords(want)); help != "" || want != "a declaration" {
			return help
		}
		return p.firstWord(i)
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
		return ""
	}
	return fmt.Sprintf("write %s %s", kind, t.Value)
}

func isProtocol(word string) bool {
	switch word {
	case "tcp", "udp", "sctp", "icmp", "icmpv6", "ip":
		return true
	}
	return false
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
	if t.Type != tokenIdent {
		return false
	}
	return diag.Nearest(t.Value, wantedWords(want)) != ""
}

// next returns the token behind i, the last one when there is none.
func (p *parser) next(i int) lexer.Token { return p.toks[min(i+1, len(p.toks)-1)] }

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
