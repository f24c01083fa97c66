// SPDX-License-Identifier: Apache-2.0

// Command vcsim runs the vCenter stand-in (package vcsim) until it is interrupted. It has the flags of stock vcsim, with
// their meanings and defaults, and a few of its own; see -help. When it is ready it prints a line to be evaluated by a
// shell:
//
//	export GOVC_URL=https://user:pass@127.0.0.1:8989/sdk GOVC_SIM_PID=4711 GOVC_TLS_CA_CERTS=/tmp/vcsim-ca-1/ca.pem
//
// GOVC_TLS_CA_CERTS is there when the stand-in made its own certificate. With QEMU guests a second line has the URL of the
// SOCKS5 proxy by which they are reached, WOLFPACK_GUEST_PROXY.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/google/uuid"

	"wolfpack/version"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("vcsim: ")
	flags := parse(os.Args[1:])
	switch flags.set.Arg(0) {
	case "uuidgen":
		fmt.Println(uuid.New())
		return
	case "version":
		fmt.Println(version.Get())
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, flags)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}
