// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"fmt"
	"testing"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	"pgregory.net/rapid"

	"mpol/compiler/program"
)

// holds evaluates the permissions that halves of exact paths are made of.
func holds(p *rbacv3.Permission, path string) bool {
	switch r := p.Rule.(type) {
	case *rbacv3.Permission_Any:
		return true
	case *rbacv3.Permission_NotRule:
		return !holds(r.NotRule, path)
	case *rbacv3.Permission_AndRules:
		for _, q := range r.AndRules.Rules {
			if !holds(q, path) {
				return false
			}
		}
		return true
	case *rbacv3.Permission_OrRules:
		for _, q := range r.OrRules.Rules {
			if holds(q, path) {
				return true
			}
		}
		return false
	case *rbacv3.Permission_UrlPath:
		return r.UrlPath.GetPath().GetExact() == path
	case *rbacv3.Permission_Header: // the method: always GET
		return r.Header.GetStringMatch().GetExact() == "GET"
	}
	panic(fmt.Sprintf("unknown permission %v", p))
}

func (ps policies) holds(path string) bool {
	for _, policy := range ps {
		for _, p := range policy.Permissions {
			if holds(p, path) {
				return true
			}
		}
	}
	return false
}

// passes is what Envoy's two filters of a half do.
func (j *judgement) passes(path string) bool {
	return j == nil || !j.deny.holds(path) && j.allow.holds(path)
}

// search is the language's own rule: the first tier that decides ends the search.
func search(h *program.Half, path string) bool {
	if h == nil {
		return true
	}
	matches := func(rules []program.RequestRule) bool {
		for _, r := range rules {
			if r.Every {
				return true
			}
			for _, q := range r.HTTP {
				if "/"+q.Path.Segments[0].Literal == path {
					return true
				}
			}
		}
		return false
	}
	for _, tier := range h.Tiers {
		switch {
		case matches(tier.Deny):
			return false
		case matches(tier.Allow):
			return true
		case tier.Default != program.Pass:
			return tier.Default == program.Allow
		}
	}
	return false
}

// drawHalf draws tiers of rules over the paths /a to /d, named after their place.
func drawHalf(t *rapid.T, name string) *program.Half {
	rules := func(kind string) []program.RequestRule {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) program.RequestRule {
			r := program.RequestRule{Rule: rapid.StringMatching(kind+`[0-3]`).Draw(t, "key")}
			if r.Every = rapid.IntRange(0, 9).Draw(t, "every") == 0; r.Every {
				return r
			}
			for _, path := range rapid.SliceOfN(rapid.SampledFrom([]string{"/a", "/b", "/c", "/d"}), 1, 2).Draw(t, "paths") {
				r.HTTP = append(r.HTTP, request(exactPath(path), "GET"))
			}
			return r
		}), 0, 2).Draw(t, kind)
	}
	if rapid.IntRange(0, 9).Draw(t, name) == 0 {
		return nil
	}
	h := &program.Half{}
	for range rapid.IntRange(0, 3).Draw(t, name+" tiers") {
		h.Tiers = append(h.Tiers, program.HalfTier{
			Deny: rules("deny"), Allow: rules("allow"),
			Default: rapid.SampledFrom([]program.Action{program.Pass, program.Pass, program.Deny, program.Allow}).Draw(t, "default"),
		})
	}
	return h
}

// TestJudge compares the flattened half with the search through its tiers, and the join of two
// generations with both searches.
func TestJudge(t *testing.T) {
	seen := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		halves := [2]*program.Half{drawHalf(t, "old"), drawHalf(t, "new")}
		var judged [2]*judgement
		for i, h := range halves {
			if h != nil {
				judged[i] = judge(program.L7HTTP, h)
			}
		}
		for _, path := range []string{"/a", "/b", "/c", "/d", "/e"} {
			for i, h := range halves {
				if got, want := judged[i].passes(path), search(h, path); got != want {
					t.Fatalf("%s passes half %d: %v, want %v", path, i, got, want)
				}
			}
			got := judged[0].both(judged[1]).passes(path)
			want := search(halves[0], path) && search(halves[1], path)
			if seen[want]++; got != want {
				t.Fatalf("%s passes both: %v, want %v", path, got, want)
			}
		}
	})
	if seen[true] < 10 || seen[false] < 10 {
		t.Errorf("drew %d passes and %d denials: the test proves little", seen[true], seen[false])
	}
}

func TestMergeErrors(t *testing.T) {
	k := publicOnly("k")
	tls := program.Profile{Key: "k", Kind: program.L7TLS}
	for name, sets := range map[string][][]program.Profile{
		"no key": {{{Kind: program.L7HTTP}}}, "kind": {{{Key: "k", Kind: program.L7DNS}}},
		"twice": {{k, k}}, "changed": {{k}, {tls}},
	} {
		if _, err := merge(sets); err == nil {
			t.Errorf("%s: merge succeeded", name)
		}
	}
}

// What the package cannot compare matches every deny and no allow.
func TestUnknown(t *testing.T) {
	plain := request(exactPath("/a"), "GET")
	header, upgrade := plain, plain
	header.Headers = []program.Header{{Name: "x", Op: program.HeaderPresent}}
	upgrade.Upgrade = "websocket"
	name := []program.NamePattern{"a.example.com"}
	tests := []struct {
		name    string
		kind    program.L7Kind
		rule    program.RequestRule
		unknown bool
	}{
		{"request", program.L7HTTP, program.RequestRule{HTTP: []program.HTTPRequest{plain}}, false},
		{"header", program.L7HTTP, program.RequestRule{HTTP: []program.HTTPRequest{header}}, true},
		{"upgrade", program.L7HTTP, program.RequestRule{HTTP: []program.HTTPRequest{upgrade}}, true},
		{"grpc", program.L7HTTP, program.RequestRule{GRPC: []program.GRPCMethod{{Service: "p.S"}}}, true},
		{"nothing", program.L7HTTP, program.RequestRule{}, true},
		{"names for requests", program.L7HTTP, program.RequestRule{SNI: name}, true},
		{"name", program.L7TLS, program.RequestRule{SNI: name}, false},
		{"set", program.L7TLS, program.RequestRule{SNISets: []program.Domain{{Patterns: name}}}, false},
		{"requests for names", program.L7TLS, program.RequestRule{HTTP: []program.HTTPRequest{plain}}, true},
		{"no name", program.L7TLS, program.RequestRule{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := isNever(matcher{kind: test.kind}.rule(&test.rule)); got != test.unknown {
				t.Errorf("no request matches the allow: %v, want %v", got, test.unknown)
			}
			if got := isAlways(matcher{kind: test.kind, deny: true}.rule(&test.rule)); got != test.unknown {
				t.Errorf("every request matches the deny: %v, want %v", got, test.unknown)
			}
		})
	}
}
