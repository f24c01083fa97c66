// SPDX-License-Identifier: Apache-2.0

//go:build dependencies

// Package podvm keeps in go.mod what the packages below it are about to import, so that they need not each change it.
package podvm

import (
	_ "github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	_ "github.com/stretchr/testify/require"
	_ "github.com/u-root/u-root/pkg/cpio"
	_ "github.com/vishvananda/netlink"
	_ "github.com/vmware/govmomi/ovf"
	_ "github.com/vmware/govmomi/toolbox"
	_ "github.com/vmware/govmomi/vmdk"
	_ "go.uber.org/goleak"
	_ "k8s.io/client-go/kubernetes/fake"
	_ "k8s.io/kubernetes/cmd/kubelet/app"
)
