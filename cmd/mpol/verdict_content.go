// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"mpol/compiler/verdict"
)

// fill makes the request of a flow.
func (h *httpLine) fill(v *verdict.Flow) error {
	if h.Method == "" || h.Path == "" && h.Method != "CONNECT" {
		return errors.New("http needs a method and a path")
	}
	v.HTTP = &verdict.HTTP{Method: h.Method, Path: h.Path, Host: h.Host, Headers: h.Headers}
	changes := false
	for _, line := range h.Headers {
		switch {
		case strings.EqualFold(line.Name, "upgrade"):
			v.HTTP.Upgrade = strings.ToLower(line.Value)
		case strings.EqualFold(line.Name, "connection"):
			for token := range strings.SplitSeq(line.Value, ",") {
				changes = changes || strings.EqualFold(strings.Trim(token, " \t"), "upgrade")
			}
		}
	}
	if !changes {
		v.HTTP.Upgrade = "" // RFC 9110, section 7.8: without the connection option it asks for nothing
	}
	return nil
}

// fillGRPC makes the request for a method S/M.
func fillGRPC(v *verdict.Flow, method string) error {
	service, name, found := strings.Cut(method, "/")
	if !found || service == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("grpc %q is no method; write package.Service/Method", method)
	}
	v.HTTP = verdict.GRPC(service, name)
	return nil
}
