# SPDX-License-Identifier: Apache-2.0
"""The client of the stand-in's control endpoint, against a server that writes down what it is asked."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from wolfpack_tests import vcenter_faults
from wolfpack_tests.vcenter_faults import Control, Faults, Request, check_order, fault_rule, request_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class Server(HTTPServer):
    """Answers each request with the next of its answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str]] = []
        self.answers: list[tuple[int, str]] = []
        self.credentials = ""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.asked.append((self.command, self.path, body))
        self.server.credentials = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        status, text = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names are http.server's

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def faults(server: Server, monkeypatch: pytest.MonkeyPatch) -> Faults:
    host, port = server.server_address[:2]
    control = Control({"GOVC_URL": f"http://{host!s}:{port}/sdk", "GOVC_USERNAME": "admin", "GOVC_PASSWORD": "se:cret"})
    monkeypatch.setattr(vcenter_faults.Faults, "_control", control)
    return Faults()


def test_what_was_injected_is_removed_and_nothing_else(server: Server, faults: Faults) -> None:
    server.answers = [(201, '[{"name": "fault-1"}]'), (201, '[{"name": "a b"}]'), (204, ""), (204, "")]
    assert faults.inject_fault("reset", method="PowerOn*") == "fault-1"
    assert faults.inject_fault("http-status", node="web", name="a b", status="503") == "a b"
    faults.remove_faults()
    faults.remove_faults()
    assert server.asked[0] == ("POST", "/stand-in/faults", '{"do": "reset", "method": "PowerOn*"}')
    assert json.loads(server.asked[1][2])["agent"] == "wolfpack/* (node web)"
    assert server.asked[2:] == [("DELETE", "/stand-in/faults/fault-1", ""), ("DELETE", "/stand-in/faults/a%20b", "")]
    assert server.credentials == "admin:se:cret"


def test_a_refusal_is_told_in_the_stand_ins_words(server: Server, faults: Faults) -> None:
    server.answers = [(400, '{"error": "field do is explode"}')]
    with pytest.raises(AssertionError, match=r"refuses POST faults .*explode.*: 400 .*field do is explode"):
        faults.inject_fault("explode")
    faults.remove_faults()
    assert len(server.asked) == 1, "what was refused is not to be removed"


def test_requests(server: Server, faults: Faults) -> None:
    entry = {"method": "CreateVM_Task", "object": "Folder:group-v3", "name": "web", "makes": "web-1", "outcome": "ok"}
    server.answers = [(200, json.dumps({"requests": [entry], "counts": {}, "dropped": 0}))]
    found = faults.vcenter_requests("Create*", node="web", object="web-*")
    assert found == [Request("CreateVM_Task", "Folder:group-v3", "web-1", "ok")]
    assert server.asked[0][1] == ("/stand-in/journal?method=Create%2A&object=web-%2A&agent=wolfpack%2F%2A+%28node+web%29")


def test_waiting_for_a_fault_to_strike(server: Server, faults: Faults) -> None:
    server.answers = [(200, f'[{{"name": "other", "struck": 9}}, {{"name": "x", "struck": {n}}}]') for n in (0, 1, 2)]
    faults.wait_until_fault_has_struck("x", times=2)
    assert server.answers == []


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {"do": "reset"}),
        ({"count": "2", "skip": 1, "seed": "7", "status": "502"}, {"count": 2, "skip": 1, "seed": 7, "status": 502}),
        ({"probability": "0.5"}, {"probability": 0.5}),
        ({"fault": "NoDiskSpace", "field.datastore": "ds"}, {"fault": "NoDiskSpace", "fields": {"datastore": "ds"}}),
        ({"delay": "5s", "object": "web-*"}, {"delay": "5s", "object": "web-*"}),
    ],
)
def test_fault_rule(given: dict[str, Any], made: dict[str, Any]) -> None:
    assert fault_rule("reset", "", given) == {"do": "reset", **made}


def test_request_reads_well() -> None:
    entry = {"method": "PowerOnVM_Task", "object": "VirtualMachine:vm-1", "name": "web-1", "outcome": "ok"}
    assert str(request_of(entry)) == "PowerOnVM_Task of web-1: ok"
    assert str(request_of({**entry, "name": "", "outcome": ""})) == "PowerOnVM_Task of VirtualMachine:vm-1: under way"


def asked(*what: str) -> list[Request]:
    """Return requests that are written as METHOD of NAME."""
    return [Request(method, "", name, "ok") for method, name in (one.split(" of ") for one in what)]


def test_requests_in_order() -> None:
    journal = asked("Login of vc", "Destroy of a", "Destroy of a", "Create of c", "Create of b", "Start of b")
    check_order(["Destroy of a", "Create of b", "Start of b"], journal)


@pytest.mark.parametrize(
    "journal",
    [
        asked("Create of b", "Destroy of a"),
        asked("Destroy of a", "Create of b", "Destroy of a"),
        asked("Destroy of a"),
        asked("Create of b"),
        [],
    ],
    ids=["reversed", "again afterwards", "never the second", "never the first", "nothing"],
)
def test_requests_out_of_order(journal: list[Request]) -> None:
    with pytest.raises(AssertionError, match="expected Destroy of a, then Create of b; vCenter was asked for"):
        check_order(["Destroy of a", "Create of b"], journal)
