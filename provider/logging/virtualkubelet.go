// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"fmt"
	"maps"
	"slices"

	vklog "github.com/virtual-kubelet/virtual-kubelet/log"
	"k8s.io/klog/v2"
)

// Verbosities at which what Virtual Kubelet says is logged. It says much of each pod, and warns of what is well, such as a
// pod that has ended: its information is for those who look closely.
const (
	warnings    = 1
	information = 2
	debugging   = 4
)

// VirtualKubelet returns a logger for Virtual Kubelet. Its fields are klog's.
func VirtualKubelet() vklog.Logger { return virtualKubelet{} }

// virtualKubelet is Virtual Kubelet's log. A value is never changed.
type virtualKubelet struct {
	fields []any // keys and values in turn
	err    error
}

// logger asks klog each time: it may be set up anew.
func (l virtualKubelet) logger() klog.Logger {
	return klog.Background().WithCallDepth(2).WithValues(l.fields...)
}

func (l virtualKubelet) info(verbosity int, message string) {
	logger := l.logger().V(verbosity)
	if l.err != nil {
		logger = logger.WithValues("err", l.err)
	}
	logger.Info(message)
}

// Debug and all below implement Virtual Kubelet's Logger.
func (l virtualKubelet) Debug(args ...any) { l.info(debugging, fmt.Sprint(args...)) }

// Debugf is Debug with a format.
func (l virtualKubelet) Debugf(format string, args ...any) {
	l.info(debugging, fmt.Sprintf(format, args...))
}

// Info logs what Virtual Kubelet does.
func (l virtualKubelet) Info(args ...any) { l.info(information, fmt.Sprint(args...)) }

// Infof is Info with a format.
func (l virtualKubelet) Infof(format string, args ...any) {
	l.info(information, fmt.Sprintf(format, args...))
}

// Warn logs what Virtual Kubelet finds odd.
func (l virtualKubelet) Warn(args ...any) { l.info(warnings, fmt.Sprint(args...)) }

// Warnf is Warn with a format.
func (l virtualKubelet) Warnf(format string, args ...any) {
	l.info(warnings, fmt.Sprintf(format, args...))
}

// Error logs what went wrong, at any verbosity.
func (l virtualKubelet) Error(args ...any) {
	l.logger().WithCallDepth(-1).Error(l.err, fmt.Sprint(args...))
}

// Errorf is Error with a format.
func (l virtualKubelet) Errorf(format string, args ...any) {
	l.logger().WithCallDepth(-1).Error(l.err, fmt.Sprintf(format, args...))
}

// Fatal is Error: nothing of Virtual Kubelet's ends this program.
func (l virtualKubelet) Fatal(args ...any) { l.Error(args...) }

// Fatalf is Fatal with a format.
func (l virtualKubelet) Fatalf(format string, args ...any) { l.Errorf(format, args...) }

// WithField returns a logger that has one field more.
func (l virtualKubelet) WithField(key string, value any) vklog.Logger {
	return virtualKubelet{append(slices.Clip(l.fields), key, value), l.err}
}

// WithFields returns a logger that has more fields.
func (l virtualKubelet) WithFields(fields vklog.Fields) vklog.Logger {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		l.fields = append(slices.Clip(l.fields), key, fields[key])
	}
	return l
}

// WithError returns a logger that says the error too.
func (l virtualKubelet) WithError(err error) vklog.Logger { return virtualKubelet{l.fields, err} }
