// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"pgregory.net/rapid"
)

// explained is what mpol why says of one way of a flow.
type explained struct {
	verdict, half, rule, place, reason string
	// sections are the lines of each half, by egress and ingress.
	sections map[string][]string
}

// why holds what mpol why says of a flow against its verdict: the first way that is denied, or else the
// first, has the same verdict, half, rule and line; the walk through that half ends with the tier that
// decided, in which the rule is marked as one that matches.
func (o *oracle) why(r *rapid.T, files []string, f drawnFlow, want verdictLine) {
	var out, errs bytes.Buffer
	if code := run(r.Context(), append(append([]string{"why"}, files...), "{"+f.line()), nil, &out, &errs); code != exitOK {
		r.Fatalf("why {%s: exit code %d\n%s", f.line(), code, errs.String())
	}
	failed := func(what string) {
		r.Helper()
		r.Fatalf("{%s\n%s, want %+v\n%s\n%s", f.line(), what, want, out.String(), o.described(files))
	}
	ways := waysOf(out.String())
	if len(ways) == 0 {
		failed("no way is explained")
	}
	e := ways[0]
	for _, w := range ways {
		if w.verdict == "deny" {
			e = w
			break
		}
	}
	if e.verdict != want.Verdict || e.half != want.Half || e.rule != want.Rule || want.Rule != "" && e.place != fmt.Sprintf("%s:%d", want.File, want.Line) {
		failed(fmt.Sprintf("the verdict is %+v", e))
	}
	if want.Rule == "" {
		if e.reason != map[string]string{"self": "self", "foreign": "not ours"}[want.Reason] && e.reason != want.Reason {
			failed("the reason is " + e.reason)
		}
		return
	}
	tier, marked := "", false
	for _, line := range e.sections[want.Half] {
		if m := regexp.MustCompile(`^  tier (\S+) `).FindStringSubmatch(line); m != nil {
			tier = m[1]
		}
		marked = marked || strings.HasPrefix(line, "      + ") && strings.Contains(line, fmt.Sprintf("%s:%d:", want.File, want.Line))
	}
	switch {
	case want.Reason == "ungoverned" && tier != "":
		failed("a tier is walked through")
	case want.Tier != "" && tier != want.Tier:
		failed("the walk ends with tier " + tier)
	case want.Reason == "rule" && !marked:
		failed("the rule is not marked")
	}
}

// waysOf reads what mpol why prints.
func waysOf(text string) []explained {
	head := regexp.MustCompile(`^.* on .*: (allow|deny)(?:, and each request is judged \(\w+\))?(?: at (egress|ingress) by (\S+) \(.*/(.*:\d+):\d+\)| \((.*)\))$`)
	section := regexp.MustCompile(`^(egress|ingress) of `)
	var ways []explained
	half := ""
	for line := range strings.SplitSeq(text, "\n") {
		if m := section.FindStringSubmatch(line); m != nil {
			half = m[1]
			continue
		}
		if m := head.FindStringSubmatch(line); m != nil && !strings.HasPrefix(line, " ") {
			ways = append(ways, explained{m[1], m[2], m[3], m[4], m[5], map[string][]string{}})
			continue
		}
		if len(ways) > 0 {
			ways[len(ways)-1].sections[half] = append(ways[len(ways)-1].sections[half], line)
		}
	}
	return ways
}
