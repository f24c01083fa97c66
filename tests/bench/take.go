// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/metrics"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/telemetry/census"
	"wolfpack/vsphere"
)

// takeCommand is the argument by which this program does nothing but learn in one way what is in a vCenter, that of govc's
// variables, and say what it took. Its memory is then that of a process which does nothing else.
const takeCommand = "take"

// taken is what it took.
type taken struct {
	Seconds float64 `json:"-"` // from the start of the process to its end
	Heap    float64 // MiB, its peak
	VMs     int     // that were found
	Objects int     // that were read
}

// takers are the ways.
var takers = map[string]func(context.Context, *vsphere.Client) (vms, objects int, err error){
	"census": takeCensus, "loop": takeLoop, "wide": takeWide,
}

// take runs the command.
func take(ctx context.Context, way string, out io.Writer) error {
	taker, ok := takers[way]
	if !ok {
		return fmt.Errorf("%s: no way %q", takeCommand, way)
	}
	client, err := vsphere.Connect(ctx, vsphere.ConfigFromEnv())
	if err != nil {
		return err
	}
	defer func() { _ = client.Logout(ctx) }()
	var result taken
	peak := watchHeap()
	result.VMs, result.Objects, err = taker(ctx, client)
	result.Heap = peak()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// watchHeap looks at the heap until it is asked for the peak.
func watchHeap() (peak func() float64) {
	stop, result := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var highest uint64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			highest = max(highest, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				result <- highest
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		return float64(<-result) / (1 << 20)
	}
}

func takeCensus(ctx context.Context, client *vsphere.Client) (vms, objects int, err error) {
	report, err := census.Take(ctx, client, census.Options{})
	if err != nil {
		return 0, 0, err
	}
	for _, count := range report.VMs {
		vms += count.Count
	}
	return vms, report.Quality.Objects, nil
}

// takeLoop is what a program does that asks for each VM.
func takeLoop(ctx context.Context, client *vsphere.Client) (vms, objects int, err error) {
	var refs []types.ManagedObjectReference
	err = inView(ctx, client, func(all *view.ContainerView) error {
		refs, err = all.Find(ctx, []string{"VirtualMachine"}, nil)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	collector := property.DefaultCollector(client.Client)
	properties := census.Properties()[0].PathSet
	for _, ref := range refs {
		var vm mo.VirtualMachine
		if err := collector.RetrieveOne(ctx, ref, properties, &vm); err != nil {
			return vms, objects, err
		}
		vms++
	}
	return vms, vms, nil
}

// takeWide is what exporters do: everything that there is to know of all VMs, into govmomi's types.
func takeWide(ctx context.Context, client *vsphere.Client) (vms, objects int, err error) {
	var all []mo.VirtualMachine
	err = inView(ctx, client, func(in *view.ContainerView) error {
		return in.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "summary", "config", "guest", "runtime"}, &all)
	})
	return len(all), len(all), err
}

// inView calls do with a view of all VMs.
func inView(ctx context.Context, client *vsphere.Client, do func(*view.ContainerView) error) error {
	all, err := view.NewManager(client.Client).CreateContainerView(ctx, client.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		return err
	}
	defer func() { _ = all.Destroy(ctx) }() // it ends with the session too
	return do(all)
}
