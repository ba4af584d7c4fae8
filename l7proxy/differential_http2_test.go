// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mpol/compiler/verdict"
)

// fields writes header fields as one block.
func fields(encoder *hpack.Encoder, block *bytes.Buffer, pairs ...string) []byte {
	block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return block.Bytes()
}

// serve2 reads HTTP/2 frames and takes every header as it comes.
func serve2(r *recorder, conn net.Conn) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	var block bytes.Buffer
	framer, decoder, encoder := http2.NewFramer(conn, conn), hpack.NewDecoder(4096, nil), hpack.NewEncoder(&block)
	framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				framer.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			got, err := decoder.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				return
			}
			values := map[string]string{}
			for _, field := range got {
				values[field.Name] = field.Value
			}
			r.record(values["x-id"], verdict.HTTP{Method: values[":method"], Path: values[":path"], Host: values[":authority"]})
			framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: f.StreamID, EndStream: true, EndHeaders: true,
				BlockFragment: fields(encoder, &block, ":status", "200", "x-arrived", "yes"),
			})
		}
	}
}

// client2 is a connection that sends one request after the other.
type client2 struct {
	net.Conn
	*http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	next    uint32
}

func newClient2(conn net.Conn) *client2 {
	c := &client2{Conn: conn, Framer: http2.NewFramer(conn, conn), next: 1}
	c.encoder = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.AllowIllegalWrites = true
	io.WriteString(conn, http2.ClientPreface)
	c.WriteSettings()
	return c
}

// exchange sends a request and returns its status and whether the server answered it. The error says
// that the connection is of no more use.
func (c *client2) exchange(q *wireRequest) (status int, arrived bool, err error) {
	id := c.next
	c.next += 2
	pairs := []string{":method", q.Method, ":scheme", "http", ":authority", q.Host, ":path", q.Path, "x-id", strconv.Itoa(q.id)}
	if q.Method == "QUERY" {
		pairs = append(pairs, "content-type", "a/b") // without it there is none
	}
	err = c.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, EndStream: true, EndHeaders: true,
		BlockFragment: fields(c.encoder, &c.block, pairs...),
	})
	for err == nil {
		var frame http2.Frame
		if frame, err = c.ReadFrame(); err != nil {
			break
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = c.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			return status, arrived, errReset
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return status, arrived, nil
			}
		case *http2.MetaHeadersFrame:
			status, _ = strconv.Atoi(f.PseudoValue("status"))
			for _, field := range f.RegularFields() {
				arrived = arrived || field.Name == "x-arrived"
			}
		}
		if h := frame.Header(); h.StreamID == id && h.Flags.Has(http2.FlagHeadersEndStream) {
			if h.Type == http2.FrameHeaders || h.Type == http2.FrameData {
				return status, arrived, nil
			}
		}
	}
	return status, arrived, err
}

// fatal reports whether Envoy ends the connection over q and takes a second for it; the test sends
// only some of these.
func fatal(q *wireRequest) bool {
	return !strings.HasPrefix(q.Path, "/") || q.Host == "" || !verdict.IsMessage(&verdict.HTTP{Method: "GET", Host: q.Host})
}

// send2 sends requests over one connection, and over another where Envoy closes it.
func (d *differential) send2(s *situation, requests []*wireRequest) {
	d.t.Helper()
	for len(requests) > 0 {
		conn, err := d.dial(s.profile, d.server.addr())
		if err != nil {
			d.t.Error(err)
			return
		}
		local, client := netip.MustParseAddrPort(conn.LocalAddr().String()), newClient2(conn)
		for len(requests) > 0 && err == nil {
			q := requests[0]
			requests = requests[1:]
			q.Two, q.Upgrade, q.headers = true, "", ""
			o := d.sent(s, q, local)
			o.message = q.Host != ""
			o.code, o.passed, err = client.exchange(q)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			d.t.Errorf("no answer on a connection of %s: %v", s.name, err)
		}
		conn.Close()
	}
}
