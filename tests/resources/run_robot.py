# SPDX-License-Identifier: Apache-2.0
"""Run the Robot suites in parallel, each worker with a lab of its own. `make robot` calls this.

The labs are started first, all at once, and stopped at the end, whatever happened in between. Each robot process leases
one of them (see wolfpack_tests.lab). Everything is written below build/robot: output.xml, log.html and report.html of the
whole run, evidence/ of tests that failed, and labs/N/ with the logs of each lab.

The exit code is Robot's, the number of failed tests; 1 if a lab could not be started or broke; 2 for a mistake in how
this was called; 128 and the signal's number after an interrupt.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from robot.api import ExecutionResult

from wolfpack_tests.lab import READY, tail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]

READY_TIMEOUT = 330.0
"""Seconds until a lab must be ready. It gives up by itself, and says why, after 300."""

STOP_TIMEOUT = 150.0
"""Seconds that a lab may take to stop. It gives up by itself, and says why, after 120."""

REPORT_TIMEOUT = 60.0
"""Seconds that pabot gets after an interrupt to end its workers and write its report."""

SKIPPED = {"sim": [], "vcenter": ["require-sim-guests", "require-stand-in"]}
"""For each target the tags of the tests that it cannot run: they are skipped, and the report says by which tag."""


class RunError(Exception):
    """Says why the tests could not be run, or not to their end."""

    exit_code = 1


class UsageError(RunError):
    """Says what is wrong with how the runner was called."""

    exit_code = 2


class InterruptError(BaseException):
    """A signal arrived that asks this process to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


@dataclass(frozen=True)
class Run:
    """What to run, with what, and where to write."""

    target: str
    suite: str
    workers: int
    options: Sequence[str] = ()
    suites: Path = ROOT / "tests" / "robot"
    resources: Path = ROOT / "tests" / "resources"
    output: Path = ROOT / "build" / "robot"
    lab: Sequence[str] = field(default=(str(ROOT / "bin" / "lab"),))

    def check(self) -> None:
        """Raise UsageError if this cannot work, with what would be right."""
        if not shutil.which(self.lab[0]):
            raise UsageError(f"there is no {self.lab[0]}: run `make build kube` first")
        areas = sorted(path.name for path in self.suites.iterdir() if path.is_dir())
        if self.suite and self.suite not in areas:
            raise UsageError(f"no suite {self.suite!r} in {self.suites}; there are: {', '.join(areas)}")
        if self.target == "vcenter" and not os.environ.get("GOVC_URL"):
            raise UsageError("TARGET=vcenter needs GOVC_URL, GOVC_USERNAME and GOVC_PASSWORD in the environment")

    @property
    def labs(self) -> Path:
        """The folder of the labs, one folder each."""
        return self.output / "labs"

    def lab_command(self, folder: Path) -> list[str]:
        """Return the command that keeps a lab up. The lab is stopped even if this process is killed outright."""
        command = [*self.lab, "up", "--ready-file", str(folder / READY), "--dir", str(folder / "lab")]
        if self.target == "vcenter":
            command += ["--vcenter", "env"]
        setpriv = shutil.which("setpriv")  # of util-linux
        return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else command

    def pabot_command(self) -> list[str]:
        """Return the command that runs the suites."""
        command = [sys.executable, "-m", "pabot.pabot", "--command", sys.executable, "-m", "robot", "--end-command"]
        command += ["--processes", str(self.workers), "--no-pabotlib", "--pabotconsole", "dotted"]
        command += ["--maxerrorlines", "none"]  # messages carry their evidence
        command += ["--pythonpath", str(self.resources), "--variable", f"LABS:{self.labs}", "--outputdir", str(self.output)]
        if self.suite:
            # The top folder is always run, for its settings, and only a part of it selected.
            command += ["--suite", f"*.{self.suite}"]
        for tag in SKIPPED[self.target]:
            command += ["--skip", tag]
        return [*command, *self.options, str(self.suites)]


class LabProcess:
    """A lab that stays up until it is stopped."""

    def __init__(self, run: Run, number: int) -> None:
        """Start the lab, out of reach of a Ctrl-C at the terminal, which is for this process alone."""
        self.folder = run.labs / str(number)
        self.folder.mkdir(parents=True)
        self.log = self.folder / "lab.log"
        self._asked = False
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                run.lab_command(self.folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self, deadline: float) -> None:
        """Wait for the ready file, until a time of the monotonic clock."""
        while not (self.folder / READY).exists():
            self.check()
            if time.monotonic() > deadline:
                raise RunError(f"lab {self.folder.name} is not ready after {READY_TIMEOUT:g} s\n{self._said()}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise RunError if the lab has ended by itself."""
        if self._process.poll() is not None:
            rc = self._process.returncode
            raise RunError(f"lab {self.folder.name} ended by itself with exit code {rc}\n{self._said()}")

    def ask_to_stop(self) -> None:
        """Ask the lab to take everything down. It is asked once: a second signal would end it at once."""
        if not self._asked:
            self._asked = True
            self._process.terminate()

    def stop(self) -> None:
        """Wait until the lab has taken everything down after it was asked to, or kill it in the end."""
        self.ask_to_stop()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            kill_group(self._process)
            say(f"lab {self.folder.name} did not stop within {STOP_TIMEOUT:g} s and was killed\n{self._said()}")

    def _said(self) -> str:
        return f"last lines of {self.log}:\n{tail(self.log, 30)}"


@contextmanager
def labs_up(run: Run) -> Iterator[list[LabProcess]]:
    """Have a lab for each worker, all ready, and take them down at the end."""
    labs: list[LabProcess] = []
    start = time.monotonic()
    try:
        for number in range(1, run.workers + 1):
            labs.append(LabProcess(run, number))  # noqa: PERF401 - those before one that fails have to be stopped
        for lab in labs:
            lab.wait_until_ready(start + READY_TIMEOUT)
        say(f"robot: {len(labs)} labs are ready after {time.monotonic() - start:.1f} s")
        yield labs
    finally:
        for lab in labs:
            lab.ask_to_stop()
        for lab in labs:
            lab.stop()


def run_pabot(run: Run) -> int:
    """Run the suites and return the exit code. An interrupt lets pabot end its workers and write its report."""
    # pabot writes its cache of suite names to the current folder.
    process = subprocess.Popen(run.pabot_command(), cwd=run.output, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(REPORT_TIMEOUT)
        except subprocess.TimeoutExpired:
            kill_group(process)
        raise


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session of its own, and what is left of its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_suites(run: Run) -> int:
    """Do it all and return the exit code."""
    run.check()
    shutil.rmtree(run.output, ignore_errors=True)
    run.output.mkdir(parents=True)
    with labs_up(run) as labs:
        rc = run_pabot(run)
        for lab in labs:
            lab.check()
    summarize(run)
    return rc


def summarize(run: Run) -> None:
    """Print what failed and why, where the report is, and the counts as the last line."""
    output = run.output / "output.xml"
    if not output.exists():
        raise RunError(f"there is no {output}: pabot's own log is {run.output}/pabot_results/pabot_manager.log")
    result = ExecutionResult(str(output))
    for test in result.suite.all_tests:
        if test.failed:
            say(f"\nFAIL  {test.full_name}\n{test.message}")
    total = result.statistics.total
    say(f"\nlog and report: {run.output}/log.html {run.output}/report.html")
    print(f"robot: {total.passed} passed, {total.failed} failed, {total.skipped} skipped", flush=True)


def say(text: str) -> None:
    """Print a line for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


def interrupted(signum: int, _frame: object) -> NoReturn:
    """Unwind once. Signals that come while everything is taken down change nothing: that ends by itself."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    raise InterruptError(signum)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(description="Run the Robot suites.", epilog="Other options go to Robot as they are.")
    parser.add_argument("--target", default="sim", choices=sorted(SKIPPED), help="sim: the stand-in; vcenter: GOVC_URL")
    parser.add_argument("--suite", default="", help="a folder of tests/robot; default all")
    parser.add_argument("--processes", type=int, default=2, help="robot processes at a time, each with a lab; default 2")
    args, options = parser.parse_known_args(argv)
    try:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, interrupted)
        return run_suites(Run(args.target, args.suite, args.processes, options))
    except RunError as error:
        say(f"robot: {error}")
        return error.exit_code
    except InterruptError as error:
        say(f"robot: ended by {error}")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
