// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// flowLine is a flow as written: docs/schemas/flow.schema.json.
type flowLine struct {
	ID   json.RawMessage
	From string
	To   string
	L4   string
	HTTP *httpLine
	GRPC *string
	SNI  *string
	DNS  *dnsLine
}

type httpLine struct {
	Method, Path, Host string
	Headers            []verdict.Header
}

type dnsLine struct{ Name, Type string }

// parseFlow reads a flow; its errors say what is wrong with the text.
func parseFlow(text []byte) (*flowLine, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not valid UTF-8")
	}
	var f flowLine
	r := &reader{text: text}
	err := r.object([]string{"id", "from", "to", "l4", "http", "grpc", "sni", "dns"}, func(key string) error { return f.read(r, key) })
	switch {
	case err != nil:
		return nil, err
	case r.next() != 0 || r.at < len(text):
		return nil, r.wrong(r.at, "there is more than one JSON value")
	case f.From == "":
		return nil, errors.New(`"from" is missing`)
	case f.To == "":
		return nil, errors.New(`"to" is missing`)
	case f.L4 == "":
		return nil, errors.New(`"l4" is missing`)
	}
	return &f, nil
}

// read reads the value of a key.
func (f *flowLine) read(r *reader, key string) (err error) {
	switch key {
	case "id":
		f.ID, err = r.scalar()
	case "from":
		f.From, err = r.string()
	case "to":
		f.To, err = r.string()
	case "l4":
		f.L4, err = r.string()
	case "grpc":
		f.GRPC, err = r.optional()
	case "sni":
		f.SNI, err = r.optional()
	case "http":
		f.HTTP = &httpLine{}
		return r.object([]string{"method", "path", "host", "headers"}, func(key string) error { return f.HTTP.read(r, key) })
	case "dns":
		f.DNS = &dnsLine{}
		return r.object([]string{"name", "type"}, func(key string) (err error) {
			if key == "name" {
				f.DNS.Name, err = r.string()
			} else {
				f.DNS.Type, err = r.string()
			}
			return err
		})
	}
	return err
}

func (h *httpLine) read(r *reader, key string) (err error) {
	switch key {
	case "method":
		h.Method, err = r.string()
	case "path":
		h.Path, err = r.string()
	case "host":
		h.Host, err = r.string()
	case "headers":
		return r.list(func() error {
			line, err := r.header()
			h.Headers = append(h.Headers, line)
			return err
		})
	}
	return err
}

// header reads a list of a name and a value.
func (r *reader) header() (verdict.Header, error) {
	r.next()
	at := r.at
	var texts []string
	err := r.list(func() error {
		text, err := r.string()
		texts = append(texts, text)
		return err
	})
	switch {
	case err != nil:
		return verdict.Header{}, err
	case len(texts) != 2:
		return verdict.Header{}, r.wrong(at, "a header is a list of name and value, not of %d texts", len(texts))
	}
	return verdict.Header{Name: texts[0], Value: strings.Trim(texts[1], " \t")}, nil
}

// content fills in what the flow holds, at most one thing.
func (f *flowLine) content(v *verdict.Flow) error {
	var held []string
	if f.HTTP != nil {
		held = append(held, "http")
		if err := f.HTTP.fill(v); err != nil {
			return err
		}
	}
	if f.GRPC != nil {
		held = append(held, "grpc")
		if err := fillGRPC(v, *f.GRPC); err != nil {
			return err
		}
	}
	if f.SNI != nil {
		held = append(held, "sni")
		v.TLS = &verdict.TLS{ServerName: *f.SNI, Present: *f.SNI != ""}
	}
	if f.DNS != nil {
		held = append(held, "dns")
		if err := f.DNS.fill(v); err != nil {
			return err
		}
	}
	switch {
	case len(held) > 1:
		return fmt.Errorf("a flow holds %s or %s, not both", held[0], held[1])
	case f.DNS != nil && v.Proto != program.ProtoTCP && v.Proto != program.ProtoUDP:
		return fmt.Errorf("a question needs udp or tcp, not %s", f.L4)
	case f.DNS == nil && len(held) == 1 && v.Proto != program.ProtoTCP:
		return fmt.Errorf("%s needs tcp, not %s", held[0], f.L4)
	}
	return nil
}

func (d *dnsLine) fill(v *verdict.Flow) error {
	typ, ok := questionType(d.Type)
	switch {
	case d.Name == "":
		return errors.New("dns has no name")
	case !ok:
		return fmt.Errorf("dns.type %q is no type of records; write A, AAAA, TYPE65 or the like", d.Type)
	}
	v.Question = &verdict.Question{Name: program.ParseName(d.Name), Type: typ}
	return nil
}

// questionType reads a type as it is written in zone files; none is A.
func questionType(text string) (uint16, bool) {
	if text == "" {
		return dns.TypeA, true
	}
	if t, ok := dns.StringToType[strings.ToUpper(text)]; ok {
		return t, t != dns.TypeNone && t != dns.TypeReserved
	}
	digits, _ := strings.CutPrefix(strings.ToUpper(text), "TYPE")
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), err == nil && n > 0
}

// parseL4 reads one protocol and port: tcp/443, icmp/8, icmp/3/4, ip/47.
func parseL4(text string) (proto uint8, port uint16, err error) {
	word, rest, found := strings.Cut(text, "/")
	proto, named := protocol(word)
	switch {
	case word == "ip":
		n, ok := number(rest, 0, 0xff)
		for _, w := range protocolWords() {
			if p, _ := protocol(w); ok && int(p) == n {
				return 0, 0, fmt.Errorf("l4 %q: write %s", text, w)
			}
		}
		proto, found = uint8(n), ok
	case proto == program.ProtoICMP || proto == program.ProtoICMPv6:
		kind, code, both := strings.Cut(rest, "/")
		if !both {
			code = "0"
		}
		k, ok1 := number(kind, 0, 0xff)
		c, ok2 := number(code, 0, 0xff)
		port, found = uint16(k<<8|c), found && ok1 && ok2
	case named:
		n, ok := number(rest, 1, 0xffff)
		port, found = uint16(n), found && ok
	default:
		found = false
	}
	switch digits := strings.Trim(rest, "0123456789/") == ""; {
	case found:
		return proto, port, nil
	case digits && rest != "" && (word == "tcp" || word == "udp" || word == "sctp"):
		return 0, 0, fmt.Errorf("l4 %q: a port is a number from 1 to 65535, without leading zeros", text)
	case digits && rest != "" && (named || word == "ip"):
		return 0, 0, fmt.Errorf("l4 %q: types, codes and protocols are numbers from 0 to 255, without leading zeros", text)
	}
	return 0, 0, fmt.Errorf("l4 %q is not one protocol and port; write tcp/443, icmp/8, icmp/3/4 or ip/47", text)
}

func protocolWords() []string { return []string{"tcp", "udp", "sctp", "icmp", "icmpv6"} }

// protocol returns the protocol that a word names.
func protocol(word string) (uint8, bool) {
	switch word {
	case "tcp":
		return program.ProtoTCP, true
	case "udp":
		return program.ProtoUDP, true
	case "sctp":
		return program.ProtoSCTP, true
	case "icmp":
		return program.ProtoICMP, true
	case "icmpv6":
		return program.ProtoICMPv6, true
	}
	return 0, false
}

// number reads a number from least to most, written without sign and leading zeros.
func number(digits string, least, most int) (int, bool) {
	n, err := strconv.Atoi(digits)
	return n, err == nil && least <= n && n <= most && strconv.Itoa(n) == digits
}
