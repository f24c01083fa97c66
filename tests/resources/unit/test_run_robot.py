# SPDX-License-Identifier: Apache-2.0
"""The runner, with suites of one test and a shell script for a lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import run_robot
from run_robot import Run, RunError, UsageError, run_suites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAB = """
# lab up --ready-file FILE --dir DIR
echo $$ > "$5.pid"
trap 'trap "echo killed >> $5.stopped" TERM; echo stopped >> "$5.stopped"; sleep 0.2; exit 0' TERM
echo '{}' > "$3"
while :; do sleep 0.05; done
"""

DEADLINE = 20.0


@pytest.fixture
def run(tmp_path: Path, program: Callable[[str, str], Path]) -> Run:
    suites = tmp_path / "robot"
    for area in ("fruit", "trees"):
        (suites / area).mkdir(parents=True)
        (suites / area / "names.robot").write_text("*** Test Cases ***\nOne\n    Log    ${LABS}\n")
    return Run(
        target="sim",
        suite="",
        workers=2,
        suites=suites,
        resources=tmp_path,
        output=tmp_path / "build",
        lab=[str(program("lab", LAB))],
    )


def stopped_labs(run: Run) -> list[str]:
    files = sorted(run.labs.glob("*/lab.stopped"))
    return [file.parent.name for file in files if file.read_text() == "stopped\n"]


def fail_test(run: Run) -> None:
    (run.suites / "fruit" / "names.robot").write_text("*** Test Cases ***\nOne\n    Fail    worm\n")


def test_each_worker_has_a_lab_that_is_stopped_at_the_end(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_suites(run) == 0
    assert stopped_labs(run) == ["1", "2"]
    assert (run.output / "output.xml").exists()
    assert capfd.readouterr().out.endswith("robot: 2 passed, 0 failed, 0 skipped\n")


def test_exit_code_is_robots_and_labs_are_stopped(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    fail_test(run)
    assert run_suites(run) == 1
    assert stopped_labs(run) == ["1", "2"]
    said = capfd.readouterr()
    assert said.out.endswith("robot: 1 passed, 1 failed, 0 skipped\n")
    assert "FAIL  Robot.Fruit.Names.One\nworm\n" in said.err


def test_one_area(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    fail_test(run)
    assert run_suites(replace(run, suite="trees")) == 0
    assert "robot: 1 passed, 0 failed, 0 skipped" in capfd.readouterr().out


def test_unknown_area_names_those_that_exist(run: Run) -> None:
    with pytest.raises(UsageError, match=r"no suite 'stones' in .*; there are: fruit, trees"):
        run_suites(replace(run, suite="stones"))


def test_missing_lab_program_says_what_to_do(run: Run) -> None:
    with pytest.raises(UsageError, match="make build"):
        run_suites(replace(run, lab=["/nowhere/lab"]))


def test_vcenter_needs_its_address(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOVC_URL", raising=False)
    with pytest.raises(UsageError, match="GOVC_URL"):
        run_suites(replace(run, target="vcenter"))


def test_what_vcenter_cannot_do_is_skipped(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOVC_URL", "https://vc.example.com/sdk")
    tagged = "*** Test Cases ***\nOne\n    [Tags]    require-sim-guests\n    Fail    no simulated guests\n"
    (run.suites / "fruit" / "names.robot").write_text(tagged)
    assert run_suites(replace(run, target="vcenter")) == 0
    assert "robot: 1 passed, 0 failed, 1 skipped" in capfd.readouterr().out
    assert "skipped using 'require-sim-guests'" in (run.output / "output.xml").read_text()


def test_vcenter_of_the_environment_is_used_by_the_lab(run: Run) -> None:
    assert replace(run, target="vcenter").lab_command(Path("labs/1"))[-2:] == ["--vcenter", "env"]


def test_lab_that_does_not_start_shows_its_log(run: Run, program: Callable[[str, str], Path]) -> None:
    lab = program("lab", "echo etcd is out of order; exit 1")
    with pytest.raises(RunError, match=r"(?s)lab 1 ended by itself with exit code 1.*etcd is out of order"):
        run_suites(replace(run, lab=[str(lab)]))


def test_lab_that_ends_early_fails_the_run(run: Run, program: Callable[[str, str], Path]) -> None:
    lab = program("lab", 'echo "{}" > "$3"; sleep 0.3; echo vcsim is out of order')
    with pytest.raises(RunError, match=r"(?s)lab . ended by itself with exit code 0.*vcsim is out of order"):
        run_suites(replace(run, lab=[str(lab)]))


@pytest.fixture
def python(run: Run) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Return a function that starts Python code on the runner, which finds the Run's folders in sys.argv."""
    processes = []

    def start(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, run.suites, run.output, run.lab[0]],
            env={**os.environ, "PYTHONPATH": str(Path(run_robot.__file__).parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
    for pid in run.labs.glob("*/lab.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_tests_and_labs(
    run: Run, python: Callable[[str], subprocess.Popen[str]], signum: signal.Signals
) -> None:
    endless = "*** Test Cases ***\nOne\n    Evaluate    open(r'${LABS}/begun', 'w')\n    Sleep    1h\n"
    (run.suites / "fruit" / "names.robot").write_text(endless)
    process = python(
        "import sys, run_robot; from pathlib import Path\n"
        "suites, output, lab = sys.argv[1:]\n"
        "real = run_robot.Run\n"
        "run_robot.Run = lambda *args: real(*args, suites=Path(suites), output=Path(output), lab=[lab])\n"
        "sys.exit(run_robot.main([]))"
    )
    wait_for((run.labs / "begun").exists)
    process.send_signal(signum)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 128 + signum, output
    assert f"ended by {signum.name}" in output
    assert stopped_labs(run) == ["1", "2"]


def test_labs_do_not_outlive_a_runner_that_was_killed(run: Run, python: Callable[[str], subprocess.Popen[str]]) -> None:
    process = python(
        "import sys, time, run_robot; from pathlib import Path\n"
        "run = run_robot.Run('sim', '', 1, output=Path(sys.argv[2]), lab=[sys.argv[3]])\n"
        "run_robot.LabProcess(run, 1).wait_until_ready(time.monotonic() + 10)\n"
        "time.sleep(1000)"
    )
    wait_for((run.labs / "1" / "ready.json").exists)
    process.kill()
    wait_for(lambda: stopped_labs(run) == ["1"])
