# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from wolfpack_tests.waiting import NotYetError, wait_until


def test_first_answer_is_returned() -> None:
    looks = iter(["red", "yellow", "green", "red"])

    def look() -> str:
        seen = next(looks)
        if seen != "green":
            raise NotYetError(seen)
        return seen

    assert wait_until("the light is green", look, interval=0) == "green"


def test_deadline_tells_what_was_waited_for_and_seen_and_the_evidence() -> None:
    def look() -> None:
        raise NotYetError("a red light")

    with pytest.raises(AssertionError) as failure:
        wait_until("the light is green", look, timeout=0, evidence=lambda: "the log")
    assert str(failure.value) == "waited 0 s until the light is green; last seen: a red light\nthe log"


def test_other_errors_are_final() -> None:
    def look() -> None:
        raise ValueError("no such light")

    with pytest.raises(ValueError, match="no such light"):
        wait_until("the light is green", look, timeout=1000)
