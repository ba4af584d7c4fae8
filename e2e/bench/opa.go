// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// The peer of everything that authors do is OPA: the same policies as Rego, the same flows as its
// input. Where it has a process to itself that process is this program with the verb "opa".

// regoRules says of an app in Rego what its file of policies says.
func (e *estate) regoRules(i int) []byte {
	var b strings.Builder
	me, next, last := e.app(i), e.app(i+1), e.app(i-1)
	fmt.Fprintf(&b, "package estate.%s\n", me)
	peer := func(direction, peer string, port int, more string) {
		from, to := "from", "to"
		if direction == "egress" {
			from, to = "to", "from"
		}
		fmt.Fprintf(&b, "\n# Policy for %s.\nallow_%s if {\n\tinput.%s.app == %q\n\tinput.%s.app == %q\n\tinput.proto == \"tcp\"\n\tinput.port == %d\n%s}\n",
			me, direction, to, me, from, peer, port, more)
	}
	for j := range policiesAFile {
		port := firstPort + j
		peer("ingress", next, port, "")
		peer("ingress", "office", port+1000, "\tnet.cidr_contains(\"203.0.113.0/24\", input.from.address)\n\tinput.from.address != \"203.0.113.7\"\n")
		peer("egress", last, port, "")
		peer("egress", last, port+2000, "")
		peer("ingress", next, port+3000, "\tinput.method in {\"POST\", \"DELETE\"}\n\tglob.match(\"/cart/*/items/**\", [\"/\"], input.path)\n")
	}
	return []byte(b.String())
}

// regoTests tests the rules of the first app.
func (e *estate) regoTests() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "package estate.test\n\nimport data.estate.%s as app\n", e.app(0))
	for j := range max(1, e.tests/regoTestsByLine) {
		not, port := "", firstPort
		if j%2 == 1 {
			not, port = "not ", 7000+j%100
		}
		fmt.Fprintf(&b, "\ntest_%d if {\n\t%sapp.allow_ingress with input as {\"to\": {\"app\": %q}, \"from\": {\"app\": %q}, \"proto\": \"tcp\", \"port\": %d}\n}\n",
			j, not, e.app(0), e.app(1), port)
	}
	return []byte(b.String())
}

// runOPA is the verb "opa": check or test of a folder of Rego.
func runOPA(ctx context.Context, verb, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.rego"))
	if err != nil || len(paths) == 0 {
		return fmt.Errorf("no Rego in %s (%w)", dir, err)
	}
	modules := map[string]*ast.Module{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if modules[p], err = ast.ParseModule(p, string(text)); err != nil {
			return err
		}
	}
	if verb == "check" {
		c := ast.NewCompiler()
		if c.Compile(modules); c.Failed() {
			return c.Errors
		}
		return nil
	}
	results, err := tester.NewRunner().SetStore(inmem.New()).SetModules(modules).RunTests(ctx, nil)
	if err != nil {
		return err
	}
	for r := range results {
		if !r.Pass() {
			return fmt.Errorf("%s: %v", r.Name, r.Error)
		}
	}
	return nil
}

// judge is what OPA is asked for verdicts: rules as data, looked up by the app, which suits it best.
const judge = `package judge

half(app, direction, peer) if {
	some rule in data.rules[app][direction]
	rule.peer == peer
	rule.port == input.port
	request(rule)
}

request(rule) if not rule.paths

request(rule) if {
	some path in rule.paths
	path.method == input.method
	glob.match(path.path, ["/"], input.path)
}

default allow := false

allow if {
	half(input.from, "egress", input.to)
	half(input.to, "ingress", input.from)
}
`

// judging returns OPA ready to judge flows of the estate.
func (e *estate) judging(ctx context.Context) (rego.PreparedEvalQuery, error) {
	rules := map[string]any{}
	for i := range e.apps {
		var in, out []any
		for j := range policiesAFile {
			in = append(in, map[string]any{"peer": e.app(i + 1), "port": firstPort + j})
			out = append(out, map[string]any{"peer": e.app(i - 1), "port": firstPort + j})
		}
		in = append(in, map[string]any{"peer": e.app(i + 1), "port": portOfRequests, "paths": []any{
			map[string]any{"method": "GET", "path": "/cart/*"},
			map[string]any{"method": "POST", "path": "/cart/*/items/**"},
			map[string]any{"method": "DELETE", "path": "/cart/*/items/**"},
		}})
		out = append(out, map[string]any{"peer": e.app(i - 1), "port": portOfRequests})
		rules[e.app(i)] = map[string]any{"ingress": in, "egress": out}
	}
	return rego.New(
		rego.Query("data.judge.allow"), rego.Module("judge.rego", judge),
		rego.Store(inmem.NewFromObject(map[string]any{"rules": rules})),
	).PrepareForEval(ctx)
}
