// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang/diag"
)

// tally counts what the drawn programs gave, so that a property that holds of nothing is seen.
type tally map[string]int

// rounds is how often a property is checked at most until every outcome has occurred: whether the
// rare ones do in one round is a matter of luck.
const rounds = 20

// cover checks a property, again with other draws, until it has counted every outcome that is wanted.
func (seen tally) cover(t *testing.T, wanted []string, property func(*rapid.T)) {
	t.Helper()
	missing := func(want string) bool { return seen[want] == 0 }
	for range rounds {
		rapid.Check(t, property)
		if t.Failed() || !slices.ContainsFunc(wanted, missing) {
			return
		}
	}
	for _, want := range wanted {
		if missing(want) {
			t.Errorf("no drawn program gave %q: %v", want, seen)
		}
	}
}

// The lowered program and the reference evaluator agree on flows, questions and requests: for every
// drawn program that compiles, on all of the universe from four of its ends.
func TestTablesAgreeWithDecide(t *testing.T) {
	seen := tally{}
	seen.cover(t, []string{
		"program", "deny egress", "deny ingress", "allow egress", "allow ingress", "redirect egress http", "redirect ingress http",
		"redirect egress tls", "redirect egress dns", "conflict", "named redirect", "request allow", "request deny",
		"request allow tls", "request deny tls", "request allow grpc", "request deny grpc",
		"request allow leaving", "request deny leaving", "request allow headers", "request deny headers",
		"question allow", "question deny", "never judged", "host workload redirect", "by ungranted", "by late", "passed question",
		"opened", "opened privately", "opened to tls", "opened by another resolver", "opened by a host workload",
		"question to a host workload", "question to a workload", "question elsewhere", "question for everything", "question deny by the server's half", "question allow by the server's half", "redirect ingress dns",
		"deny egress of the host", "deny ingress of the host", "allow egress of the host", "allow ingress of the host", "redirect egress of the host",
		"redirect ingress of the host", "request of the host", "question of the host", "host opened",
	}, func(t *rapid.T) {
		m := drawModule(t)
		p, diags := compiler.Compile(m, universe())
		if p == nil {
			for _, d := range diags {
				if d.Severity == diag.Error {
					seen["error "+string(d.Code)]++
				}
			}
			return
		}
		seen["program"]++
		w, e := newWalk(&p.Tables), verdict.New(&p.Rules)
		es := ends()
		for range 4 {
			from := rapid.SampledFrom(es).Draw(t, "from")
			for _, to := range es {
				if from.Addr.Is4() == to.Addr.Is4() && from != to {
					flows(t, p, e, w, from, to, seen)
				}
			}
		}
	})
	t.Log(seen)
}

func flows(t *rapid.T, p *program.Program, e *verdict.Evaluator, w walk, from, to verdict.End, seen tally) {
	toEnd := w.end(to)
	for _, pt := range points() {
		for _, answers := range learned() {
			f := verdict.Flow{From: from, To: to, Proto: pt.proto, Port: pt.port, Answers: answers}
			if answers != nil && !toEnd.world {
				continue
			}
			v := e.Decide(f)
			got := w.flow(f)
			if v.Judged() != got.judged {
				t.Fatalf("%+v: Tables judge %v, Decide %+v", f, got.judged, v)
			}
			if !v.Judged() {
				seen["never judged"]++
				continue
			}
			if got.rowless || got.action != v.Action || got.half != v.Half || got.rule != p.Rules.Source(v.Rule).Key || got.l7 != v.L7 {
				t.Fatalf("%+v:\nTables %+v\nDecide %+v by %v", f, got, v, p.Rules.Source(v.Rule))
			}
			count(seen, e, f, v)
			countRule(seen, p.Rules.Source(v.Rule))
			switch {
			case got.profile != nil:
				requests(t, e, got.profile, f, seen)
			case v.L7 == program.L7DNS:
				questions(t, p, e, w, got, f, seen)
			}
		}
	}
}

func count(seen tally, e *verdict.Evaluator, f verdict.Flow, v verdict.Verdict) {
	key := v.Action.String() + " " + v.Half.String()
	if v.Action == verdict.Redirect {
		key += " " + v.L7.String()
		if f.Answers != nil && v.L7 != program.L7DNS {
			seen["named redirect"]++
		}
		if f.From.Workload != "" && v.L7 != program.L7DNS {
			seen["host workload redirect"]++
		}
	}
	if v.Reason == verdict.Conflict {
		key = "conflict"
	}
	seen[key]++
	if decider := map[program.Direction]verdict.End{program.Egress: f.From, program.Ingress: f.To}[v.Half]; isHost(decider) && v.Egress.Governed != v.Ingress.Governed {
		seen[v.Action.String()+" "+v.Half.String()+" of the host"]++
	}
	if answers := f.Answers; answers != nil && v.Action != verdict.Deny {
		f.Answers = nil
		if e.Decide(f).Action == verdict.Deny {
			seen["opened"]++
			if special(f.To) {
				seen["opened privately"]++
			}
			if isHost(f.From) {
				seen["host opened"]++
			}
			switch server := answers[0].Server; {
			case server.Workload != "":
				seen["opened by a host workload"]++
			case server.Addr != netip.MustParseAddr("9.9.9.9"):
				seen["opened by another resolver"]++
			}
			if v.L7 == program.L7TLS {
				seen["opened to tls"]++
			}
		}
	}
}

func countRule(seen tally, s program.Source) {
	if s.Name == "ungranted" {
		seen["by ungranted"]++
	}
	if s.Tier == "late" {
		seen["by late"]++
	}
}

func special(e verdict.End) bool {
	for _, p := range program.SpecialPurpose() {
		if p.Contains(e.Addr) {
			return true
		}
	}
	return false
}

// isHost reports whether an end of the universe is the host.
func isHost(e verdict.End) bool {
	return e.Workload == "" && (e.Addr.IsLoopback() || slices.Contains(universe().Node, e.Addr))
}

func requests(t *rapid.T, e *verdict.Evaluator, profile *program.Profile, f verdict.Flow, seen tally) {
	hosts := []string{"a.example.com", "B.example.com.:80", "x.example.net:8080", "[::1]:80", "a@b", ""}
	var fs []verdict.Flow
	for _, host := range hosts {
		for _, method := range []string{"GET", "POST", "get", "CONNECT"} {
			for _, path := range []string{"/", "/public", "/public/x?q", "/public/../ADMIN/", "/admin", "/%zz"} {
				f.HTTP, f.TLS = &verdict.HTTP{Method: method, Path: path, Host: host}, nil
				fs = append(fs, f)
			}
		}
		f.HTTP, f.TLS = nil, &verdict.TLS{ServerName: host, Present: host != ""}
		fs = append(fs, f)
	}
	for _, c := range contents(f)[1:] {
		if c.Question == nil {
			fs = append(fs, c)
		}
	}
	for _, f := range fs {
		v := e.Decide(f)
		want := v.Action == verdict.Allow
		if got := ask(profile, f); got != want {
			t.Fatalf("%+v %+v %+v:\nprofile %+v allows: %v\nDecide allows: %v", f, f.HTTP, f.TLS, profile, got, want)
		}
		if isHost(f.From) || isHost(f.To) {
			seen["request of the host"]++
		}
		key := "request " + v.Action.String()
		switch h := f.HTTP; {
		case h == nil:
			key += " tls"
		case h.Two && h.Path == "/p.S/Get":
			key += " grpc"
		case h.Upgrade != "" || h.Method == "CONNECT":
			key += " leaving"
		case len(h.Headers) > 0:
			key += " headers"
		}
		seen[key]++
	}
}

func questions(t *rapid.T, p *program.Program, e *verdict.Evaluator, w walk, r walked, f verdict.Flow, seen tally) {
	for _, name := range []string{"a.example.com", "b.example.com", "x.y.example.com", "x.example.net", "other.test"} {
		for _, typ := range []uint16{1, 16, 65, 255} {
			q := verdict.Question{Name: program.ParseName(name), Type: typ}
			f.Question = &q
			v := e.Decide(f)
			got, half := w.question(r, f, q)
			if got.Allow != (v.Action == verdict.Allow) || half != v.Half || got.Rule != "" && got.Rule != p.Rules.Source(v.Rule).Key {
				t.Fatalf("%+v %+v:\nTables %+v\nDecide %+v", f, q, got, v)
			}
			seen["question "+v.Action.String()]++
			if isHost(f.From) {
				seen["question of the host"]++
			}
			if v.Half == program.Ingress {
				seen["question "+v.Action.String()+" by the server's half"]++
			}
			if v.Action == verdict.Allow {
				countQuestion(seen, f)
			}
			if src := p.Rules.Source(v.Rule); src.Tier == "late" || src.Name == "ungranted" {
				seen["passed question"]++
			}
		}
	}
}

// countQuestion counts an allowed question by where it goes.
func countQuestion(seen tally, f verdict.Flow) {
	switch {
	case f.To.Workload != "":
		seen["question to a host workload"]++
	case f.To.Addr == netip.MustParseAddr("10.0.0.2"):
		seen["question to a workload"]++
	case f.Port != 53:
		seen["question elsewhere"]++
	case f.Question.Type == 255:
		seen["question for everything"]++
	}
}

// Compile is deterministic to the byte.
func TestCompileTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModule(t)
		a, _ := compiler.Compile(m, universe())
		b, _ := compiler.Compile(m, universe())
		if a == nil {
			return
		}
		x, err := a.JSON()
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Fatalf("two dumps of one module differ:\n%s\n%s", x, y)
		}
	})
}
