// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	preservecasev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/header_formatters/preserve_case/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Limits of a client's HTTP connection, after Envoy's page on edge proxies.
const (
	maxHeaders          = 100
	maxHeadersKB        = 60
	maxStreams          = 100
	streamWindow        = 64 << 10
	connectionWindow    = 1 << 20
	bufferLimit         = 32 << 10
	idleTimeout         = time.Hour
	streamIdleTimeout   = 5 * time.Minute
	headersTimeout      = 10 * time.Second
	helloTimeout        = 5 * time.Second
	connectTimeout      = 10 * time.Second
	streamResetBurst    = 1000
	streamResetRate     = 33
	maxPriorityFrames   = 100
	maxEmptyFrames      = 1
	maxWindowUpdates    = 10
	maxOutboundControls = 1000
)

// connectionManager reads HTTP so that what the rules see is what the server will see, and denies
// everything until a route configuration brings rules. It takes nothing and adds what Envoy cannot
// be told to leave out: X-Forwarded-Proto to a request and Date to a response without one.
func (m *merged) connectionManager() *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix: "profile",
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource: adsSource(), RouteConfigName: m.key,
		}},
		HttpFilters: httpFilters(),
		AccessLog:   m.requestLog(),

		// What cannot be judged is refused or brought into the form that is judged.
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_REJECT_REQUEST,
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
			IdleTimeout:                  durationpb.New(idleTimeout),
			MaxHeadersCount:              wrapperspb.UInt32(maxHeaders),
		},
		HttpProtocolOptions:   http1Options(),
		Http2ProtocolOptions:  http2Options(),
		MaxRequestHeadersKb:   wrapperspb.UInt32(maxHeadersKB),
		RequestHeadersTimeout: durationpb.New(headersTimeout),
		StreamIdleTimeout:     durationpb.New(streamIdleTimeout),

		// Nothing added, nothing taken.
		UseRemoteAddress:           wrapperspb.Bool(false),
		InternalAddressConfig:      nobodyIsInternal(),
		SkipXffAppend:              true,
		GenerateRequestId:          wrapperspb.Bool(false),
		ServerHeaderTransformation: hcmv3.HttpConnectionManager_PASS_THROUGH,
		ForwardClientCertDetails:   hcmv3.HttpConnectionManager_ALWAYS_FORWARD_ONLY,
		Proxy_100Continue:          true,
	}
}

// nobodyIsInternal keeps x-envoy-* control headers of private addresses from being obeyed: Envoy
// strips them from whom it does not trust. One address that no flow has stands for nobody, since an
// empty list means the private ranges.
func nobodyIsInternal() *hcmv3.HttpConnectionManager_InternalAddressConfig {
	return &hcmv3.HttpConnectionManager_InternalAddressConfig{CidrRanges: []*corev3.CidrRange{{
		AddressPrefix: "127.255.255.255", PrefixLen: wrapperspb.UInt32(32),
	}}}
}

func httpFilters() []*hcmv3.HttpFilter {
	var filters []*hcmv3.HttpFilter
	for _, name := range filterNames() {
		filters = append(filters, &hcmv3.HttpFilter{
			Name: name,
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&httprbacv3.RBAC{
				Rules: &rbacv3.RBAC{}, // allows nothing
			})},
		})
	}
	return append(filters, &hcmv3.HttpFilter{
		Name: "router",
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&routerv3.Router{
			SuppressEnvoyHeaders: true,
		})},
	})
}

// http1Options keep the case of header names, take trailers along, and refuse HTTP/1.0, a target with
// a host in it, which Envoy would rewrite, methods of no standard, and Content-Length beside chunked.
func http1Options() *corev3.Http1ProtocolOptions {
	return &corev3.Http1ProtocolOptions{
		AcceptHttp_10:      false,
		AllowChunkedLength: false,
		AllowCustomMethods: false,
		AllowAbsoluteUrl:   wrapperspb.Bool(false),
		EnableTrailers:     true,
		HeaderKeyFormat:    preserveCase(),
	}
}

func preserveCase() *corev3.Http1ProtocolOptions_HeaderKeyFormat {
	return &corev3.Http1ProtocolOptions_HeaderKeyFormat{
		HeaderFormat: &corev3.Http1ProtocolOptions_HeaderKeyFormat_StatefulFormatter{
			StatefulFormatter: &corev3.TypedExtensionConfig{
				Name: "preserve_case", TypedConfig: packed(&preservecasev3.PreserveCaseFormatterConfig{}),
			},
		},
	}
}

func http2Options() *corev3.Http2ProtocolOptions {
	return &corev3.Http2ProtocolOptions{
		AllowConnect:                                 false,
		DisallowObsText:                              wrapperspb.Bool(true),
		MaxConcurrentStreams:                         wrapperspb.UInt32(maxStreams),
		InitialStreamWindowSize:                      wrapperspb.UInt32(streamWindow),
		InitialConnectionWindowSize:                  wrapperspb.UInt32(connectionWindow),
		MaxOutboundControlFrames:                     wrapperspb.UInt32(maxOutboundControls),
		MaxConsecutiveInboundFramesWithEmptyPayload:  wrapperspb.UInt32(maxEmptyFrames),
		MaxInboundPriorityFramesPerStream:            wrapperspb.UInt32(maxPriorityFrames),
		MaxInboundWindowUpdateFramesPerDataFrameSent: wrapperspb.UInt32(maxWindowUpdates),
		StreamResetBurst:                             wrapperspb.UInt64(streamResetBurst),
		StreamResetRate:                              wrapperspb.UInt64(streamResetRate),
	}
}
