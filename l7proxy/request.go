// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"net/netip"
	"strings"
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
	Path   string // as judged, with the query; of a refused one what Envoy made of it until then
	Host   string // the authority, unchanged
	SNI    string
	// Code is the HTTP status that the client got, 0 for TLS and where there was none.
	Code int
	// Details is Envoy's word on how the request or connection ended.
	Details string
	// Denied: it was refused by the rule whose key is Rule, or, when that is empty, because no rule
	// of Half allowed it; "refused:..." stands for what cannot be judged and has no half. Not denied:
	// Rule of Half allowed it, of egress where both halves exist.
	Denied bool
	Rule   string
	Half   string // "egress", "ingress" or empty
	// Received and Sent count the bytes from and to the client.
	Received, Sent uint64
	Duration       time.Duration
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
	r.blameFilter(common)
	unread := r.Code == 0 && strings.HasPrefix(r.Details, codec2)
	if unread || r.Code >= 400 && (common.GetRouteName() == "" || r.Details == upgradeFailed) {
		r.refuse(r.Details)
	}
	return r
}

// codec2 begins Envoy's word for a stream that is no HTTP/2 request, which it resets.
const codec2 = "http2."

// upgradeFailed is how Envoy ends a request for an upgrade that no configuration allows, before any
// filter and although it has chosen a route.
const upgradeFailed = "upgrade_failed"

func (a *accessLog) tls(entry *dataaccesslogv3.TCPAccessLogEntry) Request {
	common, connection := entry.GetCommonProperties(), entry.GetConnectionProperties()
	r := a.common(common)
	r.Kind = program.L7TLS
	r.Opened = common.GetAccessLogType() == dataaccesslogv3.AccessLogType_TcpUpstreamConnected
	r.Details = common.GetConnectionTerminationDetails()
	r.Received, r.Sent = connection.GetReceivedBytes(), connection.GetSentBytes()
	id := r.blameName(common)
	r.Generation = a.ids.of(r.Profile, id)
	if id == "" { // closed before a name could be judged
		r.refuse("hello")
	}
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

// Names of what the RBAC filters write into the log, behind a prefix of ours
// (Envoy's source/extensions/filters/common/rbac/utility.h).
const (
	metadataHTTP     = "envoy.filters.http.rbac"
	metadataNetwork  = "envoy.filters.network.rbac"
	metadataResult   = "enforced_engine_result"
	metadataPolicy   = "enforced_effective_policy_id"
	metadataShadow   = "shadow_engine_result"
	metadataShadowID = "shadow_effective_policy_id"
)

// blameFilter finds the filter that denied, else the half that allowed, egress before ingress.
func (r *Request) blameFilter(c *dataaccesslogv3.AccessLogCommon) {
	said := c.GetMetadata().GetFilterMetadata()[metadataHTTP].GetFields()
	word := func(filter, key string) string { return said[filter+"."+key].GetStringValue() }
	for _, filter := range filterNames() {
		if word(filter, metadataResult) != "denied" {
			continue
		}
		r.Denied = true
		r.Half, _, _ = strings.Cut(filter, "-")
		if filter == filterRefused {
			r.Half = ""
		}
		r.Rule = ruleKey(word(filter, metadataPolicy))
		return
	}
	for half, filter := range map[string]string{"ingress": filterIngressAllow, "egress": filterEgressAllow} {
		if word(filter, metadataResult) == "allowed" && (r.Half == "" || half == "egress") {
			r.Half, r.Rule = half, ruleKey(word(filter, metadataPolicy))
		}
	}
}

// blameName reads the id of the rules that judged a connection, and the rule that denied or
// allowed it.
func (r *Request) blameName(c *dataaccesslogv3.AccessLogCommon) (id string) {
	var allowed string
	for key, value := range c.GetMetadata().GetFilterMetadata()[metadataNetwork].GetFields() {
		before, word, _ := strings.Cut(key, ".")
		switch word {
		case metadataShadow:
			id = before
		case metadataShadowID:
			allowed = value.GetStringValue()
		}
	}
	_, denied, found := strings.Cut(r.Details, "rbac_access_denied_matched_policy[")
	policy := allowed
	if found {
		r.Denied = true
		policy, _, _ = strings.Cut(denied, "]")
	}
	r.Rule = ruleKey(policy)
	if half, _, found := strings.Cut(policy, "/"); found {
		r.Half = half
	}
	return id
}

// refuse marks what Envoy refused before any filter of ours saw it.
func (r *Request) refuse(reason string) {
	if !r.Denied {
		r.Denied, r.Half, r.Rule = true, "", refusedByEnvoy+reason
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
