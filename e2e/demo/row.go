// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"mpol/agent/event"
	"mpol/e2e/node"
)

// row is one thing that is tried.
type row struct {
	who  string // the client
	what string // as a person would type it
	// want is the outcome that the policy demands, in the words that try returns.
	want string
	// try does it and says what happened.
	try func(ctx context.Context) string
	// rule is the rule or default that must have decided.
	rule string
	// event tells the event of this row from others of the same moment; nil for a row that shows
	// no verdict.
	event func(e event.Event) bool
	// alive names the row that shows the server of a denied row alive.
	alive string
	// name is what other rows call this one in alive.
	name string
}

// result is a row that was tried.
type result struct {
	row
	family string
	got    string
	// decided is the event, nil when none came.
	decided *event.Event
	failure string // empty when all is as the policy says
}

// place is "shop.mpol:31" of the deciding rule.
func (r *result) place() string {
	if r.decided == nil || r.decided.File == "" {
		return "-"
	}
	return fmt.Sprintf("%s:%d", filepath.Base(r.decided.File), r.decided.Line)
}

// decidedBy is the name of the rule that decided or, without one, the reason, as the event says.
func (r *result) decidedBy() string {
	switch {
	case r.decided == nil:
		return "-"
	case r.decided.Rule == "":
		return "(" + r.decided.Reason + ")"
	}
	return r.decided.Rule
}

// run tries the row and compares.
func (r row) run(ctx context.Context, family string, events *node.Tail) result {
	res := result{row: r, family: family}
	mark := events.Mark()
	res.got = r.try(ctx)
	if res.got != r.want {
		res.failure = fmt.Sprintf("got %s, want %s", res.got, r.want)
	}
	if r.event == nil {
		return res
	}
	e, err := events.Find(ctx, mark, r.event)
	switch {
	case err != nil:
		res.failure = strings.TrimPrefix(res.failure+"; "+err.Error(), "; ")
	case e.Rule != r.rule:
		res.failure = strings.TrimPrefix(
			fmt.Sprintf("%s; decided by %s, want %s", res.failure, e.Rule, r.rule), "; ")
	}
	res.decided = e
	return res
}

// print writes the table and returns how many rows are wrong.
func print(w io.Writer, results []result) (wrong int, err error) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	numbers := map[string]int{}
	for i := range results {
		if results[i].name != "" {
			numbers[results[i].family+results[i].name] = i + 1
		}
	}
	fmt.Fprintln(t, " #\tip\twho\ttried\thappened\tdecided by\tat\talive\t")
	for i := range results {
		r := &results[i]
		alive := ""
		if r.alive != "" {
			n := numbers[r.family+r.alive]
			if n == 0 || results[n-1].failure != "" {
				r.failure = strings.TrimPrefix(r.failure+"; its positive control failed: "+r.alive, "; ")
			}
			alive = fmt.Sprintf("see %d", n)
		}
		sign := ""
		if r.failure != "" {
			sign = "WRONG: " + r.failure
			wrong++
		}
		fmt.Fprintf(t, "%2d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			i+1, r.family, r.who, r.what, r.got, r.decidedBy(), r.place(), alive, sign)
	}
	return wrong, t.Flush()
}
