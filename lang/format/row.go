// SPDX-License-Identifier: Apache-2.0

package format

import "mpol/lang"

// row says of what kind a line is. Neighbours of one kind are aligned.
type row uint8

const (
	rowBroken     row = iota // part of something on several lines
	rowBetween               // a comment or annotations: between rows
	rowInside                // what belongs to the row above
	rowOther                 // one cell
	rowDefinition            // workload | web | = app = "web" | and env = "prod"
	rowTier                  // tier site | order 50 | default pass
	rowBlock                 // ingress | { edge: allow from world on tcp/8443 }
	rowRule                  // edge: | allow | from world | on tcp/8443 | http { GET "/" }
	rowGiven                 // given w | = { app = "web" }
	rowAnswer                // given dns "a.example" | = 198.51.100.4
	rowLine                  // allow | w -> c | on tcp/8080 GET "/" | by cart.read
	rowProof                 // never from any | to pay | on any
)

// declRow returns the kind of a declaration on one line.
func declRow(ps []piece) row {
	switch ps[0].text() {
	case "workload", "cidrs", "domains", "service", "resolver":
		return rowDefinition
	case "tier":
		return rowTier
	}
	return rowOther
}

// lineRow returns the kind of a rule or of a line of a test or proof.
func lineRow(ps []piece) row {
	switch ps[0].text() {
	case "given":
		if len(ps) > 1 && ps[1].text() == "dns" {
			return rowAnswer
		}
		return rowGiven
	case "never", "always":
		return rowProof
	}
	if len(ps) > 2 && index(ps, 0, "->") < len(ps) {
		return rowLine
	}
	return rowRule
}

// cells cuts pieces that stand on one line into the cells of their row.
func cells(ps []piece, r row) []string {
	var cuts []int
	cut := func(lo int, words ...string) {
		cuts = append(cuts, index(ps, lo, words...))
	}
	switch r {
	case rowDefinition:
		cuts = append(cuts, 1)
		cut(0, "=")
		if ps[0].text() == "workload" {
			for i := cuts[1]; i < len(ps); {
				i = index(ps, i+1, "and", "or")
				cuts = append(cuts, i)
			}
		}
	case rowTier:
		cut(0, "order")
		cut(0, "default")
	case rowBlock:
		cut(0, "{")
	case rowGiven, rowAnswer:
		cut(0, "=")
	case rowRule:
		if ps[0].text() == "resolve" {
			break
		}
		label := 0
		if lang.IsLabel(*ps[0].token) {
			label = 1
		}
		cuts = append(cuts, label)
		cut(0, "from", "to")
		cut(0, "on")
		cut(0, "http", "grpc", "dns", "tls", "reject", "log")
	case rowLine:
		cuts = append(cuts, 1)
		cut(0, "on")
		cut(index(ps, 0, "on"), "by", "at")
	case rowProof:
		cut(0, "to")
		cut(0, "on")
	}
	var list []string
	lo := 0
	for _, hi := range append(cuts, len(ps)) {
		if hi < lo || hi == lo && hi > 0 {
			continue
		}
		text := flat(ps[lo:hi])
		list, lo = append(list, text), hi
	}
	return list
}
