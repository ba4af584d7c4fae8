// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// DigResult is the outcome of one question with dig. Exit codes: 0 an answer of any status
// came; 9 none came.
type DigResult struct {
	Result
	// Status is the response code by its name: "NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL";
	// empty without an answer.
	Status string
	// Answers are the records of the answer section, in their order.
	Answers []Answer
}

// Answer is one resource record of an answer section.
type Answer struct {
	Name string
	// TTL is in seconds.
	TTL  uint32
	Type string
	// Data is in zone file form, e.g. "198.51.100.10".
	Data string
}

// Dig asks one question, e.g. Dig(ctx, "a.example", "AAAA", "+tcp"), the host's resolver if no
// "@ADDRESS" is among the arguments. It tries once and waits 2 seconds unless they say otherwise.
func (c Client) Dig(ctx context.Context, args ...string) DigResult {
	all := []string{"-r", "+tries=1", "+timeout=2", "+nosearch"}
	got := DigResult{Result: c.run(ctx, "dig", append(all, args...)...)}
	if got.Err == nil {
		got.Err = got.parse()
	}
	return got
}

// parse reads the header line and the answer section of dig's usual output.
func (r *DigResult) parse() error {
	answers := false
	for line := range strings.Lines(r.Stdout) {
		line = strings.TrimSpace(line)
		if _, rest, found := strings.Cut(line, "->>HEADER<<-"); found {
			_, rest, _ = strings.Cut(rest, "status: ")
			r.Status, _, _ = strings.Cut(rest, ",")
		}
		if line == "" || strings.HasPrefix(line, ";") {
			answers = line == ";; ANSWER SECTION:"
			continue
		}
		if !answers {
			continue
		}
		answer, err := parseAnswer(line)
		if err != nil {
			return fmt.Errorf("read output of dig: %w", err)
		}
		r.Answers = append(r.Answers, answer)
	}
	return nil
}

// parseAnswer reads "NAME TTL CLASS TYPE DATA...".
func parseAnswer(line string) (Answer, error) {
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return Answer{}, fmt.Errorf("record %q has fewer than 5 fields", line)
	}
	ttl, err := strconv.ParseUint(fields[1], 10, 32)
	if err != nil {
		return Answer{}, fmt.Errorf("record %q: %w", line, err)
	}
	return Answer{
		Name: fields[0],
		TTL:  uint32(ttl),
		Type: fields[3],
		Data: strings.Join(fields[4:], " "),
	}, nil
}

// String is one line for messages.
func (r DigResult) String() string {
	switch {
	case r.Err != nil:
		return fmt.Sprintf("dig did not run: %v", r.Err)
	case r.Exit != 0:
		return fmt.Sprintf("dig exit %d: %s", r.Exit, strings.TrimSpace(r.Stdout+r.Stderr))
	}
	return fmt.Sprintf("%s %v", r.Status, r.Answers)
}
