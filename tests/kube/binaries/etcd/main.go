// SPDX-License-Identifier: Apache-2.0

// Command etcd is the stock etcd server, built from its module, which keeps its own main package in another one.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
