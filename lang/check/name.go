// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// pattern reads a name pattern. A wildcard at or above a public suffix needs
// @allow("broad-domain", "reason") among the annotations.
func (c *checker) pattern(t lang.Token, annotations []*lang.Annotation) (program.NamePattern, bool) {
	labels, fault := nameLabels(lang.Text(t))
	if fault != "" {
		c.errorAt(diag.BadNamePattern, lang.SpanOf(t), fmt.Sprintf("%s is no name pattern: %s", t.Value, fault), nameHelp(lang.Text(t)))
		return "", false
	}
	if broad(labels) && !allows(annotations, "broad-domain") {
		c.errorAt(diag.BroadDomain, lang.SpanOf(t), fmt.Sprintf("%s covers names of many owners", t.Value),
			`write the public suffix and the label before it out, or annotate @allow("broad-domain", "reason")`)
		return "", false
	}
	return program.NamePattern(strings.Join(labels, ".")), true
}

// quotedName warns of a name of the DNS that is written as something declared is, or a word for peers.
func (c *checker) quotedName(t lang.Token) {
	text, kind := lang.Text(t), ""
	if s := c.lookUp(c.at.pkg, sets, text); s != nil {
		kind = oneOf([]string{s.kind})
	} else if _, ok := builtin(text); ok {
		kind = "a word for peers"
	}
	if kind != "" {
		c.quoted(t, kind)
	}
}

// quoted warns of a string that is the name of something else.
func (c *checker) quoted(t lang.Token, kind string) {
	text := lang.Text(t)
	c.warnAt(diag.QuotedName, lang.SpanOf(t), fmt.Sprintf("%s is a name of the DNS; without quotes it is %s", t.Value, kind),
		fmt.Sprintf("write %s, or %q if the name of the DNS is meant", text, text+"."))
}

// name reads a name without wildcards.
func (c *checker) name(t lang.Token) (program.Name, bool) {
	labels, fault := nameLabels(lang.Text(t))
	if fault == "" && slices.ContainsFunc(labels, wild) {
		fault = "a test states one name"
	}
	if fault != "" {
		c.errorAt(diag.BadNamePattern, lang.SpanOf(t), fmt.Sprintf("%s is no name: %s", t.Value, fault), nameHelp(strings.ReplaceAll(lang.Text(t), "*", "a")))
		return nil, false
	}
	return program.Name(labels), true
}

func wild(label string) bool { return strings.Contains(label, "*") }

// allows reports whether annotations hold @allow(what, "reason") with a reason.
func allows(annotations []*lang.Annotation, what string) bool {
	return slices.ContainsFunc(annotations, func(a *lang.Annotation) bool {
		values := lang.Items(a.Values)
		return a.Key.Value == "allow" && len(values) == 2 && lang.Text(values[0]) == what && strings.TrimSpace(lang.Text(values[1])) != ""
	})
}

// nameLabels splits a pattern into canonical labels, or says what is wrong with it.
func nameLabels(text string) (labels []string, fault string) {
	text = strings.NewReplacer("。", ".", "．", ".", "｡", ".").Replace(text)
	if _, err := netip.ParseAddr(text); err == nil {
		return nil, "it is an address"
	}
	text = strings.TrimSuffix(text, ".")
	if text == "" {
		return nil, "it is empty"
	}
	labels = strings.Split(text, ".")
	for i, l := range labels {
		if labels[i], fault = canonicalLabel(l, i == 0); fault != "" {
			return nil, fault
		}
	}
	last := labels[len(labels)-1]
	switch {
	case len(strings.Join(labels, ".")) > 253:
		return nil, "it is longer than 253 characters"
	case strings.Trim(last, "0123456789") == "" && last != "":
		return nil, "its last label is a number"
	}
	return labels, ""
}

func canonicalLabel(l string, leftmost bool) (label, fault string) {
	switch {
	case l == "":
		return "", "it has an empty label"
	case l == "**" && leftmost:
		return l, ""
	case strings.Contains(l, "**"):
		return "", "** stands only as the leftmost whole label"
	}
	l = strings.ToLower(l)
	if !plain(l) || strings.HasPrefix(l, "xn--") {
		if wild(l) {
			return "", "a label with * is written in ASCII"
		}
		profile := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.BidiRule())
		ascii, err := profile.ToASCII(l)
		if err != nil || !plain(ascii) {
			return "", fmt.Sprintf("%q is no label", l)
		}
		l = ascii
	}
	if len(l) > 63 {
		return "", "a label is longer than 63 characters"
	}
	return l, ""
}

// plain reports whether a label is made of what canonical text may hold.
func plain(l string) bool {
	return l != "" && strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_*") == ""
}

// broad reports whether a pattern has a wildcard within the public suffix of its names or the label
// before it.
func broad(labels []string) bool {
	if !slices.ContainsFunc(labels, wild) {
		return false
	}
	probe := slices.Clone(labels)
	for i, l := range probe {
		if wild(l) {
			probe[i] = "mpol-probe"
		}
	}
	if labels[0] == "**" {
		// A wildcard rule of the suffix list reaches one label further up than its text.
		probe = append([]string{"mpol-probe"}, probe...)
		labels = append([]string{"*"}, labels...)
	}
	suffix, _ := publicsuffix.PublicSuffix(strings.Join(probe, "."))
	needed := strings.Count(suffix, ".") + 2
	return len(labels) < needed || slices.ContainsFunc(labels[len(labels)-needed:], wild)
}

// patternUse notes where a pattern is used and whose its names are.
func (c *checker) patternUse(p program.NamePattern, use string, span diag.Span) Pattern {
	owner, known := c.registrable[p]
	if !known {
		owner = registrableOf(p.Labels())
		c.registrable[p] = owner
	}
	return Pattern{Pattern: p, Use: use, Wild: wild(string(p)), Registrable: owner, Span: span}
}

// registrableOf returns the registrable domain of every name of a pattern, empty when its names have
// several or none.
func registrableOf(labels []string) string {
	if broad(labels) {
		return ""
	}
	literal := labels
	for i, l := range labels {
		if wild(l) {
			literal = labels[i+1:]
		}
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(strings.Join(literal, "."))
	if err != nil {
		return ""
	}
	return domain
}
