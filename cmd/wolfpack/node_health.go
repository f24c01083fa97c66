// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/http"
	"time"

	"wolfpack/errs"
)

// serveHealth answers GET /healthz at address, to whoever asks, until stop is called. The answer says that this process is
// alive, leading or standing by, with or without vSphere, its certificate signed or not: a restart would mend none of it. An
// empty address is nowhere.
func serveHealth(address string) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, errs.New("node", errs.Invalid, "health-address %q: %w; want one such as :8081", address, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // it ends with the listener
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}
