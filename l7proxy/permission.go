// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The constructors below build Envoy's RBAC permissions; an empty anyOf holds never, an empty
// allOf always, and a list of one is its element.

func always() *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_Any{Any: true}}
}

func not(p *rbacv3.Permission) *rbacv3.Permission {
	if inner, ok := p.Rule.(*rbacv3.Permission_NotRule); ok {
		return inner.NotRule
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_NotRule{NotRule: p}}
}

func isAlways(p *rbacv3.Permission) bool {
	_, ok := p.Rule.(*rbacv3.Permission_Any)
	return ok
}

func isNever(p *rbacv3.Permission) bool {
	n, ok := p.Rule.(*rbacv3.Permission_NotRule)
	return ok && isAlways(n.NotRule)
}

func anyOf(ps ...*rbacv3.Permission) *rbacv3.Permission {
	var rules []*rbacv3.Permission
	for _, p := range ps {
		if isAlways(p) {
			return p
		}
		if !isNever(p) {
			rules = append(rules, p)
		}
	}
	switch len(rules) {
	case 0:
		return not(always())
	case 1:
		return rules[0]
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_OrRules{OrRules: &rbacv3.Permission_Set{Rules: rules}}}
}

func allOf(ps ...*rbacv3.Permission) *rbacv3.Permission {
	var rules []*rbacv3.Permission
	for _, p := range ps {
		if isNever(p) {
			return p
		}
		if !isAlways(p) {
			rules = append(rules, p)
		}
	}
	switch len(rules) {
	case 0:
		return always()
	case 1:
		return rules[0]
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: &rbacv3.Permission_Set{Rules: rules}}}
}

func header(name string, value *matcherv3.StringMatcher) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: &routev3.HeaderMatcher{
		Name:                 name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: value},
	}}}
}

func urlPath(value *matcherv3.StringMatcher) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_UrlPath{UrlPath: &matcherv3.PathMatcher{
		Rule: &matcherv3.PathMatcher_Path{Path: value},
	}}}
}

func serverName(value *matcherv3.StringMatcher) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_RequestedServerName{RequestedServerName: value}}
}

func exact(text string, fold bool) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{
		MatchPattern: &matcherv3.StringMatcher_Exact{Exact: text},
		IgnoreCase:   fold,
	}
}

func prefix(text string, fold bool) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{
		MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: text},
		IgnoreCase:   fold,
	}
}

// expression matches a whole text: Envoy's safe_regex is a full match, and ours are anchored too.
func expression(text string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{
		SafeRegex: &matcherv3.RegexMatcher{Regex: text},
	}}
}

// portRange is the ports of our listeners, inclusive.
type portRange struct{ first, last uint16 }

// loop matches connections to our listeners themselves.
func (r portRange) loop() *rbacv3.Permission {
	at := func(prefix string, bits uint32) *rbacv3.Permission {
		return &rbacv3.Permission{Rule: &rbacv3.Permission_DestinationIp{DestinationIp: &corev3.CidrRange{
			AddressPrefix: prefix, PrefixLen: wrapperspb.UInt32(bits),
		}}}
	}
	ports := &rbacv3.Permission{Rule: &rbacv3.Permission_DestinationPortRange{
		DestinationPortRange: &typev3.Int32Range{Start: int32(r.first), End: int32(r.last) + 1},
	}}
	return allOf(ports, anyOf(at("127.0.0.0", 8), at("::1", 128)))
}
