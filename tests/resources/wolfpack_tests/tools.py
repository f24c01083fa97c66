# SPDX-License-Identifier: Apache-2.0
"""kubectl and govc as keywords, for the steps that are best said in their own words."""

from __future__ import annotations

from robot.api.deco import keyword, library

from wolfpack_tests.clients import clients


@library(scope="GLOBAL")
class Tools:
    """Commands that check themselves: each fails with its output unless its exit code is ``expect_rc``."""

    @keyword
    def govc(self, *args: str, expect_rc: int = 0) -> str:
        """Run govc against the lab's vCenter and return its standard output."""
        return clients().govc(*args, expect_rc=expect_rc).stdout

    @keyword
    def kubectl(self, *args: str, expect_rc: int = 0) -> str:
        """Run kubectl against the lab's control plane and return its standard output."""
        return clients().kubectl(*args, expect_rc=expect_rc).stdout
