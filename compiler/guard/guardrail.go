// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
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
// Root is the path of the folder as the user gave it and only goes into File. What looks like a
// guardrail and is none is an error, since it would refuse nothing: a folder without that file, or
// with a name that is not of lower-case words and digits joined by hyphens, any other Rego file but
// NAME_test.rego, and a folder without guardrails. Names that begin with a dot are passed over.
func Load(root string, folder fs.FS) ([]Guardrail, error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("read guardrails of %s: %w", root, cause(err))
	}
	var gs []Guardrail
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := fs.Stat(folder, e.Name()) // of a link's target
		switch {
		case err != nil:
			return nil, fmt.Errorf("read guardrail %s: %w", path.Join(root, e.Name()), cause(err))
		case !info.IsDir() && path.Ext(e.Name()) == extension:
			name := strings.TrimSuffix(e.Name(), extension)
			return nil, fmt.Errorf("read guardrail %s: it belongs into a folder of its own: %s",
				path.Join(root, e.Name()), path.Join(root, name, e.Name()))
		case !info.IsDir():
			continue
		}
		g, err := loadOne(root, folder, e.Name())
		if err != nil {
			return nil, fmt.Errorf("read guardrail %s: %w", path.Join(root, e.Name()), err)
		}
		gs = append(gs, g)
	}
	if len(gs) == 0 {
		return nil, fmt.Errorf("read guardrails of %s: there is none; each is a folder NAME with NAME.rego", root)
	}
	return gs, nil
}

// cause returns why a file was not read, without its path: that is the path in a folder, and what is said of
// it already is the user's.
func cause(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}

const (
	extension = ".rego"
	testTail  = "_test" + extension
)

// loadOne reads the guardrail in the folder name.
func loadOne(root string, folder fs.FS, name string) (Guardrail, error) {
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(name) {
		return Guardrail{}, fmt.Errorf("the name of the folder is not of the form my-guardrail")
	}
	file := path.Join(name, name+extension)
	text, err := fs.ReadFile(folder, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Guardrail{}, fmt.Errorf("the folder has no %s%s", name, extension)
	case err != nil:
		return Guardrail{}, fmt.Errorf("%s%s: %w", name, extension, cause(err))
	}
	all, err := fs.Glob(folder, name+"/*"+extension)
	if err != nil {
		return Guardrail{}, err
	}
	for _, other := range all {
		if other != file && other != path.Join(name, name+testTail) {
			return Guardrail{}, fmt.Errorf("%s is neither the guardrail nor its test and would not be read", path.Base(other))
		}
	}
	return Guardrail{Name: name, File: path.Join(root, file), Text: string(text)}, nil
}
