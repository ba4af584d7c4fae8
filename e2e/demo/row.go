// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
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
	return r.runSince(ctx, family, events, events.Mark())
}

// runSince does so too; the event may be any after mark.
func (r row) runSince(ctx context.Context, family string, events *node.Tail, mark int64) result {
	res := result{row: r, family: family}
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

// line is a row of the table: one thing tried, over one family or over both.
type line struct {
	over   []result // in the order of the families
	failed []string
}

// lines joins the results of one row over several families.
func lines(results []result) []line {
	var all []line
	for _, r := range results {
		i := slices.IndexFunc(all, func(l line) bool {
			return l.over[0].who == r.who && l.over[0].what == r.what && l.over[len(l.over)-1].family != r.family
		})
		if i < 0 {
			all = append(all, line{})
			i = len(all) - 1
		}
		all[i].over = append(all[i].over, r)
		if r.failure != "" {
			all[i].failed = append(all[i].failed, r.family+": "+r.failure)
		}
	}
	return all
}

// happened says what each family's try gave.
func (l line) happened(family string) string {
	for _, r := range l.over {
		if r.family == family {
			return r.got
		}
	}
	return ""
}

// print writes the table and returns how many lines are wrong.
func print(w io.Writer, results []result) (wrong int, err error) {
	all := lines(results)
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, " #\twho\ttried\tIPv4\tIPv6\tdecided by\tat\talive")
	for i, l := range all {
		r := l.over[0]
		alive := ""
		if r.alive != "" {
			n := slices.IndexFunc(all, func(o line) bool { return o.over[0].name == r.alive })
			if n < 0 || len(all[n].failed) > 0 {
				l.failed = append(l.failed, "its positive control failed: "+r.alive)
			}
			alive = fmt.Sprintf("see %d", n+1)
		}
		if len(l.failed) > 0 {
			alive += " WRONG: " + strings.Join(l.failed, "; ")
			wrong++
		}
		fmt.Fprintf(t, "%2d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			i+1, r.who, r.what, l.happened("IPv4"), l.happened("IPv6"), r.decidedBy(), r.place(), alive)
	}
	if err := t.Flush(); err != nil {
		return wrong, err
	}
	for l := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(l, " \n")); err != nil {
			return wrong, err
		}
	}
	return wrong, nil
}
