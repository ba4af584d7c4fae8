// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestGate(t *testing.T) {
	const (
		pass     = `{"Action":"run","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
		fail     = `{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:1: broken\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}` + "\n"
		skip     = `{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:1: needs root\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestC"}` + "\n"
		subtests = `{"Action":"pass","Package":"p","Test":"TestD/one"}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestD/two"}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestD"}` + "\n"
		hanging  = `{"Action":"run","Package":"p","Test":"TestE"}` + "\n"
		good     = `{"Action":"pass","Package":"p","Elapsed":0.5}` + "\n"
		bad      = `{"Action":"output","Package":"p","Output":"panic: odd\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n"
		empty    = `{"Action":"skip","Package":"q"}` + "\n"
		build    = `{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:3: undefined: x\n"}` + "\n" + `{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}` + "\n"
	)
	for _, row := range []struct {
		name   string
		events string
		ci     bool
		code   int
		last   string
		says   string
	}{
		{"pass", pass + good, true, 0, "1 passed, 0 failed, 0 skipped", "pass  p"},
		{"fail", pass + fail + bad, false, 1, "1 passed, 1 failed, 0 skipped", "b_test.go:1: broken"},
		{"skip on a laptop", pass + skip + good, false, 0, "1 passed, 0 failed, 1 skipped", "needs root"},
		{"skip in CI", pass + skip + good, true, 1, "1 passed, 0 failed, 1 skipped", "a skipped test is a failure"},
		{"subtests", subtests + good, true, 0, "2 passed, 0 failed, 0 skipped", ""},
		{"package without tests", pass + good + empty, true, 0, "1 passed, 0 failed, 0 skipped", ""},
		{"package fails outside its tests", pass + bad, false, 1, "1 passed, 1 failed, 0 skipped", "panic: odd"},
		{"build fails", build, false, 1, "0 passed, 1 failed, 0 skipped", "undefined: x"},
		{"test without end", pass + hanging + bad, false, 1, "1 passed, 1 failed, 0 skipped", "TestE"},
		{"package without end", pass, false, 1, "1 passed, 1 failed, 0 skipped", ""},
		{"nothing", "", false, 1, "0 passed, 0 failed, 0 skipped", "no test ran"},
		{"no event", "go: cannot find main module\n", false, 1, "0 passed, 0 failed, 0 skipped", "cannot find"},
		{"skips alone", skip + good, false, 1, "0 passed, 0 failed, 1 skipped", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out strings.Builder
			code := gate(strings.NewReader(row.events), &out, row.ci)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; code != row.code || last != row.last {
				t.Errorf("gate = %d, last line %q, want %d, %q", code, last, row.code, row.last)
			}
			if !strings.Contains(out.String(), row.says) {
				t.Errorf("output %q lacks %q", out.String(), row.says)
			}
		})
	}
}
