// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// Web is an HTTP and HTTPS server of this process in a host's namespace. It answers every
// request with 200, a header X-Backend with its name and, as its body, the Request in JSON.
type Web struct {
	name   string
	server *http.Server

	mu       sync.Mutex
	requests []Request
}

// WebConfig describes a web server.
type WebConfig struct {
	// Name tells backends apart.
	Name string
	// Plain and TLS are the addresses for HTTP and for HTTPS.
	Plain []netip.AddrPort
	TLS   []netip.AddrPort
	// TLSNames are the names in the certificate, which the lab's authority issues.
	TLSNames []string
}

// Request is a request as a backend saw it.
type Request struct {
	Backend string
	Method  string
	// Target is the request line's target, byte for byte.
	Target string
	Host   string
	Header http.Header
	// ServerName is the name of the TLS handshake, empty without TLS.
	ServerName string
	// Remote is the client's address and port.
	Remote string
	Body   string
}

// Web starts a web server; it accepts connections when Web returns. The lab closes it.
func (h *Host) Web(config WebConfig) (*Web, error) {
	w := &Web{name: config.Name}
	w.server = &http.Server{
		Handler:  http.HandlerFunc(w.answer),
		ErrorLog: log.New(io.Discard, "", 0), // handshakes that a policy breaks are no news
	}
	if err := w.serve(h, config); err != nil {
		return nil, fmt.Errorf("start web server %s on %s: %w", config.Name, h.Name, errors.Join(err, w.Close()))
	}
	return w, h.lab.onClose(w.Close)
}

func (w *Web) serve(h *Host, config WebConfig) error {
	if len(config.TLS) > 0 {
		ca, err := h.lab.CA()
		if err != nil {
			return err
		}
		cert, err := ca.Certificate(config.TLSNames...)
		if err != nil {
			return err
		}
		// Without its name here, a Serve before ServeTLS leaves HTTP/2 offered but not served.
		w.server.TLSConfig = &tls.Config{
			Certificates: []tls.Certificate{cert},
			NextProtos:   []string{"h2", "http/1.1"},
		}
	}
	for _, address := range config.Plain {
		listener, err := h.Listen(address)
		if err != nil {
			return err
		}
		go func() { _ = w.server.Serve(listener) }() // until Close
	}
	for _, address := range config.TLS {
		listener, err := h.Listen(address)
		if err != nil {
			return err
		}
		go func() { _ = w.server.ServeTLS(listener, "", "") }() // until Close
	}
	return nil
}

func (w *Web) answer(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(io.LimitReader(in.Body, 1<<20))
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	seen := Request{
		Backend: w.name,
		Method:  in.Method,
		Target:  in.RequestURI,
		Host:    in.Host,
		Header:  in.Header,
		Remote:  in.RemoteAddr,
		Body:    string(body),
	}
	if in.TLS != nil {
		seen.ServerName = in.TLS.ServerName
	}
	w.mu.Lock()
	w.requests = append(w.requests, seen)
	w.mu.Unlock()
	out.Header().Set("X-Backend", w.name)
	out.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(out).Encode(seen) // the client may be gone
}

// Requests lists what has arrived so far, in order: a denied request must not be among it.
func (w *Web) Requests() []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// Close stops the server and its connections at once.
func (w *Web) Close() error { return w.server.Close() }
