// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"mpol/e2e/lab"
)

// shortRule and its widened form are what the edits below exchange.
const (
	shortRule = `short: allow to "short.example" on tcp/7000`
	wideRule  = `short: allow to "short.example" on tcp/7000, tcp/7001`
)

// TestReload_names edits the rules of names: what a workload remembers of an answer counts for the
// new rules too (dns-55), a flow that a name opened lasts as long as the name is allowed, not as
// long as its time, and it ends with its rule (dns-50).
func TestReload_names(t *testing.T) {
	t.Parallel()
	n := named(t, "ttl: {min: 8s, max: 8s, grace: 0s}\n")
	_, err := n.Outside.Echo(at("::", 7001))
	check(t, err)
	type opened struct {
		client lab.Client
		f      family
		conn   *lab.Conn
	}
	flows := map[string]*opened{}
	for who, c := range clients(n) {
		for version, f := range families(n) {
			compare(t, step{who + " " + version + " look-up", dig(t, c, f.resolver, "short.example", f.kind), "1 address"})
			conn, err := c.Connect(t.Context(), f.site)
			check(t, err)
			check(t, conn.Exchange("first\n", patience))
			flows[who+" "+version] = &opened{client: c, f: f, conn: conn}
		}
	}
	check(t, n.Apply(t.Context(), policyFile, shortRule, wideRule))
	for who, o := range flows {
		port := o.f.site
		compare(t,
			step{who + " by the answer before the edit", tcp(t, o.client, port), lab.Answered},
			step{who + " the port that the edit adds", tcp(t, o.client, netip.AddrPortFrom(port.Addr(), 7001)), lab.Answered})
		if err := o.conn.Exchange("edited\n", patience); err != nil {
			t.Errorf("%s: the live flow after the edit: %v", who, err)
		}
	}
	for who, o := range flows {
		check(t, lab.Wait(20*time.Second, "the expiry", func() error {
			if got := tcp(t, o.client, o.f.site); got != lab.Refused {
				return errors.New(got)
			}
			return nil
		}))
		if err := o.conn.Exchange("late\n", patience); err != nil {
			t.Errorf("%s: the live flow after its time: %v", who, err)
		}
	}
	check(t, n.Apply(t.Context(), policyFile, wideRule, shortRule))
	for who, o := range flows {
		if err := o.conn.Exchange("edited again\n", patience); err != nil {
			t.Errorf("%s: the live flow after its time and an edit: %v", who, err)
		}
		compare(t, step{who + " a new flow after its time", tcp(t, o.client, o.f.site), lab.Refused})
	}
	check(t, n.Apply(t.Context(), policyFile, shortRule, ""))
	for who, o := range flows {
		if err := o.conn.Exchange("gone\n", patience); err == nil {
			t.Errorf("%s: the live flow goes on without its rule", who)
		}
		compare(t, step{who + " a question without a rule", dig(t, o.client, o.f.resolver, "short.example", o.f.kind), "REFUSED"})
	}
}
