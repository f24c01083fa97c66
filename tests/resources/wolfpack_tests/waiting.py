# SPDX-License-Identifier: Apache-2.0
"""Waiting on conditions, with a deadline and evidence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds that a condition of a test may take to come true on a busy machine."""

INTERVAL = 0.3
"""Seconds between two looks: a look is a process, and two workers share few cores."""


class NotYetError(Exception):
    """Says what a probe saw instead of the condition."""


def wait_until(
    what: str,
    probe: Callable[[], T],
    *,
    timeout: float = TIMEOUT,
    interval: float = INTERVAL,
    evidence: Callable[[], str] = str,
) -> T:
    """Call ``probe`` until it raises NotYetError no more, and return what it returned.

    After ``timeout`` seconds it fails with ``what``, what was seen last, and the evidence. Any other error of the probe is
    final: the condition cannot come true any more.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return probe()
        except NotYetError as last:
            if time.monotonic() >= deadline:
                raise AssertionError(
                    f"waited {timeout:g} s until {what}; last seen: {last}\n{evidence()}".rstrip()
                ) from None
        time.sleep(interval)
