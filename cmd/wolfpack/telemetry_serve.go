// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/provider/logging"
	"wolfpack/telemetry/exporter"
	"wolfpack/telemetry/lifetimes"
	"wolfpack/telemetry/otlp"
	"wolfpack/telemetry/products"
	"wolfpack/version"
	"wolfpack/vsphere"
)

const telemetryServeHelp = `Count a vCenter, or several, again and again, and serve the ten figures to Prometheus and to browsers.

It counts on a timer of its own and serves the last report: no scrape makes a request to a vCenter.
A vCenter in which nothing has happened is asked 2 requests each time. One that is away keeps its
last report, with vic_census_up 0. It runs until it is interrupted, and leaves no session behind.

   /metrics          the figures of all vCenters, as Prometheus' text or as OpenMetrics
   /probe?target=    those of one vCenter, which must be a configured one
   /report?target=   the report as a page
   /healthz          200 while all reports are fresh, or else 503 with what is not; for readiness
                     probes, as no restart brings a vCenter back

The metrics are those of wolfpack telemetry report -o openmetrics. A Grafana dashboard for them is
in deploy/grafana, and alert rules are in deploy/prometheus.

One vCenter is set like govc's, by GOVC_URL and so on, each also a flag. Several are in a YAML file:

   vcenters:
     - name: east                                    # the label vcenter; default the URL's host
       url: https://vc-east.example.com/sdk
       username: telemetry@vsphere.local
       passwordFile: /etc/wolfpack/east.password     # is read at each login
       caCerts: /etc/wolfpack/east.pem
       probe: [https://harbor.example.com]           # and probeCACerts, probeCredentials
     - url: https://vc-west.example.com/sdk
       username: telemetry@vsphere.local
       passwordFile: /etc/wolfpack/west.password
       datacenter: DC1                               # the only one to count; default all

The user needs the role Read-only on the vCenter's root, propagated.

Where OTEL_EXPORTER_OTLP_ENDPOINT names an OpenTelemetry collector, it gets each report as metrics;
all of OpenTelemetry's standard variables are heeded.`

const telemetryServeExamples = `  # one vCenter, at http://localhost:9272/metrics
  export GOVC_URL=https://vc.example.com/sdk GOVC_USERNAME=telemetry GOVC_PASSWORD=...
  wolfpack telemetry serve --listen localhost:9272

  # several, with TLS, and with what vCenters forget kept over restarts
  wolfpack telemetry serve --config vcenters.yaml --history /var/lib/wolfpack/history \
    --tls-cert-file tls.crt --tls-private-key-file tls.key`

// serveOptions are the flags of wolfpack telemetry serve.
type serveOptions struct {
	exporter.Options
	config string
	probe  products.Config
	log    logging.Config
}

func newTelemetryServeCommand() *cobra.Command {
	o := serveOptions{probe: products.ConfigFromEnv()}
	config := vsphere.ConfigFromEnv()
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Serve the figures of vCenters to Prometheus and to browsers",
		Long:    telemetryServeHelp,
		Example: telemetryServeExamples,
		Args:    cobra.NoArgs,
	}
	o.flags(&config).apply(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("datacenter") {
			config.Datacenter = "" // all are counted, whatever GOVC_DATACENTER says
		}
		if err := o.choose(cmd.Flags(), config); err != nil {
			return err
		}
		return o.serve(cmd.Context())
	}
	_ = cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions(logging.Formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	return cmd
}

// flags are those of the options and of the connection to one vCenter.
func (o *serveOptions) flags(config *vsphere.Config) flagGroups {
	var groups flagGroups
	counting := groups.add("Counting")
	counting.DurationVar(&o.Interval, "interval", exporter.DefaultInterval, "from one count to the next")
	counting.DurationVar(&o.Since, "since", lifetimes.Window, "how far back to look at lifetimes, such as 168h")
	counting.BoolVar(&o.NoEvents, "no-events", false, "leave lifetimes out: events are not read")
	counting.IntVar(&o.PageSize, "page-size", 0, "how many objects vCenter puts into one answer at most (default 1000)")
	counting.StringVar(&o.History, "history", "", "`file` that keeps reports and what is known of lifetimes; it is made if there is none")
	serving := groups.add("Serving")
	serving.StringVar(&o.Listen, "listen", exporter.DefaultListen, "address to serve at; inventories have names in them, so let only those reach it who may read these")
	serving.StringVar(&o.CertFile, "tls-cert-file", "", "PEM file of the certificate to serve with, and those that it is signed by (default no TLS)")
	serving.StringVar(&o.KeyFile, "tls-private-key-file", "", "PEM file of its private key; both are read anew when they are used")
	several := groups.add("Several vCenters")
	several.StringVar(&o.config, "config", "", "YAML `file` that lists them")
	one := groups.add("One vCenter")
	config.Flags(one)
	o.probe.Flags(one)
	process := groups.add("This process")
	o.log.Flags(process)
	process.Lookup("verbosity").Usage = "how much is logged: 0 for every day, 2 with each count"
	return groups
}

// choose takes the vCenters of the file, or else the one of flags and environment.
func (o *serveOptions) choose(flags *pflag.FlagSet, config vsphere.Config) (err error) {
	const op = "telemetry serve"
	if o.Interval <= 0 || o.Since <= 0 {
		return errs.New(op, errs.Invalid, "interval is %s and since is %s, want both more than 0s", o.Interval, o.Since)
	}
	if o.config == "" {
		if config.URL == "" {
			return errs.New(op, errs.Invalid, "no vCenter given; set GOVC_URL or --url, such as https://vc.example.com/sdk, or list several with --config")
		}
		o.VCenters = []exporter.VCenter{{Config: config, Products: o.probe}}
		return nil
	}
	var both []string
	for _, name := range []string{"url", "username", "password", "insecure", "tls-ca-certs", "datacenter", "probe", "probe-ca-certs", "probe-credentials"} {
		if flags.Changed(name) {
			both = append(both, "--"+name)
		}
	}
	if len(both) > 0 {
		return errs.New(op, errs.Invalid, "with --config, vCenters are in the file alone: put what %s says there", strings.Join(both, ", "))
	}
	o.VCenters, err = exporter.ReadConfig(o.config)
	return err
}

// serve counts and serves until ctx ends, which is no error.
func (o *serveOptions) serve(ctx context.Context) error {
	if err := o.log.Apply(); err != nil {
		return err
	}
	defer logging.Flush()
	metrics, err := otlp.Start(ctx)
	if err != nil {
		return err
	}
	defer metrics.Stop(ctx)
	o.Sink = metrics
	e, err := exporter.New(o.Options)
	if err != nil {
		return err
	}
	scheme := "http"
	if o.CertFile != "" {
		scheme = "https"
	}
	var names []string
	for _, vc := range e.VCenters() {
		names = append(names, vc.Name)
	}
	slices.Sort(names)
	klog.FromContext(ctx).Info("Serving telemetry", "at", scheme+"://"+e.Addr().String()+"/metrics", "vcenters", names, "interval", o.Interval, "version", version.Get().String())
	err = e.Run(ctx)
	if err == nil {
		klog.FromContext(ctx).Info("Ended; no session is left behind")
	}
	return err
}
