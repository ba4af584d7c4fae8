// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/alecthomas/participle/v2/lexer"
)

// shapes are texts that grow in one direction each, with and without mistakes.
var shapes = []struct {
	name              string
	head, each, after string // each is written n times, N in it replaced by 0 to n-1
}{
	{"rules", "package a\npolicy p for w {\n ingress {\n", "  rN: allow from v on tcp/443\n", " }\n}\n"},
	{"rules with a part", "package a\npolicy p for w {\n ingress {\n", "  allow from v on tcp/443 http { GET \"/N\" }\n", " }\n}\n"},
	{"rules with comments", "package a\npolicy p for w {\n ingress {\n", "  ## N\n  @a(\"b\")\n  allow from v on tcp/443\n", " }\n}\n"},
	{"rules on one line", "package a policy p for w { ingress {", " rN: allow from v on tcp/443", "}}"},
	{"policies", "package a\n", "policy pN for (app = \"N\") { ingress none }\n", ""},
	{"peers", "package a\npolicy p for w { ingress { allow from ", "v, ", "v on any } }\n"},
	{"cidrs", "package a\ncidrs c = ", "10.0.0.0/8, ", "10.0.0.0/8 except 10.0.0.1\n"},
	{"domains", "package a\ndomains d = ", "\"hN.example.com\", ", "\"example.com\"\n"},
	{"selector", "package a\nworkload w = ", "app = \"N\" or ", "has app\n"},
	{"values", "package a\nworkload w = app in [", "\"N\", ", "]\n"},
	{"assertions", "package a\ntest \"t\" {\n", " allow a -> b on tcp/80 GET \"/N\"\n", "}\n"},
	{"rules without a peer", "package a\npolicy p for w {\n ingress {\n", "  rN: allow v on tcp/443\n", " }\n}\n"},
	{"parts without a brace", "package a\npolicy p for w {\n ingress {\n", "  allow from v on tcp/443 http GET \"/N\"\n", " }\n}\n"},
	{"misspelt blocks", "package a\npolicy p for w {\n", "  ingres { allow from v on any }\n", "}\n"},
	{"dots", "package a\nworkload w = ", "a.", "a\n"},
}

func write(head, each, after string, n int) []byte {
	var b strings.Builder
	b.WriteString(head)
	for i := range n {
		b.WriteString(strings.ReplaceAll(each, "N", fmt.Sprint(i)))
	}
	b.WriteString(after)
	return []byte(b.String())
}

// TestGrowth demands that four times the text takes about four times the memory, and not sixteen times. Lists
// that grow leave more or less over.
func TestGrowth(t *testing.T) {
	const n, most = 500, 8
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			small, large := write(s.head, s.each, s.after, n), write(s.head, s.each, s.after, 4*n)
			bytes := func(text []byte) float64 {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				Parse("a.mpol", text)
				runtime.ReadMemStats(&after)
				return float64(after.TotalAlloc - before.TotalAlloc)
			}
			bytes(small) // builds the grammar
			one, four := bytes(small), bytes(large)
			if four > most*one {
				t.Errorf("Parse took %.0f bytes for %d and %.0f for %d, want at most %d times as many", one, n, four, 4*n, most)
			}
		})
	}
}

// TestFound compares what the parser finds by searching with what looking at every token finds.
func TestFound(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"{", "}", "ingress", "egress", "none", "@", "\n", ";", "$", "a", "a.", "1.", ":", "::", "1.2", "f:", "at"}
	for range 2000 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(words[random.IntN(len(words))])
			b.WriteString([]string{"", " "}[random.IntN(2)])
		}
		p := newParser(scan("a.mpol", []byte(b.String())))
		last := len(p.toks) - 1
		lo := random.IntN(last + 1)
		hi := lo + random.IntN(last-lo+1)
		invalid, surplus := false, 0
		for _, tok := range p.toks[lo:hi] {
			invalid = invalid || tok.Type == tokenInvalid
			surplus += map[string]int{"}": 1, "{": -1}[tok.Value]
		}
		towards := "to"
		for i := range hi + 1 {
			if p.isBlockWord(i) {
				towards = map[string]string{"ingress": "from", "egress": "to"}[p.toks[i].Value]
			}
		}
		start := hi
		for start > 0 && p.toks[start-1].Pos.Line == p.toks[hi].Pos.Line {
			start--
		}
		if p.invalid(lo, hi) != invalid || p.surplus(lo, hi) != surplus || p.towards(hi) != towards || p.lineStart(hi) != start {
			t.Errorf("tokens %d to %d: invalid = %v, surplus = %d, towards = %q, lineStart = %d, want %v, %d, %q, %d\n%s", lo, hi,
				p.invalid(lo, hi), p.surplus(lo, hi), p.towards(hi), p.lineStart(hi), invalid, surplus, towards, start, b.String())
		}
		for _, tok := range p.toks[:last] {
			anew := scanner{text: b.String()}
			anew.pos.Offset = tok.Pos.Offset
			if n := anew.addressLength(anew.rest()); n != addressOf(tok) {
				t.Errorf("%q is an address of %d bytes from %q on, want %d\n%s", tok.Value, n, anew.rest(), addressOf(tok), b.String())
			}
		}
	}
}

// addressOf returns the length of a token that was taken for an address.
func addressOf(t lexer.Token) int {
	if IsAddress(t) || t.Type == tokenInvalid && t.Value != ";" && t.Value != "$" && t.Value != ":" {
		return len(t.Value)
	}
	return 0
}
