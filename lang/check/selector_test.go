// SPDX-License-Identifier: Apache-2.0

package check

import (
	"testing"

	"mpol/compiler/program"
	"mpol/lang"
)

func TestSatisfiable(t *testing.T) {
	for _, tt := range []struct {
		selector string
		want     bool
	}{
		{`has a`, true},
		{`not has a`, true},
		{`a = "x" and a = "y"`, false},
		{`a = "x" and a != "y"`, true},
		{`a != "x" and not has a`, true},
		{`a = "x" and not has a`, false},
		{`has a and a not in ["x", "y"]`, true},
		{`a in ["x", "y"] and a != "x" and a != "y"`, false},
		{`(a = "x" or b = "x") and a != "x" and not has b`, false},
		{`(a = "x" or b = "x") and a != "x"`, true},
		{`not (has a or not has a)`, false},
	} {
		t.Run(tt.selector, func(t *testing.T) {
			f, diags := lang.Parse("a.mpol", []byte("package a\nworkload w = "+tt.selector+"\n"))
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			c := &checker{}
			s, size := c.expression(f.Decls[0].(*lang.Workload).Selector)
			if got := satisfiable(s, size); got != tt.want {
				t.Errorf("satisfiable = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestNamesMeet(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"a.x.example", "a.x.example", true},
		{"a.x.example", "b.x.example", false},
		{"*.x.example", "a.x.example", true},
		{"*.x.example", "a.y.example", false},
		{"*.x.example", "a.b.x.example", false},
		{"**.x.example", "a.b.x.example", true},
		{"**.x.example", "x.example", false},
		{"a-*.x.example", "*-b.x.example", true},
		{"a.*.example", "b.*.example", false},
		{"**.example", "**.x.example", true},
	} {
		for _, p := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := program.NamePattern(p[0]).Meets(program.NamePattern(p[1])); got != tt.want {
				t.Errorf("(%s).Meets(%s) = %v, want %v", p[0], p[1], got, tt.want)
			}
		}
	}
}
