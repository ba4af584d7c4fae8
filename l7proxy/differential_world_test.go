// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/compiler/verdict"
	"mpol/lang"
	"mpol/lang/check"
)

// situation is a port of the world with the rules that judge what goes there. Rules are separated
// by lines; ON stands for the port.
type situation struct {
	name                    string
	guard, egress, ingress  string
	tls                     bool
	learned                 string   // the name by which the client came
	outside                 bool     // the server is no workload
	paths, hosts, byPattern []string // what requests are drawn from; byPattern is read from the rules

	port    uint16
	profile string
	flow    verdict.Flow
}

// situations cover every kind of pattern on both halves, in an allow and in a deny.
func situations() []*situation {
	const all = "allow from web ON"
	return []*situation{
		{
			name: "paths", ingress: all,
			egress: `allow to api ON http { GET "/public/**", POST "/form", GET, HEAD "/v1/{id}/items", any "/any/*/x/", GET "/" }`,
		},
		{
			name: "denies", egress: "allow to api ON",
			ingress: all + "\n" + `deny from any ON http { any "/admin/**", POST "/secret", any "/a/{x}/b", GET "/t/", any "/" }`,
		},
		{
			name:    "halves",
			egress:  `allow to api ON http { any "/**" }` + "\n" + `deny to api ON http { DELETE "/**", any "/admin" }`,
			ingress: `allow from web ON http { GET, DELETE "/public/**", any "/admin/**" host "good.example" }`,
		},
		{
			name: "hosts", ingress: all, hosts: []string{"good.example", "a.wild.example.com", "apart.part.example.com", "x.y.deep.example.com", "evil.wild.example.com"},
			egress: `allow to api ON http { GET "/public/**" host "good.example", any "/**" host "*.wild.example.com", GET "/**" host "a*t.part.example.com", GET "/x" host "**.deep.example.com" }
deny to api ON http { any "/**" host "evil*.wild.example.com", POST "/x" host "**.wild.example.com" }`,
		},
		{
			name: "expressions", ingress: all,
			paths: []string{"/v12/x/y", "/item/abc", "/caf%C3%A9/x", "/mixed/a%2Bb", "/v1/admin/x", "/end/", "/Fe/%FEed", "/cut%7Cx"},
			egress: `allow to api ON http { GET ~"/v[0-9]+/.*", GET ~"/item/[^/]+", any ~"/caf%C3%A9(/.*)?", GET ~"/mixed/[a-z0-9%]*", any ~"/(end|cut).*", GET ~"/fe/.*feed" }
deny to api ON http { any ~"/v1/admin.*", POST ~"/item/.*c", any ~"/end/", GET ~"/cut%7C.*" }`,
		},
		{
			name: "escapes", ingress: all,
			egress: `allow to api ON http { GET "/%C3%A4/**", any "/a%7Cb/%7Bid%7D/{id}", GET "/{x}/%25", GET "/p!$&'()+,=:@~/**", GET "/%23/%3F", GET "/%3B/[x]" }
deny to api ON http { any "/%C3%A4/%22x", GET "/p!$&'()+,=:@~/%5E%60%3C" }`,
		},
		{
			name: "tiers", ingress: all,
			guard: `deny to api ON http { any "/admin/**", TRACE "/**" }
allow to api ON http { GET "/public/open/**" }`,
			egress: `allow to api ON http { any "/public/**", GET "/admin/x" }
deny to api ON http { GET "/public/open/x", any "/public/shut/**" }`,
		},
		{
			name: "open", egress: "allow to api ON", ingress: all + "\n" + `deny from web ON http { DELETE "/never" }`,
			paths: []string{"/a/b/c", "/"},
		},
		{
			name: "peers", outside: true, learned: "shop.example.com",
			hosts:  []string{"shop.example.com", "api.example.com", "x.cdn.example.com", "no.cdn.example.com", "other.example.org"},
			egress: `allow to "shop.example.com" ON http { GET "/public/**" }` + "\n" + `allow to mine ON http { any "/any/**", POST "/form" host "*.cdn.example.com" }` + "\n" + `deny to any ON http { any "/any/shut/**" }`,
		},
		{
			name: "server names", tls: true, ingress: all,
			hosts:  []string{"good.example", "a.wild.example.com", "evil.wild.example.com", "x.y.deep.example.com"},
			egress: `allow to api ON tls { sni "good.example", "*.wild.example.com", "**.deep.example.com" }` + "\n" + `deny to api ON tls { sni "evil*.wild.example.com", "y.deep.example.com" }`,
		},
		{
			name: "peers' server names", tls: true, outside: true, learned: "x.cdn.example.com",
			hosts:  []string{"shop.example.com", "x.cdn.example.com", "no.cdn.example.com", "evil.cdn.example.com"},
			egress: `allow to mine ON tls { sni "**.example.com" }` + "\n" + `deny to any ON tls { sni "evil.cdn.example.com" }`,
		},
	}
}

// drawn makes a situation of random rules over few segments, so that patterns meet.
func drawn(r *rand.Rand, n int) *situation {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	part := func() string {
		var requests []string
		for range 1 + r.IntN(3) {
			path := ""
			for range r.IntN(4) {
				path += "/" + pick("a", "B", "c", "ab", "%C3%A4", "a%7Cb", "{x}", "*", "...", "a.b")
			}
			request := pick("GET", "any", "GET, POST", "PURGE", "FOO") + ` "` + path + pick("", "/", "/**") + `"`
			if strings.HasSuffix(request, ` ""`) {
				request = pick("GET", "any") + ` "/"`
			}
			requests = append(requests, request+pick("", "", ` host "good.example"`, ` host "*.wild.example.com"`))
		}
		return "http { " + strings.Join(requests, ", ") + " }"
	}
	rules := func(peer string) string {
		text := "allow " + peer + " ON " + part()
		for range r.IntN(3) {
			text += "\n" + pick("allow ", "deny ") + peer + " ON " + part()
		}
		if r.IntN(4) == 0 {
			text += "\nallow " + peer + " ON"
		}
		return text
	}
	s := &situation{
		name: fmt.Sprint("drawn", n), egress: rules("to api"), ingress: rules("from web"),
		hosts: []string{"good.example", "a.wild.example.com", "x"},
	}
	if r.IntN(2) == 0 {
		s.guard = rules("to api")
	}
	return s
}

// world is a compiled policy in which each situation has a port.
type world struct {
	*program.Program
	situations []*situation
}

const firstSituation = 8000

func newWorld(t *testing.T, all []*situation) *world {
	t.Helper()
	var guard, egress, ingress strings.Builder
	for i, s := range all {
		s.port = uint16(firstSituation + i)
		for b, rules := range map[*strings.Builder]string{&guard: s.guard, &egress: s.egress, &ingress: s.ingress} {
			for j, line := range slices.DeleteFunc(strings.Split(rules, "\n"), func(l string) bool { return l == "" }) {
				fmt.Fprintf(b, "    r%d_%d: %s\n", i, j, strings.Replace(line, " ON", fmt.Sprintf(" on tcp/%d", s.port), 1))
			}
		}
	}
	text := fmt.Sprintf(`package diff
default deny
workload web = app = "web"
workload api = app = "api"
domains mine = "shop.example.com", "*.cdn.example.com" except "no.cdn.example.com"
policy zguard for web {
  egress {
%s  }
}
policy web for web {
  egress {
%s  }
}
policy api for api {
  ingress {
%s  }
}
`, guard.String(), egress.String(), ingress.String())
	file, diags := lang.Parse("diff.mpol", []byte(text))
	m, more := check.Check([]*lang.File{file}, check.Options{})
	if m == nil {
		t.Fatalf("the policy has errors: %v\n%s", append(diags, more...), text)
	}
	for _, q := range m.Policies {
		if q.Name == "diff.zguard" {
			q.Tier = 0 // admin
		}
	}
	p, diags := compiler.Compile(m, program.Inventory{
		Workloads: []program.Workload{
			{Name: "api", Labels: []program.Label{{Key: "app", Value: "api"}}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Interface: "api"},
			{Name: "web", Labels: []program.Label{{Key: "app", Value: "web"}}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Interface: "web"},
		},
		Node:      []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
	})
	if p == nil {
		t.Fatalf("the policy does not compile: %v\n%s", diags, text)
	}
	w := &world{Program: p, situations: all}
	for _, s := range all {
		s.flow = verdict.Flow{
			From: verdict.End{Workload: "web"}, To: verdict.End{Workload: "api"}, Proto: program.ProtoTCP, Port: s.port,
		}
		if s.outside {
			s.flow.To = verdict.End{Addr: netip.MustParseAddr(server4)}
			s.flow.Names = []program.Name{program.ParseName(s.learned)}
		}
		w.find(t, s)
		w.read(s)
	}
	return w
}

// find walks the tables as the datapath does, to the profile of the situation.
func (w *world) find(t *testing.T, s *situation) {
	t.Helper()
	tables := &w.Tables
	identity := func(text string) int {
		best := -1
		for i, a := range tables.Addresses {
			if a.Prefix.Contains(netip.MustParseAddr(text)) && (best < 0 || a.Prefix.Bits() > tables.Addresses[best].Prefix.Bits()) {
				best = i
			}
		}
		return tables.Addresses[best].Identity
	}
	client, server := identity("10.0.0.1"), identity("10.0.0.2")
	want := program.ProfileRow{EgressClass: -1, NameClass: -1, Ingress: -1, IngressClass: -1, Port: s.port}
	if s.outside {
		server = identity(server4)
	}
	for _, b := range tables.Subjects {
		switch {
		case b.Workload == "web":
			want.Egress, want.EgressClass = b.Egress, tables.Tables[b.Egress].Class(server)
		case b.Workload == "api" && !s.outside:
			want.Ingress, want.IngressClass = b.Ingress, tables.Tables[b.Ingress].Class(client)
		}
	}
	if s.learned != "" {
		names := tables.Tables[want.Egress].Names
		var peers []int
		for i := range names.Peers {
			if names.Peers[i].Domain.Matches(program.ParseName(s.learned)) {
				peers = append(peers, i)
			}
		}
		set := slices.IndexFunc(names.Sets, func(n program.NameSet) bool { return slices.Equal(n.Peers, peers) })
		want.NameClass = names.Sets[set].Class
	}
	i := slices.IndexFunc(tables.ProfileRows, func(r program.ProfileRow) bool { r.Profile = 0; return r == want })
	if i < 0 {
		t.Fatalf("%s: no profile for %+v", s.name, want)
	}
	s.profile = tables.Profiles[tables.ProfileRows[i].Profile].Key
}

// read collects the paths of the rules for the situation, "*" where any segment may be.
func (w *world) read(s *situation) {
	for _, p := range w.Rules.Policies {
		for _, b := range []*program.Block{p.Egress, p.Ingress} {
			if b == nil {
				continue
			}
			for _, rule := range b.Rules {
				if rule.L7 == nil || !rule.L4[0].Contains(program.ProtoTCP, s.port) {
					continue
				}
				for _, h := range rule.L7.HTTP {
					if h.Path.Regexp == "" {
						s.byPattern = append(s.byPattern, h.Path.Text)
					}
				}
			}
		}
	}
	s.byPattern = append(s.byPattern, s.paths...)
}
