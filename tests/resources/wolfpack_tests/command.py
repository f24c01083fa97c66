# SPDX-License-Identifier: Apache-2.0
"""Commands that check themselves."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robot.api import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT = 60.0
"""Seconds that a command may take unless its caller says otherwise: nothing here should ever need them."""


class CommandFailedError(AssertionError):
    """A command that did not end as expected; the message has the command, its output and the expectation."""

    ROBOT_SUPPRESS_NAME = True


@dataclass(frozen=True)
class Result:
    """What a command did."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        """Return the command as one could paste it, its exit code and its output."""
        lines = [f"$ {shlex.join(self.argv)}", f"exit code: {self.rc}"]
        lines += [f"{name}:\n{text.rstrip()}" for name, text in self._streams() if text.strip()]
        return "\n".join(lines)

    def _streams(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return ("stdout", self.stdout), ("stderr", self.stderr)


def run(  # noqa: PLR0913 - all but the command have a default that fits nearly every caller
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float = TIMEOUT,
    expect_rc: int | None = 0,
    log: bool = True,
) -> Result:
    """Run a command and return what it did.

    Raises CommandFailedError unless it ends within ``timeout`` seconds with exit code ``expect_rc``; None means that the
    caller looks at the exit code. ``env`` is the whole environment. Output that is not UTF-8 is kept readable.
    ``log=False`` keeps the many repetitions of a wait out of Robot's log.
    """
    process = subprocess.Popen(
        argv,
        env=None if env is None else dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        start_new_session=True,  # so that a time-out ends its children too
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        stdout, stderr = process.communicate()
        result = Result(tuple(argv), process.returncode, stdout, stderr)
        raise CommandFailedError(f"still running after {timeout:g} s, so it was killed\n{result}") from None
    except BaseException:  # Robot's own test timeout and Ctrl-C arrive as exceptions from anywhere
        _kill_group(process)
        raise
    result = Result(tuple(argv), process.returncode, stdout, stderr)
    if log:
        logger.info(str(result))
    if expect_rc is not None and result.rc != expect_rc:
        raise CommandFailedError(f"expected exit code {expect_rc}\n{result}")
    return result


def _kill_group(process: subprocess.Popen[str]) -> None:
    """End the process and what it started: nobody waits for them any more."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
