// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"
)

// Conn is a live TCP connection held by a process (netcat, or openssl for TLS) of a host and
// cgroup, unlike the one of Host.Dial, which belongs to the cgroup of this process.
type Conn struct {
	input, output *os.File // the process's
	cmd           *Command
}

// Connect starts a connection. It returns before the connection is made: a failure shows as
// io.EOF at the first Read. Close it, or the lab does.
func (c Client) Connect(ctx context.Context, address netip.AddrPort) (*Conn, error) {
	return c.hold(ctx, "nc", "-n", address.Addr().String(), strconv.Itoa(int(address.Port())))
}

// ConnectTLS starts a TLS connection with a server name, as Connect does; what is written and read is
// what the TLS connection carries. Certificates are not looked at.
func (c Client) ConnectTLS(ctx context.Context, address netip.AddrPort, name string) (*Conn, error) {
	return c.hold(ctx, "openssl", "s_client", "-quiet", "-verify_quiet", "-connect", address.String(), "-servername", name)
}

// hold starts a process that is a connection from its standard input to its standard output.
func (c Client) hold(ctx context.Context, name string, args ...string) (*Conn, error) {
	output, outputEnd, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer outputEnd.Close()
	inputEnd, input, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", errors.Join(err, output.Close()))
	}
	defer inputEnd.Close()
	cmd := c.Command(ctx, name, args...)
	cmd.Stdin, cmd.Stdout = inputEnd, outputEnd
	conn := &Conn{input: input, output: output, cmd: cmd}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, output.Close(), input.Close())
	}
	return conn, nil
}

// Read receives data; it returns io.EOF when the connection has ended.
func (c *Conn) Read(data []byte) (int, error) { return c.output.Read(data) }

// SetReadDeadline is that of a file: a Read after it returns os.ErrDeadlineExceeded.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.output.SetReadDeadline(t) }

// Write sends data.
func (c *Conn) Write(data []byte) (int, error) { return c.input.Write(data) }

// Exchange sends a line to an echo server and waits for it to come back.
func (c *Conn) Exchange(line string, limit time.Duration) error {
	if _, err := c.Write([]byte(line)); err != nil {
		return fmt.Errorf("exchange: %w", err)
	}
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("exchange: %w", err)
	}
	for got := ""; got != line; {
		buffer := make([]byte, len(line)-len(got))
		n, err := c.Read(buffer)
		if err != nil {
			return fmt.Errorf("exchange: %w", err)
		}
		got += string(buffer[:n])
		if got != line[:len(got)] {
			return fmt.Errorf("exchange: got %q, want %q", got, line)
		}
	}
	return nil
}

// Close ends the process and with it the connection.
func (c *Conn) Close() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("close connection: %w", err)
	}
	_ = c.cmd.Wait() // it was killed
	return errors.Join(c.output.Close(), c.input.Close())
}
