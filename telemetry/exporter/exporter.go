// SPDX-License-Identifier: Apache-2.0

// Package exporter serves telemetry reports of one or several vCenters to Prometheus, to browsers, and to an OpenTelemetry
// collector.
//
// Each vCenter has a goroutine, a session, a watch over its inventory and a collector of its events. It takes a census on a
// timer of its own and keeps the last report. What is served is that report alone: no scrape makes a request to a vCenter,
// however many there are, and none waits for one. While a vCenter is away its last report stays, and says that it is old.
//
// An Exporter runs once. Its handler may be called by many at once, before Run and after it too.
package exporter

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/telemetry/history"
	"wolfpack/telemetry/lifetimes"
)

// Defaults of Options.
const (
	DefaultListen   = ":9272"
	DefaultInterval = time.Minute
)

// Options are what to export, and how.
type Options struct {
	VCenters []VCenter // at least one, each with a name of its own

	Interval time.Duration // from the beginning of one census to that of the next; default DefaultInterval
	PageSize int           // how many objects a vCenter is to put into one answer at most; 0 is the census's default
	NoEvents bool          // leave lifetimes out
	Since    time.Duration // how far back lifetimes are looked at; default lifetimes.Window
	History  string        // file that keeps reports and what is known of lifetimes; "" is none

	Listen            string // address to serve at; default DefaultListen
	CertFile, KeyFile string // PEM files of a certificate and its key; without them there is no TLS

	Sink Sink // gets each census; nil is nobody
}

// Exporter exports.
type Exporter struct {
	options  Options
	targets  []*target
	listener net.Listener
	handler  http.Handler
}

// New checks the options and listens. It asks no vCenter yet. The caller calls Run, or Close.
func New(options Options) (*Exporter, error) {
	const op = "exporter.New"
	options.Interval = cmp.Or(options.Interval, DefaultInterval)
	options.Since = cmp.Or(options.Since, lifetimes.Window)
	options.Listen = cmp.Or(options.Listen, DefaultListen)
	if err := options.check(); err != nil {
		return nil, errs.New(op, errs.Invalid, "%w", err)
	}
	e := &Exporter{options: options}
	var file *history.File
	if options.History != "" {
		if _, err := os.Stat(filepath.Dir(options.History)); err != nil {
			return nil, errs.New(op, errs.Invalid, "history %q: its folder must exist: %w", options.History, err)
		}
		file = history.At(options.History)
	}
	for _, vc := range options.VCenters {
		t, err := newTarget(vc, options, file)
		if err != nil {
			return nil, errs.New(op, errs.Invalid, "vCenter %s: %w", vc.Name, err)
		}
		e.targets = append(e.targets, t)
	}
	e.handler = newHandler(e.targets)
	var err error
	if e.listener, err = e.listen(); err != nil {
		return nil, errs.New(op, errs.Invalid, "%w", err)
	}
	return e, nil
}

// VCenters are those that it exports.
func (e *Exporter) VCenters() []VCenter { return slices.Clone(e.options.VCenters) }

// Addr is where it is served.
func (e *Exporter) Addr() net.Addr { return e.listener.Addr() }

// Close ends an Exporter that does not run.
func (e *Exporter) Close() { _ = e.listener.Close() }

// Handler is what is served.
func (e *Exporter) Handler() http.Handler { return e.handler }

// The server's patience. An answer is a snapshot in memory, so that only a client can be slow.
const (
	headerTimeout = 5 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 5 * time.Second // for requests under way at the end
)

// Run takes censuses and serves until ctx ends, which is no error. When it returns, all sessions are logged out.
func (e *Exporter) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	server := &http.Server{
		Handler: e.handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: writeTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: klog.NewStandardLogger("INFO"),
	}
	for _, t := range e.targets {
		group.Go(func() error {
			t.run(running)
			return nil
		})
	}
	group.Go(func() error {
		if err := server.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
			return errs.New("exporter.Run", errs.Internal, "serve at %s: %w", e.listener.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		<-running.Done()
		draining, cancel := context.WithTimeout(context.WithoutCancel(running), drainTimeout)
		defer cancel()
		if server.Shutdown(draining) != nil {
			_ = server.Close() // whoever still reads is cut off
		}
		return nil
	})
	return group.Wait()
}

func (e *Exporter) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", e.options.Listen)
	if err != nil || e.options.CertFile == "" {
		return listener, err
	}
	// The files are read at each handshake, so that a certificate that was renewed is used.
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(e.options.CertFile, e.options.KeyFile)
		return &pair, err
	}
	return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: load, NextProtos: []string{"http/1.1"}}), nil
}
