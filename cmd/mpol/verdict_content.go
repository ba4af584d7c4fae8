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
	if h.Method == "" || h.Path == "" {
		return errors.New("http needs a method and a path")
	}
	v.HTTP = &verdict.HTTP{Method: h.Method, Path: h.Path, Host: h.Host}
	for _, line := range h.Headers {
		if len(line) != 2 {
			return fmt.Errorf("a header is a list of name and value, not of %d texts", len(line))
		}
		if strings.EqualFold(line[0], "upgrade") {
			v.HTTP.Upgrade = strings.ToLower(line[1])
		}
		v.HTTP.Headers = append(v.HTTP.Headers, verdict.Header{Name: line[0], Value: line[1]})
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
