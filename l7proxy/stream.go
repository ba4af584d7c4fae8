// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"maps"
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// stream is one delta xDS stream. store.mu guards it.
type stream struct {
	types map[string]*typeState
	nonce int
}

// typeState is what one stream has said about one type.
type typeState struct {
	asked    bool              // Envoy has asked for the type at all
	wildcard bool              // it wants every resource
	names    map[string]bool   // it wants these
	sent     map[string]string // versions on their way or there, by name
	acked    map[string]string // versions there
	refused  map[string]refusal
	pending  map[string]*discoveryv3.DeltaDiscoveryResponse // by nonce
}

type refusal struct{ version, reason string }

// unknown is the version of a resource that Envoy may or may not have: it refused a response that
// held it.
const unknown = "?"

func newTypeState() *typeState {
	return &typeState{
		names: map[string]bool{}, sent: map[string]string{}, acked: map[string]string{},
		refused: map[string]refusal{}, pending: map[string]*discoveryv3.DeltaDiscoveryResponse{},
	}
}

func (s *stream) known(typeURL string) *typeState {
	t := s.types[typeURL]
	if t == nil {
		t = newTypeState()
		s.types[typeURL] = t
	}
	return t
}

// take reads a request: what Envoy wants, what it has, and its answer to a response.
func (s *stream) take(r *discoveryv3.DeltaDiscoveryRequest) {
	t := s.known(r.TypeUrl)
	if !t.asked {
		t.asked = true
		t.wildcard = removable(r.TypeUrl) && len(r.ResourceNamesSubscribe) == 0
		maps.Copy(t.sent, r.InitialResourceVersions)
		maps.Copy(t.acked, r.InitialResourceVersions)
	}
	for _, name := range r.ResourceNamesSubscribe {
		if name == "*" {
			t.wildcard = true
			continue
		}
		if !t.names[name] && len(r.InitialResourceVersions) == 0 {
			delete(t.sent, name) // a new subscription is always answered
		}
		t.names[name] = true
	}
	for _, name := range r.ResourceNamesUnsubscribe {
		if name == "*" {
			t.wildcard = false
		}
		delete(t.names, name)
		delete(t.sent, name)
		delete(t.acked, name)
		delete(t.refused, name)
	}
	if sent, ok := t.pending[r.ResponseNonce]; ok {
		delete(t.pending, r.ResponseNonce)
		t.settle(sent, r)
	}
}

// settle records an acknowledgement, or a refusal of everything in the response: Envoy does not
// say which part it kept.
func (t *typeState) settle(sent *discoveryv3.DeltaDiscoveryResponse, r *discoveryv3.DeltaDiscoveryRequest) {
	for _, one := range sent.Resources {
		if r.ErrorDetail == nil {
			t.acked[one.Name] = one.Version
			delete(t.refused, one.Name)
			continue
		}
		t.refused[one.Name] = refusal{version: one.Version, reason: r.ErrorDetail.Message}
		t.acked[one.Name] = unknown
		if t.sent[one.Name] == one.Version {
			t.sent[one.Name] = unknown
		}
	}
	for _, name := range sent.RemovedResources {
		if r.ErrorDetail == nil && t.sent[name] == "" {
			delete(t.acked, name)
		}
	}
}

// next returns a response that brings Envoy nearer to what is wanted, nil when there is none.
func (s *stream) next(wanted resources) *discoveryv3.DeltaDiscoveryResponse {
	if wanted == nil {
		return nil
	}
	for _, typeURL := range pushOrder() {
		t := s.known(typeURL)
		if !t.asked {
			continue
		}
		r := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL}
		for _, name := range slices.Sorted(maps.Keys(wanted[typeURL])) {
			one := wanted[typeURL][name]
			if !t.wants(name) || t.sent[name] == one.version || t.refused[name].version == one.version {
				continue
			}
			t.sent[name] = one.version
			r.Resources = append(r.Resources, &discoveryv3.Resource{
				Name: name, Version: one.version, Resource: one.body,
			})
		}
		if removable(typeURL) {
			for _, name := range slices.Sorted(maps.Keys(t.sent)) {
				if _, ok := wanted[typeURL][name]; !ok {
					delete(t.sent, name)
					r.RemovedResources = append(r.RemovedResources, name)
				}
			}
		}
		if len(r.Resources)+len(r.RemovedResources) > 0 {
			s.nonce++
			r.Nonce = strconv.Itoa(s.nonce)
			t.pending[r.Nonce] = r
			return r
		}
	}
	return nil
}

func (t *typeState) wants(name string) bool { return t.wildcard || t.names[name] }
