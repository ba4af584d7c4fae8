// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mpol/docs"
	"mpol/lang"
	"mpol/lang/diag"
	builtin "mpol/policies"
)

// railPrefix is what the code of a guardrail's diagnostic begins with; the guardrail's name follows.
const railPrefix = "guard/"

func newExplain(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE | WORD]",
		Short: "Say what the code of a diagnostic, or a word of the language, means",
		Long: `Explain prints the page of a code, such as bad-l4 or guard/owner: what the mistake is, and an example
with it and one without. Of a word of the language, such as peers, http, same or private, it prints what
the language says about it; language is a whole file to begin with. Without a code it lists all of them.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pages, err := readPages()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listPages(s, pages)
			}
			if i := slices.IndexFunc(pages, func(p codePage) bool { return p.code == args[0] }); i >= 0 {
				_, err = fmt.Fprint(s.out, pages[i].text)
				return err
			}
			found := about(topics(lang.Spec()), args[0])
			if len(found) == 0 {
				return usageError{errors.New(noPage(pages, args[0]))}
			}
			texts := make([]string, len(found))
			for i, t := range found {
				texts[i] = t.String()
			}
			_, err = fmt.Fprint(s.out, strings.Join(texts, "\n"))
			return err
		},
	}
}

// codePage is the page of one code.
type codePage struct {
	code string
	text string
}

// summary returns the first sentence of a page, behind its title.
func (p codePage) summary() string {
	_, rest, _ := strings.Cut(p.text, "\n\n")
	first, _, _ := strings.Cut(rest, "\n\n")
	sentence, _, more := strings.Cut(strings.Join(strings.Fields(first), " "), ". ")
	if more {
		sentence += "."
	}
	return sentence
}

// readPages returns all pages, sorted by code.
func readPages() ([]codePage, error) {
	var pages []codePage
	for _, at := range []struct {
		folder       fs.FS
		pattern      string
		before, tail string
	}{
		{docs.Codes(), "*.md", "", ".md"},
		{builtin.Guardrails(), "*/README.md", railPrefix, "/README.md"},
	} {
		names, err := fs.Glob(at.folder, at.pattern)
		if err != nil {
			return nil, fmt.Errorf("list pages %s: %w", at.pattern, err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(at.folder, name)
			if err != nil {
				return nil, fmt.Errorf("read page %s: %w", name, err)
			}
			pages = append(pages, codePage{code: at.before + strings.TrimSuffix(name, at.tail), text: string(text)})
		}
	}
	slices.SortFunc(pages, func(a, b codePage) int { return strings.Compare(a.code, b.code) })
	return pages, nil
}

// listPages writes a line for each page.
func listPages(s streams, pages []codePage) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, p := range pages {
		if _, err := fmt.Fprintf(w, "%s\t%s\n", p.code, p.summary()); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var names []string
	for _, t := range topics(lang.Spec()) {
		names = append(names, t.names()...)
	}
	slices.Sort(names)
	_, err := fmt.Fprintf(s.out, "\n%s\n", wrapped("Of the language: "+strings.Join(slices.Compact(names), ", ")+", and each of its reserved words."))
	return err
}

// noPage says that a code has no page, and which codes look like it.
func noPage(pages []codePage, code string) string {
	var near []string
	for _, p := range pages {
		if strings.Contains(p.code, code) || strings.Contains(code, p.code) {
			near = append(near, p.code)
		}
	}
	if len(near) == 0 {
		all := make([]string, 0, len(pages))
		for _, p := range pages {
			all = append(all, p.code)
		}
		if n := diag.Nearest(code, all); n != "" {
			near = append(near, n)
		}
	}
	if len(near) == 0 || code == "" {
		return fmt.Sprintf("unknown code or word %q: mpol explain lists them", code)
	}
	return fmt.Sprintf("unknown code or word %q: did you mean %s?", code, strings.Join(near, " or "))
}
