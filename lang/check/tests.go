// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// test resolves one test block; nothing is judged.
func (c *checker) test(d *lang.Test) *Test {
	t := &Test{
		Name: lang.Text(d.Name), Package: c.at.pkg.name, Todo: d.Todo, Annotations: c.annotations(d.Annotations),
		Parties: []Party{}, Answers: []Answer{}, Lines: []Assertion{}, Span: d.Span(),
	}
	in := &testContext{
		parties: map[string]diag.Span{}, addresses: map[string][]netip.Addr{}, owners: map[owned]int{},
		answers: map[string]diag.Span{}, lost: d.Lost,
	}
	for _, g := range d.Givens {
		if g.DNS != nil {
			c.answer(t, g, in)
		} else {
			c.party(t, g, in)
		}
	}
	if !d.Broken && len(d.Lines) == 0 {
		c.errorAt(diag.Empty, lang.SpanOf(d.Name), "the test asserts nothing", "write a line such as deny a -> b on tcp/443")
	}
	for _, l := range d.Lines {
		t.Lines = append(t.Lines, c.line(l, in))
	}
	return t
}

// testContext is where a line stands: the parties of its test, and those that may be.
type testContext struct {
	parties   map[string]diag.Span
	addresses map[string][]netip.Addr // of parties
	owners    map[owned]int           // the first of the parties
	answers   map[string]diag.Span    // by name
	lost      lang.Lost
}

// owned is an address of a party or, with workload, of one that is a workload.
type owned struct {
	netip.Addr
	workload bool
}

func (c *checker) answer(t *Test, g *lang.Given, in *testContext) {
	name, ok := c.name(*g.DNS)
	a := Answer{Name: name, Addresses: c.addressList(g.Answers), Span: g.Span()}
	if g.Via != nil {
		a.Via, _ = c.name(*g.Via)
	}
	if first, twice := in.answers[name.String()]; twice {
		c.errorAt(diag.DuplicateName, lang.SpanOf(*g.DNS), fmt.Sprintf("the answer for %s is given twice", name), "write all addresses into one",
			diag.Related{Span: first, Summary: "the first"})
	} else if ok {
		in.answers[name.String()] = a.Span
	}
	t.Answers = append(t.Answers, a)
}

func (c *checker) party(t *Test, g *lang.Given, in *testContext) {
	p := Party{Name: g.Name.Value, Span: g.Span()}
	if first, ok := in.parties[p.Name]; ok {
		c.errorAt(diag.DuplicateName, lang.SpanOf(*g.Name), fmt.Sprintf("party `%s` is given twice", p.Name), "choose another name",
			diag.Related{Span: first, Summary: "the first"})
		return
	}
	in.parties[p.Name] = lang.SpanOf(*g.Name)
	switch {
	case g.Outside != nil:
		p.Outside, p.Addresses = true, c.addressList([]lang.Token{*g.Outside})
	case g.Labels != nil:
		p.Labels, p.Addresses = c.labels(g.Labels), c.addressList(g.Addresses)
	}
	c.ownAddresses(t, g, &p, in)
	in.addresses[p.Name] = p.Addresses
	t.Parties = append(t.Parties, p)
}

// ownAddresses reports an address of a party that an earlier one has, where one of them is a workload.
func (c *checker) ownAddresses(t *Test, g *lang.Given, p *Party, in *testContext) {
	first, shared := len(t.Parties), netip.Addr{}
	for _, a := range p.Addresses {
		if i, ok := in.owners[owned{a, p.Outside}]; ok && i < first {
			first, shared = i, a
		}
		for _, key := range []owned{{a, false}, {a, true}} {
			if _, ok := in.owners[key]; !ok && !(key.workload && p.Outside) {
				in.owners[key] = len(t.Parties)
			}
		}
	}
	if shared.IsValid() {
		other := t.Parties[first]
		c.errorAt(diag.DuplicateName, g.Span(), fmt.Sprintf("`%s` has the address %s of `%s`", p.Name, shared, other.Name), "give each its own",
			diag.Related{Span: other.Span, Summary: "the first"})
	}
}

func (c *checker) labels(n *lang.Labels) []program.Label {
	out := []program.Label{}
	keys := map[string]diag.Span{}
	for _, l := range n.Items {
		key := lang.Text(l.Key)
		if first, ok := keys[key]; ok {
			c.errorAt(diag.DuplicateName, lang.SpanOf(l.Key), fmt.Sprintf("label `%s` is given twice", key), "remove one", diag.Related{Span: first, Summary: "the first"})
			continue
		}
		keys[key] = lang.SpanOf(l.Key)
		if c.labelKey(l.Key) {
			out = append(out, program.Label{Key: key, Value: lang.Text(l.Value)})
		}
	}
	slices.SortFunc(out, func(a, b program.Label) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// addressList reads tokens that stand for one address each.
func (c *checker) addressList(ts []lang.Token) []netip.Addr {
	var out []netip.Addr
	for _, t := range lang.Items(ts) {
		if a, ok := c.address(t); ok {
			out = append(out, a)
		}
	}
	return distinct(out)
}

func (c *checker) address(t lang.Token) (netip.Addr, bool) {
	a, err := netip.ParseAddr(t.Value)
	if err != nil {
		text, _, _ := strings.Cut(t.Value, "/")
		c.errorAt(diag.BadAddress, lang.SpanOf(t), "a prefix stands where one address is needed", "write an address of it such as "+text)
		return a, false
	}
	return a, true
}

func (c *checker) line(l *lang.Line, in *testContext) Assertion {
	out := Assertion{Want: action(l.Want.Value), L4: c.l4List(l.L4.Items), Span: l.Span()}
	out.From = c.end(l.From, in)
	if out.From.Name != nil {
		help := "name a party, an address, host or node"
		if text := lang.Text(l.From); in.alike(text) != "" {
			help = "write " + text
		}
		c.errorAt(diag.BadEnd, out.From.Span, fmt.Sprintf("%s opens no flow", l.From.Value), help)
	}
	for _, t := range lang.Items(l.To) {
		to := c.end(t, in)
		if kind := in.alike(lang.Text(t)); to.Name != nil && kind != "" {
			c.quoted(t, kind)
		}
		if in.same(out.From, to) {
			c.errorAt(diag.SelfFlow, to.Span, fmt.Sprintf("a flow of %s with itself is never judged", t.Value), "name two parties")
		}
		out.To = append(out.To, to)
	}
	c.lineRequest(l, &out)
	if l.By != nil {
		out.By = c.by(l.By)
	}
	if l.At != nil {
		d := direction(l.At.Value)
		out.At = &d
	}
	return out
}

func (c *checker) end(t lang.Token, in *testContext) End {
	e := End{Span: lang.SpanOf(t)}
	switch {
	case lang.IsAddress(t):
		e.Addr, _ = c.address(t)
	case lang.IsString(t):
		e.Name, _ = c.name(t)
	case t.Value == "host":
		e.Host = true
	case t.Value == "node":
		e.Node = true
	default:
		e.Party = t.Value
		if _, ok := in.parties[t.Value]; !ok && !in.lost.Has(t.Value, lang.LostParty) {
			var names []string
			if c.near(len(in.parties)) {
				names = slices.Collect(maps.Keys(in.parties))
			}
			c.unknown(e.Span, "party of this test", t.Value, names, c.givenHelp(t.Value))
		}
	}
	return e
}

// alike says what a name would be without its quotes, nothing if it would be unknown.
func (in *testContext) alike(name string) string {
	if _, ok := in.parties[name]; ok {
		return "a party of this test"
	}
	if name == "host" || name == "node" {
		return "a word of the language"
	}
	return ""
}

// same reports whether two ends are one and the same, by name or by an address of it.
func (in *testContext) same(a, b End) bool {
	return a.Party != "" && a.Party == b.Party || a.Host && b.Host || a.Node && b.Node || a.Addr.IsValid() && a.Addr == b.Addr ||
		a.Addr.IsValid() && slices.Contains(in.addresses[b.Party], a.Addr) || b.Addr.IsValid() && slices.Contains(in.addresses[a.Party], b.Addr)
}

// lineRequest resolves the request of a line, which is over TCP, or the question, over UDP too.
func (c *checker) lineRequest(l *lang.Line, out *Assertion) {
	switch {
	case l.DNS != nil:
		out.DNS = &Question{}
		out.DNS.Name, _ = c.name(*l.DNS)
		if l.Type != nil {
			out.DNS.Type, _ = c.dnsType(*l.Type)
		}
		c.questionsProtocol(out.L4, l.L4.Span())
		return
	case l.SNI != nil:
		if n, ok := c.name(*l.SNI); ok {
			out.SNI = n.String()
		}
	case l.GRPC != nil:
		if m, ok := c.grpcMethod(*l.GRPC); ok {
			out.GRPC = &m
			if m.Method == "" {
				c.errorAt(diag.BadGRPC, lang.SpanOf(*l.GRPC), "a test states one method", "name it")
			}
		}
	case l.Method != nil:
		out.HTTP = c.lineHTTP(l)
	default:
		return
	}
	for _, l4 := range out.L4 {
		if l4.Any || l4.Proto != program.ProtoTCP {
			c.errorAt(diag.L7Protocol, l.L4.Span(), "a request is over TCP only", "write a tcp port")
			return
		}
	}
}

func (c *checker) lineHTTP(l *lang.Line) *Request {
	out := &Request{Any: l.Method.Value == "any", Path: lang.Text(*l.Path)}
	if !out.Any {
		c.method(*l.Method)
		out.Method = l.Method.Value
	}
	if out.Path == "" {
		c.errorAt(diag.BadPath, lang.SpanOf(*l.Path), "the path of the request is empty", `write "/"`)
	}
	if l.Host != nil {
		out.Host = lang.Text(*l.Host)
	}
	for _, h := range l.Headers {
		name, _ := c.headerName(h.Name)
		value := lang.Text(h.Value)
		if fault := headerValueFault(value, program.HeaderEqual); fault != "" {
			c.errorAt(diag.BadHeader, lang.SpanOf(h.Value), fmt.Sprintf("%s is no value for a header: %s", h.Value.Value, fault), headerValueHelp(value, program.HeaderEqual))
		}
		out.Headers = append(out.Headers, RequestHeader{Name: name, Value: value})
	}
	if l.Upgrade != nil {
		out.Upgrade, _ = c.upgrade(*l.Upgrade)
	}
	return out
}

// by returns the full name of what a line expects to decide.
func (c *checker) by(n *lang.RuleName) string {
	var parts []string
	for _, t := range lang.Items(n.Parts) {
		parts = append(parts, t.Value)
	}
	name := strings.Join(parts, ".")
	if slices.Contains([]string{"default", "ungranted", "refused"}, name) {
		return name
	}
	if tier, ok := strings.CutSuffix(name, ".default"); ok {
		if _, ok := c.tierAt[tier]; ok {
			return name
		}
	}
	if c.rules == nil {
		c.rules = ruleNames(c.files, c.scopes)
	}
	if full := c.at.pkg.name + "." + name; c.rules[full] {
		return full
	}
	if !c.rules[name] && !c.mayHaveRule(parts) {
		var names []string
		if c.near(len(c.rules)) {
			for r := range c.rules {
				names = append(names, strings.TrimPrefix(r, c.at.pkg.name+"."))
			}
			for t := range c.tierAt {
				names = append(names, t+".default")
			}
		}
		c.unknown(n.Span(), "rule", name, names, "name a rule as policy.rule, or a default as app.default")
	}
	return name
}

// mayHaveRule reports whether a rule whose name has some parts may be in a policy that could not be read as
// a whole.
func (c *checker) mayHaveRule(parts []string) bool {
	home := c.at.pkg
	if len(parts) == 3 {
		if home = c.byName[parts[0]]; home == nil {
			return c.mayHave(parts[0], "package")
		}
		parts = parts[1:]
	}
	s := home.names[policies][parts[0]]
	if s == nil {
		if s = c.elsewhere(home, policies, parts[0]); s != nil {
			return true
		}
	}
	return s != nil && s.decl.Common().Broken || home.mayHave(parts[0], "policy")
}

// ruleNames are the full names of all named rules, the broken ones included.
func ruleNames(files []*lang.File, scopes map[*lang.File]*scope) map[string]bool {
	names := map[string]bool{}
	for _, f := range files {
		for _, d := range f.Decls {
			p, ok := d.(*lang.Policy)
			if !ok {
				continue
			}
			for _, b := range p.Blocks {
				for _, r := range b.Rules {
					if r.Label != nil {
						names[scopes[f].pkg.name+"."+p.Name.Value+"."+lang.Text(*r.Label)] = true
					}
				}
			}
		}
	}
	return names
}
