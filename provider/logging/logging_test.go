// SPDX-License-Identifier: Apache-2.0

package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	vklog "github.com/virtual-kubelet/virtual-kubelet/log"
	"go.uber.org/goleak"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/provider/logging"
)

// child makes a process of this test binary log something and end: a process has one log.
var child = flag.String("log", "", "log with these flags and end")

func TestMain(m *testing.M) {
	flag.Parse()
	if *child == "" {
		goleak.VerifyTestMain(m)
	}
	var config logging.Config
	flags := pflag.NewFlagSet("child", pflag.ContinueOnError)
	config.Flags(flags)
	if err := errors.Join(flags.Parse(strings.Fields(*child)), config.Apply(), config.Apply()); err != nil {
		panic(err)
	}
	klog.FromContext(context.Background()).Info("Started the pod's VM", "pod", klog.KRef("shop", "web"), "vmID", "vm-42")
	virtual := vklog.L.WithField("key", "shop/web").WithFields(vklog.Fields{"b": 2, "a": 1})
	virtual.Debugf("debug %d", 1)
	virtual.Infof("information %d", 1)
	virtual.Warn("warning ", 1)
	virtual.WithError(errors.New("no route")).Errorf("error %d", 1)
	logging.Flush()
}

// logged is what a process with the flags writes, by line.
func logged(t *testing.T, flags string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-log", flags)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Run(), stderr.String())
	return strings.Split(strings.TrimSpace(stderr.String()), "\n")
}

func TestText(t *testing.T) {
	lines := logged(t, "--log-format text")
	require.Len(t, lines, 2, "of Virtual Kubelet only errors: %q", lines)
	require.Regexp(t, `^I.* logging_test.go:\d+\] "Started the pod's VM" pod="shop/web" vmID="vm-42"$`, lines[0])
	require.Regexp(t, `^E.* logging_test.go:\d+\] "error 1" err="no route" key="shop/web" a=1 b=2$`, lines[1])
}

func TestVerbosity(t *testing.T) {
	for flags, want := range map[string]int{"-v 0": 2, "-v 1": 3, "-v=2": 4, "--verbosity 4": 5} {
		require.Len(t, logged(t, flags), want, flags)
	}
	require.Regexp(t, `^I.* logging_test.go:\d+\] "information 1" key="shop/web" a=1 b=2$`, logged(t, "-v 2")[1])
}

func TestJSON(t *testing.T) {
	for _, line := range logged(t, "--log-format json -v 4") {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		require.NotEmpty(t, entry["msg"])
		require.Contains(t, entry["caller"], "logging_test.go:")
		if entry["msg"] == "Started the pod's VM" {
			require.Equal(t, map[string]any{"namespace": "shop", "name": "web"}, entry["pod"])
		}
	}
}

func TestAFormatThatDoesNotExist(t *testing.T) {
	err := (&logging.Config{Format: "xml"}).Apply()
	require.True(t, errs.Is(err, errs.Invalid))
	require.EqualError(t, err, `log-format is "xml", want one of text, json`)
}
