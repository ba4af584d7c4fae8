// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"mpol/policies"
)

// Guardrail is one guardrail as it was read.
type Guardrail struct {
	// Name is what @allow names and what the code of its diagnostics ends with.
	Name string
	// File is the path of Text, for diagnostics about the guardrail itself.
	File string
	// Text is a Rego module of package mpol.guardrails.NAME.
	Text string
}

// Builtin returns the guardrails that come with mpol, sorted by name.
func Builtin() ([]Guardrail, error) {
	return Load("policies/guardrails", policies.Guardrails())
}

// Load reads the guardrails of a folder, sorted by name: each folder NAME in it has a NAME.rego.
// Root is the path of the folder as the user gave it and only goes into File. A folder in it without
// that file, or with a name that is not of lower-case words and digits joined by hyphens, is an
// error, and so is a folder without guardrails: it would be the wrong one. Names that begin with a
// dot are passed over.
func Load(root string, folder fs.FS) ([]Guardrail, error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("read guardrails of %s: %w", root, err)
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	var gs []Guardrail
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if !name.MatchString(e.Name()) {
			return nil, fmt.Errorf("read guardrail %s: the name of the folder is not of the form my-guardrail", path.Join(root, e.Name()))
		}
		file := path.Join(e.Name(), e.Name()+".rego")
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, fmt.Errorf("read guardrail %s: %w", path.Join(root, e.Name()), err)
		}
		gs = append(gs, Guardrail{Name: e.Name(), File: path.Join(root, file), Text: string(text)})
	}
	if len(gs) == 0 {
		return nil, fmt.Errorf("read guardrails of %s: there is none; each is a folder NAME with NAME.rego", root)
	}
	return gs, nil
}
