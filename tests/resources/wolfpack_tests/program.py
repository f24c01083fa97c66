# SPDX-License-Identifier: Apache-2.0
"""The program under test: one-off commands, virtual container hosts and nodes of a test's own."""

from __future__ import annotations

import json
import re
import shlex
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from robot.api import logger
from robot.api.deco import keyword, library

from wolfpack_tests.clients import Clients, clients, library_of_test
from wolfpack_tests.process import Process
from wolfpack_tests.waiting import TIMEOUT, NotYetError, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SYSTEM_NAMESPACE = "wolfpack-system"
"""Where wolfpack keeps what is its nodes' own, by default."""

TAKES_PODS = "The virtual node takes pods"
"""What the log of a process says, once it is at work."""

STANDS_BY = "self=false"
"""What the log of a process says, of who leads, when that is another."""


class Node(Process):
    """A `wolfpack node` process, which can be stopped and started again with the same options."""

    def __init__(self, names: Sequence[str], options: Sequence[str], log: Path) -> None:
        super().__init__(f"node {' and '.join(names)}", log)
        self.names = tuple(names)
        """Of its virtual nodes, in Kubernetes."""
        self.options = tuple(options)

    def start(self, lab_clients: Clients) -> None:
        """Start the process."""
        kubeconfig = lab_clients.lab.kubeconfig
        self.run(lab_clients.lab, "node", "--kubeconfig", kubeconfig, "--kubelet-port", "0", *self.options)


@library(scope="SUITE")
class Program:
    """Keywords that run wolfpack.

    Virtual container hosts and nodes that a test makes are its own; `Remove Own Hosts` takes them away again.
    """

    def __init__(self) -> None:
        self._vchs: list[str] = []
        self._nodes: dict[str, Node] = {}

    @property
    def _clients(self) -> Clients:
        return clients()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of this suite's or test's own."""
        return tuple(self._nodes.values())

    @keyword
    def wolfpack(self, *args: str, expect_rc: int = 0, **env: str) -> str:
        """Run wolfpack and return its standard output. A named argument replaces an environment variable."""
        return self._clients.wolfpack(*args, expect_rc=expect_rc, **env).stdout

    @keyword
    def wolfpack_should_refuse(self, message: str, *args: str, **env: str) -> None:
        """Run wolfpack and expect exit code 1 and one paragraph on standard error that matches a regular expression.

        The paragraph is matched as one line.
        A named argument replaces an environment variable, or removes it if it is empty.
        """
        result = self._clients.wolfpack(*args, expect_rc=1, **env)
        said = re.sub(r"^·.*\n", "", result.stderr, flags=re.MULTILINE)  # steps, as they are taken
        paragraphs = [text for text in re.split(r"\n\s*\n", said.strip()) if text]
        if len(paragraphs) != 1:
            raise AssertionError(f"expected a message of one paragraph, got {len(paragraphs)}\n{result}")
        if not re.search(message, " ".join(paragraphs[0].split())):
            raise AssertionError(f"expected a message that matches {message!r}\n{result}")
        if result.stdout.strip():
            raise AssertionError(f"expected nothing on standard output\n{result}")

    @keyword
    def version_stamp(self) -> dict[str, str]:
        """Return version, build and commit, as ``wolfpack version -o json`` prints them."""
        stamp: dict[str, str] = json.loads(self.wolfpack("version", "-o", "json"))
        return stamp

    @keyword
    def new_vch_name(self) -> str:
        """Return a name that no virtual container host has; one made with it is removed by `Remove Own Hosts`."""
        name = f"test-{uuid.uuid4().hex[:8]}"
        self._vchs.append(name)
        return name

    @keyword
    def create_own_vch(self, *options: str) -> str:
        """Create a virtual container host like the lab's, but for the options given. Returns its name."""
        name = self.new_vch_name()
        self.wolfpack("vch", "create", name, *options)
        return name

    @keyword
    def run_printed_command(self, command: str) -> None:
        """Run a command of wolfpack as it was printed, for a shell to take."""
        program, *args = shlex.split(command.replace("\\\n", " "))
        if program != "wolfpack":
            raise AssertionError(f"expected a command of wolfpack, got {command!r}")
        self.wolfpack(*args)

    @keyword
    def create_at_once(self, name: str, times: int) -> None:
        """Have so many admins create a virtual container host of the same name at once, and each succeed or be refused."""
        with ThreadPoolExecutor(times) as admins:
            results = list(admins.map(lambda _: self._clients.wolfpack("vch", "create", name, expect_rc=None), range(times)))
        for result in results:
            logger.info(str(result))
            if result.rc not in (0, 1):
                raise AssertionError(f"expected exit code 0 or 1\n{result}")

    @keyword
    def start_own_node(self, vch: str, *options: str) -> str:
        """Start a virtual node of a virtual container host and wait until it is ready. Returns its name."""
        node = self._start_process(vch, [vch], ["--vch", vch, "--node-name", vch, *options])
        self._wait_until_ready(node)
        return vch

    @keyword
    def start_own_nodes(self, *vchs: str) -> list[str]:
        """Start one process with a node for each of these hosts and wait until all are ready. Returns their names."""
        names = [f"wolfpack-{vch}" for vch in vchs]
        options = [word for vch in vchs for word in ("--vch", vch)]
        self._wait_until_ready(self._start_process(names[0], names, options))
        return names

    @keyword
    def start_standby(self, name: str) -> None:
        """Start a second process for a node that has --leader-elect, and wait until it has seen that another leads."""
        leader = self._nodes[name]
        standby = self._start_process(f"{name}-standby", leader.names, leader.options)

        def look() -> None:
            standby.check()
            if not standby.has_logged(STANDS_BY):
                raise NotYetError(f"no {STANDS_BY!r} in its log")

        wait_until(f"{standby} has a standby", look, evidence=standby.log_tail)

    def _start_process(self, key: str, names: Sequence[str], options: Sequence[str]) -> Node:
        """Start a process that later keywords know by a key."""
        node = self._nodes[key] = Node(names, options, self._clients.lab.logs / "own" / f"node-{key}.log")
        node.start(self._clients)
        return node

    @keyword
    def stop_own_node(self, name: str) -> None:
        """Stop a node and wait until its process has ended."""
        self._nodes[name].stop()

    @keyword
    def kill_own_node(self, name: str) -> None:
        """Kill a node with SIGKILL: it gets to do nothing more."""
        self._nodes[name].kill()

    @keyword
    def start_own_node_again(self, name: str) -> None:
        """Start a node that was stopped, and wait until it is at work again: that it is ready, Kubernetes says all along."""
        node = self._nodes[name]
        node.start(self._clients)

        def look() -> None:
            node.check()
            if not node.has_logged(TAKES_PODS):
                raise NotYetError(f"no {TAKES_PODS!r} in its log")

        wait_until(f"{node} takes pods again", look, evidence=node.log_tail)

    @keyword
    def remove_own_hosts(self) -> None:
        """Stop the nodes and delete the virtual container hosts of the test's own, with all that is left in them."""
        nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            node.stop()
            self._clients.kubectl("delete", "node", *node.names, "--ignore-not-found")
            self._clients.kubectl("delete", "lease", *node.names, "-n", SYSTEM_NAMESPACE, "--ignore-not-found")
        vchs, self._vchs = self._vchs, []
        existing = {vch["name"] for vch in json.loads(self.wolfpack("vch", "ls", "-o", "json"))} if vchs else set()
        for vch in existing.intersection(vchs):
            self.wolfpack("vch", "delete", vch, "--force")

    def _wait_until_ready(self, node: Node) -> None:
        def look() -> None:
            node.check()
            for name in node.names:
                if not self._is_ready(name):
                    raise NotYetError(f"{name} is not ready")

        wait_until(f"{node} is ready", look, timeout=TIMEOUT, evidence=node.log_tail)

    def _is_ready(self, node: str) -> bool:
        """Return whether the node says that it is ready."""
        path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        return self._clients.kubectl("get", "node", node, "--ignore-not-found", "-o", path).stdout == "True"


def logs() -> str:
    """Return the end of the logs of the running test: its lab's and its own nodes'. It is the evidence of most waits."""
    own = [node.log_tail() for node in library_of_test(Program).nodes]
    return "\n".join([clients().lab.log_tail(), *own])
