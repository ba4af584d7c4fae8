// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mpol/compiler/program"
)

// origin2 is a server that speaks HTTP/1 and HTTP/2 without TLS and answers with protocol and URI.
func origin2(t testing.TB, ip string) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Protocols: new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s %s", r.Proto, r.Host, r.RequestURI)
		}),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return netip.MustParseAddrPort(listener.Addr().String())
}

// errReset is how a stream or connection ends that Envoy does not answer.
var errReset = errors.New("reset")

// stream2 sends one request with exactly these header fields on a fresh connection and returns the
// status and body, or errReset.
func (p *proxy) stream2(key string, server netip.AddrPort, fields ...string) (string, string, error) {
	conn, err := p.dial(key, server)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	framer.WriteSettings()
	framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
	})
	status, body := "", ""
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return status, body, errReset
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			status = f.PseudoValue("status")
		case *http2.DataFrame:
			body += string(f.Data())
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return status, body, errReset
		}
		if frame.Header().StreamID == 1 && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return status, body, nil
		}
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel() // it waits much and works little
	p := newProxy(t)
	p.apply("1", append(judgedProfiles(), program.Profile{
		Key: "post", Kind: program.L7HTTP,
		Ingress: half([]program.RequestRule{rule("p", request(subtree("/"), "POST"))}, []program.RequestRule{{Rule: "e", Every: true}}),
	}))
	base := []string{":scheme=http", ":authority=good"}
	with := func(fields ...string) []string { return append(fields, base...) }
	for _, c := range []struct {
		number, key string
		fields      []string
		want        string // empty: the stream or connection is reset
	}{
		{"l7-0", "public", with(":method=GET", ":path=/public/x"), "200"},
		{"l7-0", "public", with(":method=GET", ":path=/admin"), "403"},
		{"l7-1", "public", with(":method=GET", ":path=/public/../admin"), "403"},
		{"l7-9", "public", with(":method=GET", ":path=/public/%2e%2e;/admin"), "403"},
		{"l7-12", "public", with(":method=GET", ":path=/public#/../admin"), "400"},
		{"l7-20", "public", with(":method=GET", ":path=/public/%00"), "400"},
		// Envoy escapes raw bytes; what is judged is what is forwarded.
		{"l7-22", "public", with(":method=GET", ":path=/public/\xe4"), "200"},
		{"l7-22", "public", with(":method=GET", ":path=/public\xe4"), "403"},
		{"l7-22", "any", with(":method=GET", ":path=/admin/\xe4"), "403"},
		{"l7-37", "public", append(with(":method=GET", ":path=/public/x"), "x_role=a"), ""},
		{"l7-41", "public", with(":method=get", ":path=/public/x"), "403"},
		{"l7-41", "post", with(":method=GET", ":path=/x"), "200"},
		{"l7-41", "post", with(":method=POST", ":path=/x"), "403"},
		{"l7-41", "post", with(":method=post", ":path=/x"), "403"},
		{"l7-43", "public", with(":method=FOO", ":path=/public/x"), "403"},
		{"l7-45", "all", []string{":method=CONNECT", ":authority=good:443"}, "403"},
		{"l7-46", "all", append(with(":method=CONNECT", ":path=/"), ":protocol=websocket"), ""},
		{"l7-59", "all", append(with(":method=GET", ":path=/"), ":path=/x"), ""},
		{"l7-59", "all", append([]string{":method=GET", "a=b", ":path=/"}, base...), ""},
		{"l7-59", "all", append(with(":method=GET", ":path=/"), "Upper=x"), ""},
		{"l7-59", "all", append(with(":method=GET", ":path=/"), "a=b\r\nc: d"), ""},
		{"l7-60", "host", append(with(":method=GET", ":path=/public/x"), "host=other"), "200"},
		{"l7-60", "host", []string{":method=GET", ":path=/public/x", ":scheme=http", ":authority=other", "host=good"}, "403"},
	} {
		t.Run(fmt.Sprintf("%s/%s/%q", c.number, c.key, c.fields[0:2]), func(t *testing.T) {
			for _, ip := range []string{server4, server6} {
				status, body, err := p.stream2(c.key, origin2(t, ip), c.fields...)
				if c.want == "" && errors.Is(err, errReset) && status != "200" {
					continue
				}
				if status != c.want || err != nil {
					t.Errorf("%q through %s = %s %q, %v, want %q", c.fields, c.key, status, body, err, c.want)
				}
				if status == "200" && !strings.HasPrefix(body, "HTTP/2.0 good") {
					t.Errorf("%q: the server saw %q, want HTTP/2.0 and the authority", c.fields, body)
				}
			}
		})
	}
}

// openStream begins an allowed request.
func openStream(f *http2.Framer, id uint32, end bool) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []string{":method=GET", ":path=/public/x", ":scheme=http", ":authority=good"} {
		name, value, _ := strings.Cut(field, "=")
		encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true})
	}
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
}

// TestFloods sends what Envoy must answer by closing the connection. (l7-61, l7-62, l7-63)
func TestFloods(t *testing.T) {
	t.Parallel() // it waits much and works little
	p := newProxy(t)
	p.apply("1", []program.Profile{publicOnly("public")})
	server := origin2(t, server4)
	for name, flood := range map[string]func(*http2.Framer, uint32) error{
		"l7-61/continuation": func(f *http2.Framer, i uint32) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			}
			return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 100))
		},
		"l7-62/rapid reset": func(f *http2.Framer, i uint32) error {
			return errors.Join(openStream(f, 2*i+1, true), f.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		},
		"l7-63/empty data": func(f *http2.Framer, i uint32) error {
			if i == 0 {
				return openStream(f, 1, false)
			}
			return f.WriteData(1, false, nil)
		},
		"l7-63/priority":      func(f *http2.Framer, _ uint32) error { return f.WritePriority(1, http2.PriorityParam{}) },
		"l7-63/window update": func(f *http2.Framer, _ uint32) error { return f.WriteWindowUpdate(0, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := p.dial("public", server)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, http2.ClientPreface)
			framer := http2.NewFramer(conn, conn)
			framer.AllowIllegalWrites = true
			framer.WriteSettings()
			const enough = 20_000
			ended := make(chan error, 1)
			go func() { _, err := io.Copy(io.Discard, conn); ended <- err }()
			for i := range uint32(enough) {
				if err = flood(framer, i); err != nil {
					break
				}
			}
			if err == nil {
				err = <-ended
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Envoy took %d frames and did not close", enough)
			}
			if status, _, err := p.stream2("public", server, ":method=GET", ":path=/public/x", ":scheme=http", ":authority=good"); status != "200" {
				t.Errorf("after the flood: %s, %v, want 200", status, err)
			}
		})
	}
}
