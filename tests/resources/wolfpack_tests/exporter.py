# SPDX-License-Identifier: Apache-2.0
"""``wolfpack telemetry serve``, asked by a real HTTP client."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import dataclass

from robot.api.deco import keyword, library

from wolfpack_tests.clients import Clients, clients
from wolfpack_tests.process import Process
from wolfpack_tests.telemetry import Telemetry
from wolfpack_tests.waiting import TIMEOUT, NotYetError, wait_until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
"""What Prometheus says that it prefers."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    type: str
    text: str


@library(scope="SUITE")
class Exporter:
    """Keywords that serve the telemetry of the lab's vCenter and ask for it. `Stop Exporter` ends it."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._address = ""

    @property
    def _clients(self) -> Clients:
        return clients()

    @keyword
    def start_exporter(self, *options: str) -> None:
        """Serve telemetry at a free port, counting every second, and wait until the first count is there."""
        log = self._clients.lab.logs / "own" / "exporter.log"
        log.unlink(missing_ok=True)
        self._process = Process("telemetry serve", log)
        self._process.run(self._clients.lab, "telemetry", "serve", "--listen", "127.0.0.1:0", "--interval", "1s", *options)

        def look() -> str:
            process = self._running()
            process.check()
            found = re.search(r'at="(http://[^"]*)/metrics"', log.read_text())
            if not found:
                raise NotYetError("no address in its log")
            return found[1]

        self._address = wait_until("the exporter serves", look, evidence=self._running().log_tail)
        self.wait_until_answer("/healthz", 200)

    @keyword
    def stop_exporter(self) -> None:
        """Stop the exporter, if there is one, as an admin would; it has to end cleanly."""
        process, self._process = self._process, None
        if process:
            process.stop()

    @keyword
    def ask_exporter(self, path: str, accept: str = "") -> Answer:
        """Ask for a path and return the answer, whatever it is."""
        request = urllib.request.Request(self._address + path, headers={"Accept": accept} if accept else {})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 - the exporter's own address
                return Answer(response.status, response.headers["Content-Type"], response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers["Content-Type"], error.read().decode())

    @keyword
    def scrape(self) -> str:
        """Return the metrics as Prometheus asks for them."""
        answer = self.ask_exporter("/metrics", OPENMETRICS)
        if answer.status != 200 or not answer.type.startswith("application/openmetrics-text"):  # noqa: PLR2004
            raise AssertionError(f"expected OpenMetrics, got {answer}")
        return answer.text

    @keyword
    def wait_until_answer(self, path: str, status: int, words: str = "") -> Answer:
        """Wait until a path is answered with a status, and these words."""

        def look() -> Answer:
            self._running().check()
            answer = self.ask_exporter(path)
            if answer.status != status or words not in answer.text:
                raise NotYetError(answer)
            return answer

        return wait_until(f"{path} is answered with {status} {words}", look, evidence=self._running().log_tail)

    @keyword
    def wait_until_metric_adds_up_to(self, name: str, expected: float) -> None:
        """Scrape until the samples of a metric add up to a number."""

        def look() -> None:
            try:
                Telemetry().metric_should_add_up_to(self.scrape(), name, expected)
            except AssertionError as error:
                raise NotYetError(str(error).partition("\n")[0]) from None

        wait_until(f"{name} adds up to {expected}", look, evidence=self._running().log_tail)

    def _running(self) -> Process:
        if not self._process:
            raise AssertionError("no exporter is running: use Start Exporter first")
        return self._process
