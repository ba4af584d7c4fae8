// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"regexp"
	"slices"
	"strings"

	"mpol/compiler/program"
)

// DNS types.
const (
	typeA     = 1
	typeAAAA  = 28
	typeSVCB  = 64
	typeHTTPS = 65
	typeANY   = 255
)

// addressTypes are those that a domain peer and a dns allow without types let through.
func addressTypes() []uint16 { return []uint16{typeA, typeAAAA, typeHTTPS, typeSVCB} }

// content is what a flow holds, made ready for comparing. The zero value is nothing.
type content struct {
	kind program.L7Kind
	http *HTTP
	path judged
	// name is the Host or server name, empty for one that is no name; readable is false where there
	// is nothing to compare.
	name     *program.Name
	readable bool
	question *Question
	re       expressions
}

// expressions are those that were compiled, nil for one that is none.
type expressions map[string]*regexp.Regexp

func (es expressions) compile(text string) *regexp.Regexp {
	re, ok := es[text]
	if !ok {
		re, _ = regexp.Compile(text)
		es[text] = re
	}
	return re
}

// read makes f's content ready if it is of the kind that the flow must speak. The reason is ByRule
// if rules may judge it.
func (e *Evaluator) read(f *Flow, kind program.L7Kind) (content, Reason) {
	c := content{kind: kind, question: f.Question, http: f.HTTP, re: e.re}
	switch {
	case kind == program.L7DNS && f.Question != nil:
		return c, ByRule
	case kind == program.L7TLS && f.TLS != nil:
		var name program.Name
		if f.TLS.Present {
			name, c.readable = hostName(f.TLS.ServerName, false)
		}
		c.name = &name
		return c, ByRule
	case kind == program.L7HTTP && f.HTTP != nil:
		raw := f.HTTP.Path
		if raw == "" && isConnect(f.HTTP.Method) {
			raw = "/" // a CONNECT has an authority and no path
		}
		path, ok := judgePath(raw)
		if !ok || !IsMessage(f.HTTP) {
			return c, Refused
		}
		name, ok := hostName(f.HTTP.Host, true)
		c.path, c.name, c.readable = path, &name, ok
		return c, ByRule
	}
	return c, Unreadable
}

// hostName reads a host: labels of letters, digits, "-" and "_", one trailing dot dropped, a port
// dropped where there may be one. An IPv6 literal can be read but is no name.
func hostName(text string, port bool) (program.Name, bool) {
	if i := strings.LastIndexByte(text, ':'); port && i >= 0 && digits(text[i+1:]) {
		text = text[:i]
	}
	text = strings.TrimSuffix(text, ".")
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return nil, ok && inner != "" && strings.Trim(inner, "0123456789abcdefABCDEF:.") == ""
	}
	if strings.HasSuffix(text, ".") {
		return nil, false // of two, which ParseName would drop
	}
	name := program.ParseName(text)
	for _, l := range name {
		if l == "" || strings.ContainsFunc(l, func(r rune) bool { return !isLabelRune(r) }) {
			return nil, false
		}
	}
	return name, len(name) > 0
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func isLabelRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

// matches reports whether c is a request that r speaks of. A rule without L7 part speaks of all.
func (c content) matches(r *program.Rule) bool {
	deny := r.Action == program.Deny
	switch {
	case r.L7 == nil:
		return r.Action != program.Allow || c.question == nil || c.question.Type != typeANY
	case r.L7.Kind != c.kind:
		return deny
	case c.kind == program.L7HTTP:
		return slices.ContainsFunc(r.L7.HTTP, func(h program.HTTPRequest) bool { return c.isHTTP(h, deny) }) ||
			slices.ContainsFunc(r.L7.GRPC, func(g program.GRPCMethod) bool { return c.isGRPC(g, deny) })
	case c.kind == program.L7TLS:
		return r.L7.Pinned || c.isName(r.L7.SNI, deny) || c.isNameOf(r.L7.SNISets, deny) // what is pinned is compared with names
	}
	types := r.L7.Types
	if len(types) == 0 && !deny {
		types = addressTypes()
	}
	return (len(types) == 0 || slices.Contains(types, c.question.Type)) &&
		slices.ContainsFunc(r.L7.DNS, func(p program.NamePattern) bool { return p.Matches(c.question.Name) })
}

// isName compares the Host or server name. One that cannot be read matches a deny and no allow.
func (c content) isName(patterns []program.NamePattern, deny bool) bool {
	if !c.readable {
		return deny
	}
	return slices.ContainsFunc(patterns, func(p program.NamePattern) bool { return p.Matches(*c.name) })
}

// isNameOf compares it with the names of domains.
func (c content) isNameOf(sets []program.Domain, deny bool) bool {
	if !c.readable {
		return deny
	}
	return slices.ContainsFunc(sets, func(d program.Domain) bool { return d.Matches(*c.name) })
}

// matchPath compares a judged path with a pattern. An expression of an allow matches only what came
// with its escapes in upper case: the proxy sees them as they came, and an expression can tell.
func (c content) matchPath(p program.PathPattern, deny bool) bool {
	if p.Regexp != "" {
		return (deny || !c.path.lower) && c.matchRegexp(p.Regexp, deny)
	}
	segments := c.path.segments
	if len(segments) < len(p.Segments) || len(segments) > len(p.Segments) && !p.Subtree {
		return false
	}
	for i, s := range p.Segments {
		if !s.Any && s.Literal != segments[i] && !(deny && strings.EqualFold(s.Literal, segments[i])) {
			return false
		}
	}
	return p.Subtree || deny || len(segments) == 0 || strings.HasSuffix(c.path.text, "/") == p.TrailingSlash
}

// matchRegexp compares a whole path. A deny ignores a slash at the end of either. An expression that
// is none matches what a deny asks.
func (c content) matchRegexp(expression string, deny bool) bool {
	if !deny {
		re := c.re.compile(`\A(?s:` + expression + `)\z`)
		return re != nil && re.MatchString(c.path.text)
	}
	if cut, ok := strings.CutSuffix(expression, "/"); ok && !strings.HasSuffix(cut, `\`) {
		expression = cut
	}
	expression = strings.TrimSuffix(expression, `\/`)
	re := c.re.compile(`\A(?is:` + expression + `)/?\z`)
	return re == nil || re.MatchString(c.path.text)
}
