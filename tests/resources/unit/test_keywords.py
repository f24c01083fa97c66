# SPDX-License-Identifier: Apache-2.0
"""The parts of the keywords that need no lab."""

from __future__ import annotations

import pytest

from wolfpack_tests.clients import json_values
from wolfpack_tests.pods import PROVIDER_TAINT, Pod, Pods, containers, pairs, pod_spec, tolerations
from wolfpack_tests.vms import Vm, vm_properties


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        (" \n", []),
        ('{"a": 1}', [{"a": 1}]),
        ('{"a": 1}\n{"b": 2}\n\n[3]', [{"a": 1}, {"b": 2}, [3]]),
    ],
)
def test_json_values(text: str, values: list[object]) -> None:
    assert list(json_values(text)) == values


def test_pod_spec_asks_for_nothing_by_default() -> None:
    (container,) = pod_spec("node-1")["containers"]
    assert container["resources"] == {"requests": {}, "limits": {}}


def test_pod_spec_requests_what_it_limits() -> None:
    (container,) = pod_spec("node-1", cpu="2", memory="1Gi")["containers"]
    wanted = {"cpu": "2", "memory": "1Gi"}
    assert container["resources"] == {"requests": wanted, "limits": wanted}


def test_pod_tolerates_what_its_node_has() -> None:
    expected = {"key": "virtual-kubelet.io/provider", "operator": "Equal", "value": "wolfpack", "effect": "NoSchedule"}
    assert pod_spec("node-1")["tolerations"] == tolerations(PROVIDER_TAINT) == [expected]


def test_tolerations() -> None:
    assert tolerations("") == []
    assert [(one["key"], one["value"], one["effect"]) for one in tolerations("a.b/c=d:NoExecute,e=:NoSchedule")] == [
        ("a.b/c", "d", "NoExecute"),
        ("e", "", "NoSchedule"),
    ]


def test_pairs() -> None:
    assert pairs("") == {}
    assert pairs("app=web,expression=a=b") == {"app": "web", "expression": "a=b"}


def test_containers() -> None:
    assert containers("") == []
    named = [(one["name"], one["restartPolicy"]) for one in containers("proxy,log", restartPolicy="Always")]
    assert named == [("proxy", "Always"), ("log", "Always")]


def test_pod_is_written_as_kubectl_users_do() -> None:
    assert str(Pod("default", "web", "1-2-3")) == "default/web"


def test_no_namespace_says_what_to_do() -> None:
    with pytest.raises(AssertionError, match="Enter New Namespace"):
        Pods().pod_named("web")


def test_vm_properties_of_what_govc_prints() -> None:
    entry = {
        "kind": "enter",
        "obj": {"type": "VirtualMachine", "value": "vm-75"},
        "changeSet": [
            {"name": "name", "op": "assign", "val": "web-1a2b3c4d"},
            {"name": "config.extraConfig", "op": "assign", "val": {"_value": [{"key": "wolfpack.uid", "value": "u"}]}},
        ],
    }
    expected = {"reference": "VirtualMachine:vm-75", "name": "web-1a2b3c4d", "extra": {"wolfpack.uid": "u"}}
    assert vm_properties(entry) == expected


def test_vm_that_is_being_made_has_no_configuration_yet() -> None:
    entry = {"obj": {"type": "VirtualMachine", "value": "vm-1"}, "changeSet": [{"name": "name", "val": "new"}]}
    assert vm_properties(entry) == {"reference": "VirtualMachine:vm-1", "name": "new", "extra": {}}


def test_vm_is_an_argument_of_govc_by_its_reference() -> None:
    vm = Vm("VirtualMachine:vm-75", "web", "/DC0/vm/lab/web", "[LocalDS_0] web", {})
    assert (str(vm), vm.datastore) == ("VirtualMachine:vm-75", "LocalDS_0")
