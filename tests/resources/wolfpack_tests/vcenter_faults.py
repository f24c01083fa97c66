# SPDX-License-Identifier: Apache-2.0
"""Faults of the vCenter stand-in, and its journal of requests, by its control endpoint.

tests/vcsim/README.md says what faults there are, and what the journal has.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from robot.api.deco import keyword, library

from wolfpack_tests.clients import clients
from wolfpack_tests.program import logs
from wolfpack_tests.waiting import TIMEOUT, NotYetError, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Request:
    """A request that vCenter got."""

    method: str
    object: str
    """Reference of the object called."""

    name: str
    """Name of the object called, or else of the one to be made."""

    outcome: str
    """ok, or what went wrong; nothing while the request is under way."""

    def __str__(self) -> str:
        """Return the request as one reads it in a log."""
        return f"{self.what}: {self.outcome or 'under way'}"

    @property
    def what(self) -> str:
        """What was asked for, such as Destroy_Task of web-1a2b3c4d."""
        return f"{self.method} of {self.name or self.object}"


@dataclass(frozen=True)
class Control:
    """The control endpoint of a stand-in, which the variables of govc lead to."""

    govc: Mapping[str, str]

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - as free as JSON is
        """Make a request and return the JSON of its answer. A refusal is an error with the stand-in's own words."""
        text = None if body is None else json.dumps(body)
        with closing(self._connect()) as connection:
            connection.request(method, f"/stand-in/{path}", text, {"Authorization": f"Basic {self._credentials()}"})
            response = connection.getresponse()
            answer = response.read().decode()
        if response.status >= http.client.BAD_REQUEST:
            raise AssertionError(f"the stand-in refuses {method} {path} {text or ''}: {response.status} {answer.strip()}")
        return json.loads(answer) if answer else None

    def _connect(self) -> http.client.HTTPConnection:
        address = urlsplit(self.govc["GOVC_URL"])
        host, port = address.hostname or "", address.port
        if address.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        trust = ssl.create_default_context(cafile=self.govc["GOVC_TLS_CA_CERTS"])
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=trust)

    def _credentials(self) -> str:
        text = f"{self.govc.get('GOVC_USERNAME', '')}:{self.govc.get('GOVC_PASSWORD', '')}"
        return base64.b64encode(text.encode()).decode()


@library(scope="SUITE")
class Faults:
    """Keywords that make requests to vCenter go wrong, and that look at those there were.

    A test that uses them has the tag require-stand-in. `Remove Faults`, which `Clean Up` calls, leaves none behind.
    """

    def __init__(self) -> None:
        self._names: list[str] = []

    @property
    def _control(self) -> Control:
        return Control(clients().lab.govc)

    @keyword
    def inject_fault(self, do: str, *, node: str = "", **rule: str | float) -> str:
        """Make requests go wrong from now on. Returns the fault's name.

        | do              | what happens, such as lose-answer or http-status |
        | node            | only to requests of the virtual node of this name |
        | method, object  | only to those that these patterns select |
        | skip, count     | leave so many alone, then strike so many; else all |
        | fault           | type of the fault, for do=fault and do=task-fault |
        | field.NAME      | a field of that fault |
        | any other name  | a field of the rule, such as delay=5s |
        """
        (added,) = self._control.ask("POST", "faults", fault_rule(do, node, rule))
        name: str = added["name"]
        self._names.append(name)
        return name

    @keyword
    def remove_faults(self) -> None:
        """Remove the faults of this test or suite. What they have done stays done."""
        names, self._names = self._names, []
        for name in names:
            self._control.ask("DELETE", f"faults/{quote(name)}")

    @keyword
    def wait_until_fault_has_struck(self, name: str, times: int = 1) -> None:
        """Wait until a fault has made so many requests go wrong."""

        def look() -> None:
            struck = next(fault["struck"] for fault in self._control.ask("GET", "faults") if fault["name"] == name)
            if struck < times:
                raise NotYetError(f"{struck} times")

        wait_until(f"fault {name} has struck {times} times", look, evidence=logs)

    @keyword
    def vcenter_should_have_been_asked_in_order(self, *wanted: str) -> None:
        """Look for requests such as Destroy_Task of web-1a2b3c4d: each came, and always before the first one of the next."""
        entries = self._control.ask("GET", "journal")["requests"]
        check_order(wanted, [request_of(entry) for entry in entries])

    @keyword
    def vcenter_requests(self, method: str, node: str = "", **patterns: str) -> list[Request]:
        """Return the requests of a method that vCenter got, as far as its journal goes back.

        They can be only those of a virtual node, or those that the patterns object, session and agent select.
        """
        query = {"method": method, **patterns}
        if node:
            query["agent"] = agent_of(node)
        return [request_of(entry) for entry in self._control.ask("GET", f"journal?{urlencode(query)}")["requests"]]


def fault_rule(do: str, node: str, rule: Mapping[str, str | float]) -> dict[str, Any]:
    """Return a rule as the stand-in takes it. Robot passes numbers as text."""
    made: dict[str, Any] = {"do": do}
    fields = {}
    for key, value in rule.items():
        if key.startswith("field."):
            fields[key.removeprefix("field.")] = value
        elif key in ("skip", "count", "seed", "status"):
            made[key] = int(value)
        elif key == "probability":
            made[key] = float(value)
        else:
            made[key] = value
    if fields:
        made["fields"] = fields
    if node:
        made["agent"] = agent_of(node)
    return made


def agent_of(node: str) -> str:
    """Return a pattern for the User-Agent with which a virtual node calls vCenter."""
    return f"wolfpack/* (node {node})"


def request_of(entry: Mapping[str, Any]) -> Request:
    """Return a request from its entry in the journal."""
    return Request(entry["method"], entry["object"], entry.get("makes") or entry.get("name", ""), entry["outcome"])


def check_order(wanted: Sequence[str], requests: Sequence[Request]) -> None:
    """Fail unless each of the wanted requests is among these, and always before the first one of the next."""
    asked = [request.what for request in requests if request.what in wanted]
    missing = [what for what in wanted if what not in asked]
    if missing or sorted(asked, key=wanted.index) != asked:
        raise AssertionError(
            f"expected {', then '.join(wanted)}; vCenter was asked for {', then '.join(asked) or 'none of it'}"
        )
