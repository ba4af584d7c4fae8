// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"strings"
	"testing"

	"mpol/compiler/verdict"
)

// Rows with a number are cases of the L7 case list; "" is refused.
func TestJudgePath(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"plain", "/a/b", "/a/b"},
		{"root", "/", "/"},
		{"l7-1 dot segment", "/public/../admin", "/admin"},
		{"l7-2 escaped dots", "/public/%2e%2E/admin", "/admin"},
		{"l7-2 half escaped", "/public/.%2e/admin", "/admin"},
		{"l7-3 single dot", "/public/./x", "/public/x"},
		{"l7-4 slashes", "//public///x", "/public/x"},
		{"l7-5 dots before slashes", "/public//../admin", "/public/admin"},
		{"l7-6 escaped slash", "/public%2f..%2fadmin", ""},
		{"l7-6 escaped backslash", "/public%5C..", ""},
		{"l7-7 backslash", `/public\..\admin`, "/admin"},
		{"l7-8 double escape", "/public/%252e%252e/x", "/public/%252e%252e/x"},
		{"l7-9 parameters behind dots", "/public/..;/admin", "/admin"},
		{"l7-9 parameters behind a dot", "/public/.;x/", "/public/"},
		{"l7-10 parameters", "/admin;x=y", "/admin"},
		{"l7-10 more parameters", "/public;a/b;c", "/public/b"},
		{"l7-11 escaped semicolon", "/a%3bb", "/a%3Bb"},
		{"l7-12 fragment", "/public#/../admin", ""},
		{"l7-13 escaped fragment", "/public%23x", "/public%23x"},
		{"l7-14 query", "/public?/../admin", "/public"},
		{"l7-14 query with a bad escape", "/public?%zz", "/public"},
		{"fragment in the query", "/public?a#b", ""},
		{"l7-15 escaped query", "/public%3f", "/public%3F"},
		{"l7-16 trailing slash", "/public/", "/public/"},
		{"l7-19 overlong", "/%c0%ae", "/%C0%AE"},
		{"l7-20 NUL", "/admin%00", ""},
		{"l7-20 bad escape", "/a%", ""},
		{"bad escape in the middle", "/%zz", ""},
		{"l7-21 unreserved escape", "/%41dmin%7e", "/Admin~"},
		{"l7-22 raw bytes", "/caf\xc3\xa9", "/caf%C3%A9"},
		{"l7-22 raw byte in the query", "/?\xc3", ""},
		{"bytes without a place", "/\"<>^`{|}[]", "/%22%3C%3E%5E%60%7B%7C%7D[]"},
		{"control", "/a\x01", ""},
		{"space", "/a b", ""},
		{"l7-23 asterisk", "*", ""},
		{"l7-24 absolute form", "http://other/public", ""},
		{"empty", "", ""},
		{"segment of parameters", "/a/;x", ""},
		{"segment of parameters, removed", "/a/;x/../b", "/a/b"},
		{"l7-9 escaped dots with parameters", "/public/%2e%2e;/admin", ""},
		{"l7-9 half-escaped dots with parameters", "/public/.%2E;x/admin", ""},
		{"l7-9 escaped dot with parameters", "/public/%2e;x/y", ""},
		{"l7-9 escaped dots with parameters, removed", "/a/%2e%2e;x/../b", "/a/b"},
		{"l7-9 dots with parameters behind a backslash", `/a\..;x/b`, ""},
		{"l7-9 parameters reach to the next slash", `/a/b/..;x\..\c/d`, "/a/d"},
		{"l7-9 escaped slash in parameters", "/a/..;%2f/b", ""},
		{"l7-20 bad escape, removed", "/%zz/../b", "/b"},
		{"l7-20 bad escape in parameters", "/a;%zz", ""},
		{"l7-8 escape in an escape", "/%%41e", "/%25Ae"},
		{"l7-8 escapes in an escape", "/%4%31/%%32%65", "/%2541/%252e"},
		{"l7-20 escape beside a percent sign", "/%%41g", ""},
		{"slashes behind a removed segment", "/a/..//", "/"},
		{"segment of parameters behind a backslash", `/a\;x`, ""},
		{"above the root", "/../../a", "/a"},
		{"to the root", "/a/..", "/"},
		{"last dot", "/a/.", "/a/"},
		{"slashes alone", "///", "/"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := verdict.JudgePath(test.raw)
			if got != test.want || ok != (test.want != "") {
				t.Errorf("JudgePath(%q) = %q, %v, want %q", test.raw, got, ok, test.want)
			}
		})
	}
}

// A judged path is absolute, printable, without empty, dot or parameter segments, and judges to
// itself.
func FuzzJudgePath(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "/%2e%2e/", `/\..\`, "/a;b/..;/", "/%zz", "/a//b/", "/%C0%AE?x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, ok := verdict.JudgePath(raw)
		if !ok {
			if path != "" {
				t.Fatalf("JudgePath(%q) refuses and returns %q", raw, path)
			}
			return
		}
		for _, before := range []string{"", "/x/.."} { // as it stands, and as a path that no step may skip
			again, ok := verdict.JudgePath(before + path)
			if !ok || again != path {
				t.Fatalf("JudgePath(%q) = %q, and of %q it is %q, %v", raw, path, before+path, again, ok)
			}
		}
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#;\\") || strings.Contains(path, "//") {
			t.Fatalf("JudgePath(%q) = %q", raw, path)
		}
		for _, s := range strings.Split(path, "/") {
			if s == "." || s == ".." {
				t.Fatalf("JudgePath(%q) = %q keeps a dot segment", raw, path)
			}
		}
	})
}
