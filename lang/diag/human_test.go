// SPDX-License-Identifier: Apache-2.0

package diag_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"mpol/lang/diag"
)

// TestExcerpt marks x in a line, whose carets stand below it on a terminal.
func TestExcerpt(t *testing.T) {
	for _, tt := range []struct{ name, line, mark, want string }{
		{"plain", `a = "v" x`, "x", `        ^`},
		{"first", `xa`, "x", `^`},
		{"tabs stay", "\ta\t= x", "x", "\t \t  ^"},
		{"accents", `a = "é" x`, "x", `        ^`},
		{"marks on the character before", "a = \"e\u0301o\u0308\" x", "x", `         ^`},
		{"wide", `a = "日本" x`, "x", `           ^`},
		{"half as wide", `a = "ｱｲ" x`, "x", `         ^`},
		{"pictures", `a = "🦊" x`, "x", `         ^`},
		{"what is wide itself", `a = "日本" "x"`, `"日本"`, `    ^^^^^^`},
		{"what does not show", "a\u200b\x1b x", "x", `    ^`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "first\n" + tt.line + "\nlast\n"
			at := strings.Index(text, tt.mark)
			start := diag.Pos{Line: 2, Column: utf8.RuneCountInString(text[6:at]) + 1, Offset: at}
			end := start
			end.Column += utf8.RuneCountInString(tt.mark)
			end.Offset += len(tt.mark)
			got := strings.Split(diag.Excerpt([]byte(text), diag.Span{File: "a", Start: start, End: end}, false), "\n")
			if len(got) != 3 || got[1] != "   | "+tt.want {
				t.Errorf("got %q, want the carets %q", got, tt.want)
			}
		})
	}
}

// TestExcerptOfLines underlines what a span covers of its first line.
func TestExcerptOfLines(t *testing.T) {
	span := diag.Span{Start: diag.Pos{Line: 1, Column: 3, Offset: 2}, End: diag.Pos{Line: 2, Column: 2, Offset: 8}}
	if got, want := diag.Excerpt([]byte("a {日\nb }\n"), span, false), " 1 | a {日\n   |   ^^^\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestExcerptOfLongLines shows what is near the place.
func TestExcerptOfLongLines(t *testing.T) {
	const pad = "αβ " // five bytes, three columns
	line := strings.Repeat(pad, 10000) + "!here" + strings.Repeat(pad, 10000)
	at := strings.Index(line, "here")
	for name, text := range map[string]string{"one": line, "the first": line + "\nlast\n", "the last": "first\n" + line} {
		before := strings.Index(text, line)
		start := diag.Pos{Line: 1, Column: 30002, Offset: before + at}
		end := diag.Pos{Line: 1, Column: 30006, Offset: before + at + 4}
		want := " 1 | …β " + strings.Repeat(pad, 39) + "!here" + strings.Repeat(pad, 79) + "…\n   | " + strings.Repeat(" ", 121) + "^^^^\n"
		if got := diag.Excerpt([]byte(text), diag.Span{Start: start, End: end}, false); got != want {
			t.Errorf("%s: got\n%s, want\n%s", name, got, want)
		}
	}
	short := strings.Repeat("a", 200) + "here" + strings.Repeat("b", 396)
	span := diag.Span{Start: diag.Pos{Line: 2, Column: 201, Offset: 206}, End: diag.Pos{Line: 2, Column: 205, Offset: 210}}
	want := " 2 | " + short + "\n   | " + strings.Repeat(" ", 200) + "^^^^\n"
	for _, text := range []string{"first\n" + short, "first\n" + short + "\nlast\n"} {
		if got := diag.Excerpt([]byte(text), span, false); got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
	}
}
