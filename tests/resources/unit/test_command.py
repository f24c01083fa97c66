# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from wolfpack_tests.command import CommandFailedError, run


def test_result_has_all_that_was_printed() -> None:
    result = run(["sh", "-c", "cat; echo problem >&2"], stdin="hello")
    assert (result.rc, result.stdout, result.stderr) == (0, "hello", "problem\n")


def test_unexpected_exit_code_tells_command_output_and_expectation() -> None:
    with pytest.raises(CommandFailedError) as failure:
        run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    text = str(failure.value)
    assert "expected exit code 0" in text
    assert "$ sh -c 'echo out; echo err >&2; exit 3'" in text
    assert "exit code: 3\nstdout:\nout\nstderr:\nerr" in text


@pytest.mark.parametrize("expected", [3, None])
def test_expected_exit_code(expected: int | None) -> None:
    assert run(["sh", "-c", "exit 3"], expect_rc=expected).rc == 3


def test_success_is_a_failure_where_a_failure_is_expected() -> None:
    with pytest.raises(CommandFailedError, match="expected exit code 1"):
        run(["true"], expect_rc=1)


def test_environment_is_what_is_given_and_no_more() -> None:
    assert run(["/usr/bin/env"], env={"COLOR": "blue"}).stdout == "COLOR=blue\n"


def test_output_that_is_no_text_stays_readable() -> None:
    assert run(["printf", r"a\377b"]).stdout == r"a\xffb"


def test_time_out_kills_the_command_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandFailedError, match=r"(?s)still running after 0\.5 s.*started"):
        run(["sh", "-c", f"sleep 1000 & echo $! > {pid_file}; echo started; wait"], timeout=0.5)
    assert not running(int(pid_file.read_text()))


def running(pid: int) -> bool:
    """Say whether a process does anything any more: one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
