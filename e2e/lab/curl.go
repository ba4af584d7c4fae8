// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// CurlResult is the outcome of one request with curl. Exit codes met in tests: 0 a response
// came; 6 the name was not resolved; 7 refused or unreachable; 28 timeout; 35 the TLS handshake
// failed; 52 and 56 the connection ended before a response.
type CurlResult struct {
	Result
	// Code is the HTTP status, 0 without a response.
	Code int
	// Remote is the address that curl connected to, invalid if to none.
	Remote netip.Addr
	// Body is the body, with the header before it where the arguments ask for it (-i).
	Body string
}

// Curl makes one request. The arguments end with one URL and may have any option of curl
// before it; time is limited to 5 seconds unless they say otherwise (--max-time). No proxy
// and no user's settings are used; the lab's authority is trusted.
func (c Client) Curl(ctx context.Context, args ...string) CurlResult {
	ca, err := c.Host.lab.CA()
	if err != nil {
		return CurlResult{Result: Result{Exit: -1, Err: err}}
	}
	all := []string{
		"-q", "--silent", "--show-error", "--noproxy", "*", "--cacert", ca.Path,
		"--max-time", "5", "--write-out", "\n%{http_code} %{remote_ip}",
	}
	got := CurlResult{Result: c.run(ctx, "curl", append(all, args...)...)}
	if got.Err != nil {
		return got
	}
	end := strings.LastIndexByte(got.Stdout, '\n')
	if end < 0 {
		return got // a usage error, said on stderr
	}
	code, remote, _ := strings.Cut(got.Stdout[end+1:], " ")
	if got.Code, got.Err = strconv.Atoi(code); got.Err != nil {
		return got
	}
	got.Body = got.Stdout[:end]
	got.Remote, _ = netip.ParseAddr(remote) // empty when there was no connection
	return got
}

// Request decodes the body that a Web server answers with.
func (r CurlResult) Request() (Request, error) {
	var request Request
	if err := json.Unmarshal([]byte(r.Body), &request); err != nil {
		return Request{}, fmt.Errorf("read body of %v: %w", r, err)
	}
	return request, nil
}

// String is one line for messages.
func (r CurlResult) String() string {
	switch {
	case r.Err != nil:
		return fmt.Sprintf("curl did not run: %v", r.Err)
	case r.Exit != 0:
		return fmt.Sprintf("curl exit %d: %s", r.Exit, strings.TrimSpace(r.Stderr))
	}
	return fmt.Sprintf("HTTP %d from %s", r.Code, r.Remote)
}
