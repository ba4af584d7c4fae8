// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mpol/compiler/policytest"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang"
	"mpol/lang/check"
)

// sources are files by name, in order.
type sources struct {
	names []string
	texts map[string]string
}

func (s sources) module() (*check.Module, error) {
	var files []*lang.File
	for _, n := range s.names {
		f, list := lang.Parse(n, []byte(s.texts[n]))
		if list.HasErrors() {
			return nil, fmt.Errorf("%v", list)
		}
		files = append(files, f)
	}
	m, list := check.Check(files, check.Options{})
	if m == nil || list.HasErrors() {
		return nil, fmt.Errorf("%v", list)
	}
	return m, nil
}

// with is s with a text at an offset of a file.
func (s sources) with(name string, offset int, text string) sources {
	out := sources{s.names, map[string]string{}}
	for n, t := range s.texts {
		out.texts[n] = t
	}
	out.texts[name] = s.texts[name][:offset] + text + s.texts[name][offset:]
	return out
}

// witnessed pastes each witness of a rule that no test covers into a test of its own and into the first that
// is there: the rule is covered then. It counts them, and returns the rules without.
func (s sources) witnessed() (n int, without []policytest.Covered, err error) {
	m, err := s.module()
	if err != nil {
		return 0, nil, err
	}
	for _, r := range policytest.Cover(m, policytest.Run(m, policytest.Options{})).Rules {
		switch {
		case r.Covered:
			continue
		case r.Witness == nil:
			without = append(without, r)
			continue
		}
		file := r.Span.File
		pasted := []sources{s.with(file, len(s.texts[file]), fmt.Sprintf("\ntest \"pasted\" {\n%s\n}\n", r.Witness))}
		for _, t := range m.Tests[:min(1, len(m.Tests))] {
			if slices.ContainsFunc(t.Answers, func(a check.Answer) bool {
				return strings.Contains(r.Witness.String(), "given dns \""+a.Name.String()+"\"")
			}) {
				continue // an answer is given once
			}
			pasted = append(pasted, s.with(t.Span.File, t.Span.End.Offset-1, "\n"+r.Witness.String()+"\n"))
		}
		for _, p := range pasted {
			n++
			if err := p.covers(r); err != nil {
				return n, without, fmt.Errorf("the witness of %s\n%s\nof\n%s", r.Name, r.Witness, err)
			}
		}
	}
	return n, without, nil
}

// covers reports whether the text is right and its tests cover a rule, which only lines that pass do.
func (s sources) covers(r policytest.Covered) error {
	m, err := s.module()
	if err != nil {
		return fmt.Errorf("%v: %w", s.texts, err)
	}
	results := policytest.Run(m, policytest.Options{})
	for _, c := range policytest.Cover(m, results).Rules {
		if c.Name == r.Name && c.Span.File == r.Span.File && c.Span.Start.Line == r.Span.Start.Line && c.Covered {
			return nil
		}
	}
	return fmt.Errorf("%v: the rule is not covered", s.texts)
}

// TestWitnessesPasted: witnesses of drawn policies cover what they are witnesses of. The search for them is
// bounded: of the rules that, by the evaluator over the Module, decide a flow of the small universe few have none.
func TestWitnessesPasted(t *testing.T) {
	n, idle, missed := 0, 0, 0
	missing := ""
	rapid.Check(t, func(t *rapid.T) {
		text := drawPolicies(t)
		if rapid.Bool().Draw(t, "tested") {
			text += drawTests(t, drawn(t, text))
		}
		m := drawn(t, text)
		more, without, err := sources{[]string{"p.mpol"}, map[string]string{"p.mpol": text}}.witnessed()
		if n += more; err != nil {
			t.Fatal(err)
		}
		for _, r := range without {
			idle++
			if flow := decidedFlow(m, r); flow != "" {
				missed++
				missing = fmt.Sprintf("%s\n%s decides %s", text, r.Name, flow)
			}
		}
	})
	if t.Logf("%d witnesses, %d rules without, of which %d decide a flow; the last:\n%s", n, idle, missed, missing); n < 100 || idle < 10 || missed > n/50 {
		t.Errorf("%d witnesses, %d rules without, of which %d decide a flow; want many, some, few", n, idle, missed)
	}
}

// decidedFlow returns a flow of which a rule that does not pass decides a half, or nothing.
func decidedFlow(m *check.Module, r policytest.Covered) string {
	all, ends := cast(), map[string]verdict.End{}
	b := brute{module: m}
	for n, c := range all {
		end := verdict.End{Addr: netip.MustParseAddr(c.addr)}
		if c.labels != "-" {
			end.Workload = n
			w := program.Workload{Name: n, Addresses: []netip.Addr{end.Addr}, Interface: n}
			for pair := range strings.FieldsSeq(c.labels) {
				key, value, _ := strings.Cut(pair, "=")
				w.Labels = append(w.Labels, program.Label{Key: key, Value: value})
			}
			b.inv.Workloads = append(b.inv.Workloads, w)
		}
		ends[n] = end
	}
	order := slices.Sorted(maps.Keys(ends))
	for _, at := range b.rules() {
		if b.rule(at).Span != r.Span || b.rule(at).Action == program.Pass {
			continue
		}
		for i := range len(order) * len(order) {
			from, to := order[i/len(order)], order[i%len(order)]
			for port := uint16(79); port < 86; port++ {
				f := verdict.Flow{From: ends[from], To: ends[to], Proto: program.ProtoTCP, Port: port}
				requests := []string{""}
				if v, _ := b.half(f, at.d); v.Action == verdict.Redirect {
					requests = []string{"GET /a", "GET /a/x", "POST /b"} // no line speaks of a connection that waits for one
				}
				for _, request := range requests {
					if method, path, ok := strings.Cut(request, " "); ok {
						f.HTTP = &verdict.HTTP{Method: method, Path: path}
					}
					if from != to && b.rests(f, at.d, at) {
						return fmt.Sprint(from, " -> ", to, " on tcp/", port, " ", request)
					}
				}
			}
		}
	}
	return ""
}

// TestWitnessOfOddLabels: a key that is a word of the language is quoted, and a name that a test gives is
// not given again.
func TestWitnessOfOddLabels(t *testing.T) {
	const text = `package p
default deny
workload web = "tier" = "web" and "host" = "x" and "a.b/c" = "\"" and _x = "1"
policy web for web { ingress { in: allow from ("for" in ["a", "b"]) on tcp/80 } }
test "t" {
  given client = { "tier" = "web" }
  given server = { app = "x" }
  deny client -> server on tcp/80 at ingress
}
`
	n, _, err := sources{[]string{"p.mpol"}, map[string]string{"p.mpol": text}}.witnessed()
	if n != 2 || err != nil {
		t.Errorf("%d witnesses pasted, want 2, %v", n, err)
	}
}

// TestWitnessesOfExamples takes each test of the examples away in turn.
func TestWitnessesOfExamples(t *testing.T) {
	folders, err := filepath.Glob("../../policies/examples/*")
	if err != nil || len(folders) < 6 {
		t.Fatalf("examples %v, error %v; want six situations", folders, err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			s := sources{texts: map[string]string{}}
			paths, err := filepath.Glob(filepath.Join(folder, "*.mpol"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range paths {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				s.names, s.texts[path] = append(s.names, path), string(text)
			}
			m, err := s.module()
			if err != nil {
				t.Fatal(err)
			}
			total := 0
			for _, test := range m.Tests {
				less := s.with(test.Span.File, 0, "")
				text := s.texts[test.Span.File]
				less.texts[test.Span.File] = text[:test.Span.Start.Offset] + text[test.Span.End.Offset:]
				n, without, err := less.witnessed()
				if err != nil {
					t.Errorf("without the test %q: %v", test.Name, err)
				}
				for _, r := range without {
					t.Errorf("without the test %q, %s has no witness", test.Name, r.Name)
				}
				total += n
			}
			t.Logf("%d witnesses", total)
		})
	}
}
