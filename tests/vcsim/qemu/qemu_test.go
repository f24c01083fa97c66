// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asParent in the environment makes the test binary start a machine, say which process it is, and wait for its own end.
const asParent = "QEMU_TEST_AS_PARENT"

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if console := os.Getenv(asParent); console != "" {
		l, err := New(context.Background())
		if err == nil {
			var p *Process
			if p, err = l.Start(Machine{Name: "child", CPUs: 1, MemoryMB: 16, Console: console}); err == nil {
				fmt.Println(p.Pid())
				<-p.Done()
			}
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func newLauncher(t *testing.T) *Launcher {
	t.Helper()
	l, err := New(t.Context())
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

// machine is one without anything to boot.
func machine(t *testing.T) Machine {
	return Machine{Name: t.Name(), CPUs: 1, MemoryMB: 16, Console: filepath.Join(t.TempDir(), "console")}
}

// gone says whether a process has ended; one that nobody has waited for yet has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestArguments(t *testing.T) {
	m := Machine{
		Name: "a,b", UUID: "u", CPUs: 2, MemoryMB: 512, Console: "/c,c",
		Disks: []Disk{{Path: "/d0", Format: "raw", Serial: "s"}, {Path: "/d1", Format: "vmdk", ReadOnly: true, Shared: true, Bus: 1, Unit: 3}},
		CDs:   []CD{{Path: "/cd", Bus: 1, Unit: 0}},
		Cards: []Card{{Model: "vmxnet3", MAC: "00:50:56:00:00:01"}},
	}
	args := strings.Join(m.arguments("marker", KVM), " ")
	for _, want := range []string{
		"-name guest=marker:a,,b ", "-accel kvm ", "-smp 2 -m size=512M ", "-uuid u ", "path=/c,,c ",
		"-device pvscsi,id=scsi0 -drive if=none,id=disk0,format=raw,file=/d0 -device scsi-hd,bus=scsi0.0,scsi-id=0,drive=disk0,bootindex=1,serial=s ",
		"-device pvscsi,id=scsi1 -drive if=none,id=disk1,format=vmdk,file=/d1,readonly=on,file.locking=off -device scsi-hd,bus=scsi1.0,scsi-id=3,drive=disk1,bootindex=2 ",
		"file.locking=off,file=/cd -device ide-cd,bus=ide.1,unit=0,drive=cd0,bootindex=3 ",
		"-netdev stream,id=net0,server=off,addr.type=fd,addr.str=6 -device vmxnet3,netdev=net0,mac=00:50:56:00:00:01,romfile=",
	} {
		require.Contains(t, args, want)
	}
	m.BootCD = true
	args = strings.Join(m.arguments("marker", KVM), " ")
	require.Contains(t, args, "drive=cd0,bootindex=1")
	require.Contains(t, args, "drive=disk1,bootindex=3")
}

func TestMachine(t *testing.T) {
	l := newLauncher(t)
	require.Contains(t, []string{KVM, TCG}, l.Accelerator)
	p, err := l.Start(machine(t))
	require.NoError(t, err)
	require.NoError(t, p.Pause())
	require.NoError(t, p.Resume())
	require.ErrorContains(t, p.monitor.run("nonsense"), "nonsense: CommandNotFound: ")
	require.NoError(t, p.Reset())
	require.Equal(t, Reboot, p.Exit())
	require.Error(t, p.Pause(), "it has ended")

	p, err = l.Start(machine(t))
	require.NoError(t, err)
	p.Kill()
	require.Equal(t, Killed, p.Exit())
	p.Kill()

	p, err = l.Start(machine(t))
	require.NoError(t, err)
	l.Close()
	require.Equal(t, Killed, p.Exit())
	_, err = l.Start(machine(t))
	require.EqualError(t, err, "the machines are closed")
}

// QEMU's own words say why a machine cannot be.
func TestMachineThatCannotBe(t *testing.T) {
	m := machine(t)
	m.Disks = []Disk{{Path: "/nonexistent/disk", Format: "raw"}}
	_, err := newLauncher(t).Start(m)
	require.ErrorContains(t, err, "start qemu-system-x86_64: ")
	require.ErrorContains(t, err, "/nonexistent/disk")
}

func TestWithoutQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := New(t.Context())
	require.EqualError(t, err, "qemu-system-x86_64 is missing, which runs real guests: install the package qemu-system-x86")
}

// The probe works where guests do: under emulation it always does.
func TestProbe(t *testing.T) {
	path, err := exec.LookPath(Program)
	require.NoError(t, err)
	require.NoError(t, probe(t.Context(), path, TCG))
	require.ErrorContains(t, probe(t.Context(), path, "nonsense"), "the probe did not say that it worked")
}

// A machine dies with the process that started it, however that ends.
func TestMachinesDieWithTheirParent(t *testing.T) {
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), asParent+"="+filepath.Join(t.TempDir(), "console"))
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.False(t, gone(pid))
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait() // it was killed
	require.Eventually(t, func() bool { return gone(pid) }, patience, 10*time.Millisecond)
}

// What a launcher has left behind that is no more, the next one ends; it leaves others' machines alone.
func TestLeftovers(t *testing.T) {
	own, err := newMarker()
	require.NoError(t, err)
	start := func(m marker) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), Program, "-name", "guest="+m.String()+":left", "-nodefaults", "-display", "none", "-S", "-m", "16")
		require.NoError(t, cmd.Start())
		return cmd
	}
	orphan, mine := start(marker{own.namespace, own.pid, "1"}), start(own)
	elsewhere := start(marker{"pid:[1]", own.pid, "1"})
	for _, cmd := range []*exec.Cmd{orphan, mine, elsewhere} { // it is QEMU, and no copy of this process any more
		require.Eventually(t, func() bool {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
			return strings.HasPrefix(string(line), Program)
		}, patience, 10*time.Millisecond)
	}
	endLeftovers(own)
	require.EqualError(t, orphan.Wait(), "signal: killed")
	for _, cmd := range []*exec.Cmd{mine, elsewhere} {
		require.False(t, gone(cmd.Process.Pid))
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	}
}

func TestMarker(t *testing.T) {
	own, err := newMarker()
	require.NoError(t, err)
	require.NotEmpty(t, own.started)
	got, ok := parseMarker("guest=" + own.String() + ":a:b")
	require.True(t, ok)
	require.Equal(t, own, got)
	for _, bad := range []string{
		"", "guest=web", "web", "guest=wolfpack-stand-in/pid:[1]/1/1", "guest=wolfpack-stand-in/pid:[1]/x/1:web",
		"guest=wolfpack-stand-in/pid:[1]/0/1:web", "guest=wolfpack-stand-in/pid:[1]/1/:web",
	} {
		_, ok := parseMarker(bad)
		require.False(t, ok, bad)
	}
	require.Empty(t, startTime(0))
	require.False(t, orphaned(nil, own.namespace))
	require.False(t, orphaned([]byte("sleep\x001\x00"), own.namespace))
	require.False(t, orphaned([]byte("qemu\x00-name\x00"), own.namespace))
}
