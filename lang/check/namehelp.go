// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"net/netip"
	"strings"

	"mpol/lang"
)

// nameHelp says how what is no name pattern was probably meant: an address, or the name in an address of
// the web, in a list of hosts without a proxy, or in words.
func nameHelp(text string) string {
	if p, err := lang.ParsePrefix(strings.TrimSpace(text)); err == nil {
		if p.IsSingleIP() {
			return fmt.Sprintf("write %s, without quotes", p.Addr())
		}
		return fmt.Sprintf("write %s, without quotes", p.Masked())
	}
	name, port := hostOf(strings.TrimSpace(text))
	if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return fmt.Sprintf("write %s, without quotes%s", a, port)
	}
	name = plainName(name)
	if _, fault := nameLabels(name); fault != "" || name == "**" {
		return `a name is labels of letters, digits, - and _ with dots between, such as "api.example.com"`
	}
	return fmt.Sprintf("write %q%s", name, port)
}

// hostOf returns the host of text as browsers show it, and where its port is written.
func hostOf(text string) (host, port string) {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	text = text[:strings.IndexAny(text+"/", "/?#")]
	text = text[strings.LastIndexByte(text, '@')+1:]
	i := strings.LastIndexByte(text, ':')
	if i < 0 || strings.Trim(text[i+1:], "0123456789") != "" || strings.Count(text, ":") > 1 && !strings.HasSuffix(text[:i], "]") {
		return text, ""
	}
	if n, ok := number(text[i+1:], 65535); ok && n > 0 {
		port = fmt.Sprintf(", and its port behind on: tcp/%d", n)
	}
	return text[:i], port
}

// plainName mends the labels of a name: a dot before them stands for all below, ** for one of them.
func plainName(name string) string {
	if rest, ok := strings.CutPrefix(name, "."); ok {
		name = "**." + rest
	}
	var labels []string
	for _, l := range strings.Split(name, ".") {
		switch {
		case l == "**": // what is before it may be anything
			labels = []string{l}
		case l != "":
			labels = append(labels, strings.ReplaceAll(l, "**", "*"))
		}
	}
	return strings.Join(labels, ".")
}
