# SPDX-License-Identifier: Apache-2.0
"""The lab's commands: kubectl, govc and wolfpack, each set up for the lab that this process leased."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from robot.libraries.BuiltIn import BuiltIn

from wolfpack_tests.command import TIMEOUT, Result, run
from wolfpack_tests.lab import Lab, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator


T = TypeVar("T")


@dataclass(frozen=True)
class Clients:
    """Runs the commands of a lab. Each call fails unless the command's exit code is ``expect_rc``; see command.run."""

    lab: Lab

    def kubectl(self, *args: str, stdin: str = "", expect_rc: int | None = 0, timeout: float = TIMEOUT) -> Result:
        """Run kubectl against the lab's control plane."""
        return run(
            [self.lab.binaries["kubectl"], *args],
            env=self.lab.env(),
            stdin=stdin,
            expect_rc=expect_rc,
            timeout=timeout,
        )

    def kubectl_json(self, *args: str, stdin: str = "") -> Any:  # noqa: ANN401 - as free as JSON is
        """Run kubectl with ``-o json`` and return what it printed."""
        return json.loads(self.kubectl(*args, "-o", "json", stdin=stdin).stdout)

    def govc(self, *args: str, expect_rc: int | None = 0, log: bool = True) -> Result:
        """Run govc against the lab's vCenter."""
        return run([self.lab.binaries["govc"], *args], env=self.lab.env(), expect_rc=expect_rc, log=log)

    def govc_objects(self, *args: str, log: bool = True) -> list[dict[str, Any]]:
        """Run a govc command with ``-json`` and return the JSON values it printed, such as one for each object."""
        return list(json_values(self.govc(args[0], "-json", *args[1:], log=log).stdout))

    def wolfpack(self, *args: str, expect_rc: int | None = 0, **env: str) -> Result:
        """Run the program under test. ``env`` replaces environment variables, or removes them where it is empty."""
        return run([self.lab.binaries["wolfpack"], *args], env=self.lab.env(**env), expect_rc=expect_rc)


def json_values(text: str) -> Iterator[Any]:
    """Yield the JSON values that stand one after the other in a text."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:]


def clients() -> Clients:
    """Return the commands of this process's lab. The first call leases the lab, from the folder that ``${LABS}`` names."""
    return Clients(_leased(str(BuiltIn().get_variable_value("${LABS}"))).lab)


@functools.cache
def _leased(labs: str) -> Lease:
    """Keep the lease as long as the process lives."""
    return Lease.acquire(Path(labs))


def library_of_test(kind: type[T]) -> T:
    """Return the running test's instance of a library that is imported under its class's name."""
    return cast("T", BuiltIn().get_library_instance(kind.__name__))
