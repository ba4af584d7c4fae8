// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"strconv"
	"strings"
)

// The outcomes of clients that are no HTTP status and no DNS status.
const (
	Refused  = "refused"  // RST or ICMP: at once
	Silent   = "timeout"  // nothing came back
	Closed   = "closed"   // the connection was made and ended before an answer
	Answered = "answered" // an echo came back
)

// Outcome says the HTTP status or how the connection failed.
func (r CurlResult) Outcome() string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case r.Exit == 0:
		return strconv.Itoa(r.Code)
	case r.Exit == 7:
		return Refused
	case r.Exit == 28:
		return Silent
	case r.Exit == 35 || r.Exit == 52 || r.Exit == 56:
		return Closed
	case r.Exit == 6:
		return "no such name"
	}
	return r.String()
}

// Outcome says how many records came or the response code.
func (r DigResult) Outcome() string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case r.Exit != 0 && strings.Contains(r.Stdout, "timed out"):
		return Silent
	case r.Exit == 9:
		return Refused // by an ICMP error or RST
	case r.Exit != 0:
		return r.String()
	case r.Status == "NOERROR":
		return fmt.Sprintf("%d address", len(r.Answers))
	}
	return r.Status
}
