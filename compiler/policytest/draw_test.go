// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"mpol/lang"
	"mpol/lang/check"
)

// drawPolicies draws policies of a small universe: labels app = "a", "b" or "c", perhaps with a role,
// ports from 80 to 84, and a few requests.
func drawPolicies(t *rapid.T) string {
	text := "package p\n\ndefault " + rapid.SampledFrom([]string{"deny", "deny", "allow"}).Draw(t, "default") + "\n\n" +
		"workload a = app = \"a\"\n" + "workload b = app = \"b\" and not has role\n" + "workload c = app in [\"b\", \"c\"]\n"
	for i := range rapid.IntRange(1, 4).Draw(t, "policies") {
		text += drawPolicy(t, i)
	}
	return text
}

func drawPolicy(t *rapid.T, i int) string {
	tier := rapid.SampledFrom([]string{"", "", " in admin", " in baseline"}).Draw(t, "tier")
	text := fmt.Sprintf("\npolicy p%d for %s%s {\n", i, rapid.SampledFrom([]string{"a", "b", "c", "workloads", "host"}).Draw(t, "subject"), tier)
	blocks := rapid.SampledFrom([][]string{{"ingress", "egress"}, {"ingress"}, {"egress"}}).Draw(t, "blocks")
	for _, block := range blocks {
		text += "  " + block + " {\n"
		for j := range rapid.IntRange(1, 4).Draw(t, "rules") {
			text += fmt.Sprintf("    %s%d: %s\n", block[:1], j, drawRule(t, block, tier == ""))
		}
		text += "  }\n"
	}
	return text + "}\n"
}

func drawRule(t *rapid.T, block string, passing bool) string {
	actions := []string{"allow", "allow", "allow", "deny"}
	if passing {
		actions = append(actions, "pass")
	}
	action := rapid.SampledFrom(actions).Draw(t, "action")
	word := map[string]string{"ingress": "from", "egress": "to"}[block]
	peers := rapid.SampledFrom([]string{
		"a", "b", "c", "a, c", "workloads", "workloads except b", "any", "any except a", "world", "world except 203.0.113.0/24", "host",
		"203.0.113.0/24", "203.0.113.7, a", "10.0.0.0/8", "same app", "(has role)",
	}).Draw(t, "peers")
	l4 := rapid.SampledFrom([]string{"tcp/80", "tcp/81", "tcp/80-82", "tcp/82, tcp/84", "udp/80", "any", "tcp/83-84"}).Draw(t, "l4")
	text := fmt.Sprintf("%s %s %s on %s", action, word, peers, l4)
	if action != "pass" && strings.HasPrefix(l4, "tcp/") {
		text += rapid.SampledFrom([]string{"", "", "", ` http { GET "/a" }`, ` http { GET "/a/**", POST "/b" }`, ` http { any "/b" }`}).Draw(t, "l7")
	}
	return text
}

// drawn checks what was drawn, and draws again where it is wrong.
func drawn(t *rapid.T, text string) *check.Module {
	file, list := lang.Parse("p.mpol", []byte(text))
	m, more := check.Check([]*lang.File{file}, check.Options{})
	if m == nil || append(list, more...).HasErrors() {
		t.Skip("it has a mistake")
	}
	return m
}
