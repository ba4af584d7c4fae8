// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"slices"
	"strings"

	"mpol/compiler/program"
)

const connect = "CONNECT"

func isConnect(method string) bool { return strings.EqualFold(method, connect) }

// asksConnect reports whether r names the method CONNECT, which "any" does not.
func asksConnect(r program.HTTPRequest) bool { return slices.Contains(r.Methods, connect) }

// isHTTP: an allow compares exactly; a deny ignores case in method and path and a trailing slash.
func (c content) isHTTP(r program.HTTPRequest, deny bool) bool {
	return c.isMethod(r.Methods, deny) &&
		c.matchPath(r.Path, deny) &&
		(r.Host == nil || c.isName([]program.NamePattern{*r.Host}, deny)) &&
		!slices.ContainsFunc(r.Headers, func(h program.Header) bool { return !c.isHeader(h, deny) }) &&
		c.isUpgrade(r.Upgrade, deny)
}

// isMethod: no methods are any but CONNECT.
func (c content) isMethod(methods []string, deny bool) bool {
	if len(methods) == 0 {
		return !isConnect(c.http.Method)
	}
	return slices.ContainsFunc(methods, func(m string) bool {
		return m == c.http.Method || deny && strings.EqualFold(m, c.http.Method)
	})
}

// isUpgrade: what names no protocol speaks, in an allow, of requests that ask for no change and, in a
// deny, of all.
func (c content) isUpgrade(protocol string, deny bool) bool {
	return protocol == "" && deny || strings.EqualFold(protocol, c.http.Upgrade)
}

// isHeader: in an allow every line must satisfy the condition, in a deny one line suffices. Without a
// line "absent" and "!=" hold.
func (c content) isHeader(h program.Header, deny bool) bool {
	lines, satisfying := 0, 0
	for _, line := range c.http.Headers {
		if !strings.EqualFold(line.Name, h.Name) {
			continue
		}
		lines++
		if c.satisfies(h, line.Value, deny) {
			satisfying++
		}
	}
	switch {
	case h.Op == program.HeaderAbsent:
		return lines == 0
	case lines == 0:
		return h.Op == program.HeaderNotEqual
	case deny:
		return satisfying > 0
	}
	return satisfying == lines
}

// satisfies compares one line. A value that no expression can read satisfies a deny and no allow.
func (c content) satisfies(h program.Header, value string, deny bool) bool {
	switch h.Op {
	case program.HeaderEqual:
		return value == h.Value
	case program.HeaderNotEqual:
		return value != h.Value
	case program.HeaderMatches:
		re := c.re.compile(`\A(?s:` + h.Value + `)\z`)
		if re == nil || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
			return deny
		}
		return re.MatchString(value)
	}
	return true
}

// isGRPC: a POST over HTTP/2 to the method's path with a content type of gRPC on every line or, in a
// deny, on one.
func (c content) isGRPC(g program.GRPCMethod, deny bool) bool {
	path := program.PathPattern{Segments: []program.Segment{{Literal: g.Service}, {Literal: g.Method, Any: g.Method == ""}}}
	lines, grpc := 0, 0
	for _, line := range c.http.Headers {
		if strings.EqualFold(line.Name, "content-type") {
			lines++
			if isGRPCType(line.Value, deny) {
				grpc++
			}
		}
	}
	return c.http.Two && c.isMethod([]string{"POST"}, deny) && c.matchPath(path, deny) &&
		grpc > 0 && (deny || grpc == lines) && c.isUpgrade("", deny)
}

// isGRPCType reports whether a content type is application/grpc, perhaps with a suffix or
// parameters. A deny ignores case.
func isGRPCType(value string, deny bool) bool {
	if deny {
		value = strings.ToLower(value)
	}
	rest, ok := strings.CutPrefix(value, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
