// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"mpol/compiler/verdict"
)

// wireRequest is a request as it stands on the wire.
type wireRequest struct {
	verdict.HTTP
	id      int
	headers string // further lines
}

// raw returns the bytes of an HTTP/1.1 request.
func (q *wireRequest) raw() string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nX-Id: %d\r\n%s\r\n", q.Method, q.Path, q.Host, q.id, q.headers)
}

// message reports whether HTTP/1.1 can carry q at all. What it cannot is no request to judge, and
// Envoy has to refuse it.
func (q *wireRequest) message() bool {
	return strings.Trim(q.Path, printable) == ""
}

const printable = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// draw draws requests for a situation: from what its rules speak of, then bent.
type draw struct {
	*rand.Rand
}

func (d draw) pick(list ...string) string { return list[d.IntN(len(list))] }

func (d draw) request(s *situation, id int) *wireRequest {
	q := &wireRequest{id: id}
	q.Method = d.pick("GET", "GET", "GET", "POST", "HEAD", "DELETE", "PUT")
	if d.IntN(12) == 0 {
		q.Method = d.pick("OPTIONS", "TRACE", "PATCH", "QUERY", "PURGE", "PROPFIND", "FOO", "get", "Post", "CONNECT", "connect", "GE", "G.T", "head")
	}
	q.Path = d.path(s)
	for range d.IntN(4) {
		q.Path = d.bend(q.Path, s)
	}
	q.Host = d.host(s)
	switch {
	case d.IntN(40) == 0:
		q.Upgrade = d.pick("websocket", "foo")
		q.headers = "Connection: Upgrade\r\nUpgrade: " + q.Upgrade + "\r\n"
	case q.Method == "POST" || q.Method == "PUT" || q.Method == "QUERY":
		q.headers = "Content-Type: a/b\r\nContent-Length: 0\r\n"
	}
	return q
}

// path draws one that some pattern of the situation matches.
func (d draw) path(s *situation) string {
	pattern := s.byPattern[d.IntN(len(s.byPattern))]
	if below, ok := strings.CutSuffix(pattern, "/**"); ok {
		pattern = below + d.pick("", "/", "/x", "/shut/y", "/x/y/", "/Z")
	}
	segments := strings.Split(pattern, "/")
	for i, segment := range segments {
		if segment == "*" || strings.HasPrefix(segment, "{") {
			segments[i] = d.pick("x", "7", "%C3%A4", "a.b", "...", "A", "%22")
		}
	}
	if path := strings.Join(segments, "/"); path != "" {
		return path
	}
	return "/"
}

// bend changes one thing about a path.
func (d draw) bend(path string, s *situation) string {
	at := d.IntN(len(path) + 1)
	switch d.IntN(14) {
	case 0: // climb and go down elsewhere, in any spelling
		up := strings.Count(path, "/") - d.IntN(2)
		for range max(up, 1) {
			path += d.pick("/", "/", "/", `\`, "//") + d.pick("..", "..", d.dots())
		}
		return path + d.path(s)
	case 1: // a segment in the middle
		if i := strings.IndexByte(path[at:], '/'); i >= 0 {
			at += i
		}
		return path[:at] + d.pick("/", "/", `\`) + d.segment() + path[at:]
	case 2: // a segment at the end
		return path + d.pick("/", "/", `\`) + d.segment()
	case 3: // an escape of what stands there
		if at == len(path) {
			return path
		}
		return path[:at] + d.escape(path[at]) + path[at+1:]
	case 4: // any byte
		return path[:at] + d.byte() + path[at:]
	case 5: // any escape
		return path[:at] + d.escape(byte(d.IntN(256))) + path[at:]
	case 6: // no escape
		return path[:at] + d.pick("%", "%z", "%4", "%zz", "%00", "%%41", "%u0041", "%2", "%2f", "%5c", "%252e%252e", "%25") + path[at:]
	case 7: // the case of everything, or of a part
		if d.IntN(2) == 0 {
			at = 0
		}
		return path[:at] + d.pick(strings.ToUpper(path[at:]), strings.ToLower(path[at:]))
	case 8: // the slash at the end
		if cut, ok := strings.CutSuffix(path, "/"); ok && cut != "" {
			return cut
		}
		return path + "/"
	case 9: // another slash
		return strings.Replace(path, "/", d.pick("//", `\`, "/./", "/%2e/", "///", "/;/", `/\`), 1+d.IntN(2))
	case 10: // parameters
		return path[:at] + d.pick(";", ";x", ";x=y", "%3b", "%3Bx", ";a;b", ";..", ";%2e%2e") + path[at:]
	case 11: // what is behind the path
		return path + d.pick("?", "?a=b", "?/../admin", "?x=%2f%zz", "?a?b", "#x", "?a#b", "%23", "%3f", "?a|b", "?%", "?;/..")
	case 12: // another form of the target
		return d.pick("http://good.example"+path, "https://x"+path, "http://good.example", "*", "x"+path, "//good.example"+path, "/http://x"+path, "HTTP://GOOD.example:80"+path)
	}
	return path[:at] + d.dots() + path[at:]
}

func (d draw) segment() string {
	return d.pick(d.dots(), d.dots(), d.dots(), "", "x", "...", "..x", ".x", "x..", ";x", ";", "x;y", "..%2f", "..%00", "%2e%2e%2e")
}

// dots draws a dot segment in any spelling, with and without parameters.
func (d draw) dots() string {
	dot := func() string { return d.pick(".", ".", "%2e", "%2E") }
	return dot() + d.pick(dot(), dot(), "") + d.pick("", "", "", ";", ";x", ";x=y", ";/", "%3b", ";%2f", ";a;b", ";.")
}

func (d draw) escape(b byte) string {
	return fmt.Sprintf(d.pick("%%%02X", "%%%02x"), b)
}

// byte draws any but those that end a line.
func (d draw) byte() string {
	if b := byte(d.IntN(256)); d.IntN(8) == 0 && b != '\r' && b != '\n' {
		return string([]byte{b})
	}
	return string(printable[d.IntN(len(printable))])
}

func (d draw) host(s *situation) string {
	hosts := s.hosts
	if len(hosts) == 0 {
		hosts = []string{"good.example", "good.example", "other"}
	}
	host := hosts[d.IntN(len(hosts))]
	for d.IntN(4) == 0 {
		at := d.IntN(len(host) + 1)
		switch d.IntN(10) {
		case 0:
			host += "."
		case 1:
			host += d.pick(":80", ":8080", ":", ":x", ":80:80", ":0", ":99999")
		case 2:
			host = strings.ToUpper(host[:at]) + host[at:]
		case 3:
			host = d.pick("x.", ".", "x@", "x:y@", "*.", "www", "-") + host
		case 4:
			host += d.pick(",other", ", good.example", ".evil", "@x", "%2e", "%00", "/x", "?x", "#x", "..", `\x`)
		case 5:
			host = d.pick("[::1]", "[::1]:80", "192.0.2.1", "192.0.2.1:80", "", "x", "[x]", "[::1", ".", "::1", "[fe80::1%25eth0]")
		case 6:
			host = host[:at] + string(printable[d.IntN(len(printable))]) + host[at:]
		case 7:
			host = host[:at] + d.pick("_", "%", "|", "~", " ", "\xe4", "\t", "*", "--") + host[at:]
		default:
			host = host[:at] + d.pick("a", "é", "x.") + host[at:]
		}
	}
	return strings.Trim(host, " \t") // which is not part of a header's value
}
