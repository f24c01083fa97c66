// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wolfpack/telemetry/census"
	"wolfpack/tests/fleet"
	"wolfpack/tests/vcsim"
)

const (
	latency    = 5 * time.Millisecond // of a vCenter that is not next door
	censusPage = 1000                 // objects that a census asks for at once
)

// inventories are the numbers of VMs that a census is measured with. The last is more than a vCenter is meant for, and too many
// for the baselines.
var inventories = []int{1000, 10_000, 50_000}

// telemetry is what a census costs, against other ways to learn the same. Each is taken by a process of its own.
func telemetry(ctx context.Context, o options) ([]row, error) {
	var rows []row
	heaps := map[int]float64{}
	for _, vms := range inventories {
		v, err := newVCenter(ctx, vms)
		if err != nil {
			return rows, err
		}
		more, heap, err := v.measure(ctx, o)
		rows, heaps[vms] = append(rows, more...), heap
		v.server.Close()
		if err != nil {
			return rows, fmt.Errorf("%d VMs: %w", vms, err)
		}
	}
	return append(rows, row{
		what: "peak heap of a census, 50000 VMs", unit: "MiB", ours: heaps[50_000], baseline: heaps[10_000],
		against: "that of 10000 VMs", target: "at most twice",
	}), nil
}

// vCenter is a stand-in with so many VMs.
type vCenter struct {
	server *vcsim.Server
	fleet  *fleet.Fleet
	vms    int
}

func newVCenter(ctx context.Context, vms int) (*vCenter, error) {
	began := time.Now()
	v := &vCenter{fleet: fleet.New(fleet.Large(vms)), vms: vms}
	var err error
	v.server, err = v.fleet.Start(ctx, vcsim.Config{Username: "bench", Password: "bench"})
	if err == nil {
		progress("loaded %d VMs in %.0f s", vms, time.Since(began).Seconds())
	}
	return v, err
}

// measure returns the rows of one inventory, and the peak of a census's heap in MiB.
func (v *vCenter) measure(ctx context.Context, o options) ([]row, float64, error) {
	ours, err := v.take(ctx, "census")
	if err != nil {
		return nil, 0, err
	}
	asked := sum(v.server.Calls()) // of that one
	pages := (ours.Objects + censusPage - 1) / censusPage
	rows := []row{{
		what: fmt.Sprintf("requests of a census, %d VMs", v.vms), unit: "requests", ours: float64(asked), baseline: float64(3 + pages),
		against: "connect, log in, pages of 1000, log out", target: "the same",
	}}
	if v.vms > 10_000 {
		progress("a census of %d VMs took %.1f s", v.vms, ours.Seconds)
		return rows, ours.Heap, nil
	}
	served, err := v.serve(ctx, float64(asked))
	if rows = append(rows, served...); err != nil {
		return rows, ours.Heap, err
	}
	near, err := v.compare(ctx, o, "")
	for i := range near {
		near[i].target = "" // which is for a vCenter that is somewhere else
	}
	if err != nil {
		return append(rows, near...), ours.Heap, err
	}
	remove := v.server.Inject(vcsim.Fault{Name: "latency", Do: vcsim.DoDelay, Delay: latency})
	defer remove()
	far, err := v.compare(ctx, o, fmt.Sprintf(", %d ms away", latency.Milliseconds()))
	return append(append(rows, near...), far...), ours.Heap, err
}

// compare measures the time of a census against that of the baselines.
func (v *vCenter) compare(ctx context.Context, o options, where string) ([]row, error) {
	byWay := func(way string) func(context.Context) (taken, error) {
		return func(ctx context.Context) (taken, error) { return v.take(ctx, way) }
	}
	ours, err := v.median(ctx, byWay("census"))
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, baseline := range []struct {
		against, target string
		take            func(context.Context) (taken, error)
	}{
		{"one request for each VM", "at most 0.10 of it", byWay("loop")},
		{"a view, and summary, config, guest and runtime whole", "at most 0.25 of it", byWay("wide")},
		{"govc collect, with the same properties of VMs alone", "", func(ctx context.Context) (taken, error) { return v.govc(ctx, o) }},
	} {
		theirs, err := v.median(ctx, baseline.take)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", baseline.against, err)
		}
		rows = append(rows, row{
			what: fmt.Sprintf("time of a census, %d VMs%s", v.vms, where), unit: "s", ours: ours, baseline: theirs,
			against: baseline.against, target: baseline.target,
		})
	}
	return rows, nil
}

// median is the time of the middle one of three runs, or of fewer if they take long: then a disturbance counts for little. Each
// must have found all VMs.
func (v *vCenter) median(ctx context.Context, take func(context.Context) (taken, error)) (float64, error) {
	const enough = 30 * time.Second
	var times []float64
	for began := time.Now(); len(times) == 0 || len(times) < 3 && time.Since(began) < enough; {
		result, err := take(ctx)
		if err != nil {
			return 0, err
		}
		if result.VMs != v.vms {
			return 0, fmt.Errorf("it found %d VMs of %d", result.VMs, v.vms)
		}
		times = append(times, result.Seconds)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// environment is that of a process which uses the stand-in.
func (v *vCenter) environment() []string {
	target := v.server.URL()
	password, _ := target.User.Password()
	return append(os.Environ(), "GOVC_URL="+target.Host, "GOVC_USERNAME="+target.User.Username(), "GOVC_PASSWORD="+password,
		"GOVC_TLS_CA_CERTS="+v.server.CAFile(), "GOVC_PERSIST_SESSION=false", "GOVC_INSECURE=false")
}

// take has a process of this program learn in one way what is there.
func (v *vCenter) take(ctx context.Context, way string) (taken, error) {
	self, err := os.Executable()
	if err != nil {
		return taken{}, err
	}
	v.server.ResetCalls()
	command := exec.CommandContext(ctx, self, takeCommand, way)
	command.Env, command.Stderr = v.environment(), os.Stderr
	began := time.Now()
	out, err := command.Output()
	if err != nil {
		return taken{}, fmt.Errorf("%s %s: %w", takeCommand, way, err)
	}
	result := taken{Seconds: time.Since(began).Seconds()}
	return result, json.Unmarshal(out, &result)
}

// govc has govc do it.
func (v *vCenter) govc(ctx context.Context, o options) (taken, error) {
	properties := census.Properties()[0]
	command := exec.CommandContext(ctx, filepath.Join(o.bin, "govc"), append([]string{"collect", "-json", "-type", "m", "/"}, properties.PathSet...)...)
	command.Env = v.environment()
	var failure bytes.Buffer
	command.Stderr = &failure
	began := time.Now()
	out, err := command.Output()
	if err != nil {
		return taken{}, fmt.Errorf("govc collect: %w: %s", err, strings.TrimSpace(failure.String()))
	}
	return taken{Seconds: time.Since(began).Seconds(), VMs: bytes.Count(out, []byte(`"runtime.powerState"`))}, nil
}
