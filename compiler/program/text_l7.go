// SPDX-License-Identifier: Apache-2.0

package program

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String returns l as the language writes it.
func (l *L7) String() string {
	var parts []string
	switch {
	case l.Pinned:
		return "tls pinned"
	case len(l.GRPC) > 0:
		for _, g := range l.GRPC {
			parts = append(parts, strconv.Quote(g.String()))
		}
		return fmt.Sprintf("grpc { %s }", strings.Join(parts, ", "))
	}
	switch l.Kind {
	case L7HTTP:
		for _, h := range l.HTTP {
			parts = append(parts, h.String())
		}
	case L7TLS:
		names := []Domain{{Patterns: l.SNI}}
		if len(l.SNI) == 0 {
			names = nil
		}
		for i, s := range append(names, l.SNISets...) {
			word := ""
			if i == 0 {
				word = "sni "
			}
			parts = append(parts, word+s.String())
		}
	case L7DNS:
		parts = append(parts, joinPatterns(l.DNS))
		if len(l.Types) > 0 {
			parts = append(parts, fmt.Sprintf("types %v", l.Types))
		}
	}
	return fmt.Sprintf("%s { %s }", l.Kind, strings.Join(parts, ", "))
}

// String returns h as the language writes it.
func (h HTTPRequest) String() string {
	methods := "any"
	if len(h.Methods) > 0 {
		methods = strings.Join(slices.Sorted(slices.Values(h.Methods)), ", ")
	}
	text := methods + " "
	if h.Path.Regexp != "" {
		text += "~"
	}
	text += strconv.Quote(h.Path.Text)
	if h.Host != nil {
		text += fmt.Sprintf(" host %q", string(*h.Host))
	}
	for _, c := range h.Headers {
		text += fmt.Sprintf(" header %q %s", c.Name, c.Op)
		if c.Op > HeaderAbsent {
			text += fmt.Sprintf(" %q", c.Value)
		}
	}
	if h.Upgrade != "" {
		text += fmt.Sprintf(" upgrade %q", h.Upgrade)
	}
	return text
}

// String returns g as the language writes it, without quotes.
func (g GRPCMethod) String() string {
	if g.Method == "" {
		return g.Service + "/*"
	}
	return g.Service + "/" + g.Method
}
