// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"sort"
)

// checkHalf type-checks a package and finds uses of a field of program.Program that it must not
// read. exports maps import paths to files with export data.
func checkHalf(p pkg, field string, exports map[string]string) ([]string, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	lookup := func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	}
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	if _, err := config.Check(p.ImportPath, fset, files, info); err != nil {
		return nil, err
	}
	var complaints []string
	for ident, object := range info.Uses {
		if object.Name() == field && isProgramHalf(object) {
			complaints = append(complaints, fmt.Sprintf("%s: reads program.Program.%s", fset.Position(ident.Pos()), field))
		}
	}
	sort.Strings(complaints)
	return complaints, nil
}

// isProgramHalf says whether an object is the field of Program or its type, not a field of the
// same name in another struct.
func isProgramHalf(object types.Object) bool {
	home := object.Pkg()
	if home == nil || home.Path() != modulePath+"/compiler/program" {
		return false
	}
	if _, isType := object.(*types.TypeName); isType {
		return true
	}
	program, ok := home.Scope().Lookup("Program").Type().Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for i := range program.NumFields() {
		if program.Field(i) == object {
			return true
		}
	}
	return false
}
