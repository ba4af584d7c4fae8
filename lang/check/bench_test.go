// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"fmt"
	"strings"
	"testing"

	"mpol/lang"
	"mpol/lang/check"
)

// manyFiles returns the texts of n files with ten policies each.
func manyFiles(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		b.WriteString("package big\n\n")
		if i == 0 {
			b.WriteString("default deny\n\n")
		}
		fmt.Fprintf(&b, "domains vendor%[1]d = \"api%[1]d.example.com\", \"*.cdn%[1]d.example.net\"\n", i)
		fmt.Fprintf(&b, "cidrs office%d = 203.0.113.0/24, 2001:db8:7::/48 except 203.0.113.7\nservice api%d = tcp/8080\n\n", i, i)
		for j := range 10 {
			fmt.Fprintf(&b, "workload w%[1]d-%[2]d = app = \"app%[1]d-%[2]d\" and env = \"prod\" and not has legacy\n", i, j)
			fmt.Fprintf(&b, `
## What app%[1]d-%[2]d may do.
@owner("team-%[1]d") @ticket("SEC-%[2]d")
policy p%[1]d-%[2]d for w%[1]d-%[2]d {
  ingress {
    edge: allow from world on tcp/8443
    read: allow from w%[1]d-0 on api%[1]d http { GET "/cart/{user}", POST, DELETE "/cart/{user}/items/**" }
    office: allow from office%[1]d on tcp/22 log
  }
  egress {
    db: allow to w%[1]d-1 on tcp/5432
    out: allow to vendor%[1]d on tcp/443
  }
}

`, i, j)
		}
		texts[i] = b.String()
	}
	return texts
}

// BenchmarkFiles parses and checks a thousand files with ten thousand policies, each by itself.
func BenchmarkFiles(b *testing.B) {
	texts := manyFiles(1000)
	size := 0
	files := make([]*lang.File, len(texts))
	for i, t := range texts {
		size += len(t)
		files[i], _ = lang.Parse(fmt.Sprintf("%d.mpol", i), []byte(t))
	}
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for range b.N {
			for i, t := range texts {
				if f, diags := lang.Parse(fmt.Sprintf("%d.mpol", i), []byte(t)); f.Broken {
					b.Fatal(diags)
				}
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for range b.N {
			if m, diags := check.Check(files, check.Options{}); m == nil {
				b.Fatal(diags)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		var memory check.Memory
		memory.Check(files, check.Options{})
		changed := strings.Replace(texts[500], "tcp/5432", "tcp/5433", 1)
		b.ResetTimer()
		for i := range b.N {
			text := texts[500]
			if i%2 == 0 {
				text = changed
			}
			files[500], _ = lang.Parse("500.mpol", []byte(text))
			if m, diags := memory.Check(files, check.Options{}); m == nil {
				b.Fatal(diags)
			}
		}
	})
}
