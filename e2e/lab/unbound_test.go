// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"net/netip"
	"strings"
	"testing"

	"mpol/e2e/lab"
)

// TestUnboundAgain stops a resolver and starts another with other records in its place.
func TestUnboundAgain(t *testing.T) {
	host, err := lab.Test(t).Host(lab.HostConfig{Name: "h", Resolvers: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	client := lab.Client{Host: host}
	for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
		resolver, err := host.Unbound(t.Context(), lab.UnboundConfig{
			Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()},
			Records:   []string{"a.example. 60 IN A " + address},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := client.Dig(t.Context(), "a.example")
		if len(got.Answers) != 1 || got.Answers[0].Data != address {
			t.Errorf("Dig(a.example) = %v, want %s", got, address)
		}
		if err := resolver.Stop(); err != nil {
			t.Error(err)
		}
		if got := client.Dig(t.Context(), "a.example"); got.Exit != 9 {
			t.Errorf("Dig after stop = %v, want exit 9", got)
		}
	}
}

func TestUnboundRefusesToStart(t *testing.T) {
	host, err := lab.Test(t).Host(lab.HostConfig{Name: "h"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		config lab.UnboundConfig
		want   string
	}{
		{"no address", lab.UnboundConfig{}, "no addresses"},
		{"address of nobody", lab.UnboundConfig{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}, "it ended at once; its log"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := host.Unbound(t.Context(), row.config); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Unbound = %v, want an error with %q", err, row.want)
			}
		})
	}
}
