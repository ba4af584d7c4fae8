// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	originalsrcv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_src/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"mpol/compiler/program"
)

// clusterName is the one cluster: the server that the client meant.
const clusterName = "original"

// maxUpstream replaces Envoy's limits for one service by none: the cluster stands for all servers.
const maxUpstream = 1 << 20

// cluster leads each connection where its client was going and nowhere else: no header moves it,
// and no client's request travels in another's connection.
func cluster() *clusterv3.Cluster {
	limit := wrapperspb.UInt32(maxUpstream)
	return &clusterv3.Cluster{
		Name:                 clusterName,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST},
		LbPolicy:             clusterv3.Cluster_CLUSTER_PROVIDED,
		LbConfig: &clusterv3.Cluster_OriginalDstLbConfig_{
			OriginalDstLbConfig: &clusterv3.Cluster_OriginalDstLbConfig{UseHttpHeader: false},
		},
		ConnectTimeout:                        durationpb.New(connectTimeout),
		ConnectionPoolPerDownstreamConnection: true,
		PerConnectionBufferLimitBytes:         wrapperspb.UInt32(bufferLimit),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections: limit, MaxPendingRequests: limit, MaxRequests: limit,
			MaxRetries: wrapperspb.UInt32(0),
		}}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(sameProtocol()),
		},
	}
}

// sameProtocol speaks to the server what the client spoke, header names in the same case.
func sameProtocol() *upstreamhttpv3.HttpProtocolOptions {
	return &upstreamhttpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
			UseDownstreamProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_UseDownstreamHttpConfig{
				HttpProtocolOptions: &corev3.Http1ProtocolOptions{
					EnableTrailers: true, HeaderKeyFormat: preserveCase(),
				},
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
			},
		},
	}
}

// listener is the door of a profile: transparent, on both families' loopback address, for ever on
// the same port.
func (m *merged) listener(port uint16, mark uint32) *listenerv3.Listener {
	l := &listenerv3.Listener{
		Name:    m.key,
		Address: address("127.0.0.1", port),
		AdditionalAddresses: []*listenerv3.AdditionalAddress{
			{Address: address("::1", port)},
		},
		Transparent: wrapperspb.Bool(true),
		// One socket that the workers share: whom SO_REUSEPORT lets in beside it, of the same user, would
		// get some of the connections.
		EnableReusePort:               wrapperspb.Bool(false),
		SocketOptions:                 marked(mark),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		ListenerFilters: []*listenerv3.ListenerFilter{
			listenerFilter("original_dst", &originaldstv3.OriginalDst{}),
		},
		ListenerFiltersTimeout: durationpb.New(helloTimeout),
	}
	if m.local && !m.looped {
		l.ListenerFilters = append(l.ListenerFilters,
			listenerFilter("original_src", &originalsrcv3.OriginalSrc{Mark: mark}))
	}
	if m.kind == program.L7TLS {
		m.tls(l)
		return l
	}
	l.FilterChains = []*listenerv3.FilterChain{{
		Name:    "http",
		Filters: []*listenerv3.Filter{networkFilter("http", m.connectionManager())},
	}}
	return l
}

// marked sets the mark of a listener's sockets, which accepted connections inherit: their packets
// come from the server's address and must stay out of connection tracking. 0 sets none.
func marked(mark uint32) []*corev3.SocketOption {
	if mark == 0 {
		return nil
	}
	return []*corev3.SocketOption{{
		Description: "mark", Level: unix.SOL_SOCKET, Name: unix.SO_MARK,
		Value: &corev3.SocketOption_IntValue{IntValue: int64(mark)},
		State: corev3.SocketOption_STATE_PREBIND,
	}}
}

// tls adds the inspector and one chain for TLS; whatever else comes finds no chain and is closed.
func (m *merged) tls(l *listenerv3.Listener) {
	l.ListenerFilters = append(l.ListenerFilters, listenerFilter("tls_inspector", &tlsinspectorv3.TlsInspector{
		CloseConnectionOnClientHelloParsingErrors: true,
	}))
	l.AccessLog = m.connectionLog()
	l.FilterChains = []*listenerv3.FilterChain{{
		Name:             "tls",
		FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "tls"},
		Filters: []*listenerv3.Filter{
			{
				Name: m.key,
				ConfigType: &listenerv3.Filter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
					ConfigSource: adsSource(),
					TypeUrls:     []string{typeNetworkRBAC},
				}},
			},
			networkFilter("tcp", &tcpproxyv3.TcpProxy{
				StatPrefix:       "profile",
				ClusterSpecifier: &tcpproxyv3.TcpProxy_Cluster{Cluster: clusterName},
				IdleTimeout:      durationpb.New(idleTimeout),
				AccessLog:        m.openingLog(),
				// Otherwise the server would be connected to before the name is judged. A client
				// always speaks first in TLS.
				UpstreamConnectMode: tcpproxyv3.UpstreamConnectMode_ON_DOWNSTREAM_DATA,
				MaxEarlyDataBytes:   wrapperspb.UInt32(bufferLimit),
				AccessLogOptions:    &tcpproxyv3.TcpProxy_TcpAccessLogOptions{FlushAccessLogOnConnected: true},
			}),
		},
	}}
}

func listenerFilter(name string, config proto.Message) *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name:       name,
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed(config)},
	}
}

func networkFilter(name string, config proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{
		Name:       name,
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(config)},
	}
}

func address(ip string, port uint16) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       ip,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}
