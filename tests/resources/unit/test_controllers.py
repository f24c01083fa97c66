# SPDX-License-Identifier: Apache-2.0
"""What is made of the changes that the API server tells of pods."""

from __future__ import annotations

from typing import Any

import pytest

from wolfpack_tests.controllers import is_ready, ready_over_time


def pod(uid: str, ready: str = "True", **metadata: str) -> dict[str, Any]:
    return {"metadata": {"uid": uid, **metadata}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def change(kind: str, *args: str, **metadata: str) -> dict[str, Any]:
    return {"type": kind, "object": pod(*args, **metadata)}


@pytest.mark.parametrize(
    ("seen", "ready"),
    [
        (pod("u"), True),
        (pod("u", "False"), False),
        (pod("u", deletionTimestamp="2026-01-01T00:00:00Z"), False),
        ({"metadata": {}, "status": {}}, False),
    ],
)
def test_is_ready(seen: dict[str, Any], *, ready: bool) -> None:
    assert is_ready(seen) == ready


def test_nothing_changed() -> None:
    assert ready_over_time(2, []) == [2]


def test_each_pod_gets_a_successor_first() -> None:
    changes = [
        change("ADDED", "new-1", "False"),
        change("MODIFIED", "new-1"),
        change("MODIFIED", "old-1", deletionTimestamp="now"),
        change("DELETED", "old-1"),
        change("ADDED", "new-2"),
        change("MODIFIED", "old-2", deletionTimestamp="now"),
    ]
    assert ready_over_time(2, changes) == [2, 2, 3, 2, 2, 3, 2]


def test_a_pod_goes_before_there_is_another() -> None:
    changes = [change("DELETED", "old-1"), change("ADDED", "new-1")]
    assert ready_over_time(2, changes) == [2, 1, 2]


def test_a_pod_is_not_ready_for_a_while() -> None:
    changes = [change("MODIFIED", "old-1"), change("MODIFIED", "old-1", "False"), change("MODIFIED", "old-1")]
    assert ready_over_time(2, changes) == [2, 2, 1, 2]


def test_changes_that_are_too_old_are_an_error() -> None:
    with pytest.raises(AssertionError, match="too old resource version"):
        ready_over_time(2, [{"type": "ERROR", "object": {"message": "too old resource version: 7 (12)"}}])
