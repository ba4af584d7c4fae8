// SPDX-License-Identifier: Apache-2.0

package program_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"mpol/compiler/program"
)

// fill gives every field below v a value: slices of one, pointers three deep.
func fill(v reflect.Value, depth int) {
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		*p = netip.MustParseAddr("192.0.2.1")
		return
	case *netip.Prefix:
		*p = netip.MustParsePrefix("192.0.2.0/24")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth)
		}
	case reflect.Slice:
		if depth < 3 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth+bit(v.Type().Elem() == reflect.TypeFor[*program.Selector]() || v.Type().Elem() == reflect.TypeFor[program.Domain]()))
		}
	case reflect.Pointer:
		if depth < 3 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth)
		}
	case reflect.String:
		v.SetString("text")
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// vary changes everything below v, one thing at a time, and calls tell with a name for it.
func vary(v reflect.Value, name string, tell func(string)) {
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	try := func(how string, x any) {
		v.Set(reflect.ValueOf(x).Convert(v.Type()))
		tell(name + " " + how)
		v.Set(before)
	}
	switch v.Interface().(type) {
	case netip.Addr:
		try("other", netip.MustParseAddr("192.0.2.2"))
		try("mapped", netip.MustParseAddr("::ffff:192.0.2.1"))
		try("zone", netip.MustParseAddr("fe80::1%a"))
		return
	case netip.Prefix:
		try("wider", netip.MustParsePrefix("192.0.2.0/23"))
		try("none", netip.Prefix{})
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			vary(v.Field(i), name+"."+v.Type().Field(i).Name, tell)
		}
	case reflect.Slice:
		for i := range v.Len() {
			vary(v.Index(i), fmt.Sprintf("%s[%d]", name, i), tell)
		}
		if v.Len() > 0 {
			try("empty", v.Slice(0, 0).Interface())
			try("twice", reflect.AppendSlice(v, v).Interface())
		}
	case reflect.Pointer:
		if !v.IsNil() {
			vary(v.Elem(), name, tell)
			try("nil", reflect.Zero(v.Type()).Interface())
		}
	case reflect.String:
		try("longer", "text2")
	case reflect.Bool:
		try("set", true)
	default:
		try("one", 1)
	}
}

// No two programs that differ in anything have one name, and an empty slice is a nil one.
func TestHashHoldsEverything(t *testing.T) {
	var p program.Program
	fill(reflect.ValueOf(&p).Elem(), 0)
	seen := map[string]string{p.Hash(): "nothing"}
	vary(reflect.ValueOf(&p).Elem(), "", func(what string) {
		h := p.Hash()
		if other, taken := seen[h]; taken {
			t.Errorf("the name is the same with %q and %q changed", what, other)
		}
		seen[h] = what
	})
	if len(seen) < 300 {
		t.Errorf("only %d programs were compared", len(seen))
	}
	p.Rules.Policies = []*program.Policy{}
	empty := p.Hash()
	p.Rules.Policies = nil
	if p.Hash() != empty {
		t.Error("an empty slice and a nil one have two names")
	}
}

// The name of a large program, whose bytes are hashed piece by piece, is that of all its bytes.
func TestHashOfPieces(t *testing.T) {
	var p program.Program
	for i := range 20_000 {
		p.Rules.Sources = append(p.Rules.Sources, &program.Source{Key: fmt.Sprint("rule ", i)})
		p.Tables.Identities = append(p.Tables.Identities, program.Identity{Key: fmt.Sprint("identity ", i)})
	}
	sum := sha256.Sum256(new(program.Encoder).Append(nil, &p))
	if got, want := p.Hash(), hex.EncodeToString(sum[:]); got != want {
		t.Errorf("Hash() = %s, want %s", got, want)
	}
}

func TestEncoderPartsTexts(t *testing.T) {
	a, b := []string{"ab", "c"}, []string{"a", "bc"}
	var e program.Encoder
	if slices.Equal(e.Append(nil, &a), e.Append(nil, &b)) {
		t.Error("two texts run into each other")
	}
	if got := e.Append([]byte("x"), &a); got[0] != 'x' {
		t.Errorf("Append forgets what is there: %q", got)
	}
}
