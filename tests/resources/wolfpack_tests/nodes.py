# SPDX-License-Identifier: Apache-2.0
"""The virtual node as Kubernetes shows it, and the resource pool of vSphere behind it."""

from __future__ import annotations

import json

from robot.api.deco import keyword, library

from wolfpack_tests.clients import clients
from wolfpack_tests.program import SYSTEM_NAMESPACE, logs
from wolfpack_tests.waiting import NotYetError, wait_until


@library(scope="GLOBAL")
class Nodes:
    """Keywords about nodes, by name."""

    @keyword
    def node_field(self, node: str, path: str) -> str:
        """Return a field of a node, by its JSONPath such as .status.capacity.cpu."""
        return clients().kubectl("get", "node", node, "-o", f"jsonpath={{{path}}}").stdout

    @keyword
    def wait_until_node_field_is(self, node: str, path: str, expected: str) -> None:
        """Wait until a field of a node has a value. A node that is not there has none."""

        def look() -> None:
            seen = clients().kubectl("get", "node", node, "--ignore-not-found", "-o", f"jsonpath={{{path}}}").stdout
            if seen != expected:
                raise NotYetError(repr(seen))

        wait_until(f"{path} of node {node} is {expected}", look, evidence=logs)

    @keyword
    def wait_until_node_is_another(self, node: str, uid: str) -> None:
        """Wait until a node of that name is there whose UID differs."""

        def look() -> None:
            output = clients().kubectl("get", "node", node, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")
            if output.stdout in {"", uid}:
                raise NotYetError(output.stdout or "no node")

        wait_until(f"node {node} is registered again", look, evidence=logs)

    @keyword
    def leader_of_node(self, node: str) -> str:
        """Return which process leads, of those that run a node with --leader-elect, by the node's Lease."""
        path = "jsonpath={.spec.holderIdentity}"
        return clients().kubectl("get", "lease", node, "-n", SYSTEM_NAMESPACE, "-o", path).stdout

    @keyword
    def wait_until_another_leads(self, node: str, leader: str) -> None:
        """Wait until a process leads that is not this one."""

        def look() -> None:
            seen = self.leader_of_node(node)
            if seen in {"", leader}:
                raise NotYetError(seen or "nobody")

        wait_until(f"a process other than {leader} leads node {node}", look, evidence=logs)

    @keyword
    def pool_of_vch(self, vch: str) -> str:
        """Return the inventory path of the resource pool of a virtual container host."""
        for found in json.loads(clients().wolfpack("vch", "ls", "-o", "json").stdout):
            if found["name"] == vch:
                pool: str = found["pool"]
                return pool
        raise AssertionError(f"no virtual container host {vch}")
