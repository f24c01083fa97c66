// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"wolfpack/telemetry/exporter"
	"wolfpack/telemetry/render"
	"wolfpack/vsphere"
)

// serve is what `wolfpack telemetry serve` asks of a vCenter in which nothing happens, for a report and for a scrape, against a
// census for each as exporters take that collect when they are scraped.
func (v *vCenter) serve(ctx context.Context, census float64) ([]row, error) {
	idle, err := v.idleCycle(ctx)
	if err != nil {
		return nil, fmt.Errorf("an idle cycle: %w", err)
	}
	scrape, err := v.scrape(ctx)
	if err != nil {
		return nil, fmt.Errorf("a scrape: %w", err)
	}
	const against = "a census for each"
	return []row{
		{what: fmt.Sprintf("requests of an idle serve cycle, %d VMs", v.vms), unit: "requests", ours: idle, baseline: census, against: against, target: "2"},
		{what: fmt.Sprintf("requests of a scrape, %d VMs", v.vms), unit: "requests", ours: scrape, baseline: census, against: against, target: "0"},
	}, nil
}

// cycles hears of the end of each cycle.
type cycles chan render.Census

// Send takes a census; an exporter.Sink has it. The next cycle waits until this one has been heard of.
func (c cycles) Send(census render.Census) { c <- census }

// serving runs an exporter while work runs.
func (v *vCenter) serving(ctx context.Context, interval time.Duration, work func(context.Context, cycles, *exporter.Exporter) error) error {
	target := v.server.URL()
	password, _ := target.User.Password()
	ended := make(cycles)
	e, err := exporter.New(exporter.Options{
		VCenters: []exporter.VCenter{{Config: vsphere.Config{
			URL: "https://" + target.Host + "/sdk", Username: target.User.Username(), Password: password, CACerts: v.server.CAFile(),
		}}},
		Interval: interval, Listen: "127.0.0.1:0", Sink: ended,
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- e.Run(running) }()
	err = work(ctx, ended, e)
	stop()
	for {
		select {
		case <-ended: // one that was under way
		case failed := <-done:
			if err == nil {
				err = failed
			}
			return err
		}
	}
}

// cycle waits for the end of a cycle.
func cycle(ctx context.Context, ended cycles) error {
	select {
	case census := <-ended:
		if !census.Up {
			return fmt.Errorf("a census failed, %v", census.Errors)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// idleCycle is the requests of a cycle, once the first ones have read what there was.
func (v *vCenter) idleCycle(ctx context.Context) (requests float64, err error) {
	const first, measured = 3, 10
	err = v.serving(ctx, 100*time.Millisecond, func(ctx context.Context, ended cycles, _ *exporter.Exporter) error {
		before := 0
		for i := range first + measured {
			if err := cycle(ctx, ended); err != nil {
				return err
			}
			if i == first-1 {
				before = sum(v.server.Calls())
			}
		}
		requests = float64(sum(v.server.Calls())-before) / measured
		return nil
	})
	return requests, err
}

// scrape is the requests to vCenter of a scrape, over HTTP.
func (v *vCenter) scrape(ctx context.Context) (requests float64, err error) {
	const scrapes = 10
	err = v.serving(ctx, time.Hour, func(ctx context.Context, ended cycles, e *exporter.Exporter) error {
		if err := cycle(ctx, ended); err != nil {
			return err
		}
		v.server.ResetCalls()
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for range scrapes {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.Addr().String()+"/metrics", nil)
			if err != nil {
				return err
			}
			answer, err := client.Do(request)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, answer.Body)
			if _ = answer.Body.Close(); err != nil {
				return err
			}
		}
		requests = float64(sum(v.server.Calls())) / scrapes
		return nil
	})
	return requests, err
}
