// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
)

// clock are the functions of package time that look at the clock or wait for it; dates and
// durations are harmless.
var clock = []string{
	"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until",
}

// checkPure finds goroutines and looks at the clock in a file of a pure package.
func checkPure(name string, text []byte) []string {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	var complaints []string
	complain := func(node ast.Node, what string) {
		complaints = append(complaints, fmt.Sprintf("%s: %s in a pure package", fset.Position(node.Pos()), what))
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			complain(node, "a goroutine")
		case *ast.SelectorExpr:
			from, ok := node.X.(*ast.Ident)
			if ok && from.Name == "time" && slices.Contains(clock, node.Sel.Name) {
				complain(node, "time."+node.Sel.Name)
			}
		}
		return true
	})
	return complaints
}
