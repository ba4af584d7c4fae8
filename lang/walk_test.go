// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/participle/v2/lexer"
	"github.com/google/go-cmp/cmp"
)

// TestWalker compares what the walker reads with what participle reads from the same tags: of texts that
// productions stand for, and of such texts with a token lost, doubled, replaced or put in.
func TestWalker(t *testing.T) {
	g := sharedGrammar()
	agree(t, g.pkg)
	agree(t, g.imports)
	agree(t, g.tier)
	agree(t, g.def)
	agree(t, g.workload)
	agree(t, g.cidrs)
	agree(t, g.domains)
	agree(t, g.service)
	agree(t, g.resolver)
	agree(t, g.policy)
	agree(t, g.resolve)
	agree(t, g.rule)
	agree(t, g.annotation)
	agree(t, g.test)
	agree(t, g.given)
	agree(t, g.line)
	agree(t, g.prove)
	agree(t, g.claim)
}

// agree tries many texts for one piece.
func agree[T any](t *testing.T, g *piece[T]) {
	t.Run(g.production.typ.Name(), func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		taken, refused := 0, 0
		for range 2000 {
			words := sentence(random, g.production.expr, 0)
			for range random.IntN(3) {
				words = slip(random, words)
			}
			s := scan("a.mpol", []byte(strings.Join(words, " ")))
			last := len(s.tokens) - 1
			list, err := lexer.Upgrade(&tokens{list: s.tokens[:last], end: s.tokens[last]})
			if err != nil {
				t.Fatal(err)
			}
			want, err := g.ParseFromLexer(list)
			w := walker{toks: s.tokens}
			got, ok := w.read(g.production, 0, last)
			switch {
			case ok != (err == nil):
				t.Fatalf("read = %v, participle: %v\n%s", ok, err, s.text)
			case !ok:
				refused++
			case !reflect.DeepEqual(want, got):
				t.Fatalf("tree (-participle +walker):\n%s\n%s", cmp.Diff(want, got), s.text)
			default:
				taken++
			}
		}
		if taken < 100 || refused < 100 {
			t.Errorf("%d texts were read and %d were none, want many of both", taken, refused)
		}
	})
}

// sentence returns the words of a text that e stands for.
func sentence(random *rand.Rand, e *expr, depth int) []string {
	var words []string
	switch e.op {
	case literal:
		return []string{e.text}
	case terminal:
		return []string{map[lexer.TokenType]string{
			tokenAddress: "10.0.0.0/8", tokenL4: "tcp/443", tokenLabel: "r:", tokenKeyword: "allow", tokenIdent: "web", tokenString: `"a"`, tokenNumber: "7",
		}[e.typ]}
	case sequence:
		for _, a := range e.args {
			words = append(words, sentence(random, a, depth)...)
		}
	case choice:
		if depth > 8 { // a selector that does not end
			return sentence(random, e.args[len(e.args)-1], depth)
		}
		return sentence(random, e.args[random.IntN(len(e.args))], depth)
	case optional, repeated:
		for n := random.IntN(3); n > 0 && depth < 12; n-- {
			words = append(words, sentence(random, e.args[0], depth)...)
			if e.op == optional {
				break
			}
		}
	case capture:
		return sentence(random, e.args[0], depth)
	case nested:
		return sentence(random, e.of.expr, depth+1)
	}
	return words
}

// slip returns words with one mistake.
func slip(random *rand.Rand, words []string) []string {
	if len(words) == 0 {
		return words
	}
	others := append(strings.Fields(reserved), "web", `"a"`, "10.0.0.1", "tcp/1", "r:", "7", ",", ".", "(", ")", "{", "}", "[", "]", "=", "!=", "~", "->", "@")
	other := others[random.IntN(len(others))]
	i := random.IntN(len(words))
	before, behind := words[:i:i], words[i+1:]
	switch random.IntN(4) {
	case 0:
		return append(before, behind...)
	case 1:
		return append(before, append([]string{words[i], words[i]}, behind...)...)
	case 2:
		return append(before, append([]string{other}, behind...)...)
	}
	return append(before, append([]string{other, words[i]}, behind...)...)
}
