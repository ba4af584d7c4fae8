// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mpol/lang"
	"mpol/lang/diag"
)

// declareHelp says what to write for a name that nothing has and that is like no other.
func declareHelp(r ref, kinds []string) string {
	word := strings.ToLower(r.name)
	switch {
	case r.pkg != "":
		return fmt.Sprintf("declare it in package %s", r.pkg)
	case r.orLabel:
		return fmt.Sprintf("declare it: %s; or, of a label with any value, write has %s", declaration(kinds[0], r.name), r.name)
	case slices.Contains(kinds, "workload") && len(kinds) > 1:
		if peer := peerWord(word); peer != "" {
			return "write " + peer
		}
	case slices.Contains(kinds, "service"):
		if word == "all" || word == "every" || word == "everything" {
			return "write any"
		}
		if l4 := lang.WellKnown(word); l4 != "" {
			return fmt.Sprintf("write %s, or declare service %s = %s", l4, r.name, l4)
		}
	}
	return "declare it: " + declaration(kinds[0], r.name)
}

// declaration shows how a name of a kind is declared.
func declaration(kind, name string) string {
	switch kind {
	case "cidrs":
		return fmt.Sprintf("cidrs %s = 203.0.113.0/24", name)
	case "domains":
		return fmt.Sprintf("domains %s = \"api.vendor.example\"", name)
	case "service":
		return fmt.Sprintf("service %s = tcp/8080", name)
	case "resolver":
		return fmt.Sprintf("resolver %s = 10.0.0.53 on udp/53, tcp/53", name)
	}
	return fmt.Sprintf("workload %s = app = %q", name, name)
}

// peerWord returns the word of the language for a peer that other languages call by another, empty when
// there is none.
func peerWord(word string) string {
	switch word {
	case "all", "anyone", "anybody", "everyone", "everything", "anywhere":
		return "any"
	case "localhost", "node", "machine":
		return "host"
	case "public", "external", "outside":
		return "internet"
	case "cluster", "pods", "containers":
		return "workloads"
	}
	return ""
}

// otherKind returns help for a name of another kind than its place takes: the nearest that is right, or
// how such a name is declared.
func (c *checker) otherKind(home *pkg, in space, r ref, s *symbol, kinds []string) string {
	if near := diag.DidYouMean(r.text(), c.namesOf(home, in, r.pkg, kinds)); near != "" {
		return near
	}
	if slices.Contains(kinds, "workload") && s.kind == "cidrs" {
		return "cidrs are addresses: a policy governs workloads or the host, a resolver is a workload, the host or one prefix"
	}
	return fmt.Sprintf("declare %s of another name: %s", oneOf(kinds[:1]), declaration(kinds[0], r.name+"-"+kinds[0]))
}

// givenHelp shows how a party of a test is given: one that is named like a workload by labels that meet it.
func (c *checker) givenHelp(name string) string {
	labels := `app = "web"`
	if s := c.at.pkg.names[sets][name]; s != nil && s.selector != nil {
		chosen, _ := model(s.selector, s.size)
		var texts []string
		for _, key := range slices.Sorted(maps.Keys(chosen)) {
			ch := chosen[key]
			if !ch.present {
				continue
			}
			value := ch.value
			if ch.other {
				value = "x"
			}
			texts = append(texts, fmt.Sprintf("%s = %q", keyText(key), value))
		}
		labels = strings.Join(texts, ", ")
	}
	return fmt.Sprintf("write given %s = { %s }", name, labels)
}

// keyText returns the key of a label as a file writes it.
func keyText(key string) string {
	if lang.IsIdentifier(key) {
		return key
	}
	return strconv.Quote(key)
}
