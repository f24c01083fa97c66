# SPDX-License-Identifier: Apache-2.0
"""Rules of this repository about its suites and CI files. Each failure says what the rule is for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from robot import api

from run_robot import ROOT, SKIPPED

if TYPE_CHECKING:
    from pathlib import Path

SUITES = ROOT / "tests" / "robot"
README = SUITES / "README.md"
CI_FILES = [ROOT / ".ci" / "run", ROOT / ".drone.yml", *sorted((ROOT / ".github" / "workflows").glob("*.yml"))]


def test_each_tag_is_defined_once() -> None:
    used = {tag for test in api.TestSuiteBuilder().build(str(SUITES)).all_tests for tag in test.tags}
    defined = re.findall(r"^\| `([\w-]+)` ", README.read_text(), re.MULTILINE)
    assert sorted(used) == sorted(defined), "a tag says what a test needs, and README.md is where one looks that up"


def test_the_runner_skips_only_tags_that_exist() -> None:
    defined = README.read_text()
    for tags in SKIPPED.values():
        assert all(f"`{tag}`" in defined for tag in tags), "a tag that no test has would skip nothing, silently"


@pytest.mark.parametrize("file", [*CI_FILES, README], ids=lambda file: file.name)
def test_make_targets_exist(file: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", re.sub(r"(?m)^\s*#.*", "", file.read_text())))
    assert named <= targets, f"make has no {', '.join(named - targets)}"


@pytest.mark.parametrize("file", CI_FILES, ids=lambda file: file.name)
def test_ci_calls_make_and_nothing_else(file: Path) -> None:
    commands = re.findall(r"^ +- (?:run: )?((?:\S+/)?[a-z-]+ .*)$", file.read_text(), re.MULTILINE)
    others = [command for command in commands if not command.startswith(("make ", "cron: "))]
    assert not others, "what fails in CI has to fail the same way on a developer's machine"
