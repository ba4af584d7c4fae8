// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
)

// get is a request that a client library would not tidy.
func get(path, host string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
}

// subtree is the pattern "/a/b/**".
func subtree(text string) program.PathPattern {
	p := exactPath(text)
	p.Text, p.Subtree = text+"/**", true
	return p
}

func exactPath(text string) program.PathPattern {
	p := program.PathPattern{Text: text}
	for s := range strings.SplitSeq(strings.Trim(text, "/"), "/") {
		if s != "" {
			p.Segments = append(p.Segments, program.Segment{Literal: s, Any: false})
		}
	}
	for i, s := range p.Segments {
		if s.Literal == "*" {
			p.Segments[i] = program.Segment{Any: true}
		}
	}
	p.TrailingSlash = len(text) > 1 && strings.HasSuffix(text, "/")
	return p
}

func rule(key string, requests ...program.HTTPRequest) program.RequestRule {
	return program.RequestRule{Rule: key, HTTP: requests}
}

func request(path program.PathPattern, methods ...string) program.HTTPRequest {
	return program.HTTPRequest{Methods: methods, Path: path}
}

// half is one tier that denies by default.
func half(deny, allow []program.RequestRule) *program.Half {
	return &program.Half{Tiers: []program.HalfTier{{Deny: deny, Allow: allow, Default: program.Deny}}}
}

func profile(key string, egress, ingress *program.Half) program.Profile {
	return program.Profile{Key: key, Kind: program.L7HTTP, Egress: egress, Ingress: ingress}
}

func publicOnly(key string) program.Profile {
	return profile(key, nil, half(nil, []program.RequestRule{rule("shop.cart.read", request(subtree("/public"), "GET"))}))
}

func TestServer(t *testing.T) {
	p := newProxy(t)
	p.apply("7", []program.Profile{publicOnly("k")})
	if !p.Ready() {
		t.Error("Ready() = false after Apply")
	}
	for _, ip := range []string{server4, server6} {
		t.Run(ip, func(t *testing.T) {
			server := origin(t, ip)
			for path, want := range map[string]int{"/public/x": 200, "/admin": 403} {
				got, err := p.raw("k", server, get(path, "good"))
				if err != nil || got.Code != want {
					t.Errorf("GET %s = %d %q, %v, want %d", path, got.Code, got.Body, err, want)
				}
			}
			r := p.reported(func(r Request) bool { return r.Server == server && r.Path == "/admin" })
			if r.Code != 403 || !r.Denied || r.Half != "ingress" || r.Rule != "" || r.Generation != "7" || r.Profile != "k" || r.Method != "GET" ||
				r.Client.Addr() != netip.MustParseAddr(map[string]string{server4: client4, server6: client6}[ip]) {
				t.Errorf("reported %+v", r)
			}
			r = p.reported(func(r Request) bool { return r.Server == server && r.Code == 200 })
			if r.Denied || r.Half != "ingress" || r.Rule != "shop.cart.read" || r.Path != "/public/x" {
				t.Errorf("reported %+v", r)
			}
		})
	}
}

// TestPlace looks at where Envoy runs: what ends this process or its cgroup must not end it.
func TestPlace(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{publicOnly("k")})
	pid := p.envoy()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(text)), "/envoy") {
		t.Errorf("cgroup of Envoy: %q, %v", text, err)
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("session of Envoy = %d, %v, want its own", session, err)
	}
	for _, name := range []string{"", adminFile, portsFile, pidFile} {
		info, err := os.Stat(p.config.path(name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q: %v, %v, want it for root alone", name, info.Mode(), err)
		}
	}
}
