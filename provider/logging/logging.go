// SPDX-License-Identifier: Apache-2.0

// Package logging sets up the log of a process as Kubernetes' own components do: structured, with klog, as text or JSON on
// standard error. At verbosity 0 it has what an admin would want to know, such as one line when a pod's VM is started; at
// 2, what Virtual Kubelet does; at 4, each step of an operation.
package logging

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
	vklog "github.com/virtual-kubelet/virtual-kubelet/log"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // the format json
	"k8s.io/klog/v2"

	"wolfpack/errs"
)

// Config says what the log is like. The zero value is text at verbosity 0.
type Config struct {
	Format    string // text or json; flag --log-format
	Verbosity uint32 // flag -v, --verbosity
}

var formats = []string{logsapi.DefaultLogFormat, logsapi.JSONLogFormat}

// Formats are those that Config.Format can be.
func Formats() []string { return slices.Clone(formats) }

// Flags adds the log's flags to flags.
func (c *Config) Flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.Format, "log-format", logsapi.DefaultLogFormat, "format of the log: "+strings.Join(formats, ", "))
	flags.Uint32VarP(&c.Verbosity, "verbosity", "v", 0, "how much is logged: 0 for every day, 2 with what Virtual Kubelet does, 4 with each step")
}

// Apply sets up the log of this process, and makes it Virtual Kubelet's too. It is for the start of the program: klog is the
// process' own. Applying the same again is harmless.
func (c *Config) Apply() error {
	const op = "logging.Apply"
	if !slices.Contains(formats, c.Format) {
		return errs.New(op, errs.Invalid, "log-format is %q, want one of %s", c.Format, strings.Join(formats, ", "))
	}
	config := logsapi.NewLoggingConfiguration()
	config.Format, config.Verbosity = c.Format, logsapi.VerbosityLevel(c.Verbosity)
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	if err := logsapi.ValidateAndApply(config, nil); err != nil {
		return errs.New(op, errs.Invalid, "set up the log: %w", err)
	}
	vklog.L = VirtualKubelet()
	return nil
}

// Flush writes out what is left of the log.
func Flush() {
	klog.StopFlushDaemon()
	klog.Flush()
}
