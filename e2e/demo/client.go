// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"

	"mpol/e2e/lab"
)

// The outcomes of clients that are no HTTP status and no DNS status.
const (
	refused  = "refused"  // RST or ICMP: at once
	silent   = "timeout"  // nothing came back
	closed   = "closed"   // the connection was made and ended before an answer
	answered = "answered" // a ping came back
)

// curl returns a try that says the HTTP status or how the connection failed.
func curl(c lab.Client, f family, args ...string) func(context.Context) string {
	return func(ctx context.Context) string {
		r := c.Curl(ctx, append([]string{"-" + f.name, "--max-time", "3"}, args...)...)
		switch {
		case r.Err != nil:
			return r.Err.Error()
		case r.Exit == 0:
			return strconv.Itoa(r.Code)
		case r.Exit == 7:
			return refused
		case r.Exit == 28:
			return silent
		case r.Exit == 35 || r.Exit == 52 || r.Exit == 56:
			return closed
		case r.Exit == 6:
			return "no such name"
		}
		return r.String()
	}
}

// dig returns a try that says the response code.
func dig(c lab.Client, f family, name string) func(context.Context) string {
	return func(ctx context.Context) string {
		r := c.Dig(ctx, "@"+f.resolver.String(), name, f.typ)
		switch {
		case r.Err != nil:
			return r.Err.Error()
		case r.Exit != 0:
			return silent
		case r.Status == "NOERROR":
			return fmt.Sprintf("%d address", len(r.Answers))
		}
		return r.Status
	}
}

// ping returns a try that says whether an echo came back.
func ping(c lab.Client, w lab.Workload, f family) func(context.Context) string {
	return func(ctx context.Context) string {
		switch r := c.Ping(ctx, f.address(w)); {
		case r.Err != nil:
			return r.Err.Error()
		case r.Exit == 0:
			return answered
		}
		return refused
	}
}
