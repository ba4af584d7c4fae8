// SPDX-License-Identifier: Apache-2.0

// Package l7proxy enforces L7 profiles with a stock Envoy: it supervises the process, serves its
// configuration over delta xDS and reads its access log, all over Unix sockets in one folder.
//
// It redirects no packet and decides no flow: the datapath hands flows to the listeners whose
// ports Port names. It reads program.Profile and nothing else of a program, and it never sees the
// bytes of a request: Envoy judges alone.
//
//	s, err := l7proxy.New(l7proxy.Config{Envoy: ".tools/envoy", Dir: dir, FirstPort: 15000, LastPort: 15999})
//	go s.Serve(ctx)
//	err = s.Apply(ctx, "8", old.Tables.Profiles, next.Tables.Profiles) // a request must pass both
//	port, ok := s.Port(next.Tables.Profiles[0].Key)
//	err = s.Apply(ctx, "9", next.Tables.Profiles)
//
// Invariants: applied means acknowledged by the Envoy that runs, and every listener's sockets
// listen; what a profile does not allow is denied, also before its first rules arrive; a set of
// profiles that Envoy refuses changes nothing; the end of Serve does not end Envoy; a profile keeps
// its listener's port as long as it is in use, whatever restarts.
package l7proxy
