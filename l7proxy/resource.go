// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"mpol/compiler/program"
)

// The types of resources that Envoy asks for.
const (
	typePrefix      = "type.googleapis.com/"
	typeCluster     = typePrefix + "envoy.config.cluster.v3.Cluster"
	typeListener    = typePrefix + "envoy.config.listener.v3.Listener"
	typeRoute       = typePrefix + "envoy.config.route.v3.RouteConfiguration"
	typeExtension   = typePrefix + "envoy.config.core.v3.TypedExtensionConfig"
	typeNetworkRBAC = typePrefix + "envoy.extensions.filters.network.rbac.v3.RBAC"
)

// resource is one named piece of Envoy's configuration. Its version is a hash of its body, so that
// an Envoy that outlived an agent is not sent what it has.
type resource struct {
	version string
	body    *anypb.Any
}

// resources are all pieces by type and name.
type resources map[string]map[string]resource

func (rs resources) add(name string, body *anypb.Any) {
	byName := rs[body.TypeUrl]
	if byName == nil {
		byName = map[string]resource{}
		rs[body.TypeUrl] = byName
	}
	byName[name] = resource{version: hash(body.Value), body: body}
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// packed wraps a message that was built here; it cannot fail for one.
func packed(message proto.Message) *anypb.Any {
	body := new(anypb.Any)
	if err := anypb.MarshalFrom(body, message, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(fmt.Sprintf("l7proxy: marshal %T: %v", message, err))
	}
	return body
}

func adsSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		InitialFetchTimeout:   durationpb.New(0), // wait for it, however long
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

// merged is a profile of one generation, or of two that a request must both pass.
type merged struct {
	key             string
	kind            program.L7Kind
	local, looped   bool
	deniedOnly      bool // see Config
	egress, ingress *judgement
}

// merge joins the profiles of all sets by their keys. A profile that one set lacks is judged by
// the others alone: no flow of that generation reaches it.
func merge(sets [][]program.Profile) (map[string]*merged, error) {
	all := map[string]*merged{}
	for _, set := range sets {
		seen := map[string]bool{}
		for i := range set {
			p := &set[i]
			m, err := single(p)
			if err != nil {
				return nil, err
			}
			if seen[p.Key] {
				return nil, fmt.Errorf("profile %s: twice in one set", p.Key)
			}
			seen[p.Key] = true
			before := all[p.Key]
			if before == nil {
				all[p.Key] = m
				continue
			}
			if before.kind != m.kind || before.local != m.local || before.looped != m.looped {
				return nil, fmt.Errorf("profile %s: kind or place differs between generations", p.Key)
			}
			before.egress, before.ingress = before.egress.both(m.egress), before.ingress.both(m.ingress)
		}
	}
	return all, nil
}

func single(p *program.Profile) (*merged, error) {
	if p.Key == "" {
		return nil, fmt.Errorf("profile for port %d: no key", p.Port)
	}
	if p.Kind != program.L7HTTP && p.Kind != program.L7TLS {
		return nil, fmt.Errorf("profile %s: no listener speaks %s", p.Key, p.Kind)
	}
	m := &merged{key: p.Key, kind: p.Kind, local: p.Local, looped: p.Looped}
	if p.Egress != nil {
		m.egress = judge(p.Kind, p.Egress)
	}
	if p.Ingress != nil {
		m.ingress = judge(p.Kind, p.Ingress)
	}
	return m, nil
}

// build makes every resource of the profiles. The ids returned name what judges, by profile key, as
// the access log shows them.
func build(profiles map[string]*merged, ports map[string]uint16, own portRange, mark uint32) (rs resources, ids map[string]string) {
	rs, ids = resources{typeListener: {}}, map[string]string{}
	rs.add(clusterName, packed(cluster()))
	for key, m := range profiles {
		rs.add(key, packed(m.listener(ports[key], mark)))
		switch m.kind {
		case program.L7HTTP:
			ids[key] = hash(packed(m.route("", own)).Value)
			rs.add(key, packed(m.route(ids[key], own)))
		case program.L7TLS:
			ids[key] = hash(packed(m.names("", own)).Value)
			rs.add(key, packed(&corev3.TypedExtensionConfig{
				Name: key, TypedConfig: packed(m.names(ids[key], own)),
			}))
		}
	}
	return rs, ids
}
