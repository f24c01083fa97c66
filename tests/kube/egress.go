// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"os"
)

// egress has the apiserver reach nodes and pods through the CONNECT of an HTTP proxy on a Unix socket.
const egress = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection:
      proxyProtocol: HTTPConnect
      transport:
        uds:
          udsName: %q
`

// writeEgress writes the configuration of Options.Egress.
func (c *ControlPlane) writeEgress(context.Context) error {
	if c.opts.Egress == "" {
		return nil
	}
	return os.WriteFile(c.path("egress.yaml"), fmt.Appendf(nil, egress, c.opts.Egress), 0o600)
}

// egressArgs are the apiserver's flags for it.
func (c *ControlPlane) egressArgs() []string {
	if c.opts.Egress == "" {
		return nil
	}
	return []string{"--egress-selector-config-file=" + c.path("egress.yaml")}
}
