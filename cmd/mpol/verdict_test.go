// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"go.yaml.in/yaml/v3"

	"mpol/agent/config"
	"mpol/internal/inventory"
	"mpol/lang/check"
)

// fits reports whether a document fits a schema of docs/schemas.
func fits(t *testing.T, schema string, document any) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/schemas", schema+".schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s any
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	input := ast.MustInterfaceToValue(map[string]any{"document": document, "schema": s})
	rs, err := rego.New(rego.Query("json.match_schema(input.document, input.schema)[0]"), rego.ParsedInput(input)).Eval(t.Context())
	if err != nil || len(rs) != 1 {
		t.Fatalf("%s: %v, %v", schema, rs, err)
	}
	return rs[0].Expressions[0].Value.(bool)
}

// world is an inventory and a policy for tests of flows.
func world(t testing.TB) *judge {
	t.Helper()
	folder := t.TempDir()
	policy := filepath.Join(folder, "p.mpol")
	inventory := filepath.Join(folder, "inventory.yaml")
	for path, text := range map[string]string{
		policy: `package p
default deny
workload web = app = "web"
workload api = app = "api"
policy api for api { ingress {
  site: allow from web on tcp/8080 http { GET "/site/**" }
  any:  allow from workloads on tcp/80
  rpc:  allow from web on tcp/9000 grpc { "pay.v1.Pay/*" }
  live: allow from web on tcp/8081 http { GET "/ws" upgrade "websocket", GET "/h" header "x-key" = "v" }
} }
policy web for web { egress {
  api:  allow to api on any
  name: allow to "a.example.com" on tcp/443 tls { sni "a.example.com" }
} }
`,
		inventory: `workloads:
  - {name: web-1, labels: {app: web}, addresses: [10.0.0.2, "fd00::2"]}
  - {name: api-1, labels: {app: api}, addresses: [10.0.0.3]}
  - {name: svc, labels: {app: web}}
host: {addresses: [192.0.2.1]}
names: [{workload: web-1, name: a.example.com, addresses: [198.51.100.4]}]
`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j, err := newJudge(t.Context(), streams{out: io.Discard, err: io.Discard}, []string{policy}, inventory, human)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestFlows judges lines; each flow that is judged fits its schema and so does each verdict.
func TestFlows(t *testing.T) {
	j := world(t)
	for _, tt := range []struct{ flow, want string }{
		{`{"from":"web-1","to":"api-1","l4":"tcp/80"}`, "allow egress p.web.api rule"},
		{`{"id":"x","from":"10.0.0.2","to":"10.0.0.3","l4":"tcp/80"}`, "allow egress p.web.api rule"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/81"}`, "deny ingress app.default default"},
		{`{"from":"api-1","to":"web-1","l4":"tcp/81"}`, "deny egress default ungoverned"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8080"}`, "allow ingress p.api.site requests"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8080","http":{"method":"GET","path":"/site/x?a=b"}}`, "allow ingress p.api.site rule"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8080","http":{"method":"GET","path":"/site/../x","headers":[["a","b"],["a","c"]]}}`, "deny ingress app.default default"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8080","http":{"method":"GET","path":"/%2f"}}`, "deny   refused"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8080","sni":"a"}`, "deny   unreadable"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/9000","grpc":"pay.v1.Pay/Charge"}`, "allow ingress p.api.rpc rule"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/9000","grpc":"pay.v1.Refund/Charge"}`, "deny ingress app.default default"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8081","http":{"method":"GET","path":"/ws","headers":[["Connection","keep-alive, Upgrade"],["Upgrade","websocket"]]}}`, "allow ingress p.api.live rule"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8081","http":{"method":"GET","path":"/ws","headers":[["Upgrade","websocket"]]}}`, "deny ingress app.default default"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8081","http":{"method":"GET","path":"/h","headers":[["X-Key"," v "]]}}`, "allow ingress p.api.live rule"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8081","http":{"method":"GET","path":"/h","headers":[["X-Key","v"],["x-key","w"]]}}`, "deny ingress app.default default"},
		{`{"from":"svc","to":"api-1","l4":"tcp/80"}`, "allow egress p.web.api rule"},
		{`{"from":"host","to":"api-1","l4":"tcp/80"}`, "deny ingress app.default default"},
		{`{"from":"web-1","to":"a.example.com","l4":"tcp/443","sni":"a.example.com"}`, "allow egress p.web.name rule"},
		{`{"from":"web-1","to":"A.example.com.","l4":"tcp/443","sni":""}`, "deny egress app.default default"},
		{`{"from":"web-1","to":"198.51.100.4","l4":"tcp/443","sni":"a.example.com"}`, "allow egress p.web.name rule"},
		{`{"from":"svc","to":"198.51.100.4","l4":"tcp/443","sni":"a.example.com"}`, "deny egress app.default default"},
		{`{"from":"web-1","to":"b.example.com","l4":"tcp/443"}`, "deny egress app.default default"},
		{`{"from":"web-1","to":"node","l4":"udp/53","dns":{"name":"a.example.com","type":"AAAA"}}`, "allow egress p.web.name rule"},
		{`{"from":"web-1","to":"node","l4":"udp/53","dns":{"name":"a.example.com","type":"TXT"}}`, "deny egress app.default default"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8081","http":{"method":"CONNECT","host":"x:1"}}`, "deny   refused"},
		{`{"id":null,"from":"web-1","to":"api-1","l4":"tcp/80","http":null,"grpc":null,"sni":null,"dns":null}`, "allow egress p.web.api rule"},
		{`{"from":"web-1","to":"api-1","l4":"tcp/8080","http":{"method":"GET","path":"/site/x","host":null,"headers":null}}`, "allow ingress p.api.site rule"},
		{`{"from":"web-1","to":"node","l4":"udp/53","dns":{"name":"a.example.com","type":null}}`, "allow egress p.web.name rule"},
		{`{"from":"web-1","to":"10.0.0.2","l4":"icmp/8"}`, "allow   self"},
		{`{"from":"203.0.113.1","to":"203.0.113.2","l4":"ip/47"}`, "allow   foreign"},
	} {
		t.Run(tt.flow, func(t *testing.T) {
			line, err := j.line(nil, []byte(tt.flow), 7)
			if err != nil {
				t.Fatal(err)
			}
			var v verdictLine
			var in, out any
			for _, err := range []error{
				json.Unmarshal(line, &v), json.Unmarshal([]byte(tt.flow), &in), json.Unmarshal(line, &out),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := fmt.Sprint(v.Verdict, " ", v.Half, " ", v.Rule, " ", v.Reason); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if !fits(t, "flow", in) || !fits(t, "verdict", out) {
				t.Errorf("%s and %s do not both fit their schemas", tt.flow, line)
			}
			id := in.(map[string]any)["id"]
			if got := out.(map[string]any)["id"]; got != cmp.Or(id, any(7.)) {
				t.Errorf("the id is %v, that of the flow %v", got, id)
			}
		})
	}
}

// TestNoFlows says what is wrong with a text that is no flow.
func TestNoFlows(t *testing.T) {
	j := world(t)
	for _, tt := range []struct{ flow, want string }{
		{`{}`, `"from" is missing`},
		{`[]`, `column 1: expected an object, found a list`},
		{`{"from":"web-1","to":"api-1"}`, `"l4" is missing`},
		{`{"from":null,"to":"api-1"}`, `"from" is missing`},
		{``, `the JSON text ends early`},
		{`web-1 -> api-1`, `column 1: expected an object, found 'w'`},
		{`{"from":"web-1" "to":"api-1"}`, `column 17: a comma or } is missing`},
		{`{"from" "web-1"}`, `column 9: a colon is missing behind the key`},
		{`{"from":"web-1",}`, `column 17: expected a string, found '}'`},
		{`{"from":web-1}`, `column 9: expected a string, found 'w'`},
		{`{"from":"über","to":7}`, `column 21: expected a string, found a number`},
		{`{"from":"web\q"}`, `column 9: an escape in the string is none of JSON's`},
		{"{\"from\":\"a\tb\"}", `column 11: a control character in a string; write it as \u0009`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","id":01}`, `column 49: not a number of JSON`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","http":{"method":"GET","path":"/","headers":[["a","b"} }`, `column 97: a comma or ] is missing`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80"`, `the JSON text ends early`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80"} {}`, `column 45: there is more than one JSON value`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","From":"x"}`, `column 44: unknown key "From"; did you mean "from"?`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","from":"x"}`, `column 44: the key "from" comes twice`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","method":"x"}`, `column 44: unknown key "method"`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","id":{}}`, `column 49: expected a string or a number, found an object`},
		{"{\"from\":\"\xff\",\"to\":\"api-1\",\"l4\":\"tcp/80\"}", `not valid UTF-8`},
		{`{"from":"web-2","to":"api-1","l4":"tcp/80"}`, `from: "web-2" is no workload, no address and not host; did you mean "web-1"?`},
		{`{"from":"web-1","to":"api","l4":"tcp/80"}`, `to: "api" is no workload, no address and not host; did you mean "api-1"?`},
		{`{"from":"fd00::2%eth0","to":"api-1","l4":"tcp/80"}`, `from: "fd00::2%eth0" is no workload, no address and not host; leave the zone away`},
		{`{"from":"fd00::2","to":"api-1","l4":"tcp/80"}`, `fd00::2 and api-1 have no addresses of one family`},
		{`{"from":"svc","to":"a.example.com","l4":"tcp/80"}`, `to: svc holds no answer for a.example.com that it could use; state it under "names" of the inventory`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/0"}`, `l4 "tcp/0": a port is a number from 1 to 65535, without leading zeros`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/080"}`, `l4 "tcp/080": a port is a number from 1 to 65535, without leading zeros`},
		{`{"from":"web-1","to":"api-1","l4":"tcp"}`, `l4 "tcp" is not one protocol and port; write tcp/443, icmp/8, icmp/3/4 or ip/47`},
		{`{"from":"web-1","to":"api-1","l4":"ip/6"}`, `l4 "ip/6": write tcp`},
		{`{"from":"web-1","to":"api-1","l4":"icmp/256"}`, `l4 "icmp/256": types, codes and protocols are numbers from 0 to 255, without leading zeros`},
		{`{"from":"web-1","to":"api-1","l4":"ip/256"}`, `l4 "ip/256": types, codes and protocols are numbers from 0 to 255, without leading zeros`},
		{`{"from":"web-1","to":"api-1","l4":"udp/65536"}`, `l4 "udp/65536": a port is a number from 1 to 65535, without leading zeros`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/1-5"}`, `l4 "tcp/1-5" is not one protocol and port; write tcp/443, icmp/8, icmp/3/4 or ip/47`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/"}`, `l4 "tcp/" is not one protocol and port; write tcp/443, icmp/8, icmp/3/4 or ip/47`},
		{`{"from":"web-1","to":"api-1","l4":"any"}`, `l4 "any" is not one protocol and port; write tcp/443, icmp/8, icmp/3/4 or ip/47`},
		{`{"from":"web-1","to":"10.0.0.3:80","l4":"tcp/80"}`, `to: "10.0.0.3:80" is no workload, no address and not host; the port belongs into l4`},
		{`{"from":"10.0.0.0/8","to":"api-1","l4":"tcp/80"}`, `from: "10.0.0.0/8" is no workload, no address and not host; write one address of the prefix`},
		{`{"from":"a.example.com","to":"api-1","l4":"tcp/80"}`, `from: "a.example.com" is no workload, no address and not host; only the server can be a DNS name`},
		{`{"from":"web-1","to":"*.example.com","l4":"tcp/80"}`, `to: "*.example.com" is no workload, no address and not host`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","id":true}`, `column 49: expected a string or a number, found true or false`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","id":1e}`, `column 49: not a number of JSON`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","dns":{"type":"A"}}`, `dns has no name`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","http":{"method":"","path":"/"}}`, `http needs a method and a path`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","http":{"method":"GET","path":"/","verb":"x"}}`, `column 78: unknown key "verb"`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","http":{"method":"GET","path":"/","header":[]}}`, `column 78: unknown key "header"; did you mean "headers"?`},
		{strings.Repeat(`{"id":`, 100) + "1" + strings.Repeat("}", 100), `column 7: expected a string or a number, found an object`},
		{strings.Repeat("[", 1<<19), `column 1: expected an object, found a list`},
		{"\uFEFF" + `{"from":"web-1","to":"api-1","l4":"tcp/80"}`, `column 1: expected an object, found a letter outside a string`},
		{"\x00", `column 1: expected an object, found '\x00'`},
		{`{"from":"web-1","to":"api-1","l4":"udp/80","sni":"x"}`, `sni needs tcp, not udp/80`},
		{`{"from":"web-1","to":"api-1","l4":"icmp/8","dns":{"name":"x"}}`, `a question needs udp or tcp, not icmp/8`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","sni":"x","http":{"method":"GET","path":"/"}}`, `a flow holds http or sni, not both`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","http":{"method":"GET"}}`, `http needs a method and a path`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","http":{"method":"GET","path":"/","headers":[["a"]]}}`, `column 89: a header is a list of name and value, not of 1 texts`},
		{`{"from":"web-1","to":"api-1","l4":"tcp/80","grpc":"x"}`, `grpc "x" is no method; write package.Service/Method`},
		{`{"from":"web-1","to":"node","l4":"udp/53","dns":{"name":"x","type":"ZZ"}}`, `dns.type "ZZ" is no type of records; write A, AAAA, TYPE65 or the like`},
	} {
		t.Run(tt.flow, func(t *testing.T) {
			_, err := j.line(nil, []byte(tt.flow), 1)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// TestInventories: whatever may be an inventory fits the schema, the agent's configuration too.
func TestInventories(t *testing.T) {
	for _, text := range []string{
		"workloads: [{name: a, labels: {k: v}, addresses: [10.0.0.1]}]",
		"{\"workloads\": [\n\t{\"name\": \"a\", \"addresses\": [\"10.0.0.1\"]}]}",
		"host: {addresses: [192.0.2.1]}\nworkloads: [{name: svc}]\nresolvers: [192.0.2.53]\nnames: [{workload: svc, name: a.example, addresses: [198.51.100.1]}]",
		`workloads: [{name: a, addresses: [10.0.0.1], interface: veth1}, {name: b, cgroup: b}]
uplinks: [eth0]
node_addresses: [192.0.2.1]
policies: [p]
guardrails: [g]
state: /s
bpffs: /b
cgroup_root: /c
own_cgroup: mpol
marks: {redirect: 1, loop: 2, upstream: 3}
route_tables: {redirect: 1, loop: 2}
resolvers: [192.0.2.53]
search: [example.com]
ttl: {min: 5s, max: 1h, grace: 30s}
deny: drop
dns_refusal: refused
envoy: envoy
listen: {dns: 1, l7_first: 2, l7_last: 3}
events: {to: e, all: true}
`,
	} {
		inv, err := inventory.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if _, err := newScene(inv); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		var document any
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "\t", " ")), &document); err != nil || !fits(t, "inventory", document) {
			t.Errorf("%s: error %v; it is to fit the schema", text, err)
		}
	}
}

// TestInventorySchema names every key of the agent's configuration, so that a new one is told.
func TestInventorySchema(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/schemas/inventory.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Properties map[string]any }
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for f := range reflect.TypeFor[config.Config]().Fields() {
		if key := f.Tag.Get("yaml"); schema.Properties[key] == nil {
			t.Errorf("the schema of inventories lacks %s", key)
		}
	}
}

// FuzzFlow reads any text as a flow and judges it: it has a verdict, or one line says what is wrong.
func FuzzFlow(f *testing.F) {
	for _, seed := range []string{
		`{"from":"a","to":"10.0.0.2","l4":"tcp/80","http":{"method":"GET","path":"/","headers":[["a","b"]]}}`,
		`{"id":1,"from":"host","to":"a.example","l4":"icmp/3/4","sni":""}`,
		`{"from":"10.0.0.1","to":"node","l4":"udp/53","dns":{"name":"a.","type":"TYPE1"}}`,
		`{"from":"\u0061"}`, `[{"a":[]}`, `"`,
	} {
		f.Add([]byte(seed))
	}
	inv, err := inventory.Parse([]byte("workloads: [{name: a, addresses: [10.0.0.1]}]\nhost: {addresses: [192.0.2.1]}"))
	if err != nil {
		f.Fatal(err)
	}
	sc, err := newScene(inv)
	if err != nil {
		f.Fatal(err)
	}
	j := newJudgeOf(&policies{module: &check.Module{}}, sc)
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := j.line(nil, text, 1)
		switch {
		case err != nil && strings.Contains(err.Error(), "\n"):
			t.Errorf("flow %q: the error %q, want one line", text, err)
		case err == nil && (!json.Valid(text) || !json.Valid(out)):
			t.Errorf("flow %q has the verdict %q, and both must be JSON", text, out)
		}
	})
}
