// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
)

// The parts of SARIF 2.1.0 that a list needs; the names are those of the standard.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID Code `json:"id"`
	}
	sarifResult struct {
		RuleID           Code            `json:"ruleId"`
		Level            Severity        `json:"level"`
		Message          sarifMessage    `json:"message"`
		Locations        []sarifLocation `json:"locations,omitempty"`
		RelatedLocations []sarifLocation `json:"relatedLocations,omitempty"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		PhysicalLocation *sarifPhysical `json:"physicalLocation,omitempty"`
		Message          *sarifMessage  `json:"message,omitempty"`
	}
	sarifPhysical struct {
		ArtifactLocation sarifArtifact `json:"artifactLocation"`
		Region           sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
)

// WriteSARIF writes l as one SARIF 2.1.0 log with one run. Help follows the fact in the message.
func WriteSARIF(w io.Writer, l List) error {
	run := sarifRun{
		Tool:       sarifTool{Driver: sarifDriver{Name: "mpol", Rules: []sarifRule{}}},
		ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
	}
	for _, d := range l {
		rule := sarifRule{ID: d.Code}
		if !slices.Contains(run.Tool.Driver.Rules, rule) {
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		}
		r := sarifResult{RuleID: d.Code, Level: d.Severity, Message: sarifMessage{withHelp(d)}}
		if !d.Span.IsZero() {
			r.Locations = []sarifLocation{location(d.Span)}
		}
		for _, o := range d.Related {
			at := location(o.Span)
			at.Message = &sarifMessage{o.Summary}
			r.RelatedLocations = append(r.RelatedLocations, at)
		}
		run.Results = append(run.Results, r)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
	if err := enc.Encode(log); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}

func location(s Span) sarifLocation {
	if s.IsZero() {
		return sarifLocation{}
	}
	return sarifLocation{PhysicalLocation: &sarifPhysical{
		ArtifactLocation: sarifArtifact{URI: (&url.URL{Path: s.File}).String()},
		Region:           sarifRegion{StartLine: s.Start.Line, StartColumn: s.Start.Column, EndLine: s.End.Line, EndColumn: s.End.Column},
	}}
}

func withHelp(d Diagnostic) string {
	if d.Help == "" {
		return d.Summary
	}
	return d.Summary + "; help: " + d.Help
}
