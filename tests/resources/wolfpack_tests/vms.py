# SPDX-License-Identifier: Apache-2.0
"""Virtual machines, as someone with govc sees them: only vSphere's public API is used."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword, library

from wolfpack_tests.clients import Clients, clients, library_of_test
from wolfpack_tests.pods import Pod, Pods, pod_named
from wolfpack_tests.program import logs
from wolfpack_tests.waiting import NotYetError, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

PROPERTIES = ("name", "config.extraConfig", "config.files.vmPathName")


@dataclass(frozen=True)
class Vm:
    """A VM as it was when it was looked up."""

    reference: str
    """Managed object reference as govc takes it in place of a path; it stays the same when the VM is renamed."""

    name: str
    path: str
    """Inventory path."""

    home: str
    """Folder on the datastore that has the VM's files, such as [LocalDS_0] web-1a2b3c4d."""

    extra: Mapping[str, str]
    """extraConfig."""

    @property
    def folder(self) -> str:
        """Inventory path of the folder that the VM is in."""
        return self.path.rpartition("/")[0]

    @property
    def datastore(self) -> str:
        """Name of the datastore that has the VM's files."""
        return self.home.removeprefix("[").partition("] ")[0]

    def __str__(self) -> str:
        """Return the reference, so that a VM can be an argument of govc."""
        return self.reference


@library(scope="GLOBAL", converters={Pod: pod_named})
class Vms:
    """Keywords about virtual machines.

    A VM is known by the identity that it carries in its extraConfig, not by its name. A keyword that takes a pod takes
    the same as those of Pods do.
    """

    @property
    def _clients(self) -> Clients:
        return clients()

    @keyword
    def vm_of_pod(self, pod: Pod) -> Vm:
        """Return the VM of a pod, waiting until it exists. Two VMs for one pod are an error."""
        return wait_until(f"pod {pod} has a VM", lambda: self._only({"wolfpack.uid": pod.uid}), evidence=logs)

    @keyword
    def vms_of_pods(self, *pods: Pod) -> list[Vm]:
        """Return the VM of each pod, as `VM Of Pod` does."""
        return [self.vm_of_pod(pod) for pod in pods]

    @keyword
    def endpoint_vm(self, vch: str = "") -> Vm:
        """Return the endpoint VM of a virtual container host, by default the lab's."""
        identity = {"wolfpack.role": "endpoint", "wolfpack.vch": vch or self._clients.lab.vch}
        try:
            return self._only(identity)
        except NotYetError as error:
            raise AssertionError(f"{error}\n{self._clients.govc('find', '/', '-type', 'm')}") from None

    @keyword
    def wait_until_namespace_has_vms(self, count: int) -> None:
        """Wait until the pods of the current namespace have exactly this many VMs together."""
        self._wait_until_namespace_has_vms(library_of_test(Pods).namespace, count)

    @keyword
    def wait_until_no_pod_vms_are_left(self) -> None:
        """Wait until none of the namespaces that the test entered has VMs: after its pods, they have to go too."""
        for namespace in library_of_test(Pods).namespaces:
            self._wait_until_namespace_has_vms(namespace, 0)

    @keyword
    def wait_until_vms_are_gone(self, *vms: Vm) -> None:
        """Wait for each of the VMs as `Wait Until VM Is Gone` does."""
        for vm in vms:
            self.wait_until_vm_is_gone(vm)

    @keyword
    def wait_until_vm_is_gone(self, vm: Vm) -> None:
        """Wait until the VM is in the inventory no more, and nothing is left of it in its folder and on its datastore."""

        def look() -> None:
            left = self._left_of(vm)
            if left:
                raise NotYetError(f"there is still {' and '.join(left)}")

        wait_until(f"VM {vm.name} is gone", look, evidence=logs)

    @keyword
    def wait_until_vm_field_is(self, vm: Vm, path: str, expected: str) -> None:
        """Wait until a property of a VM, such as runtime.powerState, has a value."""

        def look() -> None:
            seen = self._property(vm, path)
            if seen != expected:
                raise NotYetError(repr(seen))

        wait_until(f"{path} of VM {vm.name} is {expected}", look, evidence=logs)

    @keyword
    def wait_until_guest_reports(self, vm: Vm, phase: str) -> None:
        """Wait until the last status that the VM's guest wrote for the provider is of this pod phase."""

        def look() -> None:
            extra = self._having({"wolfpack.uid": vm.extra["wolfpack.uid"]})[0]["extra"]
            seen = extra.get("guestinfo.wolfpack.status", "{}")
            if json.loads(seen).get("pod", {}).get("phase") != phase:
                raise NotYetError(seen)

        wait_until(f"the guest of VM {vm.name} reports {phase}", look, evidence=logs)

    @keyword
    def vm_field(self, vm: Vm, path: str) -> str:
        """Return a property of a VM as govc prints it, such as config.hardware.numCPU."""
        return self._property(vm, path)

    @keyword
    def vm_field_should_be(self, vm: Vm, path: str, expected: str) -> None:
        """Compare a property of a VM."""
        seen = self._property(vm, path)
        if seen != expected:
            raise AssertionError(f"{path} of VM {vm.name} is {seen!r}, expected {expected!r}")

    @keyword
    def guest_name_of_vm(self, vm: Vm) -> str:
        """Return what ``govc vm.info`` prints as the guest name of a VM."""
        output = self._clients.govc("vm.info", vm.reference)
        match = re.search(r"^ *Guest name: *(.*?) *$", output.stdout, re.MULTILINE)
        if not match:
            raise AssertionError(f"no guest name in\n{output}")
        return match[1]

    @keyword
    def vms_with_guest_name(self, pattern: str) -> list[str]:
        """Return the paths of the VMs whose guest name matches a pattern such as Photon - VCH*: one query of govc."""
        return self._clients.govc("find", "/", "-type", "m", "-config.guestFullName", pattern).stdout.splitlines()

    @keyword
    def vcenter_should_have_event(self, kind: str, vm: Vm) -> None:
        """Fail unless vCenter's history has an event of a kind such as VmGuestShutdownEvent of a VM, gone or not."""
        output = self._clients.govc("events", "-n", "1000", "-type", kind)
        if vm.name not in output.stdout:
            raise AssertionError(f"expected a {kind} of VM {vm.name}\n{output}")

    @keyword
    def inventory_should_not_have(self, name: str) -> None:
        """Fail if anything in the inventory, be it VM, folder or resource pool, or on the lab's datastore has this name."""
        found = self._clients.govc("find", "/", "-name", f"{name}*").stdout.splitlines()
        datastore = self.endpoint_vm().datastore
        on_datastore = self._clients.govc("datastore.ls", "-ds", datastore).stdout.splitlines()
        found += [entry for entry in on_datastore if entry.startswith(name)]
        if found:
            raise AssertionError(f"expected nothing named {name}, found {', '.join(found)}")

    def _only(self, identity: Mapping[str, str]) -> Vm:
        """Return the one VM that carries an identity, or raise NotYetError."""
        found = self._having(identity)
        wanted = ", ".join(f"{key}={value}" for key, value in identity.items())
        if len(found) > 1:
            raise AssertionError(f"more than one VM with {wanted}: {', '.join(vm['name'] for vm in found)}")
        if not found:
            raise NotYetError(f"no VM with {wanted}")
        vm = found[0]
        path = self._clients.govc("ls", "-L", vm["reference"]).stdout.strip()
        home = vm["config.files.vmPathName"].rpartition("/")[0]
        return Vm(vm["reference"], vm["name"], path, home, vm["extra"])

    def _having(self, identity: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the properties of the VMs that carry an identity."""
        objects = self._clients.govc_objects("object.collect", "-type", "m", "/", *PROPERTIES, log=False)
        vms = [vm_properties(entry) for entry in objects]
        return [vm for vm in vms if identity.items() <= vm["extra"].items()]

    def _wait_until_namespace_has_vms(self, namespace: str, count: int) -> None:
        def look() -> None:
            seen = self._having({"wolfpack.namespace": namespace})
            if len(seen) != count:
                raise NotYetError(f"{len(seen)} VMs: {', '.join(vm['name'] for vm in seen)}")

        what = f"the pods of namespace {namespace} have {count} VMs"
        wait_until(what, look, evidence=logs)

    def _property(self, vm: Vm, path: str) -> str:
        return self._clients.govc("object.collect", "-s", vm.reference, path, log=False).stdout.strip()

    def _left_of(self, vm: Vm) -> list[str]:
        """Say what is left of a VM."""
        left = []
        if self._clients.govc("object.collect", "-s", vm.reference, "name", expect_rc=None, log=False).rc == 0:
            left.append(f"the VM {vm.path}")
        elif self._clients.govc("ls", vm.path, log=False).stdout.strip():
            left.append(f"the folder entry {vm.path}")
        folder = vm.home.partition("] ")[2]
        if self._clients.govc("datastore.ls", "-ds", vm.datastore, folder, expect_rc=None, log=False).rc == 0:
            left.append(f"the datastore folder {vm.home}")
        return left


def vm_properties(entry: dict[str, Any]) -> dict[str, Any]:
    """Flatten what ``govc object.collect -json`` prints of one VM: its reference, its properties and its extraConfig."""
    properties = {change["name"]: change.get("val") for change in entry["changeSet"]}
    options = (properties.pop("config.extraConfig", None) or {}).get("_value", [])
    extra = {option["key"]: str(option["value"]) for option in options}
    return {"reference": f"{entry['obj']['type']}:{entry['obj']['value']}", "extra": extra, **properties}
