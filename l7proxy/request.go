// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	dataaccesslogv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logservicev3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"

	"mpol/compiler/program"
)

// Request is what Envoy reports of one HTTP request or TLS connection.
type Request struct {
	Time time.Time // when it began
	// Generation is the last generation applied with the rules that judged; empty when they are
	// of no generation that this process applied, or when none were asked.
	Generation string
	Profile    string // key
	Kind       program.L7Kind
	// Opened marks a TLS connection that has just been let through; its end follows as another
	// Request.
	Opened bool
	Client netip.AddrPort
	Server netip.AddrPort // where the client was going
	Method string
	Path   string // as judged, with the query
	Host   string // the authority, unchanged
	SNI    string
	// Code is the HTTP status that the client got, 0 for TLS and where there was none.
	Code int
	// Details is Envoy's word on how the request or connection ended.
	Details string
	// Denied: policy refused it. Rule is the key of the rule that did, or "refused:..." for what
	// cannot be judged; without a rule, no rule of the half Half allowed it. Half is "egress" or
	// "ingress" where Envoy says which.
	Denied bool
	Rule   string
	Half   string
	// Received and Sent count the bytes from and to the client.
	Received, Sent uint64
	Duration       time.Duration
}

// generations remembers which generation last used which rules of a profile.
type generations struct {
	mu       sync.Mutex
	names    map[string]string // by profile key and id
	previous map[string]string
}

func (g *generations) add(generation string, ids map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := make(map[string]string, len(ids))
	for key, id := range ids {
		next[key+" "+id] = generation
	}
	if !maps.Equal(g.names, next) {
		g.previous, g.names = g.names, next
	}
}

func (g *generations) of(key, id string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if name, ok := g.names[key+" "+id]; ok {
		return name
	}
	return g.previous[key+" "+id]
}

// accessLog receives Envoy's log.
type accessLog struct {
	logservicev3.UnimplementedAccessLogServiceServer
	ids   *generations
	event func(Request)
}

// StreamAccessLogs reads entries until the stream ends.
func (a *accessLog) StreamAccessLogs(stream logservicev3.AccessLogService_StreamAccessLogsServer) error {
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if a.event == nil {
			continue
		}
		for _, entry := range message.GetHttpLogs().GetLogEntry() {
			a.event(a.http(entry))
		}
		for _, entry := range message.GetTcpLogs().GetLogEntry() {
			a.event(a.tls(entry))
		}
	}
}

func (a *accessLog) http(entry *dataaccesslogv3.HTTPAccessLogEntry) Request {
	common, request, response := entry.GetCommonProperties(), entry.GetRequest(), entry.GetResponse()
	r := a.common(common)
	r.Kind = program.L7HTTP
	r.Generation = a.ids.of(r.Profile, common.GetRouteName())
	r.Method = request.GetRequestHeaders()[":method"]
	r.Path, r.Host = request.GetPath(), request.GetAuthority()
	r.Code = int(response.GetResponseCode().GetValue())
	r.Details = response.GetResponseCodeDetails()
	r.Received = request.GetRequestHeadersBytes() + request.GetRequestBodyBytes()
	r.Sent = response.GetResponseHeadersBytes() + response.GetResponseBodyBytes()
	r.blame(common)
	return r
}

func (a *accessLog) tls(entry *dataaccesslogv3.TCPAccessLogEntry) Request {
	common, connection := entry.GetCommonProperties(), entry.GetConnectionProperties()
	r := a.common(common)
	r.Kind = program.L7TLS
	r.Opened = common.GetAccessLogType() == dataaccesslogv3.AccessLogType_TcpUpstreamConnected
	r.Details = common.GetConnectionTerminationDetails()
	r.Received, r.Sent = connection.GetReceivedBytes(), connection.GetSentBytes()
	r.blame(common)
	return r
}

func (a *accessLog) common(c *dataaccesslogv3.AccessLogCommon) Request {
	return Request{
		Time:     c.GetStartTime().AsTime(),
		Profile:  c.GetCustomTags()[tagProfile],
		Client:   addrPort(c.GetDownstreamDirectRemoteAddress()),
		Server:   addrPort(c.GetDownstreamLocalAddress()),
		SNI:      c.GetTlsProperties().GetTlsSniHostname(),
		Duration: c.GetDuration().AsDuration(),
	}
}

// blame reads who denied from the details (Envoy's source/common/rbac/utility.cc).
func (r *Request) blame(*dataaccesslogv3.AccessLogCommon) {
	_, rule, denied := strings.Cut(r.Details, "rbac_access_denied_matched_policy[")
	rule, _, closed := strings.Cut(rule, "]")
	if !denied || !closed {
		return
	}
	r.Denied = true
	if half, ok := strings.CutPrefix(rule, defaultKey); ok {
		r.Half = strings.TrimPrefix(half, "-")
		return
	}
	if rule != "none" {
		r.Rule = rule
	}
}

func addrPort(a *corev3.Address) netip.AddrPort {
	s := a.GetSocketAddress()
	ip, err := netip.ParseAddr(s.GetAddress())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(s.GetPortValue()))
}
