# SPDX-License-Identifier: Apache-2.0
"""A registry that answers what telemetry asks one: not more than its documented API does."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from robot.api.deco import keyword, library


class Harbor(ThreadingHTTPServer):
    """The HTTP API of a Harbor before 2.13, which tells everybody its version."""

    def __init__(self, version: str) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {
            "/api/v2.0/systeminfo": {"auth_mode": "db_auth", "harbor_version": version, "self_registration": False},
            "/api/v2.0/health": {"status": "healthy", "components": [{"name": "core", "status": "healthy"}]},
        }


class Handler(BaseHTTPRequestHandler):
    """Answers a request of a Harbor."""

    server: Harbor

    def do_GET(self) -> None:
        """Answer with JSON, or that there is no such thing."""
        answer = self.server.answers.get(self.path)
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.end_headers()
        self.wfile.write(json.dumps(answer or {"errors": [{"code": "NOT_FOUND", "message": "not found"}]}).encode())

    def log_message(self, *_args: object) -> None:
        """Say nothing: what was asked shows in the report."""


@library(scope="SUITE")
class Registries:
    """Keywords that start registries. `Stop Registries` ends them."""

    def __init__(self) -> None:
        self._running: list[Harbor] = []

    @keyword
    def start_harbor(self, version: str) -> str:
        """Start a Harbor of a version, such as v2.12.1-6abb4eab, and return its URL."""
        harbor = Harbor(version)
        self._running.append(harbor)
        Thread(target=harbor.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{harbor.server_port}"

    @keyword
    def stop_registries(self) -> None:
        """End the registries of this suite."""
        running, self._running = self._running, []
        for harbor in running:
            harbor.shutdown()
            harbor.server_close()
