// SPDX-License-Identifier: Apache-2.0

package program_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"mpol/compiler/program"
)

// ARCHITECTURE.md says each limit, and the page of its code does.
func TestLimitsAreWritten(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "| of one program | at most | more is |\n| --- | --- | --- |\n")
	section, _, _ = strings.Cut(section, "\n\n")
	rows := strings.Split(section, "\n")
	limits := []int{
		program.MaxWorkloads, program.MaxAddresses, program.MaxPrefixes, program.MaxSockets, program.MaxMembers,
		program.MaxEntries, program.MaxRanges, program.MaxProfileRows, program.MaxProfiles,
		program.MaxTiers, program.MaxRules, program.MaxNameSets, program.MaxL7Ports,
	}
	if len(rows) != len(limits) {
		t.Fatalf("there are %d rows and %d limits", len(rows), len(limits))
	}
	code := regexp.MustCompile("`([a-z0-9-]+)`")
	for i, row := range rows {
		cells := strings.Split(row, "|")
		number, _, _ := strings.Cut(strings.TrimSpace(cells[2]), ";")
		if n, err := strconv.Atoi(strings.ReplaceAll(number, ",", "")); err != nil || n != limits[i] {
			t.Errorf("%s: %q, want %d", cells[1], number, limits[i])
		}
		found := code.FindAllStringSubmatch(cells[3], -1)
		if len(found) == 0 {
			t.Errorf("%s: no code", cells[1])
		}
		for _, c := range found {
			page, err := os.ReadFile("../../docs/codes/" + c[1] + ".md")
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`\b` + number + `\b`).Match(page) {
				t.Errorf("the page of %s does not say %s", c[1], number)
			}
		}
	}
}
