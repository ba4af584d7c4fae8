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
		place := ""
		if s := d.Span; !s.IsZero() {
			place = fmt.Sprintf("file=%s,line=%d,col=%d,endLine=%d,endColumn=%d,",
				visible(property.Replace(s.File)), s.Start.Line, s.Start.Column, s.End.Line, s.End.Column)
		}
		if _, err := fmt.Fprintf(w, "::%s %stitle=%s::%s\n", d.Severity, place, property.Replace(string(d.Code)), visible(message.Replace(withHelp(d)))); err != nil {
			return fmt.Errorf("write diagnostics: %w", err)
		}
	}
	return nil
}
