// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/internal/source"
)

// estate is many policies, ten a file, each file for one app; the same in Rego for the peer; and
// workloads, ten an app. The app beside speaks to it, it speaks to the one beside.
type estate struct {
	apps, tests int // files, and lines of tests
	dir         string
	files       []source.File
	rego        []source.File
	inventory   program.Inventory
}

// Of each app there are so many policies and workloads, and of each test so many lines.
const (
	policiesAFile   = 10
	workloadsAnApp  = 10
	linesATest      = 100
	firstPort       = 5000 // of the first policy; each has one
	portOfRequests  = 8080
	regoTestsByLine = 20 // one line in so many is tested by the peer, which is slower
)

// newEstate writes the policies of some apps, and tests of some lines, below dir.
func newEstate(dir string, apps, tests int) (*estate, error) {
	e := &estate{apps: apps, tests: tests, dir: dir}
	for i := range apps {
		e.files = append(e.files, source.File{Name: filepath.Join(dir, "mpol", fmt.Sprintf("app%d.mpol", i)), Text: e.policies(i)})
		e.rego = append(e.rego, source.File{Name: filepath.Join(dir, "rego", fmt.Sprintf("app%d.rego", i)), Text: e.regoRules(i)})
	}
	e.inventory = e.workloads()
	written := slices.Concat(e.files, e.rego)
	for i := range max(1, tests/linesATest) {
		name := filepath.Join(dir, "tests", fmt.Sprintf("t%d_test.mpol", i))
		written = append(written, source.File{Name: name, Text: e.test(i)})
	}
	written = append(written,
		source.File{Name: filepath.Join(dir, "tests", "app.mpol"), Text: e.tested()},
		source.File{Name: filepath.Join(dir, "rego-tests", "app.rego"), Text: e.regoRules(0)},
		source.File{Name: filepath.Join(dir, "rego-tests", "app_test.rego"), Text: e.regoTests()},
	)
	for _, f := range written {
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(f.Name, f.Text, 0o600); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// size is how many bytes of text there are.
func size(files []source.File) (n int) {
	for _, f := range files {
		n += len(f.Text)
	}
	return n
}

func (e *estate) app(i int) string { return fmt.Sprintf("app%d", (i+e.apps)%e.apps) }

// policies is the text of an app's file.
func (e *estate) policies(i int) []byte {
	var b strings.Builder
	b.WriteString("package estate\n\n")
	if i == 0 {
		b.WriteString("default deny\n\n")
	}
	me, next, last := e.app(i), e.app(i+1), e.app(i-1)
	fmt.Fprintf(&b, "workload %[1]s = app = %[1]q and env = \"prod\" and not has legacy\n", me)
	fmt.Fprintf(&b, "domains vendor-%[1]s = \"api.%[1]s.example.com\", \"*.cdn-%[1]s.example.net\"\n", me)
	fmt.Fprintf(&b, "cidrs office-%s = 203.0.113.0/24, 2001:db8:7::/48 except 203.0.113.7\n", me)
	for j := range policiesAFile {
		port := firstPort + j
		fmt.Fprintf(&b, "\n## What %s may do, part %d.\n@owner(\"team-%d\") @ticket(\"SEC-%d\")\npolicy %s-%d for %s {\n  ingress {\n", me, j, i, j, me, j, me)
		fmt.Fprintf(&b, "    near:   allow from %s on tcp/%d\n    office: allow from office-%s on tcp/%d log\n", next, port, me, port+1000)
		if j == 0 {
			fmt.Fprintf(&b, "    read: allow from %s on tcp/%d http { GET \"/cart/{user}\", POST, DELETE \"/cart/{user}/items/**\" }\n", next, portOfRequests)
		} else {
			fmt.Fprintf(&b, "    probe: allow from %s on icmp/8, icmpv6/128\n", next)
		}
		fmt.Fprintf(&b, "  }\n  egress {\n    up: allow to %s on tcp/%d\n", last, port)
		switch j {
		case 0:
			fmt.Fprintf(&b, "    read-up: allow to %s on tcp/%d\n", last, portOfRequests)
		case 1:
			fmt.Fprintf(&b, "    out: allow to vendor-%s on tcp/443\n", me)
		default:
			fmt.Fprintf(&b, "    far: allow to 198.51.100.%d on tcp/%d\n", j, port)
		}
		b.WriteString("  }\n}\n")
	}
	return []byte(b.String())
}

// workloads are those of all apps, behind devices of this node.
func (e *estate) workloads() program.Inventory {
	inv := program.Inventory{
		Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Node: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	}
	for i := range e.apps * workloadsAnApp {
		inv.Workloads = append(inv.Workloads, program.Workload{
			Name: fmt.Sprintf("w%06d", i), Interface: fmt.Sprintf("v%d", i), Addresses: []netip.Addr{e.address(i)},
			Labels: []program.Label{{Key: "app", Value: e.app(i)}, {Key: "env", Value: "prod"}},
		})
	}
	return inv
}

// address is that of workload i; workloads i and i plus the number of apps are of one app.
func (e *estate) address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// tested is a file of policies that the tests are about.
func (e *estate) tested() []byte {
	return []byte(`package estate
default deny
workload a = app = "a"
workload b = app = "b"
@owner("team-a") policy a for a { ingress { read: allow from b on tcp/8080 http { GET "/cart/{user}" } near: allow from b on tcp/5000 } egress none }
@owner("team-b") policy b for b { ingress none egress { read: allow to a on tcp/8080 near: allow to a on tcp/5000 out: allow to "api.example.com" on tcp/443 } }
`)
}

// test is one file with one test.
func (e *estate) test(i int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "package estate\ntest \"t%d\" {\n  given a = { app = \"a\" }\n  given b = { app = \"b\" }\n", i)
	b.WriteString("  given dns \"api.example.com\" = 198.51.100.4\n")
	for j := range linesATest / 4 {
		fmt.Fprintf(&b, "  allow b -> a on tcp/5000 by a.near\n  deny b -> a on tcp/%d\n", 6000+j)
		fmt.Fprintf(&b, "  allow b -> a on tcp/8080 GET \"/cart/%d\"\n  allow b -> \"api.example.com\" on tcp/443\n", j)
	}
	b.WriteString("}\n")
	return []byte(b.String())
}
