// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/check"
)

// drawPolicies draws the text of policies of nearly everything that the language has. A rule that would
// be a mistake beside those before it is left out.
func drawPolicies(d *rand.Rand) string {
	head := fmt.Sprintf(`package p
default %s
tier late order 250 default %s
workload a = app = "a"
workload b = app = "b" and not has role
workload c = app in ["b", "c"]
cidrs office = 203.0.113.0/24, 2001:db8:7::/48 except 203.0.113.7
domains some = "*.example.com", "x.example.net" except "c.example.com"
service site = tcp/80, tcp/8080
resolver out = 198.51.100.53 on udp/53, tcp/53 for "**.example.com"
resolver inner = b on udp/53
`, pick(d, "deny", "deny", "allow"), pick(d, "deny", "allow"))
	var policies []string
	text := func() string { return head + strings.Join(policies, "") }
	for i := range 3 + d.IntN(6) {
		tier := pick(d, "", "", "", " in admin", " in late", " in baseline")
		audit := pick(d, "", "", "", "", "", " audit")
		name := fmt.Sprintf("\npolicy p%d for %s%s%s {\n", i, pick(d, "a", "b", "c", "workloads", "host", "(has role)"), tier, audit)
		policies = append(policies, "")
		var blocks []string
		for _, block := range pick(d, []string{"ingress", "egress"}, []string{"egress", "ingress"}, []string{"ingress"}, []string{"egress"}) {
			blocks = append(blocks, "  "+block+" none\n")
			via := ""
			if block == "egress" {
				via = pick(d, "", "", "    resolve via out\n", "    resolve via inner, node\n")
			}
			rules := ""
			for j := range 1 + d.IntN(6) {
				rule := fmt.Sprintf("    %s%s\n", pick(d, "", fmt.Sprintf("r%d: ", j)), drawRule(d, block == "egress"))
				before := blocks[len(blocks)-1]
				blocks[len(blocks)-1] = "  " + block + " {\n" + via + rules + rule + "  }\n"
				policies[i] = name + strings.Join(blocks, "") + "}\n"
				if parsed(text()) == nil {
					blocks[len(blocks)-1] = before
				} else {
					rules += rule
				}
			}
		}
		policies[i] = name + strings.Join(blocks, "") + "}\n"
		if parsed(text()) == nil { // it says nothing
			policies[i] = ""
		}
	}
	return text()
}

// pick draws one of some values, each as often as another.
func pick[T any](d *rand.Rand, of ...T) T { return of[d.IntN(len(of))] }

// parsed returns the module of a text, nil where it has a mistake.
func parsed(text string) *check.Module {
	file, list := lang.Parse("p.mpol", []byte(text))
	if list.HasErrors() {
		return nil
	}
	m, list := check.Check([]*lang.File{file}, check.Options{})
	if list.HasErrors() {
		return nil
	}
	return m
}

func drawRule(d *rand.Rand, egress bool) string {
	action := pick(d, "allow", "allow", "allow", "allow", "deny", "deny", "pass")
	peers := pick(d,
		"a", "b", "a, c", "workloads", "workloads", "any", "world", "workloads except b", "any", "any except 10.0.0.0/8", "world", "world except 203.0.113.0/24", "internet",
		"host", "office", "203.0.113.7, a", "10.0.0.0/8", "fd00::/8", "198.51.100.0/24", "same app", "same \"env\"", "(has role or app = \"a\")", "0.0.0.0/0",
	)
	var on string
	switch d.IntN(10) {
	case 0, 1, 2:
		on = pick(d, "tcp/80", "tcp/80-82", "tcp/443", "any", "any", "tcp/any", "udp/53, tcp/53", "icmp/8, icmpv6/128", "icmp", "ip/47", "sctp/80", "site, udp/80-90")
	case 3, 4, 5:
		on = pick(d, "tcp/80", "site", "tcp/80-81", "tcp/443") + pick(d,
			` http { GET "/public/**" }`, ` http { any "/admin/**" }`, ` http { GET, POST "/public/{id}" host "*.example.com" }`,
			` http { GET "/public/x" header "x" = "1", GET "/ws" upgrade "websocket" }`, ` http { any "/h" header "x" != "1" }`,
			` http { GET "/h" header "x" present header "y" absent }`, ` http { any ~"/[a-z]+" }`, ` http { CONNECT "/" }`, ` http { GET "/" }`,
			` grpc { "pay.v1.Pay/Charge" }`, ` grpc { "pay.v1.Pay/*" }`,
		)
	case 6:
		on = pick(d, "tcp/443", "site") + pick(d, ` tls { sni "a.example.com" }`, ` tls { sni "*.example.com" }`, ` tls { some }`)
	case 7:
		on = "udp/53, tcp/53" + pick(d, ` dns { "*.example.com" }`, ` dns { "**.example.com" types A, TXT }`, ` dns { "x.example.net" types ANY }`)
	default:
		if egress {
			peers = pick(d, `"a.example.com"`, `"*.example.com"`, `some`, `"a.example.com", "x.example.net"`, `"x.example.net" private 10.0.0.0/8`, `"a.example.com", 203.0.113.0/24`)
			on = pick(d, "tcp/443", "tcp/443 tls pinned", `tcp/443 tls { sni "a.example.com" }`, `tcp/80 http { GET "/public/**" }`, "tcp/80-82", "any")
		} else {
			on = "any"
		}
	}
	return pick(d, "", "", "", "", "audit ") + action + map[bool]string{true: " to ", false: " from "}[egress] + peers + " on " + on + pick(d, "", "", " log")
}

// drawInventory draws who takes part, and what has been looked up.
func drawInventory(d *rand.Rand) *drawnInventory {
	inv := &drawnInventory{Host: drawnHost{[]string{"192.0.2.1", "2001:db8::1"}}, Resolvers: []string{"9.9.9.9", "2620:fe::fe"}}
	if pick(d, false, true) {
		inv.Resolvers[0] = "10.0.0.10"
	}
	holders := []string{"host"}
	for i := range 2 + d.IntN(5) {
		w := drawnWorkload{Name: fmt.Sprintf("w%d", i), Labels: map[string]string{}}
		for _, l := range []struct{ key, value string }{
			{"app", pick(d, "a", "b", "b", "c")}, {"env", pick(d, "", "prod", "test")}, {"role", pick(d, "", "", "db")},
		} {
			if l.value != "" {
				w.Labels[l.key] = l.value
			}
		}
		v4, v6, public := fmt.Sprintf("10.0.0.%d", 10+i), fmt.Sprintf("fd00::%d", 10+i), fmt.Sprintf("198.51.100.%d", 100+i)
		w.Addresses = pick(d, []string{v4}, []string{v4, v6}, []string{v6}, []string{v4, public}, nil)
		inv.Workloads, holders = append(inv.Workloads, w), append(holders, w.Name)
	}
	for range d.IntN(7) {
		inv.Names = append(inv.Names, drawnName{
			pick(d, holders...), pick(d, "a.example.com", "B.example.com.", "c.example.com", "x.example.net", "other.example.org"),
			pick(d, []string{"198.51.100.4"}, []string{"203.0.113.9", "2001:db8:1::1"}, []string{"10.9.9.9"}, []string{"198.51.100.4", "10.0.0.11"}),
		})
	}
	return inv
}

// drawnInventory is an inventory as written.
type drawnInventory struct {
	Workloads []drawnWorkload `json:"workloads"`
	Host      drawnHost       `json:"host"`
	Resolvers []string        `json:"resolvers"`
	Names     []drawnName     `json:"names"`
}

type drawnHost struct {
	Addresses []string `json:"addresses"`
}

type drawnWorkload struct {
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels"`
	Addresses []string          `json:"addresses"`
}

type drawnName struct {
	Workload  string   `json:"workload"`
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
}

// means is the inventory as an evaluator takes it: who has no addresses lives at those of the host.
func (inv *drawnInventory) means() program.Inventory {
	out := program.Inventory{Node: addresses(inv.Host.Addresses), Resolvers: addresses(inv.Resolvers)}
	for _, w := range inv.Workloads {
		p := program.Workload{Name: w.Name, Addresses: addresses(w.Addresses), Interface: w.Name}
		if len(w.Addresses) == 0 {
			p.Interface, p.Cgroup = "", w.Name
		}
		for key, value := range w.Labels {
			p.Labels = append(p.Labels, program.Label{Key: key, Value: value})
		}
		slices.SortFunc(p.Labels, func(a, b program.Label) int { return strings.Compare(a.Key, b.Key) })
		out.Workloads = append(out.Workloads, p)
	}
	return out
}

func addresses(texts []string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}
