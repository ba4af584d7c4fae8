// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Live is one keep-alive HTTP connection that outlasts what is done around it. The first request
// makes it. Close it, or the lab does.
type Live struct {
	Client Client
	To     netip.AddrPort
	// Host is the value of the Host header and, with TLS, the server name.
	Host string
	TLS  bool

	conn *Conn
	in   *bufio.Reader
}

// Close ends the connection; one that was never made is none.
func (l *Live) Close() error {
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}

// Get makes one more request on the connection and says its status or how the connection ended.
func (l *Live) Get(ctx context.Context, path string) string {
	if l.conn == nil {
		conn, err := l.connect(ctx)
		if err != nil {
			return err.Error()
		}
		l.conn, l.in = conn, bufio.NewReader(conn)
	}
	_, err := fmt.Fprintf(l.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, l.Host)
	if err != nil {
		return Closed
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

func (l *Live) connect(ctx context.Context) (*Conn, error) {
	if l.TLS {
		return l.Client.ConnectTLS(ctx, l.To, l.Host)
	}
	return l.Client.Connect(ctx, l.To)
}

func ended(err error) string {
	if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
		return Silent
	}
	return Closed
}
