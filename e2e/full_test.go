// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"mpol/e2e/lab"
)

// TestNames_full edits the rules of an address that has as many names as fit: the edit comes into
// force all the same.
func TestNames_full(t *testing.T) {
	t.Parallel()
	const slots = 4
	var records []string
	var rules, domains strings.Builder
	for i := range slots {
		records = append(records, fmt.Sprintf("n%d.full.example. 600 IN A 198.51.100.10", i))
		fmt.Fprintf(&domains, "domains d%d = \"n%d.full.example\"\n", i, i)
		fmt.Fprintf(&rules, "    n%d: allow to d%d on tcp/%d\n", i, i, 7000+i)
	}
	begin := domains.String() + "@owner(\"net\") policy one for one {\n  egress {\n    two: allow to two on tcp/7000\n"
	n := start(t, setup{records: records, policy: begin + rules.String() + "  }\n}\n"})
	two := at(n.Workloads[1].IPv4.String(), 7000)
	_, err := n.Workloads[1].Echo(two)
	check(t, err)
	_, err = n.Outside.Echo(at("198.51.100.10", 7000))
	check(t, err)
	one := n.Device(0)
	for i := range slots {
		compare(t, step{fmt.Sprintf("name %d", i), dig(t, one, n.Resolver4, fmt.Sprintf("n%d.full.example", i), "A"), "1 address"})
	}
	compare(t,
		step{"what a name opens", tcp(t, one, at("198.51.100.10", 7000)), lab.Answered},
		step{"what the edit is to close, before", tcp(t, one, two), lab.Answered})
	edited := strings.ReplaceAll(begin, ".full.example\"\n", ".full.example\", \"more.example\"\n")
	check(t, n.Apply(t.Context(), policyFile, begin, strings.Replace(edited, "tcp/7000", "tcp/7009", 1)))
	compare(t, step{"what the edit closes", tcp(t, one, two), lab.Refused})
}
