// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// maxSelector bounds the nodes of a selector with every name in it written out.
const maxSelector = 10000

// terms returns the terms of a selector in order.
func terms(s *lang.Selector) []*lang.Term {
	ts := []*lang.Term{s.First}
	for _, j := range s.Rest {
		ts = append(ts, j.Term)
	}
	return ts
}

// isReference reports whether a condition names a workload rather than compares a label.
func isReference(c *lang.Condition) bool {
	return c != nil && (c.Member != nil || c.Equals == nil && c.Differ == nil && !c.In && !c.NotIn && lang.IsName(c.Key))
}

// selectorNames adds the names of workloads in s.
func selectorNames(s *lang.Selector, refs *[]ref) {
	for _, t := range terms(s) {
		switch {
		case t.Group != nil:
			selectorNames(t.Group, refs)
		case isReference(t.Condition):
			*refs = append(*refs, refOf(t.Condition.Key, t.Condition.Member))
		}
	}
}

// selector builds a selector that some labels meet. It returns nil when that is not possible, which
// is then reported.
func (c *checker) selector(s *lang.Selector) (*program.Selector, int) {
	sel, size := c.expression(s)
	switch {
	case sel == nil:
		return nil, 0
	case size > maxSelector:
		c.errorAt(diag.TooLarge, s.Span(), fmt.Sprintf("the selector has more than %d parts with its names written out", maxSelector), "split it")
		return nil, 0
	case !satisfiable(sel, size):
		c.errorAt(diag.Empty, s.Span(), "no labels can meet this selector", "take one of the conditions out, or write or for and")
		return nil, 0
	}
	return sel, size
}

func (c *checker) expression(s *lang.Selector) (*program.Selector, int) {
	op := ""
	for _, j := range s.Rest {
		if op != "" && j.Op.Value != op {
			c.errorAt(diag.MixedAndOr, lang.SpanOf(j.Op), "`and` and `or` are mixed without parentheses",
				"put what belongs together into parentheses", diag.Related{Span: lang.SpanOf(s.Rest[0].Op), Summary: "the first"})
			return nil, 0
		}
		op = j.Op.Value
	}
	var args []*program.Selector
	size := 1
	for _, t := range terms(s) {
		a, n := c.term(t)
		if a == nil {
			return nil, 0
		}
		args = append(args, a)
		size = min(size+n, maxSelector+1)
	}
	switch op {
	case "and":
		return &program.Selector{Op: program.OpAnd, Args: args}, size
	case "or":
		return &program.Selector{Op: program.OpOr, Args: args}, size
	}
	return args[0], size
}

func (c *checker) term(t *lang.Term) (*program.Selector, int) {
	var s *program.Selector
	size := 1
	switch {
	case t.Group != nil:
		s, size = c.expression(t.Group)
	case t.Has != nil:
		if c.labelKey(*t.Has) {
			s = &program.Selector{Op: program.OpHas, Key: lang.Text(*t.Has)}
		}
	case t.Condition != nil:
		s, size = c.condition(t.Condition)
	}
	if s != nil && len(t.Nots)%2 == 1 {
		s = not(s)
	}
	return s, size + 1
}

func not(s *program.Selector) *program.Selector {
	return &program.Selector{Op: program.OpNot, Args: []*program.Selector{s}}
}

func (c *checker) condition(n *lang.Condition) (*program.Selector, int) {
	if isReference(n) {
		r := refOf(n.Key, n.Member)
		r.orLabel = true
		sym := c.use(sets, r, "workload")
		if sym == nil {
			return nil, 0
		}
		return sym.selector, sym.size
	}
	if !c.labelKey(n.Key) {
		return nil, 0
	}
	in := &program.Selector{Op: program.OpIn, Key: lang.Text(n.Key)}
	switch {
	case n.Equals != nil:
		in.Values = []string{lang.Text(*n.Equals)}
	case n.Differ != nil:
		in.Values = []string{lang.Text(*n.Differ)}
		return not(in), 2
	case n.In || n.NotIn:
		for _, v := range lang.Items(n.Values) {
			in.Values = append(in.Values, lang.Text(v))
		}
		slices.Sort(in.Values)
		in.Values = slices.Compact(in.Values)
		if len(in.Values) == 0 {
			c.errorAt(diag.Empty, n.Span(), "the list of values is empty", fmt.Sprintf("write %s in [\"value\"], or %s", keyText(in.Key), presence(in.Key, n.In)))
			return nil, 0
		}
		if n.NotIn {
			return not(in), 2
		}
	default:
		c.errorAt(diag.Syntax, n.Span(), "a label key stands without a comparison", "write "+n.Text()+" = \"value\", or has "+n.Text())
		return nil, 0
	}
	return in, 1
}

// presence says for which labels a list of no values holds, as it was perhaps meant.
func presence(key string, in bool) string {
	if in {
		return "not has " + keyText(key)
	}
	return "has " + keyText(key)
}

// satisfiable reports whether some labels meet s. Size is the number of nodes of s; after much work
// it gives up and says yes.
func satisfiable(s *program.Selector, size int) bool {
	_, ok := model(s, size)
	return ok
}

// model returns labels that meet s. Only what a selector can tell apart is tried: for each key its
// values in s, any other value, and none. After much work it gives up and returns what it has.
func model(s *program.Selector, size int) (map[string]choice, bool) {
	values := map[string][]string{}
	var keys []string
	collect(s, values, &keys)
	for key, all := range values {
		values[key] = distinct(all)
	}
	budget := 5_000_000
	chosen := map[string]choice{}
	var try func(int) bool
	try = func(i int) bool {
		budget -= size
		switch v := meets(s, chosen); {
		case v == no:
			return false
		case v == yes || budget < 0 || i == len(keys):
			return true
		}
		options := []choice{{}, {present: true, other: true}}
		for _, v := range values[keys[i]] {
			options = append(options, choice{present: true, value: v})
		}
		for _, o := range options {
			chosen[keys[i]] = o
			if try(i + 1) {
				return true
			}
		}
		delete(chosen, keys[i])
		return false
	}
	return chosen, try(0)
}

// choice is what a key is tried with: absent, a value, or some value that s does not name.
type choice struct {
	present, other bool
	value          string
}

func collect(s *program.Selector, values map[string][]string, keys *[]string) {
	if s.Key != "" {
		if _, ok := values[s.Key]; !ok {
			*keys = append(*keys, s.Key)
			values[s.Key] = nil
		}
		values[s.Key] = append(values[s.Key], s.Values...)
	}
	for _, a := range s.Args {
		collect(a, values, keys)
	}
}

// truth is that of a selector over labels of which some are not chosen yet.
type truth int8

const (
	no      truth = -1
	unknown truth = 0
	yes     truth = 1
)

func meets(s *program.Selector, chosen map[string]choice) truth {
	switch s.Op {
	case program.OpNot:
		return -meets(s.Args[0], chosen)
	case program.OpAnd:
		v := yes
		for _, a := range s.Args {
			v = min(v, meets(a, chosen))
		}
		return v
	case program.OpOr:
		v := no
		for _, a := range s.Args {
			v = max(v, meets(a, chosen))
		}
		return v
	}
	ch, ok := chosen[s.Key]
	switch {
	case !ok:
		return unknown
	case ch.present && (s.Op == program.OpHas || !ch.other && slices.Contains(s.Values, ch.value)):
		return yes
	}
	return no
}

// labelKey reports whether a token can be the key of a label.
func (c *checker) labelKey(t lang.Token) bool {
	if lang.Text(t) == "" {
		c.errorAt(diag.Empty, lang.SpanOf(t), "a label key is empty", `name a label: app = "web"`)
		return false
	}
	return true
}

// LabelKey returns the key of a label as a selector or a test writes it: quoted where it is no word, or
// one of the language.
func LabelKey(key string) string {
	tokens, _ := lang.Scan("", []byte(key))
	word := len(tokens) == 2 && !lang.IsKeyword(tokens[0])
	if !word || strings.ContainsFunc(key, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return strconv.Quote(key)
	}
	return key
}
