// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/vmware/govmomi/simulator"

	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

// world is a stand-in of its own with a VCH in it.
type world struct {
	server *vcsim.Server
	client *vsphere.Client
	vch    *vch.VCH
}

func newWorld(ctx context.Context) (*world, error) {
	model := simulator.VPX()
	model.Host, model.Machine = 0, 0
	server, err := vcsim.Start(ctx, vcsim.Config{Model: model, Username: "bench", Password: "bench", Guests: vcsim.GuestsSim})
	if err != nil {
		return nil, err
	}
	w := &world{server: server}
	w.client, err = vsphere.Connect(ctx, vsphere.Config{
		URL: server.URL().String(), Username: "bench", Password: "bench", CACerts: server.CAFile(),
	})
	if err == nil {
		w.vch, err = vch.Create(ctx, w.client, vch.Spec{Name: "bench", Network: "VM Network"})
	}
	if err != nil {
		server.Close()
		return nil, err
	}
	return w, nil
}

func (w *world) close(ctx context.Context) {
	_ = w.client.Logout(ctx)
	w.server.Close()
}

func (w *world) portlayer() *vcenter.VCenter {
	return vcenter.New(w.client.Client, vcenter.TargetOf(w.vch))
}

// calls is the number of requests since the last reset. The one long poll of a watch is not counted: it is there whether
// or not anything happens.
func (w *world) calls() float64 {
	total := 0
	for method, n := range w.server.Calls() {
		if method != "WaitForUpdatesEx" {
			total += n
		}
	}
	return float64(total)
}

// allCalls counts long polls too, as a program must that makes one for each task.
func (w *world) allCalls() float64 {
	total := 0
	for _, n := range w.server.Calls() {
		total += n
	}
	return float64(total)
}
