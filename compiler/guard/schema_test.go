// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"flag"
	"io/fs"
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
	"mpol/policies"
)

// update rewrites the committed schema and the form of the guardrails.
var update = flag.Bool("update", false, "rewrite policies/guardrails/input.schema.json and the form of *.rego")

const schemaFile = "input.schema.json"

// TestSchema compares the schema that users read with the Go types.
func TestSchema(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("../../policies/guardrails/"+schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := fs.ReadFile(policies.Guardrails(), schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("policies/guardrails/%s (-) is not what the types say (+):\n%s\n"+
			"fix: go test ./compiler/guard -run TestSchema -update; "+
			"a field that went or changed its meaning needs a new inputVersion too", schemaFile, diff)
	}
}

// TestSchemaHolds checks a real module, as guardrails see it, against the schema.
func TestSchemaHolds(t *testing.T) {
	const shop = "../../policies/examples/shop/shop.mpol"
	text, err := os.ReadFile(shop)
	if err != nil {
		t.Fatal(err)
	}
	tree, list := lang.Parse(shop, text)
	m, found := check.Check([]*lang.File{tree}, check.Options{})
	if list = append(list, found...); list.HasErrors() {
		t.Fatalf("%s: %v", shop, list)
	}
	schema := ast.NewTerm(ast.MustInterfaceToValue(inputSchema()))
	match := func(document ast.Value) string {
		both := ast.NewObject(ast.Item(ast.StringTerm("document"), ast.NewTerm(document)), ast.Item(ast.StringTerm("schema"), schema))
		rs, err := rego.New(rego.Query("json.match_schema(input.document, input.schema)"), rego.ParsedInput(both)).Eval(t.Context())
		if err != nil || len(rs) != 1 {
			t.Fatalf("match the schema: %v, %v", rs, err)
		}
		answer := rs[0].Expressions[0].Value.([]any)
		if answer[0] == true {
			return ""
		}
		return ast.MustInterfaceToValue(answer[1]).String()
	}
	show := func(f form, input any) ast.Value {
		term, err := newEncoder(f).encode(reflect.ValueOf(input), &reads{all: true})
		if err != nil {
			t.Fatal(err)
		}
		return term.Value
	}
	p, in := m.Policies[0], program.Ingress
	for name, good := range map[string]ast.Value{
		"module": show(form{}, whole{Version: inputVersion, Module: m}),
		"policy": show(form{items: true}, item{Version: inputVersion, Policy: p, Tier: m.Tiers[p.Tier]}),
		"rule":   show(form{items: true}, item{Version: inputVersion, Policy: p, Tier: m.Tiers[p.Tier], Direction: &in, Rule: p.Ingress.Rules[0]}),
	} {
		if wrong := match(good); wrong != "" {
			t.Errorf("a %s of %s does not meet the schema: %s", name, shop, wrong)
		}
	}
	for _, bad := range []string{
		`{"version": 1, "module": {"policies": [{"nmae": 1}]}}`,
		`{"version": 1}`,
		`{"version": 1, "policy": {"nmae": 1}, "tier": {}}`,
	} {
		if match(ast.MustParseTerm(bad).Value) == "" {
			t.Errorf("%s meets the schema", bad)
		}
	}
}

// TestSchemaEnds: a selector contains selectors, and a guardrail may compare them.
func TestSchemaEnds(t *testing.T) {
	for _, condition := range []string{
		"input.rule.peers.include == input.rule.peers.except",
		"input.policy.subject.selector == input.rule.peers.include[_].selector",
		"input.policy.subject.selector.args[_].args[_].args[_].args[_].key == \"app\"",
	} {
		probe(t, "deny contains "+nothing+" if {\n\t"+condition+"\n}\n")
	}
	for _, condition := range []string{"input.policy.subject.selector.kye", "input.policy.subject.selector.args[_].kye"} {
		text := "package mpol.guardrails.probe\n\ndeny contains " + nothing + " if " + condition
		if g := compile([]Guardrail{{Name: "probe", File: "probe.rego", Text: text}})[0]; g.failed == nil {
			t.Errorf("%s compiles", condition)
		}
	}
}

func TestEncode(t *testing.T) {
	type inner struct {
		Deep string `json:"deep"`
	}
	type sample struct {
		inner
		None    []string       `json:"none"`
		Left    []string       `json:"left,omitempty"`
		Nil     *inner         `json:"nil"`
		Some    *inner         `json:"some"`
		Zero    diag.Span      `json:"zero,omitzero"`
		Span    diag.Span      `json:"span"`
		Text    diag.Severity  `json:"text"`
		Map     map[string]int `json:"map"`
		Any     any            `json:"any"`
		Float   float64        `json:"float"`
		Flag    bool           `json:"flag"`
		Big     uint16         `json:"big"`
		Own     rawNumber      `json:"own"`
		Plain   int
		Private string `json:"-"`
	}
	v := sample{
		inner: inner{Deep: "d"}, Some: &inner{Deep: "s"}, Span: span(7), Text: diag.Warning,
		Map: map[string]int{"a": -1}, Any: "x", Float: 0.5, Flag: true, Big: 65535, Own: 4, Plain: 3,
	}
	e, all := newEncoder(form{}), &reads{all: true}
	got, err := e.encode(reflect.ValueOf(v), all)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	want := ast.MustParseTerm(`{
		"deep": "d", "none": [], "some": {"deep": "s"}, "span": "shop.mpol:7:1-7:6", "text": "warning",
		"map": {"a": -1}, "any": "x", "float": 0.5, "flag": true, "big": 65535, "own": {"n": 4}, "Plain": 3,
	}`)
	if got.Value.Compare(want.Value) != 0 {
		t.Errorf("encode = %s, want %s", got, want)
	}
	spans := map[string]diag.Span{}
	e.places(reflect.ValueOf(v), spans)
	if diff := cmp.Diff(map[string]diag.Span{"shop.mpol:7:1-7:6": span(7)}, spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	for name, bad := range map[string]any{"function": func() {}, "nil in a list": []*inner{nil}} {
		if term, err := e.encode(reflect.ValueOf(bad), all); err == nil {
			t.Errorf("encode of a %s = %s, want an error", name, term)
		}
	}
}

// rawNumber shows itself as JSON of its own.
type rawNumber int

func (rawNumber) MarshalJSON() ([]byte, error) { return []byte(`{"n": 4}`), nil }
