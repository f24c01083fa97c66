// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"

	"wolfpack/provider/election"
)

// electionOptions are the flags of wolfpack node for its standbys. They are called and mean what kube-scheduler's do.
type electionOptions struct {
	elect                                     bool
	leaseDuration, renewDeadline, retryPeriod time.Duration
}

const electionHelp = `
Standbys: with --leader-elect any number of processes can be started for the same VCHs. For each node
one of them leads, by a Lease of the node's name in --system-namespace; the others hold a session
with vSphere but watch and change nothing. When the leader ends, a standby goes on at once; when it
is killed or cut off, after --leader-elect-lease-duration. A leader that cannot renew its Lease
changes nothing more and ends with an error, to be started again as a standby. Without --leader-elect
the process that was started last runs the node, and the one before ends with an error.
`

func (o *electionOptions) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.elect, "leader-elect", false, "run the node only while this process leads, so that others can stand by")
	flags.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", election.DefaultLeaseDuration, "how long standbys wait after the leader's last sign of life")
	flags.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", election.DefaultRenewDeadline, "how long the leader tries to renew its Lease; less than the lease duration")
	flags.DurationVar(&o.retryPeriod, "leader-elect-retry-period", election.DefaultRetryPeriod, "pause between two tries to get or renew the Lease")
}

// config is the election for the node called name.
func (o *electionOptions) config(client kubernetes.Interface, namespace, name string) election.Config {
	host, _ := os.Hostname() // for people: the rest of the identity makes it unique
	return election.Config{
		Client: client, Namespace: namespace, Name: name, Identity: host + "_" + string(uuid.NewUUID()),
		LeaseDuration: o.leaseDuration, RenewDeadline: o.renewDeadline, RetryPeriod: o.retryPeriod,
	}
}

// check says what is wrong with the times, even if nobody is to stand by: they were meant to be right.
func (o *electionOptions) check() error {
	return o.config(nil, "", "").Check()
}
