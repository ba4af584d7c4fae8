// SPDX-License-Identifier: Apache-2.0

package program

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Program is one compiled policy for one inventory. It is immutable once Compile has returned it.
type Program struct {
	Rules  Rules  `json:"rules"`
	Tables Tables `json:"tables"`
}

// JSON returns the canonical dump of p: indented, with sorted content and a final newline. Equal
// programs have equal dumps.
func (p *Program) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("dump program: %w", err)
	}
	return append(b, '\n'), nil
}

// Hash returns the lower-case hexadecimal SHA-256 of all that p holds: the name of the program. It is
// that of the canonical encoding of an Encoder, which is many times faster than JSON.
func (p *Program) Hash() string {
	e := Encoder{sum: sha256.New()}
	e.sum.Write(e.Append(nil, p))
	return hex.EncodeToString(e.sum.Sum(nil))
}

// RuleID numbers the rules and defaults of one program from 1 in file order; 0 is no rule. It does
// not outlive the program: what does, and what Tables speak of, is the Key of its Source.
type RuleID uint32

// Source is what a RuleID stands for.
type Source struct {
	// Key names the rule for ever, whatever its line: "shop.cart.read" for a named rule,
	// "shop.cart.egress#2" for the second rule of a block when it has no name,
	// "shop.cart.egress:app.default" for a tier's default reported at that block, "default".
	Key string `json:"key"`
	// Name is what users see and what "by" of a test names: "shop.cart.read",
	// "shop.cart.egress#2", "app.default", "ungranted", "default".
	Name string `json:"name"`
	// Tier is the name of the tier, empty for "default" and "ungranted".
	Tier string `json:"tier,omitempty"`
	// File is the path as it was given, Line and Column count from 1, columns in code points.
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String returns "file:line:column".
func (s Source) String() string { return fmt.Sprintf("%s:%d:%d", s.File, s.Line, s.Column) }

// Direction is egress or ingress, seen from the subject.
type Direction uint8

// The directions; their numbers are those of the datapath.
const (
	Egress  Direction = 0
	Ingress Direction = 1
)

// String returns the word of the language.
func (d Direction) String() string {
	if d == Ingress {
		return "ingress"
	}
	return "egress"
}

// MarshalText implements encoding.TextMarshaler.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Action is what a rule, a tier's default or the program's default says.
type Action uint8

// The actions, strongest first within a tier.
const (
	Deny Action = iota
	Allow
	Pass
)

// String returns the word of the language.
func (a Action) String() string { return [...]string{"deny", "allow", "pass"}[a] }

// MarshalText implements encoding.TextMarshaler.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// L7Kind is what a flow must speak. HTTP and gRPC are one kind.
type L7Kind uint8

// The kinds; their numbers are those of the datapath.
const (
	L7None L7Kind = iota
	L7HTTP
	L7TLS
	L7DNS
	// L7Mixed stands for several at once, which no flow can speak.
	L7Mixed
)

// String returns the word of the language, "none" for L7None.
func (k L7Kind) String() string { return [...]string{"none", "http", "tls", "dns", "mixed"}[k] }

// MarshalText implements encoding.TextMarshaler.
func (k L7Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
