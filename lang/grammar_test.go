// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateSpec = flag.Bool("update-spec", false, "rewrite the end of spec.md")

// frame is the part of the grammar that the splitter reads by itself; what it names comes from the
// parser.
const frame = `File = Package Declaration* .
Declaration = Annotation* (Import | Default | Tier | Workload | Cidrs | Domains | Service | Resolver | Policy | Test | Prove) .
Policy = PolicyHeader (("ingress" | "egress") ("none" | ("{" (Resolve | (Annotation* Rule))+ "}")))+ "}" .
Test = TestHeader (Given | Line)+ "}" .
Prove = ProveHeader Claim+ "}" .
`

// grammarText returns the grammar in EBNF, each production once, where it is first used.
func grammarText() string {
	g := sharedGrammar()
	lines := strings.Split(frame, "\n")
	for _, p := range []fmt.Stringer{
		g.pkg, g.annotation, g.imports, g.def, g.tier, g.workload, g.cidrs, g.domains, g.service, g.resolver,
		g.policy, g.resolve, g.rule, g.test, g.given, g.line, g.prove, g.claim,
	} {
		for _, l := range strings.Split(p.String(), "\n") {
			if l != "" && !slices.Contains(lines, l) {
				lines = append(lines, l)
			}
		}
	}
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "\n")
}

// reservedText returns the reserved words in columns, sorted.
func reservedText() string {
	words := strings.Fields(reserved)
	slices.Sort(words)
	var b strings.Builder
	for i, w := range words {
		switch {
		case i%8 == 7 || i == len(words)-1:
			b.WriteString(w + "\n")
		default:
			fmt.Fprintf(&b, "%-10s", w)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// ending is how spec.md ends.
func ending() string {
	return "## Grammar\n\nTerminals in angle brackets are those of clause 3; `<keyword>` is any reserved word. Doc comments may stand before every declaration and rule.\n\n```ebnf\n" +
		grammarText() + "\n```\n\n## Reserved words\n\n```text\n" + reservedText() + "\n```\n"
}

// TestGrammar: spec.md ends with the grammar of the parser.
func TestGrammar(t *testing.T) {
	spec, err := os.ReadFile("spec.md")
	if err != nil {
		t.Fatal(err)
	}
	clauses, end, found := strings.Cut(string(spec), "## Grammar\n")
	if *updateSpec {
		if err := os.WriteFile("spec.md", []byte(strings.TrimRight(clauses, "\n")+"\n\n"+ending()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !found {
		t.Fatal("spec.md has no grammar: go test ./lang -run TestGrammar -update-spec")
	}
	if diff := cmp.Diff(ending(), "## Grammar\n"+end); diff != "" {
		t.Errorf("spec.md (-want +got; rewrite with -update-spec):\n%s", diff)
	}
}

// TestReserved: no reserved word is a name, and each in another case is one.
func TestReserved(t *testing.T) {
	for _, w := range strings.Fields(reserved) {
		if _, diags := Parse("a.mpol", []byte("package a\nworkload "+w+" = has x\n")); len(diags) != 1 || diags[0].Code != "reserved-word" {
			t.Errorf("workload %s: %v, want reserved-word", w, diags)
		}
		if _, diags := Parse("a.mpol", []byte("package a\nworkload "+strings.ToUpper(w)+" = \""+w+"\" = \"x\"\n")); len(diags) > 0 {
			t.Errorf("workload %s: %v, want none", strings.ToUpper(w), diags)
		}
		_, diags := Parse("a.mpol", []byte("package a\npolicy p for host { ingress { "+w+": allow from any on any } }\n"))
		if isLabel := w != "allow" && w != "deny" && w != "pass" && w != "audit"; isLabel == (len(diags) > 0) {
			t.Errorf("label %s: %v", w, diags)
		}
	}
}
