// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// topicWidth is where the lines of a topic are broken.
const topicWidth = 100

// topic is a section of the text of the language: its title, and its paragraphs, clauses and blocks.
type topic struct {
	title string
	depth int // how many # stand before the title
	parts []string
}

// topics returns the sections of the text of the language.
func topics(spec string) []topic {
	var out []topic
	var part []string
	fenced := false
	end := func() {
		if text := strings.Join(part, "\n"); text != "" {
			last := &out[len(out)-1]
			last.parts = append(last.parts, text)
		}
		part = nil
	}
	for line := range strings.Lines(spec) {
		line = strings.TrimSuffix(line, "\n")
		hashes, title, heading := strings.Cut(line, " ")
		switch {
		case !fenced && heading && hashes != "" && strings.Trim(hashes, "#") == "":
			if out != nil {
				end()
			}
			out = append(out, topic{title: title, depth: len(hashes)})
			continue
		case !fenced && (line == "" || isClause(line)):
			end()
		}
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if line != "" || fenced {
			part = append(part, line)
		}
	}
	end()
	return out
}

func isClause(part string) bool { return regexp.MustCompile(`^\d+\. `).MatchString(part) }

// about returns what the text of the language says about a word: the sections that are called so, with those
// below them, else of each section the clauses that speak of the word.
func about(all []topic, word string) []topic {
	var out []topic
	for i, t := range all {
		if !t.called(word) {
			continue
		}
		below := slices.IndexFunc(all[i+1:], func(o topic) bool { return o.depth <= t.depth })
		switch {
		case i == 0: // the title of the page
			below = 0
		case below < 0:
			below = len(all) - i - 1
		}
		out = append(out, all[i:i+1+below]...)
	}
	if out != nil {
		return out
	}
	for _, t := range all {
		t.parts = slices.DeleteFunc(slices.Clone(t.parts), func(part string) bool { return !isClause(part) || !shows(part, word) })
		if len(t.parts) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// shows reports whether a word stands in what a clause shows of the language.
func shows(part, word string) bool {
	for i, code := range strings.Split(part, "`") {
		words := strings.FieldsFunc(code, func(r rune) bool { return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if i%2 == 1 && slices.Contains(words, word) {
			return true
		}
	}
	return false
}

// names returns the words of a title by which its section is found.
func (t topic) names() []string {
	return slices.DeleteFunc(strings.FieldsFunc(strings.ToLower(t.title), func(r rune) bool { return r == ' ' || r == ',' }),
		func(w string) bool { return w == "and" || w == "the" || w == ".mpol" || w == "words" })
}

func (t topic) called(word string) bool {
	return strings.EqualFold(t.title, word) || slices.Contains(t.names(), strings.ToLower(word))
}

// String is a section for a terminal. Which tests prove a clause is left out.
func (t topic) String() string {
	text := strings.Repeat("#", t.depth) + " " + t.title + "\n"
	proof := regexp.MustCompile(` \[[^\]]*\]$`)
	for _, part := range t.parts {
		if !strings.HasPrefix(part, "```") {
			part = wrapped(proof.ReplaceAllString(part, ""))
		}
		text += "\n" + part + "\n"
	}
	return text
}

// wrapped breaks text into lines; those behind the first of a clause are set in.
func wrapped(text string) string {
	indent := ""
	if isClause(text) {
		number, _, _ := strings.Cut(text, " ")
		indent = strings.Repeat(" ", len(number)+1)
	}
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > topicWidth:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
