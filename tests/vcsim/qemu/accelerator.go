// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What runs the guests' code.
const (
	KVM = "kvm"
	TCG = "tcg,thread=multi"
)

// probeTime bounds the probe. Where KVM works it needs a tenth of a second; where it does not, it hangs.
const probeTime = 5 * time.Second

// probed is the exit status of QEMU after a probe that worked: what probe.asm writes to the device, doubled, plus one.
const probed = 0x10<<1 | 1

//go:embed probe.img
var probeImage []byte

// accelerator is KVM where a machine boots with it, and TCG otherwise. /dev/kvm says little: some have it, and hang. What
// was found out holds until this machine is booted anew.
func accelerator(ctx context.Context, path string) string {
	if file, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		return TCG
	} else {
		_ = file.Close() // nothing was done to it
	}
	cache, boot := cacheFile()
	if text, err := os.ReadFile(cache); err == nil {
		if known, found := strings.CutPrefix(string(text), boot+" "); found && (known == KVM || known == TCG) {
			return known
		}
	}
	found := TCG
	if probe(ctx, path, KVM) == nil {
		found = KVM
	}
	if cache != "" && ctx.Err() == nil {
		_ = os.MkdirAll(filepath.Dir(cache), 0o755)
		_ = os.WriteFile(cache, []byte(boot+" "+found), 0o644) // it can be found out again
	}
	return found
}

// cacheFile is where the accelerator is kept that was found since a boot; "" if there is no such place.
func cacheFile() (path, boot string) {
	dir, err := os.UserCacheDir()
	text, errBoot := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || errBoot != nil {
		return "", ""
	}
	return filepath.Join(dir, "wolfpack", "qemu-accelerator"), strings.TrimSpace(string(text))
}

// probe boots a machine that works for a while, and returns nil if it has.
func probe(ctx context.Context, path, accelerator string) error {
	file, err := os.CreateTemp("", "vcsim-probe-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	sector := make([]byte, 512)
	copy(sector, probeImage)
	sector[510], sector[511] = 0x55, 0xaa
	_, err = file.Write(sector)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-accel", accelerator, "-cpu", "max", "-m", "32", "-nodefaults", "-no-user-config",
		"-display", "none", "-drive", "if=floppy,format=raw,file="+quote(file.Name()),
		"-device", "isa-debug-exit,iobase=0x501,iosize=1")
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == probed {
		return nil
	}
	return errors.Join(err, ctx.Err(), errors.New("the probe did not say that it worked"))
}
