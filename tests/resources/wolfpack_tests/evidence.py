# SPDX-License-Identifier: Apache-2.0
"""What is kept of a test that failed, for whoever looks into it."""

from __future__ import annotations

import re
from pathlib import Path

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

from wolfpack_tests.clients import clients, library_of_test
from wolfpack_tests.pods import Pods
from wolfpack_tests.program import Program


@library(scope="GLOBAL")
class Evidence:
    """Keeps the state of pods, VMs and logs as files beside the report."""

    @keyword
    def keep_evidence_of_failure(self) -> None:
        """In a teardown: if the test or the suite's setup failed, write its pods, VMs and logs to files and link them."""
        builtin = BuiltIn()
        test = builtin.get_variable_value("${TEST NAME}")
        status = builtin.get_variable_value("${TEST STATUS}") or builtin.get_variable_value("${SUITE STATUS}")
        if status != "FAIL":
            return
        name = ".".join(str(part) for part in (builtin.get_variable_value("${SUITE NAME}"), test) if part)
        folder = Path(str(builtin.get_variable_value("${LABS}"))).parent / "evidence"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / (re.sub(r"[^\w.]+", "-", name) + ".txt")
        file.write_text("\n\n".join(self._collect()))
        logger.warn(f"evidence: {file}")

    def _collect(self) -> list[str]:
        """Return what can be had; a command that fails is evidence as well."""
        commands = clients()
        texts = [str(commands.kubectl("get", "nodes,pods", "-A", "-o", "wide", expect_rc=None))]
        texts += [
            str(commands.kubectl(*command, "-n", namespace, expect_rc=None))
            for namespace in library_of_test(Pods).namespaces
            for command in (("describe", "pods"), ("get", "events"), ("get", "pods", "-o", "yaml"))
        ]
        texts.append(str(commands.govc("vm.info", "-r", "-e", "*", expect_rc=None)))
        texts.append(str(commands.govc("events", "-n", "100", expect_rc=None)))
        texts += [node.log_tail(lines=200) for node in library_of_test(Program).nodes]
        return [*texts, commands.lab.log_tail(lines=200)]
