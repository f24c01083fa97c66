# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes: a script that says how it was called stands for wolfpack."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from wolfpack_tests.clients import Clients
from wolfpack_tests.lab import Lab
from wolfpack_tests.program import Node
from wolfpack_tests.waiting import NotYetError, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Node]


@pytest.fixture
def start(tmp_path: Path, ready_file: Callable[[str], Path], program: Callable[[str, str], Path]) -> Start:
    """Return a function that starts the nodes a and b as a script, and waits until that has said how it was called."""

    def run(script: str) -> Node:
        lab = Lab.read(ready_file("1"))
        clients = Clients(dataclasses.replace(lab, binaries={"wolfpack": str(program("wolfpack", f'echo "$@"\n{script}'))}))
        node = Node(["a", "b"], ["--vch", "a", "--vch", "b"], tmp_path / "own" / "node.log")
        node.start(clients)

        def look() -> None:
            if not node.has_logged("\n"):
                raise NotYetError("nothing in the log")

        wait_until("the script has begun", look)
        return node

    return run


def test_node_is_called_with_its_options(start: Start) -> None:
    node = start("exec sleep 60")
    assert node.has_logged("node --kubeconfig /labs/1/kubeconfig --kubelet-port 0 --vch a --vch b\n")
    assert not node.has_logged("--leader-elect")
    node.check()
    node.kill()


def test_node_that_was_killed_has_ended_and_needs_no_stop(start: Start) -> None:
    node = start("exec sleep 60")
    node.kill()
    with pytest.raises(
        AssertionError, match=r"node a and b ended with exit code None\nlast lines of .*node\.log:\nnode --kube"
    ):
        node.check()
    node.stop()


def test_node_is_stopped_as_an_admin_would(start: Start) -> None:
    node = start("trap 'exit 0' TERM\necho ready\nwhile :; do sleep 0.05; done")
    wait_for_ready(node)
    node.stop()


def test_node_that_ends_badly_says_so(start: Start) -> None:
    node = start("trap 'echo oh no; exit 3' TERM\necho ready\nwhile :; do sleep 0.05; done")
    wait_for_ready(node)
    with pytest.raises(AssertionError, match=r"node a and b ended with exit code 3 after SIGTERM\n(.*\n)*oh no"):
        node.stop()


def wait_for_ready(node: Node) -> None:
    """Wait until the script heeds SIGTERM."""

    def look() -> None:
        if not node.has_logged("ready\n"):
            raise NotYetError("not ready")

    wait_until("the script is ready", look)
