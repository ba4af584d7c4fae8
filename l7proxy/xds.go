// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// discovery serves the aggregated delta protocol from a store.
type discovery struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	store *store
}

// DeltaAggregatedResources speaks with one Envoy until its stream ends or a newer one replaces it.
func (d *discovery) DeltaAggregatedResources(
	grpcStream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer,
) error {
	s := &stream{types: map[string]*typeState{}}
	d.store.mu.Lock()
	d.store.current = s
	d.store.wake()
	d.store.mu.Unlock()
	defer d.leave(s)

	failed := make(chan error, 1) // receive's only word; it ends with the stream
	go func() { failed <- d.receive(grpcStream, s) }()
	for {
		d.store.mu.Lock()
		current, changed := d.store.current == s, d.store.changed
		var response *discoveryv3.DeltaDiscoveryResponse
		if current {
			response = s.next(d.store.wanted)
		}
		d.store.mu.Unlock()
		if !current {
			return status.Error(codes.Aborted, "replaced by a newer stream")
		}
		if response != nil {
			if err := grpcStream.Send(response); err != nil {
				return fmt.Errorf("send %s: %w", shortType(response.TypeUrl), err)
			}
			continue
		}
		select {
		case err := <-failed:
			return err
		case <-changed:
		}
	}
}

func (d *discovery) receive(
	grpcStream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer, s *stream,
) error {
	for {
		request, err := grpcStream.Recv()
		if err != nil {
			return err
		}
		d.store.mu.Lock()
		s.take(request)
		d.store.wake()
		d.store.mu.Unlock()
	}
}

func (d *discovery) leave(s *stream) {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	if d.store.current == s {
		d.store.current = nil
		d.store.wake()
	}
}
