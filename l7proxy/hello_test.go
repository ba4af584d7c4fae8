// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"mpol/compiler/program"
)

// echConfig is a list of one configuration for encrypted hellos with the public name
// (RFC 9849, section 4).
func echConfig(t *testing.T, name string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16(0xfe0d)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint8(1)       // id
			b.AddUint16(0x0020) // DHKEM(X25519, HKDF-SHA256)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(key.PublicKey().Bytes()) })
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(1); b.AddUint16(1) })
			b.AddUint8(32)
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
			b.AddUint16(0) // no extensions
		})
	})
	return b.BytesOrPanic()
}

// TestHello sends unusual first bytes to a profile for TLS.
func TestHello(t *testing.T) {
	t.Parallel() // it waits much and works little
	p := newProxy(t)
	p.apply("1", []program.Profile{
		namesProfile("allow", nil, []program.RequestRule{sni("shop.pay.stripe", "*.example")}),
	})
	server := secureOrigin(t, server4)
	handshake := func(config *tls.Config) error {
		conn, err := p.dial("allow", server)
		if err != nil {
			return err
		}
		defer conn.Close()
		config.InsecureSkipVerify = true
		config.EncryptedClientHelloRejectionVerify = func(tls.ConnectionState) error { return nil }
		return tls.Client(conn, config).Handshake()
	}
	t.Run("l7-74/outer name allowed", func(t *testing.T) {
		err := handshake(&tls.Config{ServerName: "other.test", EncryptedClientHelloConfigList: echConfig(t, "x.example")})
		var rejected *tls.ECHRejectionError // by the server, which has no such key: it was reached
		if !errors.As(err, &rejected) {
			t.Errorf("handshake = %v, want the server's rejection", err)
		}
	})
	t.Run("l7-74/outer name refused", func(t *testing.T) {
		err := handshake(&tls.Config{ServerName: "x.example", EncryptedClientHelloConfigList: echConfig(t, "other.test")})
		var rejected *tls.ECHRejectionError
		if err == nil || errors.As(err, &rejected) {
			t.Errorf("handshake = %v, want the connection closed", err)
		}
	})
	t.Run("l7-71/large hello", func(t *testing.T) {
		config := func(n int) *tls.Config {
			c := &tls.Config{ServerName: "x.example"}
			for range n {
				c.NextProtos = append(c.NextProtos, strings.Repeat("a", 200))
			}
			return c
		}
		if err := handshake(config(0)); err != nil {
			t.Errorf("a small hello: %v", err)
		}
		if err := handshake(config(100)); err == nil {
			t.Error("a hello of 20 KiB passed")
		}
	})
	t.Run("l7-77/silent client", func(t *testing.T) {
		conn, err := p.dial("allow", server)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		began := time.Now()
		if got, err := io.ReadAll(conn); len(got) > 0 || time.Since(began) > 2*helloTimeout {
			t.Errorf("read %q, %v after %v, want the connection closed", got, err, time.Since(began))
		}
	})
}

// TestNamesGenerations switches a profile for TLS: new connections are judged anew, live ones stay.
func TestNamesGenerations(t *testing.T) {
	p := newProxy(t)
	with := func(patterns ...program.NamePattern) []program.Profile {
		return []program.Profile{namesProfile("k", nil, []program.RequestRule{sni("shop.pay.names", patterns...)})}
	}
	old, next := with("a.example", "both.example"), with("b.example", "both.example")
	server := secureOrigin(t, server6)
	var kept *tls.Conn
	for _, step := range []struct {
		generation string
		sets       [][]program.Profile
		want       map[string]bool
	}{
		{"1", [][]program.Profile{old}, map[string]bool{"a.example": true, "b.example": false, "both.example": true}},
		{"1+2", [][]program.Profile{old, next}, map[string]bool{"a.example": false, "b.example": false, "both.example": true}},
		{"2", [][]program.Profile{next}, map[string]bool{"a.example": false, "b.example": true, "both.example": true}},
	} {
		p.apply(step.generation, step.sets...)
		for name, want := range step.want {
			conn, err := p.hello("k", server, name, nil)
			if (err == nil) != want {
				t.Errorf("generation %s: hello to %s = %v, want ok %v", step.generation, name, err, want)
			}
			if conn == nil {
				continue
			}
			if name == "a.example" {
				kept = conn
				defer conn.Close()
				continue
			}
			conn.Close()
		}
		p.reported(func(r Request) bool { return r.Generation == step.generation && r.SNI == "both.example" })
		echo := make([]byte, 1)
		if _, err := kept.Write([]byte("x")); err != nil {
			t.Errorf("generation %s: the live connection: %v", step.generation, err)
		} else if _, err := io.ReadFull(kept, echo); err != nil {
			t.Errorf("generation %s: the live connection: %v", step.generation, err)
		}
	}
}
