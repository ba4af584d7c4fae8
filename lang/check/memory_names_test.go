// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/lang"
	"mpol/lang/check"
)

// drawing draws the lines of files whose names stand behind each other across packages.
type drawing struct {
	*rand.Rand
	pkg      string
	mistakes bool // are made
}

func (d drawing) pick(list ...string) string { return list[d.IntN(len(list))] }

// wrong is true now and then.
func (d drawing) wrong(n int) bool { return d.mistakes && d.IntN(n) == 0 }

// name returns a name of a kind's letter, now and then of one that is wrong there.
func (d drawing) name(letter string) string {
	if d.wrong(40) {
		letter = d.pick("w", "c", "d", "s", "r", "x")
	}
	before := d.pick("", "", "", "e.")
	if d.pkg == "a" && before == "" {
		before = d.pick("", "", "b.")
	}
	return before + letter + d.pick("1", "2", "3")
}

// declaration returns one that names others further down, but for a few.
func (d drawing) declaration(letter string, n int) string {
	name, behind, and := fmt.Sprintf("%s%d", letter, n), "", ""
	if n > 1 && d.IntN(2) == 0 {
		behind = fmt.Sprintf("%s%d", letter, n-1)
		if d.IntN(3) == 0 && d.pkg != "e" {
			behind = d.pick("e", map[string]string{"a": "b", "b": "e"}[d.pkg]) + "." + behind
		}
		if d.wrong(8) {
			behind = d.name(letter)
		}
		and = ", " + behind
	}
	number := d.IntN(4)
	line := map[string]string{
		"w": fmt.Sprintf("workload %s = app = \"%d\"", name, number),
		"c": fmt.Sprintf("cidrs %s = 10.%d.0.0/16%s", name, number, and),
		"d": fmt.Sprintf("domains %s = \"%d.example.com\"%s", name, number, and),
		"s": fmt.Sprintf("service %s = tcp/%d%s", name, 80+number, and),
		"r": fmt.Sprintf("resolver %s = 192.0.2.%d on udp/53", name, number),
	}[letter]
	if letter == "w" && behind != "" {
		line = fmt.Sprintf("workload %s = %s and role%d = \"%d\"", name, behind, n, number)
	}
	if letter == "r" && d.IntN(2) == 0 {
		line = fmt.Sprintf("resolver %s = w%d on udp/53, s%d", name, n, n)
	}
	return d.slip(line)
}

func (d drawing) policy(n int) string {
	peer := func() string {
		return d.pick(d.name("w"), d.name("c"), "("+d.name("w")+" and has k)", "any except "+d.name("c"))
	}
	line := fmt.Sprintf("policy p%d for %s%s { ingress { a: allow from %s on %s b: deny from %s on tcp/1 } egress { resolve via %s ",
		n, d.name("w"), d.pick("", "", " in early"), peer(), d.name("s"), peer(), d.name("r"))
	line += fmt.Sprintf("c: allow to %s on %s tls { sni \"%s\" } d: allow to %s, \"%s\" on tcp/9 e: allow to %s on %s } }",
		d.name("d"), d.name("s"), d.pick("d1", "q"), d.name("d"), d.pick("c1", "w4", "q"), peer(), d.name("s"))
	return d.slip(line)
}

// slip leaves something out of a line, which happens.
func (d drawing) slip(line string) string {
	if words := strings.Fields(line); d.wrong(60) {
		at := d.IntN(len(words))
		return strings.Join(slices.Delete(words, at, at+1), " ")
	}
	return line
}

// file returns the lines of a file of names or, from n on, of policies.
func (d drawing) file(names bool, n int) []string {
	lines := []string{"package " + d.pkg}
	if d.pkg == "a" {
		lines = append(lines, "import b")
	}
	if d.pkg != "e" {
		lines = append(lines, "import e")
	}
	if !names {
		return append(lines, d.policy(n), d.policy(n+1))
	}
	for _, letter := range []string{"w", "c", "d", "s", "r"} {
		for n := range 3 {
			lines = append(lines, d.declaration(letter, n+1))
		}
	}
	return lines
}

// edit changes one line, or takes it out.
func (d drawing) edit(lines []string) []string {
	at := d.IntN(len(lines))
	words := append(strings.Fields(lines[at]), "", "")
	switch {
	case at == 0 && d.IntN(4) > 0, d.IntN(20) == 0 && len(lines) > 4:
		return slices.Insert(slices.Clone(lines), 1+d.IntN(len(lines)), d.pick("# a comment", "cidrs w4 = 10.0.0.0/8", "domains q = \"q.example.com\"", "import b"))
	case d.IntN(20) == 0:
		return slices.Delete(slices.Clone(lines), at, at+1)
	}
	next := slices.Clone(lines)
	switch words[0] {
	case "package":
		next[at] = "package " + d.pick("a", "b", "e", "")
	case "import":
		next[at] = "import " + d.pick("a", "b", "e")
	case "policy":
		next[at] = d.policy(1 + d.IntN(18))
	default:
		next[at] = d.declaration(d.pick("w", "c", "d", "s", "r"), 1+d.IntN(3))
	}
	return next
}

// TestMemoryCycle: a name that comes into a cycle means nothing any more, to who asks what it was, too.
func TestMemoryCycle(t *testing.T) {
	var memory check.Memory
	first, _ := lang.Parse("a.mpol", []byte("package a\ndefault deny\nworkload one = two\n"))
	asks, _ := lang.Parse("c.mpol", []byte("package a\ntest \"t\" { deny one -> 192.0.2.1 on tcp/1 }\n"))
	for _, two := range []string{`app = "x"`, "one", `app = "y"`} {
		second, _ := lang.Parse("b.mpol", []byte("package a\nworkload two = "+two+"\n"))
		files := []*lang.File{first, second, asks}
		_, got := memory.Check(files, check.Options{})
		_, want := check.Check(files, check.Options{})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("two = %s: diagnostics (-want +got):\n%s", two, diff)
		}
	}
}

// TestMemoryHomeless: what is checked while another file has no package is remembered as it is with one.
func TestMemoryHomeless(t *testing.T) {
	var memory check.Memory
	other, _ := lang.Parse("b.mpol", []byte("package b\ndefault deny\nworkload web = app = \"web\"\n"+
		"policy web for web { ingress { a: allow from any except web on any } egress none }\n"))
	for _, text := range []string{"packag a\ncidrs lab = 10.0.0.1\n", "package a\ncidrs lab = 10.0.0.1\n"} {
		file, _ := lang.Parse("a.mpol", []byte(text))
		got, _ := memory.Check([]*lang.File{file, other}, check.Options{})
		want, _ := check.Check([]*lang.File{file, other}, check.Options{})
		if diff := cmp.Diff(whole(t, want), whole(t, got)); diff != "" {
			t.Errorf("%q: module (-want +got):\n%s", text, diff)
		}
	}
}

// TestMemoryNames: whatever is edited where names stand behind each other, mistakes and what mends them
// included, a Check with memory gives what one without gives.
func TestMemoryNames(t *testing.T) {
	memoryNames(t, 1, 1000)
}

func memoryNames(t *testing.T, seed uint64, edits int) {
	d := drawing{Rand: rand.New(rand.NewPCG(seed, 2))}
	parse := func(name string, lines []string) *lang.File {
		f, _ := lang.Parse(name, []byte(strings.Join(lines, "\n")+"\n"))
		return f
	}
	good := [][]string{{"package e", "default deny", "tier early order 50 default pass"}}
	for i, pkg := range []string{"a", "b", "e"} {
		d.pkg = pkg
		good = append(good, d.file(true, 0), d.file(false, 1+4*i), d.file(false, 3+4*i))
	}
	d.mistakes = true
	texts, files := slices.Clone(good), make([]*lang.File, len(good))
	for i := range texts {
		files[i] = parse(fmt.Sprintf("f%d.mpol", i), texts[i])
	}
	var memory check.Memory
	var before *check.Module
	var sound, wrong, kept, anew int
	for n := range edits {
		got, gotDiags := memory.Check(files, check.Options{})
		want, wantDiags := check.Check(files, check.Options{})
		if diff := cmp.Diff(wantDiags, gotDiags); diff != "" {
			t.Fatalf("after %d edits: diagnostics (-want +got):\n%s", n, diff)
		}
		if diff := cmp.Diff(whole(t, want), whole(t, got)); diff != "" {
			t.Fatalf("after %d edits: module (-want +got):\n%s", n, diff)
		}
		if got == nil {
			wrong++
		} else {
			sound++
			for i, p := range got.Policies {
				if before != nil && i < len(before.Policies) && before.Policies[i] == p {
					kept++
				} else {
					anew++
				}
			}
			good, before = slices.Clone(texts), got
		}
		at := 1 + d.IntN(len(files)-1)
		d.pkg = strings.TrimPrefix(texts[at][0], "package ")
		switch {
		case got == nil && d.IntN(3) == 0: // all that has been wrong since is mended
			for i := range texts {
				if !slices.Equal(texts[i], good[i]) {
					texts[i], files[i] = good[i], parse(files[i].Name, good[i])
				}
			}
			continue
		case d.IntN(30) == 0:
			texts[at] = d.file(at%3 == 1, 20+2*at)
		case d.IntN(30) == 0:
			other := 1 + d.IntN(len(files)-1)
			texts[at], texts[other], files[at], files[other] = texts[other], texts[at], files[other], files[at]
			continue
		default:
			texts[at] = d.edit(texts[at])
		}
		files[at] = parse(files[at].Name, texts[at])
	}
	t.Logf("%d sound and %d wrong, %d policies kept and %d anew", sound, wrong, kept, anew)
	if min(sound, wrong, kept, anew) < edits/10 {
		t.Errorf("%d sound and %d wrong, %d policies kept and %d anew", sound, wrong, kept, anew)
	}
}
