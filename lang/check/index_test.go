// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mpol/compiler/program"
	"mpol/lang"
)

// checked returns the checker that has checked a text, which has no error.
func checked(t *testing.T, text string) *checker {
	t.Helper()
	file, diags := lang.Parse("a.mpol", []byte(text))
	if diags.HasErrors() {
		t.Fatalf("%v in\n%s", diags[0], text)
	}
	memory := &Memory{}
	files := []*lang.File{file}
	memory.begin(files, Options{})
	c := newChecker(files, Options{}, memory)
	c.module()
	return c
}

// TestIndexes compares what the indexes find with what reading all rules finds, over random rules, those
// with errors left out.
func TestIndexes(t *testing.T) {
	found, missed := 0, 0
	for seed := range uint64(20) {
		c := checked(t, randomRules(rand.New(rand.NewPCG(seed, 1))))
		var rules ruleIndex
		var list subjectIndex
		for _, r := range c.placed {
			c.know(r)
			rules.add(r)
			list.group(c, r, "").peers.add(r, "")
		}
		for _, r := range c.placed {
			for name, pair := range map[string][2]*placed{
				"find":       {rules.find(c, r), first(c.placed, func(o *placed) bool { return c.meet(r, o) })},
				"findSurely": {rules.findSurely(c, r), first(c.placed, func(o *placed) bool { return o.policy.Tier <= r.policy.Tier && c.meetSurely(r, o) })},
				"firstName": {list.firstName(c, r), first(c.placed, func(o *placed) bool {
					return c.subjectsMeet(r.policy.Subject, o.policy.Subject) && c.sharesName(r, o)
				})},
				"first": {
					list.first(c, r, func(o *placed) bool { return o.policy.Tier == r.policy.Tier }),
					first(c.placed, func(o *placed) bool {
						return o.policy.Tier == r.policy.Tier && c.subjectsMeet(r.policy.Subject, o.policy.Subject)
					}),
				},
			} {
				if pair[0] != pair[1] {
					t.Errorf("seed %d: %s of %s = %v, want %v", seed, name, r.rule.Span, spanOf(pair[0]), spanOf(pair[1]))
				}
				if pair[1] == nil {
					missed++
				} else if pair[1] != r {
					found++
				}
			}
		}
	}
	if found < 1000 || missed < 1000 {
		t.Errorf("%d found and %d not: the rules are too much alike", found, missed)
	}
}

// TestCoverage compares what a coverage says with what reading all rules of a block says.
func TestCoverage(t *testing.T) {
	in := func(list []program.Peer, p program.Peer) bool {
		return slices.ContainsFunc(list, func(q program.Peer) bool {
			return q.Kind == program.PeerAny && p.Kind != program.PeerDomain || q.String() == p.String()
		})
	}
	covers := func(o, r *Rule) bool {
		return o.Action == r.Action &&
			!slices.ContainsFunc(r.Peers.Include, func(p program.Peer) bool { return !in(o.Peers.Include, p) && !ipv4Only([]program.Peer{p}) }) &&
			!slices.ContainsFunc(o.Peers.Except, func(p program.Peer) bool { return !in(r.Peers.Except, p) })
	}
	covered, bare := 0, 0
	for seed := range uint64(20) {
		c := checked(t, randomRules(rand.New(rand.NewPCG(seed, 2))))
		var x coverage
		for i, n := range c.placed {
			if i%3 == 0 {
				x.add(n.rule)
			}
		}
		for _, n := range c.placed {
			if ipv4Only(n.rule.Peers.Include) {
				continue
			}
			want := false
			for i, o := range c.placed {
				want = want || i%3 == 0 && covers(o.rule, n.rule)
			}
			if got := x.covers(c, n.rule); got != want {
				t.Errorf("seed %d: %s %s is covered: %v, want %v", seed, n.rule.Span, n.rule.PeersText, got, want)
			}
			if want {
				covered++
			} else {
				bare++
			}
		}
	}
	if covered < 100 || bare < 100 {
		t.Errorf("%d covered and %d not: the rules are too much alike", covered, bare)
	}
}

func first(list []*placed, meets func(*placed) bool) *placed {
	for _, o := range list {
		if meets(o) {
			return o
		}
	}
	return nil
}

func spanOf(p *placed) string {
	if p == nil {
		return "nothing"
	}
	return p.rule.Span.String()
}

// randomRules returns policies with many rules over few ports, labels, addresses and names.
func randomRules(random *rand.Rand) string {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	var b strings.Builder
	b.WriteString("package a\n\ndefault deny\n\ntier early order 50 default deny\n\n")
	selector := func() string {
		one := func() string {
			return pick(`app = "a"`, `app = "b"`, `app in ["a", "c"]`, `env = "a"`, `env != "b"`, `has app`, `zone = "x" and app = "a"`, `zone = "x" or app = "d"`)
		}
		return "(" + pick(one(), "("+one()+") and ("+one()+")", "("+one()+") or ("+one()+")", "not ("+one()+")") + ")"
	}
	prefix := func() string {
		bits := 8 * (1 + random.IntN(4))
		address := [4]int{10, random.IntN(2), random.IntN(3), random.IntN(3)}
		for i := bits / 8; i < 4; i++ {
			address[i] = 0
		}
		return fmt.Sprintf("%d.%d.%d.%d/%d", address[0], address[1], address[2], address[3], bits)
	}
	name := func() string {
		return `"` + pick("", "", "*.", "**.", "x*.", "x.") + pick("a.example.com", "b.example.com", "c.a.example.com", "d.example.org", "a*.example.com") + `"`
	}
	peers := func() string {
		switch random.IntN(6) {
		case 0:
			return pick("any", "workloads", "world", "internet", "host", `same "app"`, "world except 10.0.0.0/8", `any except (app = "a")`, `any except (app = "a"), 10.0.0.0/8`, "any except 10.0.0.0/8", "8.8.8.8", "2001:db8::/32", "8.8.0.0/16")
		case 1:
			return selector()
		case 2:
			return prefix()
		case 3:
			return prefix() + ", " + pick(prefix(), selector(), "host", "fd00::/8")
		case 4:
			return name() + pick("", "", " private 10.1.0.0/16")
		}
		return name() + ", " + name()
	}
	for i := range 6 {
		fmt.Fprintf(&b, "policy p%d for %s%s {\n  ingress none\n  egress {\n", i, pick(selector(), selector(), "workloads", "host"), pick("", " in early"))
		for range 15 {
			fmt.Fprintf(&b, "    allow to %s on %s\n", peers(), pick("tcp/80", "tcp/80", "tcp/81, tcp/80", "tcp/1-100", "tcp/90-200", "udp/80", "any", "icmp", "icmp, icmpv6", "icmpv6"))
		}
		b.WriteString("  }\n}\n")
	}
	return b.String()
}

// TestGrowth: four times the rules take about four times the work.
func TestGrowth(t *testing.T) {
	const head = "package a\n\ndefault deny\n\nworkload web = app = \"web\"\n"
	egress := func(rule func(i int) string) func(n int) string {
		return func(n int) string {
			var b strings.Builder
			b.WriteString(head + "policy p for web {\n  ingress none\n  egress {\n")
			for i := range n {
				b.WriteString("    " + rule(i) + "\n")
			}
			return b.String() + "  }\n}\n"
		}
	}
	address := func(i int) string { return fmt.Sprintf("10.0.%d.%d", i/256, i%256) }
	for name, text := range map[string]func(n int) string{
		"prefixes": egress(func(i int) string {
			return fmt.Sprintf("allow to %s on tcp/80%s", address(i), []string{"", ` http { GET "/" }`}[i%2])
		}),
		"ranges of ports": egress(func(i int) string {
			return fmt.Sprintf("allow to %s on %s", address(i), []string{"tcp/1-100", `tcp/any http { GET "/" }`}[i%2])
		}),
		"two kinds": egress(func(i int) string {
			return fmt.Sprintf("allow to %s on tcp/8443 %s", address(i), []string{`http { GET "/" }`, `tls { sni "a.example.com" }`}[i%2])
		}),
		"names": egress(func(i int) string {
			return fmt.Sprintf("allow to \"h%d.example.com\" on tcp/80%s", i, []string{"", ` http { GET "/" }`}[i%2])
		}),
		"denied names": egress(func(i int) string {
			return fmt.Sprintf([]string{"deny to \"h%d.example.com\" on any", "allow to \"h%d.example.com\" on tcp/80"}[i%2], i)
		}),
		"denied prefixes": egress(func(i int) string {
			return fmt.Sprintf([]string{"deny to 10.0.0.%d on any", "allow to \"h%d.example.com\" on tcp/80"}[i%2], i%256)
		}),
		"one peer": egress(func(i int) string {
			return fmt.Sprintf("allow to web on tcp/%d%s", 8000+i%10, []string{"", ` http { GET "/" }`}[i%2])
		}),
		"pings": egress(func(i int) string {
			return fmt.Sprintf([]string{`allow to web, (app = "v%d") on icmp`, `allow to web, (app = "v%d") on icmpv6`, `allow to any except (app = "v%d") on icmp`, `allow to any except (app = "v%d") on icmpv6`}[i%4], i)
		}),
		"subjects": func(n int) string {
			var b strings.Builder
			b.WriteString(head)
			for i := range n {
				fmt.Fprintf(&b, "policy p%d for (app = \"w%d\" and env = \"prod\") {\n  ingress { deny from any on any\n    allow from web on tcp/80 }\n", i, i)
				fmt.Fprintf(&b, "  egress { allow to web on tcp/80 http { GET \"/\" }\n    allow to (app = \"w%d\") on tcp/80 }\n}\n", i)
			}
			return b.String()
		},
		"subjects by one label or another": func(n int) string {
			var b strings.Builder
			b.WriteString(head)
			for i := range n {
				fmt.Fprintf(&b, "policy p%d for (%s = \"v%d\") {\n  ingress none\n", i, []string{"app", "zone"}[i%2], i)
				fmt.Fprintf(&b, "  egress { allow to web on tcp/80%s }\n}\n", []string{"", ` http { GET "/" }`}[i%2])
			}
			return b.String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			small, large := checked(t, text(500)), checked(t, text(2000))
			if len(large.placed) < 4*len(small.placed) {
				t.Fatalf("%d and %d rules without an error", len(small.placed), len(large.placed))
			}
			if large.compared > 5*small.compared+1000 {
				t.Errorf("%d comparisons for %d rules, %d for %d", small.compared, len(small.placed), large.compared, len(large.placed))
			}
		})
	}
}
