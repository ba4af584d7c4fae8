// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"fmt"
	"io"
	"strings"
)

// WriteGitHub writes one workflow command a line, which GitHub shows at its place in the change.
func WriteGitHub(w io.Writer, l List) error {
	message := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, d := range l {
		_, err := fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d,endLine=%d,endColumn=%d,title=%s::%s\n",
			d.Severity, property.Replace(d.Span.File), d.Span.Start.Line, d.Span.Start.Column, d.Span.End.Line, d.Span.End.Column,
			property.Replace(string(d.Code)), message.Replace(withHelp(d)))
		if err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}
