# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wolfpack_tests.lab import Lab, Lease, tail

if TYPE_CHECKING:
    from collections.abc import Callable

RESOURCES = Path(__file__).parents[1]


def test_ready_file_is_read(ready_file: Callable[[str], Path]) -> None:
    lab = Lab.read(ready_file("1"))
    assert (lab.node, lab.vch, lab.kubeconfig) == ("node-1", "vch-1", "/labs/1/kubeconfig")
    assert lab.registry == {}


def test_ready_file_without_a_node_names_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    file.write_text('{"kubeconfig": "k"}')
    with pytest.raises(ValueError, match=r"ready\.json has no value for 'node'; it has kubeconfig"):
        Lab.read(file)


def test_environment_has_the_labs_settings_and_no_others(
    ready_file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVC_URL", "https://production.example.com/sdk")
    monkeypatch.setenv("GOVC_DATACENTER", "production")
    monkeypatch.setenv("KUBECONFIG", "/home/me/.kube/production")
    env = Lab.read(ready_file("1")).env(GOVC_PASSWORD="", COLOR="blue")
    assert env["GOVC_URL"] == "https://127.0.0.1:1/sdk"
    assert env["KUBECONFIG"] == "/labs/1/kubeconfig"
    assert env["COLOR"] == "blue"
    assert not {"GOVC_DATACENTER", "GOVC_PASSWORD"} & env.keys()


def test_log_tail_has_the_logs_of_node_and_vcenter(ready_file: Callable[[str], Path]) -> None:
    lab = Lab.read(ready_file("1"))
    for name in ("etcd", "node", "vcsim"):
        (lab.logs / f"{name}.log").write_text(f"first of {name}\nlast of {name}\n")
    text = lab.log_tail(lines=1)
    assert "last of node" in text
    assert "last of vcsim" in text
    assert "first" not in text
    assert "etcd" not in text


def test_tail_keeps_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"one\ntwo\n\xff\n")
    assert tail(file, 2) == "two\n\\xff"


def test_each_lab_is_leased_once(ready_file: Callable[[str], Path]) -> None:
    labs = ready_file("1").parents[1]
    ready_file("2")
    first = Lease.acquire(labs)
    second = Lease.acquire(labs)
    assert {first.lab.node, second.lab.node} == {"node-1", "node-2"}
    with pytest.raises(AssertionError, match="2 labs, each in use"):
        Lease.acquire(labs, timeout=0)
    first.release()
    assert Lease.acquire(labs, timeout=0).lab.node == first.lab.node


def test_no_lab_at_all_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="make robot"):
        Lease.acquire(tmp_path)


def test_lease_of_a_killed_process_is_free_again(ready_file: Callable[[str], Path]) -> None:
    labs = ready_file("1").parents[1]
    code = (
        "import sys; from pathlib import Path; from wolfpack_tests.lab import Lease\n"
        "lease = Lease.acquire(Path(sys.argv[1])); print('leased', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, labs],
        env={"PYTHONPATH": str(RESOURCES)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "leased\n"
        with pytest.raises(AssertionError, match="in use"):
            Lease.acquire(labs, timeout=0)
        process.kill()
        process.wait()
        assert Lease.acquire(labs, timeout=0).lab.node == "node-1"
