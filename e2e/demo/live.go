// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"mpol/e2e/lab"
)

// live is one keep-alive HTTP connection that outlasts what is done around it. The first request
// makes it.
type live struct {
	client lab.Client
	to     netip.AddrPort
	host   string

	conn *lab.Conn
	in   *bufio.Reader
}

func (l *live) close() error {
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}

// get makes one more request on the connection and says its status or that it was closed.
func (l *live) get(ctx context.Context, path string) string {
	if l.conn == nil {
		conn, err := l.client.Connect(ctx, l.to)
		if err != nil {
			return err.Error()
		}
		l.conn, l.in = conn, bufio.NewReader(conn)
	}
	_, err := fmt.Fprintf(l.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, l.host)
	if err != nil {
		return closed
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err.Error()
	}
	r, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return ended(err)
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return ended(err)
	}
	return strconv.Itoa(r.StatusCode)
}

func ended(err error) string {
	if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
		return silent
	}
	return closed
}

// try returns a try that makes one more request.
func (l *live) try(path string) func(context.Context) string {
	return func(ctx context.Context) string { return l.get(ctx, path) }
}
