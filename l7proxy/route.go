// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Names of the HTTP filters, in the order in which a request meets them. The part before the dash
// is the half in the log.
const (
	filterRefused      = "refused"
	filterEgressDeny   = "egress-deny"
	filterEgressAllow  = "egress-allow"
	filterIngressDeny  = "ingress-deny"
	filterIngressAllow = "ingress-allow"
)

func filterNames() []string {
	return []string{filterRefused, filterEgressDeny, filterEgressAllow, filterIngressDeny, filterIngressAllow}
}

// Keys of the policies of the filter "refused".
const (
	refusedEscape     = "refused:escape"
	refusedDots       = "refused:dots"
	refusedParameters = "refused:parameters"
	refusedBytes      = "refused:bytes"
	refusedLoop       = "refused:loop"
	refusedMethod     = "refused:method"
	refusedUser       = "refused:user"
	refusedByEnvoy    = "refused:" // and Envoy's own word, in the log only
)

// refused denies what Envoy lets through though it cannot be judged: a "%" without two hexadecimal
// digits, a segment of parameters only, bytes that are not printable ASCII, and the dot segments
// that its normalisation leaves: it decodes "%2e%2e;x" only after it has removed dot segments, and
// the rules would take what a server may understand as the parent for a segment. It also denies
// in HTTP/2 the methods that Envoy refuses in HTTP/1, in HTTP/1 a user in the Host, which it refuses
// in HTTP/2, and what was sent to a listener of ours and
// would be led there again without end.
func refused(own portRange) policies {
	ps := policies{}
	ps.add(refusedLoop, own.loop())
	ps.add(refusedEscape, header(":path", expression(
		`(?s)[^?]*%(?:[0-9A-Fa-f]?|[0-9A-Fa-f]?[^0-9A-Fa-f].*)`)))
	ps.add(refusedDots, header(":path", expression(`(?s)[^?]*/\.\.?(?:;[^/?]*)?(?:[/?].*)?`)))
	ps.add(refusedParameters, header(":path", expression(`(?s)[^?]*/;.*`)))
	ps.add(refusedUser, header(":authority", expression(`(?s).*@.*`)))
	ps.add(refusedMethod, not(header(":method", expression(knownMethods))))
	ps.add(refusedBytes, not(header(":path", expression(`[!-~]*`))))
	return ps
}

// knownMethods are those that Envoy takes in HTTP/1 (kValidMethods in its
// source/common/http/http1/balsa_parser.cc). CONNECT leads nowhere.
const knownMethods = `ACL|BIND|CHECKOUT|CONNECT|COPY|DELETE|GET|HEAD|LINK|LOCK|MERGE|MKACTIVITY|` +
	`MKCALENDAR|MKCOL|MOVE|MSEARCH|NOTIFY|OPTIONS|PATCH|POST|PROPFIND|PROPPATCH|PURGE|PUT|QUERY|` +
	`REBIND|REPORT|SEARCH|SOURCE|SUBSCRIBE|TRACE|UNBIND|UNLINK|UNLOCK|UNSUBSCRIBE`

// route is the part of an HTTP profile that a new generation changes. The rules hang on the route
// configuration, so that they apply to whatever route is chosen.
func (m *merged) route(name string, own portRange) *routev3.RouteConfiguration {
	filters := map[string]*anypb.Any{filterRefused: perRoute(filterRefused, refused(own), rbacv3.RBAC_DENY)}
	for _, half := range []struct {
		judgement   *judgement
		deny, allow string
	}{
		{m.egress, filterEgressDeny, filterEgressAllow},
		{m.ingress, filterIngressDeny, filterIngressAllow},
	} {
		if half.judgement == nil {
			filters[half.deny], filters[half.allow] = disabled(), disabled()
			continue
		}
		filters[half.deny] = disabled()
		if len(half.judgement.deny) > 0 {
			filters[half.deny] = perRoute(half.deny, half.judgement.deny, rbacv3.RBAC_DENY)
		}
		filters[half.allow] = perRoute(half.allow, half.judgement.allow, rbacv3.RBAC_ALLOW)
	}
	return &routev3.RouteConfiguration{
		Name:                               m.key,
		IgnorePathParametersInPathMatching: true,
		ValidateClusters:                   wrapperspb.Bool(false),
		VirtualHosts: []*routev3.VirtualHost{{
			Name:                 "all",
			Domains:              []string{"*"},
			TypedPerFilterConfig: filters,
			Routes: []*routev3.Route{{
				Name:  name,
				Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: clusterName},
					Timeout:          durationpb.New(0),
				}},
			}},
		}},
	}
}

// perRoute gives a filter its rules. Its name goes before what it writes into the log.
func perRoute(filter string, ps policies, action rbacv3.RBAC_Action) *anypb.Any {
	return packed(&httprbacv3.RBACPerRoute{Rbac: &httprbacv3.RBAC{
		Rules: ps.rbac(action), RulesStatPrefix: filter + ".",
	}})
}

func disabled() *anypb.Any { return packed(&routev3.FilterConfig{Disabled: true}) }

// names is the part of a TLS profile that a new generation changes: one DENY filter of all that a
// connection must not be, so that one resource changes both halves at once. Its shadow rules decide
// nothing: they write the id and the rule that allows into the log.
func (m *merged) names(id string, own portRange) *networkrbacv3.RBAC {
	deny, allow := policies{}, policies{}
	deny.add(refusedLoop, own.loop())
	for _, half := range []struct {
		judgement *judgement
		name      string
	}{{m.egress, "egress"}, {m.ingress, "ingress"}} {
		if half.judgement == nil {
			continue
		}
		deny.join(half.judgement.deny, half.name)
		allow.join(half.judgement.allow, half.name)
		deny.add(half.name+"/"+defaultKey, not(half.judgement.allow.permissions()))
	}
	return &networkrbacv3.RBAC{
		StatPrefix:            "profile",
		Rules:                 deny.rbac(rbacv3.RBAC_DENY),
		ShadowRules:           allow.rbac(rbacv3.RBAC_ALLOW),
		ShadowRulesStatPrefix: id + ".",
	}
}

// join adds the policies of a half, named after it: those of egress come first.
func (ps policies) join(of policies, half string) {
	for key, policy := range of {
		for _, p := range policy.Permissions {
			ps.add(half+"/"+key, p)
		}
	}
}
