// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

func newVerdict(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "verdict PATH... --inventory FILE [FLOW|-]",
		Short: "Judge flows by policies",
		Long: `Verdict judges flows, one JSON object a line, by policies and an inventory, and prints a verdict a line
in the same order. Flows come from the command line (one, as the last argument) or from the standard
input until its end (-, or nothing).

A flow that can go several ways, because an end has several addresses, is allowed if all of them are.
A line that is no flow is reported with its number on the standard error, has no verdict, and makes
the exit code 3 in the end; the lines after it are judged. A blank line is passed over, and so is a byte
order mark before the first. What has come in is answered before more is
waited for, so that another program can ask flow by flow.

Mistakes of the policies go to the standard error, as --format says.

The shapes are docs/schemas/inventory.schema.json, flow.schema.json and verdict.schema.json. Every
workload of the inventory counts as enforced; one without addresses lives at those of the host.`,
		Args: paths,
	}
	f := addFormat(c, human, asJSON, sarif, github)
	inventory := addInventory(c, "where the ends of flows are found (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		flow := ""
		if last := args[len(args)-1]; len(args) > 1 && (last == "-" || strings.HasPrefix(strings.TrimSpace(last), "{")) {
			args, flow = args[:len(args)-1], last
		}
		if (flow == "" || flow == "-") && slices.Contains(args, "-") {
			return usageError{errors.New("the standard input has either policies or flows: name the files of the policies, or give one flow as the last argument")}
		}
		j, err := newJudge(c.Context(), s, args, *inventory, *f)
		if err != nil {
			return err
		}
		if flow == "" || flow == "-" {
			return j.stream(c.Context(), s)
		}
		line, err := j.line(nil, []byte(flow), 1)
		if err != nil {
			return fmt.Errorf("flow: %w", err)
		}
		if _, err := s.out.Write(line); err != nil {
			return fmt.Errorf("write verdict: %w", err)
		}
		return nil
	}
	return c
}

// line appends to out the verdict on the flow of a line; n is its id if it has none.
func (j *judge) line(out, text []byte, n int) ([]byte, error) {
	f, err := parseFlow(text)
	if err != nil {
		return out, err
	}
	w, err := j.decide(f)
	if err != nil {
		return out, err
	}
	id := f.ID
	if len(id) == 0 {
		id = strconv.AppendInt(nil, int64(n), 10)
	}
	return append(newVerdictLine(j.rules, w.verdict, id).append(out), '\n'), nil
}

// verdictLine is a verdict as written: docs/schemas/verdict.schema.json.
type verdictLine struct {
	ID      json.RawMessage `json:"id"`
	Verdict string          `json:"verdict"`
	Half    string          `json:"half"`
	Rule    string          `json:"rule"`
	Tier    string          `json:"tier"`
	File    string          `json:"file"`
	Line    int             `json:"line"`
	Reason  string          `json:"reason"`
}

func newVerdictLine(rules *program.Rules, v verdict.Verdict, id json.RawMessage) verdictLine {
	out := verdictLine{ID: id, Verdict: program.Allow.String(), Reason: reasonWord(v)}
	if v.Action == verdict.Deny {
		out.Verdict = program.Deny.String()
	}
	if byHalf(v) {
		s := rules.Source(v.Rule)
		out.Half, out.Rule, out.Tier, out.File, out.Line = v.Half.String(), s.Name, s.Tier, s.File, s.Line
	}
	return out
}

// append writes the line as package json does, a million times a second.
func (l verdictLine) append(out []byte) []byte {
	out = append(append(out, `{"id":`...), l.ID...)
	for _, field := range []struct{ key, text string }{
		{`,"verdict":`, l.Verdict}, {`,"half":`, l.Half}, {`,"rule":`, l.Rule}, {`,"tier":`, l.Tier}, {`,"file":`, l.File},
	} {
		out = appendText(append(out, field.key...), field.text)
	}
	out = strconv.AppendInt(append(out, `,"line":`...), int64(l.Line), 10)
	return append(appendText(append(out, `,"reason":`...), l.Reason), '}')
}

// appendText appends a text as JSON.
func appendText(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(text) // which cannot fail for a string
			return append(out, quoted...)
		}
	}
	return append(append(append(out, '"'), text...), '"')
}

// byHalf reports whether one half decided, as opposed to what no rule can change.
func byHalf(v verdict.Verdict) bool {
	switch v.Reason {
	case verdict.ByRule, verdict.ByDefault, verdict.Ungoverned, verdict.Conflict:
		return true
	}
	return false
}

// reasonWord is the word for why a verdict is what it is, as the schema lists them.
func reasonWord(v verdict.Verdict) string {
	if v.Action == verdict.Redirect {
		return "requests"
	}
	switch v.Reason {
	case verdict.ByRule:
		return "rule"
	case verdict.ByDefault:
		return "default"
	case verdict.Ungoverned:
		return "ungoverned"
	case verdict.Conflict:
		return "conflict"
	case verdict.Unreadable:
		return "unreadable"
	case verdict.Refused:
		return "refused"
	case verdict.Self:
		return "self"
	case verdict.Foreign:
		return "foreign"
	}
	return "unknown"
}
