// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// maxFlow is the longest line with a flow.
const maxFlow = 1 << 20

func newVerdict(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "verdict PATH... --inventory FILE [FLOW|-]",
		Short: "Judge flows by policies",
		Long: `Verdict judges flows, one JSON object a line, by policies and an inventory, and prints a verdict a line
in the same order. Flows come from the command line (one, as the last argument) or from the standard
input until its end (-, or nothing).

A flow that can go several ways, because an end has several addresses, is allowed if all of them are.
A line that is no flow is reported with its number on the standard error, has no verdict, and makes
the exit code 3 in the end; the lines after it are judged.

The shapes are docs/schemas/inventory.schema.json, flow.schema.json and verdict.schema.json. Every
workload of the inventory counts as enforced; one without addresses lives at those of the host.`,
		Args: paths,
	}
	inventory := c.Flags().String("inventory", "", "YAML or JSON file with workloads, host and names (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		flow := ""
		if last := args[len(args)-1]; len(args) > 1 && (last == "-" || last[:1] == "{") {
			args, flow = args[:len(args)-1], last
		}
		j, err := newJudge(s, args, *inventory)
		if err != nil {
			return err
		}
		out := bufio.NewWriterSize(s.out, 1<<16)
		if flow != "" && flow != "-" {
			f, err := parseFlow([]byte(flow))
			if err == nil {
				err = j.answer(out, f, 1)
			}
			if err != nil {
				return fmt.Errorf("flow: %w", err)
			}
			return out.Flush()
		}
		return j.stream(s, out)
	}
	return c
}

// stream judges the flows of the standard input. What is ready is written whenever the input has to
// be waited for, so that another program can hold a conversation.
func (j *judge) stream(s streams, out *bufio.Writer) error {
	in := bufio.NewReaderSize(s.in, maxFlow)
	bad := 0
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read flows: %w", err)
		}
		text := bytes.TrimSpace(line)
		if len(text) > 0 {
			if fault := j.line(out, text, long, n); fault != nil {
				bad++
				fmt.Fprintf(s.err, "<stdin>:%d: %v\n", n, fault)
			}
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write verdicts: %w", err)
			}
		}
		if err != nil {
			break
		}
	}
	if bad > 0 {
		return fmt.Errorf("%s no flow", count(bad, "line is", "lines are"))
	}
	return nil
}

func (j *judge) line(out *bufio.Writer, text []byte, long bool, n int) error {
	if long {
		return fmt.Errorf("the line is longer than %d bytes", maxFlow)
	}
	f, err := parseFlow(text)
	if err != nil {
		return err
	}
	return j.answer(out, f, n)
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

// answer judges f and writes its verdict; n is its id if it has none.
func (j *judge) answer(out *bufio.Writer, f *flowLine, n int) error {
	w, err := j.decide(f)
	if err != nil {
		return err
	}
	id := f.ID
	if len(id) == 0 || string(id) == "null" {
		id = strconv.AppendInt(nil, int64(n), 10)
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(newVerdictLine(&j.rules, w.verdict, id))
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
