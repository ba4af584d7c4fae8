// SPDX-License-Identifier: Apache-2.0

package verdict

import "strings"

// IsMessage reports whether h is a request that a proxy can read at all, but for its path: with a
// method that is known to HTTP, in its own case, and an authority of characters that one may have
// (RFC 3986, section 3.2) and without a user. Others are refused whatever the rules.
func IsMessage(h *HTTP) bool {
	const authority = "!$%&'()*+,-.:;=[]_~"
	return isKnown(h.Method) && !strings.ContainsFunc(h.Host, func(r rune) bool {
		return !isLabelRune(r) && !strings.ContainsRune(authority, r)
	})
}

// isKnown reports whether a method is of the registry of HTTP methods and in use, or PURGE.
func isKnown(method string) bool {
	switch method {
	case "ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "MERGE",
		"MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "MSEARCH", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND",
		"PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND",
		"UNLINK", "UNLOCK", "UNSUBSCRIBE":
		return true
	}
	return false
}
