// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	dataaccesslogv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// logFlush is how long Envoy collects log entries before it sends them.
const logFlush = 50 * time.Millisecond

// tagProfile is the custom tag that carries the profile's key, also where no route was chosen.
const tagProfile = "profile"

func (m *merged) requestLog() []*accesslogv3.AccessLog {
	var filter *accesslogv3.AccessLogFilter
	if m.deniedOnly {
		filter = unanswered()
	}
	return []*accesslogv3.AccessLog{grpcLog(&grpclogv3.HttpGrpcAccessLogConfig{
		CommonConfig:                  m.logConfig(),
		AdditionalRequestHeadersToLog: []string{":method"},
	}, filter)}
}

// unanswered holds for a status that a denied request can have: an error, or none where Envoy closed
// the connection. A server's own errors have one too.
func unanswered() *accesslogv3.AccessLogFilter {
	status := func(op accesslogv3.ComparisonFilter_Op, value uint32) *accesslogv3.AccessLogFilter {
		return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{
			StatusCodeFilter: &accesslogv3.StatusCodeFilter{Comparison: &accesslogv3.ComparisonFilter{
				Op: op, Value: &corev3.RuntimeUInt32{DefaultValue: value, RuntimeKey: "mpol.never_set"},
			}},
		}}
	}
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{
		OrFilter: &accesslogv3.OrFilter{Filters: []*accesslogv3.AccessLogFilter{
			status(accesslogv3.ComparisonFilter_GE, 400), status(accesslogv3.ComparisonFilter_EQ, 0),
		}},
	}}
}

// connectionLog reports the end of each TLS connection, of refused ones too.
func (m *merged) connectionLog() []*accesslogv3.AccessLog {
	return []*accesslogv3.AccessLog{grpcLog(&grpclogv3.TcpGrpcAccessLogConfig{CommonConfig: m.logConfig()}, nil)}
}

// openingLog reports a TLS connection when the server's side is open.
func (m *merged) openingLog() []*accesslogv3.AccessLog {
	return []*accesslogv3.AccessLog{grpcLog(&grpclogv3.TcpGrpcAccessLogConfig{CommonConfig: m.logConfig()},
		&accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_LogTypeFilter{
			LogTypeFilter: &accesslogv3.LogTypeFilter{
				Types: []dataaccesslogv3.AccessLogType{dataaccesslogv3.AccessLogType_TcpUpstreamConnected},
			},
		}})}
}

func grpcLog(config proto.Message, filter *accesslogv3.AccessLogFilter) *accesslogv3.AccessLog {
	return &accesslogv3.AccessLog{
		Name:       "grpc",
		Filter:     filter,
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: packed(config)},
	}
}

func (m *merged) logConfig() *grpclogv3.CommonGrpcAccessLogConfig {
	return &grpclogv3.CommonGrpcAccessLogConfig{
		LogName:             "mpol",
		GrpcService:         agentService(),
		TransportApiVersion: corev3.ApiVersion_V3,
		BufferFlushInterval: durationpb.New(logFlush),
		CustomTags: []*tracingv3.CustomTag{{
			Tag:  tagProfile,
			Type: &tracingv3.CustomTag_Literal_{Literal: &tracingv3.CustomTag_Literal{Value: m.key}},
		}},
	}
}
