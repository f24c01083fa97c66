# SPDX-License-Identifier: Apache-2.0
"""A process of the program under test that runs until it is told to end."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

from robot.api import logger

from wolfpack_tests.lab import Lab, tail

if TYPE_CHECKING:
    from pathlib import Path

STOP_TIMEOUT = 20.0
"""Seconds that a process may take to end after SIGTERM."""


class Process:
    """A process of `wolfpack`, with a log that it appends to each time that it is started."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        """What it runs, for messages."""
        self.log = log
        self._begin = 0
        """Where in the log the last start began."""
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, lab: Lab, *args: str) -> None:
        """Start the process. It stays in Robot's process group, so that whoever ends Robot ends it too."""
        self.log.parent.mkdir(exist_ok=True)
        self._begin = self.log.stat().st_size if self.log.exists() else 0
        argv = [lab.binaries["wolfpack"], *args]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(argv, env=lab.env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        logger.info(f"started {self} as process {self._process.pid}, log {self.log}")

    def check(self) -> None:
        """Fail, with the end of its log, if the process has ended."""
        if self._process is None or self._process.poll() is not None:
            rc = None if self._process is None else self._process.returncode
            raise AssertionError(f"{self} ended with exit code {rc}\n{self.log_tail()}")

    def stop(self) -> None:
        """Stop the process as an admin would, and fail if that takes too long or it does not end cleanly."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            rc = process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self} did not end within {STOP_TIMEOUT:g} s of SIGTERM\n{self.log_tail()}") from None
        if rc != 0:
            raise AssertionError(f"{self} ended with exit code {rc} after SIGTERM\n{self.log_tail()}")

    def kill(self) -> None:
        """Kill the process, as a machine that loses its power does."""
        self.check()
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __str__(self) -> str:
        """Return what it runs, for messages."""
        return self.name

    def has_logged(self, words: str) -> bool:
        """Return whether the log has these words, since the process was started the last time."""
        return words in self.log.read_bytes()[self._begin :].decode(errors="backslashreplace")

    def log_tail(self, lines: int = 25) -> str:
        """Return the end of the log, for messages."""
        return f"last lines of {self.log}:\n{tail(self.log, lines)}"
