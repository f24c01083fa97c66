# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest

from wolfpack_tests.telemetry import Telemetry, count_by, found_one


def test_counts_add_up_by_os_and_version() -> None:
    assert count_by([("Photon", "v1", 2), ("Photon", "v2", 1), ("Photon", "v1", 3), ("Redhat", "v1", 0)]) == {
        "Photon v1": 5,
        "Photon v2": 1,
    }


@pytest.mark.parametrize("rows", [[], [{"name": "a", "kind": "vm"}], [{"name": "a"}, {"name": "a"}]])
def test_one_row_and_no_other_has_the_fields(rows: list[dict[str, str]]) -> None:
    with pytest.raises(AssertionError, match="expected one row"):
        found_one(rows, {"name": "a", "kind": "host"} if rows and "kind" in rows[0] else {"name": "a"})


def test_row_is_found_among_others() -> None:
    found_one([{"name": "a", "kind": "vm"}, {"name": "a", "kind": "host"}], {"name": "a", "kind": "host"})


def test_samples_add_up() -> None:
    text = 'vic_vms{cluster="a b"} 2\nvic_vms{cluster="c"} 3\nvic_vms_other 9\n# EOF\n'
    Telemetry().metric_should_add_up_to(text, "vic_vms", 5)
    with pytest.raises(AssertionError, match="add up to 6"):
        Telemetry().metric_should_add_up_to(text, "vic_vms", 6)
    with pytest.raises(AssertionError, match="add up to 0"):
        Telemetry().metric_should_add_up_to(text, "vic_none", 0)


def lifetimes(count: int, mean: float) -> dict[str, Any]:
    return {"lifetime": {"completed": {"count": count, "mean": mean}}}


def test_one_more_life() -> None:
    check = Telemetry().one_more_life_should_have_ended
    check(lifetimes(0, 0), lifetimes(1, 5), 5)
    check(lifetimes(2, 10), lifetimes(3, 12), 16)
    with pytest.raises(AssertionError, match="one more life"):
        check(lifetimes(1, 5), lifetimes(1, 5), 5)
    with pytest.raises(AssertionError, match="expected 7 s"):
        check(lifetimes(0, 0), lifetimes(1, 5), 7)


def test_problem_must_be_of_the_stage_and_make_the_report_partial() -> None:
    check = Telemetry().report_should_name_problem
    problem = {"stage": "events", "object": "", "message": "NoPermission", "partial": True}
    check({"quality": {"complete": False, "problems": [problem]}}, "events", "NoPermission")
    for quality in (
        {"complete": True, "problems": [problem]},
        {"complete": False, "problems": [{**problem, "stage": "inventory"}]},
        {"complete": False, "problems": [{**problem, "partial": False}]},
        {"complete": False, "problems": [{**problem, "message": "reset"}]},
    ):
        with pytest.raises(AssertionError, match="expected a problem of events"):
            check({"quality": quality}, "events", "NoPermission")


def test_table_has_ten_metrics_and_a_line_about_its_data() -> None:
    check = Telemetry().table_should_have_ten_metrics
    rows = [f"{number:2}  Some metric  1" for number in range(1, 11)]
    check("\n".join([*rows, "Data quality: complete"]))
    for text in ("\n".join(rows), "\n".join([*rows[:9], "Data quality: complete"])):
        with pytest.raises(AssertionError, match="expected ten metrics"):
            check(text)
