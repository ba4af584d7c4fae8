// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mpol/compiler/program"
)

// TestNameRegexp compares the translation with the contract's own matcher over names that can be
// read: both must say the same of every pattern.
func TestNameRegexp(t *testing.T) {
	label := rapid.StringMatching(`[ab-]{1,4}`)
	wild := rapid.StringMatching(`[ab*-]{1,4}`).Filter(func(s string) bool { return s != "**" && strings.Trim(s, "*") != "" })
	seen := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOfN(rapid.OneOf(label, wild, rapid.Just("*")), 1, 4).Draw(t, "pattern")
		if rapid.Bool().Draw(t, "deep") {
			labels = append([]string{"**"}, labels...)
		}
		pattern := program.NamePattern(strings.Join(labels, "."))
		names := rapid.SliceOfN(label, 1, 5).Draw(t, "name")
		if rapid.Bool().Draw(t, "near") { // else a match would be too rare
			names = nil
			for _, l := range labels {
				names = append(names, strings.ReplaceAll(l, "*", rapid.StringMatching(`[ab]{1,2}`).Draw(t, "fill")))
			}
		}
		name := strings.Join(names, ".")
		want := pattern.Matches(program.ParseName(name))
		seen[want]++
		text := name
		if rapid.Bool().Draw(t, "upper") {
			text = strings.ToUpper(text)
		}
		for _, c := range []struct{ suffix, tail string }{
			{"", hostTail}, {".", hostTail}, {":8080", hostTail}, {".:1", hostTail}, {"", sniTail}, {".", sniTail},
		} {
			e := regexp.MustCompile(anchored(nameRegexp(pattern), c.tail, true))
			if got := e.MatchString(text + c.suffix); got != want {
				t.Fatalf("%q as %s matches %q: %v, want %v", pattern, e, text+c.suffix, got, want)
			}
		}
	})
	if seen[true] < 10 || seen[false] < 10 {
		t.Errorf("drew %d matches and %d others: the test proves little", seen[true], seen[false])
	}
}

func TestNameRegexpUnreadable(t *testing.T) {
	for _, pattern := range []program.NamePattern{"good", "*", "**", "g*d", "*.good", ""} {
		e := regexp.MustCompile(anchored(nameRegexp(pattern), hostTail, true))
		for _, host := range []string{
			"", ".", "..", "good..", "good:", "good:x", "good:80:80", "good@x", "x@good", "good,good", "good good",
			"good/x", "good\x00", "good\n", "\ngood", "good.\n", "gööd", "good\xff", "[::1]", "x..good", ".good",
		} {
			if e.MatchString(host) {
				t.Errorf("%q as %s matches %q", pattern, e, host)
			}
		}
	}
}

func TestReadableHost(t *testing.T) {
	e := regexp.MustCompile(anchored(readableHost, hostTail, true))
	for host, want := range map[string]bool{
		"good": true, "a.b-c._d:80": true, "good.": true, "[::1]:80": true, "192.0.2.1:1": true,
		"": false, "a..b": false, "a@b": false, "a,b": false, "a b": false, "é": false, "a:": false,
	} {
		if got := e.MatchString(host); got != want {
			t.Errorf("%q is readable: %v, want %v", host, got, want)
		}
	}
}

func TestPathRegexp(t *testing.T) {
	match := func(e, text string) bool { return regexp.MustCompile(e).MatchString(text) }
	for _, c := range []struct {
		pattern     program.PathPattern
		path        string
		allow, deny bool
	}{
		{exactPath("/a/*/b"), "/a/x/b", true, true},
		{exactPath("/a/*/b"), "/a//b", false, false},
		{exactPath("/a/*/b"), "/a/x/y/b", false, false},
		{exactPath("/a/*/b"), "/A/x/B/", false, true},
		{exactPath("/a/*/b/"), "/a/x/b", false, true},
		{exactPath("/a/*/b/"), "/a/x/b/", true, true},
		{subtree("/a/*"), "/a/x", true, true},
		{subtree("/a/*"), "/a/x/", true, true},
		{subtree("/a/*"), "/a/x/y/z", true, true},
		{subtree("/a/*"), "/a/", false, false},
		{exactPath("/%C3%A4"), "/%C3%A4", true, true},
		{exactPath("/%C3%A4"), "/%c3%a4", true, true},
		{subtree("/%C3%A4"), "/%c3%A4/x", true, true},
		{exactPath("/ä"), "/%c3%A4", true, true},
		{exactPath("/A%2A"), "/a%2a", false, true},
		{exactPath("/a|b"), "/a%7cb", false, true},
		{exactPath("/a|b"), "/a|b", true, true},
		{exactPath("/a%"), "/a%", true, true},
		{program.PathPattern{Regexp: "/a|/b"}, "/a", true, true},
		{program.PathPattern{Regexp: "/a|/b"}, "/ab", false, false},
		{program.PathPattern{Regexp: "/a|/b"}, "/x/b", false, false},
		{program.PathPattern{Regexp: "/a|/b"}, "/A/", false, true},
		{program.PathPattern{Regexp: "/[ab]/"}, "/a", false, true},
		{program.PathPattern{Regexp: `/a\/`}, "/a", false, true},
		{program.PathPattern{Regexp: `/a\/`}, "/a/", true, true},
		{program.PathPattern{Regexp: `/a\\`}, `/a\`, true, true},
	} {
		if got := match(anchored(pathRegexp(c.pattern, false), "", false), c.path); got != c.allow {
			t.Errorf("allow %q matches %q: %v, want %v", c.pattern.Text+c.pattern.Regexp, c.path, got, c.allow)
		}
		if got := match(anchored(pathRegexp(c.pattern, true), "", true), c.path); got != c.deny {
			t.Errorf("deny %q matches %q: %v, want %v", c.pattern.Text+c.pattern.Regexp, c.path, got, c.deny)
		}
	}
}
