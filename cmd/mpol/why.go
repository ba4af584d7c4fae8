// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mpol/compiler/policytest"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/check"
	"mpol/lang/diag"
)

func newWhy(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "why PATH... --inventory FILE FLOW",
		Short: "Explain the verdict on a flow",
		Long: `Why judges one flow as mpol verdict does and prints the way to the verdict: of each half the tiers in
their order, the policies that select the subject, and their rules with file and line. A rule is marked
+ if it matches; of one that does not but nearly does, it says what is different. Where a half denies,
the rules that would allow the flow come last. Mistakes of the policies go to the standard error, as
--format says.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("name the policies and then the flow, such as '{\"from\": \"web-1\", \"to\": \"db-1\", \"l4\": \"tcp/5432\"}'")}
			}
			return nil
		},
	}
	mistakes := addFormat(c, human, asJSON, sarif, github)
	inventory := addInventory(c, "where the ends of flows are found (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		last := len(args) - 1
		f, err := parseFlow([]byte(args[last]))
		if err != nil {
			return fmt.Errorf("flow: %w", err)
		}
		j, err := newJudge(c.Context(), s, args[:last], *inventory, *mistakes)
		if err != nil {
			return err
		}
		ways, err := j.ways(f)
		if err != nil {
			return fmt.Errorf("flow: %w", err)
		}
		j.spans = spans(j.set.module)
		var b bytes.Buffer
		for i, w := range distinct(ways) {
			if i > 0 {
				b.WriteByte('\n')
			}
			j.explain(&b, w)
		}
		if _, err := b.WriteTo(s.out); err != nil {
			return fmt.Errorf("write why: %w", err)
		}
		return nil
	}
	return c
}

// spans returns the whole rules by the places where they begin.
func spans(m *check.Module) map[string]diag.Span {
	out := map[string]diag.Span{}
	for _, p := range m.Policies {
		for _, b := range []*check.Block{p.Ingress, p.Egress} {
			if b == nil {
				continue
			}
			for _, r := range b.Rules {
				out[r.PlaceSpan.String()] = r.Span
			}
		}
	}
	return out
}

// distinct returns the ways that have a verdict of their own.
func distinct(ways []way) []way {
	var out []way
	for _, w := range ways {
		known := slices.ContainsFunc(out, func(o way) bool {
			return o.verdict.Action == w.verdict.Action && o.verdict.Reason == w.verdict.Reason && o.verdict.Half == w.verdict.Half && o.verdict.Rule == w.verdict.Rule &&
				o.verdict.Egress.Rule == w.verdict.Egress.Rule && o.verdict.Ingress.Rule == w.verdict.Ingress.Rule
		})
		if !known {
			out = append(out, w)
		}
	}
	return out
}

// explain writes the walk of one way.
func (j *judge) explain(b io.Writer, w way) {
	v := w.verdict
	fmt.Fprintf(b, "%s: %s\n", j.flowText(w.flow), j.verdictText(v))
	if len(w.flow.Names) > 0 {
		var names []string
		for _, n := range w.flow.Names {
			names = append(names, n.String())
		}
		fmt.Fprintf(b, "  the client learned the address as %s\n", strings.Join(names, ", "))
	}
	if v.Audit != nil {
		fmt.Fprintf(b, "  without audit marks: %s\n", j.verdictText(*v.Audit))
	}
	if !v.Judged() {
		return
	}
	for _, d := range []program.Direction{program.Egress, program.Ingress} {
		h, subject := v.Egress, w.flow.From
		if d == program.Ingress {
			h, subject = v.Ingress, w.flow.To
		}
		if !h.Exists {
			continue
		}
		fmt.Fprintf(b, "\n%s of %s: %s\n", d, j.endText(subject), j.halfText(h))
		if h.Governed {
			j.tiers(b, w.flow, d, h)
		}
	}
}

func (j *judge) tiers(b io.Writer, f verdict.Flow, d program.Direction, h verdict.Half) {
	decided := j.rules.Source(h.Rule).Tier
	for _, step := range policytest.Walk(j.eval, f, d) {
		fmt.Fprintf(b, "  tier %s (order %d, default %s)\n", step.Tier.Name, step.Tier.Order, step.Tier.Default)
		for _, p := range step.Policies {
			mark := ""
			if p.Audit {
				mark = " (audit: decides nothing)"
			}
			fmt.Fprintf(b, "    policy %s%s\n", p.Name, mark)
			for _, r := range p.Rules {
				j.rule(b, r, f.Proto, d)
			}
		}
		if step.Tier.Name == decided {
			break
		}
	}
	if h.Allow {
		return
	}
	for _, text := range policytest.Near(j.eval, f, d) {
		fmt.Fprintf(b, "  near: %s\n", text)
	}
}

// rule writes a rule as it stands in its file, with what keeps it from matching.
func (j *judge) rule(b io.Writer, r policytest.RuleStep, proto uint8, d program.Direction) {
	s := j.rules.Source(r.Rule.ID)
	mark, note := " ", ""
	if r.Matches && r.Rule.Action == program.Pass {
		note = "to the next tier, if nothing here denies or allows"
	}
	switch {
	case r.Matches && r.Rule.Audit:
		mark, note = "+", "audit: decides nothing"
	case r.Matches:
		mark = "+"
	case r.Port && !r.Speaks(proto):
		note = "another protocol"
	case r.Port:
		note = "another port"
	case r.Content:
		note = "another request"
	case r.Peer && d == program.Ingress:
		note = "another client"
	case r.Peer:
		note = "another server"
	}
	line := fmt.Sprintf("      %s %s  %s", mark, s, j.lineText(s))
	if note != "" {
		line += "  (" + note + ")"
	}
	fmt.Fprintln(b, line)
}

// lineText returns the text of a rule, as far as it stands on its first line.
func (j *judge) lineText(s program.Source) string {
	span, ok := j.spans[s.String()]
	file := j.set.text(s.File)
	if !ok || span.End.Offset > len(file) {
		return s.Name
	}
	line, _, more := strings.Cut(string(file[span.Start.Offset:span.End.Offset]), "\n")
	if more {
		line = strings.TrimRight(line, " \t\r") + " ..."
	}
	return line
}

// verdictText says what was decided and by whom.
func (j *judge) verdictText(v verdict.Verdict) string {
	word := "allow"
	switch {
	case v.Action == verdict.Deny:
		word = "deny"
	case v.Action == verdict.Redirect:
		word = fmt.Sprintf("allow, and each request is judged (%s)", v.L7)
	}
	if !byHalf(v) {
		return fmt.Sprintf("%s (%s)", word, v.Reason)
	}
	s := j.rules.Source(v.Rule)
	return fmt.Sprintf("%s at %s by %s (%s)", word, v.Half, s.Name, s)
}

func (j *judge) halfText(h verdict.Half) string {
	half := policytest.NewHalf(j.rules, h)
	return fmt.Sprintf("%s (%s)", half, half.Source)
}

func (j *judge) endText(e verdict.End) string {
	holder := j.scene.holder(e)
	for _, w := range j.scene.inv.Workloads {
		if w.Name == holder {
			var labels []string
			for _, l := range w.Labels {
				labels = append(labels, fmt.Sprintf("%s = %q", l.Key, l.Value))
			}
			return fmt.Sprintf("%s { %s }", w.Name, strings.Join(labels, ", "))
		}
	}
	if holder != "" {
		return holder
	}
	return e.Addr.String()
}

func (j *judge) flowText(f verdict.Flow) string {
	name := func(e verdict.End) string {
		if holder := j.scene.holder(e); holder != "" {
			return fmt.Sprintf("%s (%s)", holder, e.Addr)
		}
		return e.Addr.String()
	}
	text := fmt.Sprintf("%s -> %s on %s", name(f.From), name(f.To), program.L4{Proto: f.Proto, First: f.Port, Last: f.Port})
	switch {
	case f.HTTP != nil:
		text += fmt.Sprintf(" %s %q", f.HTTP.Method, f.HTTP.Path)
		if f.HTTP.Host != "" {
			text += fmt.Sprintf(" host %q", f.HTTP.Host)
		}
	case f.TLS != nil:
		text += fmt.Sprintf(" sni %q", f.TLS.ServerName)
	case f.Question != nil:
		text += fmt.Sprintf(" dns %q type %d", f.Question.Name, f.Question.Type)
	}
	return text
}
