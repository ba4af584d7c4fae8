// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"mpol/e2e/lab"
)

// curl returns a try that says the HTTP status or how the connection failed.
func curl(c lab.Client, f family, args ...string) func(context.Context) string {
	return func(ctx context.Context) string {
		return c.Curl(ctx, append([]string{"-" + f.name, "--max-time", "3"}, args...)...).Outcome()
	}
}

// dig returns a try that says the response code.
func dig(c lab.Client, f family, name string) func(context.Context) string {
	return func(ctx context.Context) string {
		return c.Dig(ctx, "@"+f.resolver.String(), name, f.typ).Outcome()
	}
}

// ping returns a try that says whether an echo came back.
func ping(c lab.Client, w lab.Workload, f family) func(context.Context) string {
	return func(ctx context.Context) string {
		switch r := c.Ping(ctx, f.address(w)); {
		case r.Err != nil:
			return r.Err.Error()
		case r.Exit == 0:
			return lab.Answered
		}
		return lab.Refused
	}
}

// get returns a try that makes one more request on a live connection.
func get(l *lab.Live, path string) func(context.Context) string {
	return func(ctx context.Context) string { return l.Get(ctx, path) }
}
