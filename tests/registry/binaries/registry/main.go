// SPDX-License-Identifier: Apache-2.0

// Command registry is the stock Docker registry, built from its module with the parts the lab uses: the file-system and
// in-memory storage drivers and htpasswd authentication. The cloud drivers, which would multiply its size, are left out.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}
