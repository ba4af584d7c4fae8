// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"regexp"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"mpol/compiler/program"
)

// matcher translates request rules of one kind and action. An allow compares exactly and never
// matches what cannot be read; a deny folds case, ignores a trailing slash and matches it.
type matcher struct {
	kind program.L7Kind
	deny bool
}

func (m matcher) rule(r *program.RequestRule) *rbacv3.Permission {
	return allOf(m.names(r.Names), m.requests(r))
}

func (m matcher) requests(r *program.RequestRule) *rbacv3.Permission {
	if r.Every {
		return always()
	}
	var ps []*rbacv3.Permission
	switch {
	case m.kind == program.L7HTTP && len(r.HTTP) > 0 && len(r.GRPC) == 0:
		for i := range r.HTTP {
			ps = append(ps, m.request(&r.HTTP[i]))
		}
	case m.kind == program.L7TLS && len(r.SNI)+len(r.SNISets) > 0:
		if len(r.SNI) > 0 {
			ps = append(ps, m.name(r.SNI))
		}
		for i := range r.SNISets {
			ps = append(ps, m.names(&r.SNISets[i]))
		}
	default:
		return m.unknown()
	}
	return anyOf(ps...)
}

// unknown stands for what this package cannot compare: no allow matches it, every deny does.
func (m matcher) unknown() *rbacv3.Permission {
	if m.deny {
		return always()
	}
	return not(always())
}

func (m matcher) request(r *program.HTTPRequest) *rbacv3.Permission {
	if len(r.Headers) > 0 || r.Upgrade != "" {
		return m.unknown()
	}
	p := allOf(m.methods(r.Methods), m.path(r.Path))
	if r.Host != nil {
		p = allOf(p, m.name([]program.NamePattern{*r.Host}))
	}
	return p
}

// methods of no entry are all but CONNECT, which no route of ours leads anywhere.
func (m matcher) methods(methods []string) *rbacv3.Permission {
	if len(methods) == 0 {
		if m.deny {
			return always()
		}
		return not(header(":method", exact("CONNECT", true)))
	}
	ps := make([]*rbacv3.Permission, len(methods))
	for i, method := range methods {
		ps[i] = header(":method", exact(method, m.deny))
	}
	return anyOf(ps...)
}

func (m matcher) path(p program.PathPattern) *rbacv3.Permission {
	text, literal := pathLiteral(p)
	switch {
	case !literal:
		path := rooted(anchored(pathRegexp(p, m.deny), "", m.deny))
		if p.Regexp != "" && !m.deny {
			path = allOf(path, not(urlPath(expression(lowerEscape))))
		}
		return path
	case p.Subtree:
		below := urlPath(prefix(text+"/", m.deny))
		if text == "" {
			return below
		}
		return anyOf(urlPath(exact(text, m.deny)), below)
	case text == "":
		return anyOf(urlPath(exact("/", m.deny)), urlPath(exact(slashes, m.deny)))
	case m.deny:
		return anyOf(urlPath(exact(text, true)), urlPath(exact(text+"/", true)))
	case p.TrailingSlash:
		return urlPath(exact(text+"/", false))
	}
	return urlPath(exact(text, false))
}

// slashes is what Envoy makes of a path of two or more slashes. The judged form is "/".
const slashes = "//"

// lowerEscape finds an escape with a lower-case digit. Envoy leaves it so, the judged form has upper
// case, and an expression can tell them apart: such a path matches no expression of an allow. In a
// deny, which folds case, both are the same.
const lowerEscape = `(?s).*%(?:[a-f].|.[a-f]).*`

// rooted matches an expression, and two slashes as it matches one.
func rooted(e string) *rbacv3.Permission {
	p, two := urlPath(expression(e)), urlPath(exact(slashes, false))
	if matches(e, "/") {
		return anyOf(p, two)
	}
	return allOf(p, not(two))
}

// matches is false for what is no expression, which Envoy refuses.
func matches(e, text string) bool {
	re, err := regexp.Compile(e)
	return err == nil && re.MatchString(text)
}

// names holds for every request when d is nil.
func (m matcher) names(d *program.Domain) *rbacv3.Permission {
	if d == nil {
		return always()
	}
	p := m.name(d.Patterns)
	if len(d.Except) > 0 {
		except := matcher{kind: m.kind} // what cannot be read is no exception
		p = allOf(p, not(except.name(d.Except)))
	}
	for i := range d.Less {
		p = allOf(p, not(matcher{kind: m.kind}.names(&d.Less[i])))
	}
	return p
}

// name compares the Host or the server name, as the kind says, with some patterns.
func (m matcher) name(patterns []program.NamePattern) *rbacv3.Permission {
	ps := make([]*rbacv3.Permission, 0, len(patterns)+1)
	for _, pattern := range patterns {
		ps = append(ps, m.subject(nameRegexp(pattern)))
	}
	if m.deny {
		ps = append(ps, not(m.subject(readableHost)))
	}
	return anyOf(ps...)
}

func (m matcher) subject(name string) *rbacv3.Permission {
	field, tail := serverName, sniTail
	if m.kind == program.L7HTTP {
		field, tail = func(value *matcherv3.StringMatcher) *rbacv3.Permission {
			return header(":authority", value)
		}, hostTail
	}
	return field(expression(anchored(name, tail, true)))
}
