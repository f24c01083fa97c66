# SPDX-License-Identifier: Apache-2.0
"""What ``wolfpack telemetry`` says of a vCenter, and what govc says of the same by another way."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword, library

from wolfpack_tests.clients import Clients, clients
from wolfpack_tests.waiting import NotYetError, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Report = dict[str, Any]
"""A telemetry report, as ``-o json`` prints it."""

PARTIAL = 3
"""Exit code of a report that lacks something that was asked for."""

ROUNDING = 0.001
"""Seconds that the mean of lives may differ for want of digits."""


@library(scope="GLOBAL")
class Telemetry:
    """Keywords that take a report, and that count with govc what a report counts.

    Counts by govc are made from paths and names, the report's from one property read: they share nothing but vCenter.
    """

    @property
    def _clients(self) -> Clients:
        return clients()

    @keyword
    def take_report(self, *options: str, expect_rc: int = 0) -> Report:
        """Take a report and return it, with options such as --no-events."""
        report: Report = json.loads(self._report(*options, "-o", "json", expect_rc=expect_rc))
        return report

    @keyword
    def take_partial_report(self, *options: str) -> Report:
        """Take a report that is expected to lack something: it is printed all the same, and the exit code says so."""
        return self.take_report(*options, expect_rc=PARTIAL)

    @keyword
    def take_report_as(self, form: str, *options: str) -> str:
        """Return a report in a format such as table, csv, openmetrics or html."""
        return self._report(*options, "-o", form, expect_rc=0)

    def _report(self, *options: str, expect_rc: int) -> str:
        return self._clients.wolfpack("telemetry", "report", *options, expect_rc=expect_rc).stdout

    @keyword
    def report_should_count(self, report: Report, what: str, expected: Any) -> None:  # noqa: ANN401 - as free as JSON is
        """Compare one of the counts that `Counted` knows with an expected value."""
        seen = self.counted(report, what)
        if seen != expected:
            raise AssertionError(
                f"the report counts {what}: {seen!r}, expected {expected!r}\n{json.dumps(report, indent=1)}"
            )

    @keyword
    def counted(self, report: Report, what: str) -> Any:  # noqa: ANN401 - as free as JSON is
        """Return one of the counts of a report: those that govc can make too, in the same form."""
        counts: dict[str, Any] = {
            "hosts of clusters": {c["name"]: sum(c["hosts"].values()) for c in report["clusters"]},
            "versions of hosts": {h["name"]: f"{h['version']} {h['build']}" for h in report["hosts"]},
            "vCenter": " ".join(report["vcenter"][key] for key in ("version", "build", "instanceUUID")),
            "VMs": sum(vm["count"] for vm in report["vms"]),
            "VCHs": dict(Counter(vch["version"] for vch in report["vchs"])),
            "container VMs": count_by((c["os"], c["version"], c["count"]) for c in report["containerVMs"]),
            "VCHs of hosts": {h["name"]: h["vchs"] for h in report["hosts"]},
            "container VMs of VCHs": {vch["name"]: vch["containerVMs"] for vch in report["vchs"]},
        }
        return counts[what]

    @keyword
    def govc_counts(self, what: str) -> Any:  # noqa: ANN401 - as free as JSON is
        """Return what govc counts, by the names and in the form of `Counted`."""
        count = {
            "hosts of clusters": self._hosts_of_clusters,
            "versions of hosts": self._versions_of_hosts,
            "vCenter": self._vcenter,
            "VMs": lambda: len(self._find("-type", "m")),
            "VCHs": lambda: dict(Counter(version for _, version in self._names("VCH"))),
            "container VMs": lambda: count_by((os, version, 1) for os, version in self._names("Container")),
            "VCHs of hosts": self._vchs_of_hosts,
            "container VMs of VCHs": self._container_vms_of_vchs,
        }[what]
        return count()

    @keyword
    def wait_until_clock_is_beyond(self, report: Report) -> None:
        """Wait until a report that is taken now is a later one by vCenter's clock, which goes by the second."""

        def look() -> None:
            if self.take_report("--no-events")["taken"] == report["taken"]:
                raise NotYetError(report["taken"])

        wait_until(f"vCenter's clock is beyond {report['taken']}", look)

    @keyword
    def counts_should_have_grown(self, before: Report, after: Report, *, vchs: int, container_vms: int) -> None:
        """Compare how many VCHs and container VMs two reports count."""
        grown = len(after["vchs"]) - len(before["vchs"]), container_vms_in(after) - container_vms_in(before)
        if grown != (vchs, container_vms):
            raise AssertionError(f"VCHs and container VMs have grown by {grown}, expected {(vchs, container_vms)}")

    @keyword
    def one_more_life_should_have_ended(self, before: Report, after: Report, seconds: float) -> None:
        """Compare the completed lives of two reports: there is one more, so many seconds long."""
        old, new = (report["lifetime"]["completed"] for report in (before, after))
        if new["count"] != old["count"] + 1:
            raise AssertionError(f"expected one more life that ended than {old}, got {new}")
        length = new["mean"] * new["count"] - old["mean"] * old["count"]
        if abs(length - seconds) > ROUNDING * new["count"]:
            raise AssertionError(f"the life that ended is {length} s long, expected {seconds} s")

    @keyword
    def lifetime_by_events(self, name: str) -> float:
        """Return the seconds between the events, as govc shows them, that a VM of a name was made and was removed."""
        times: dict[str, datetime] = {}
        for kind in ("VmCreatedEvent", "VmRemovedEvent"):
            events = self._clients.govc_objects("events", "-n", "1000", "-type", kind, log=False)
            found = [e for batch in events for e in (batch if isinstance(batch, list) else [batch]) if name in json.dumps(e)]
            if len(found) != 1:
                raise AssertionError(f"expected one {kind} of {name}, found {found}")
            times[kind] = datetime.fromisoformat(found[0]["createdTime"])
        return (times["VmRemovedEvent"] - times["VmCreatedEvent"]).total_seconds()

    @keyword
    def report_should_name_problem(self, report: Report, stage: str, words: str) -> None:
        """Fail unless the report says that something is missing, at which stage, and in these words among others."""
        problems = [problem for problem in report["quality"]["problems"] if problem["partial"] and problem["stage"] == stage]
        if report["quality"]["complete"] or not any(words in json.dumps(problem) for problem in problems):
            raise AssertionError(f"expected a problem of {stage} with {words!r}, got {report['quality']}")

    @keyword
    def report_should_have_products(self, count: int, *options: str, **fields: str) -> Report:
        """Take a report: it has so many products, one of them with these fields if there are any. Returns the report."""
        report = self.take_report("--no-events", *options)
        if len(report["products"]) != count:
            raise AssertionError(f"expected {count} products, got {report['products']}")
        if fields:
            found_one(report["products"], fields)
        return report

    @keyword
    def inventory_should_have(self, report: Report, **fields: str) -> None:
        """Fail unless the report, taken with --detail, has one VM with these fields."""
        found_one(report["inventory"], fields)

    @keyword
    def rows_should_have(self, text: str, **fields: str) -> None:
        """Fail unless a CSV text has one row with these columns."""
        found_one(list(csv.DictReader(io.StringIO(text))), fields)

    @keyword
    def table_should_have_ten_metrics(self, table: str) -> None:
        """Fail unless a table has the ten metrics, numbered, in their order, and a line about its data."""
        numbers = re.findall(r"^ *(\d+)  \S", table, re.MULTILINE)
        if numbers != [str(number) for number in range(1, 11)] or "Data quality:" not in table:
            raise AssertionError(f"expected ten metrics and a line about the data\n{table}")

    @keyword
    def metric_should_add_up_to(self, exposition: str, name: str, expected: float) -> None:
        """Add up the samples of a metric in the OpenMetrics text format."""
        samples = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", exposition, re.MULTILINE)
        if not samples or sum(map(float, samples)) != expected:
            raise AssertionError(f"expected the samples of {name} to add up to {expected}, got {samples}\n{exposition}")

    @keyword
    def own_file(self, name: str) -> str:
        """Return a path of the running test's own, where there is no file yet."""
        folder = self._clients.lab.logs / "own" / uuid.uuid4().hex[:8]
        folder.mkdir(parents=True)
        return str(folder / name)

    @keyword
    def kept_aside_should_be(self, path: str, text: str) -> None:
        """Fail unless a file beside this one has what it had before it was replaced."""
        beside = [file for file in Path(path).parent.iterdir() if file != Path(path) and file.read_text() == text]
        if len(beside) != 1 or Path(path).read_text() == text:
            raise AssertionError(f"expected {path} to be a new file, and one beside it with {text!r}; found {beside}")

    def _find(self, *options: str, root: str = "/") -> list[str]:
        return self._clients.govc("find", root, *options, log=False).stdout.split("\n")[:-1]

    def _hosts_of_clusters(self) -> dict[str, int]:
        counts = {path.rpartition("/")[2]: len(self._find("-type", "h", root=path)) for path in self._find("-type", "r")}
        return dict(sorted(counts.items()))

    def _versions_of_hosts(self) -> dict[str, str]:
        hosts = self._clients.govc_objects("host.info", *self._find("-type", "h"), log=False)[0]["hostSystems"]
        products = {host["name"]: host["summary"]["config"]["product"] for host in hosts}
        return {name: f"{product['version']} {product['build']}" for name, product in products.items()}

    def _vcenter(self) -> str:
        about = self._clients.govc_objects("about", log=False)[0]["about"]
        return f"{about['version']} {about['build']} {about['instanceUuid']}"

    def _names(self, role: str) -> list[tuple[str, str]]:
        """Return OS word and version of the guest names of a role."""
        paths = self._find("-type", "m", "-config.guestFullName", f"* - {role} *")
        names = [vm["summary"]["config"]["guestFullName"] for vm in self._infos(paths)]
        split = [name.partition(f" - {role} ") for name in names]
        return [(os.strip(), rest.partition(",")[0].strip()) for os, _, rest in split]

    def _infos(self, paths: list[str]) -> list[dict[str, Any]]:
        if not paths:
            return []
        infos: list[dict[str, Any]] = self._clients.govc_objects("vm.info", *paths, log=False)[0]["virtualMachines"]
        return infos

    def _vchs_of_hosts(self) -> dict[str, int]:
        vchs = self._find("-type", "m", "-config.guestFullName", "* - VCH *")
        on = Counter(vm["runtime"]["host"]["value"] for vm in self._infos(vchs))
        hosts = self._clients.govc_objects("host.info", *self._find("-type", "h"), log=False)[0]["hostSystems"]
        return {host["name"]: on[host["self"]["value"]] for host in hosts}

    def _container_vms_of_vchs(self) -> dict[str, int]:
        """Count by inventory folder: a VCH's folder has its endpoint VM and its container VMs."""
        vchs = self._find("-type", "m", "-config.guestFullName", "* - VCH *")
        containers = Counter(
            path.rpartition("/")[0] for path in self._find("-type", "m", "-config.guestFullName", "* - Container *")
        )
        return {path.rpartition("/")[2]: containers[path.rpartition("/")[0]] for path in vchs}


def count_by(rows: Any) -> dict[str, int]:  # noqa: ANN401 - any iterable of OS word, version and count
    """Add up counts by OS word and version."""
    counts: Counter[str] = Counter()
    for os, version, count in rows:
        counts[f"{os} {version}"] += count
    return {key: count for key, count in counts.items() if count}


def container_vms_in(report: Report) -> int:
    """Return how many container VMs a report counts in all."""
    return sum(int(c["count"]) for c in report["containerVMs"])


def found_one(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, str]) -> None:
    """Fail unless exactly one of the rows has these fields."""
    found = [row for row in rows if fields.items() <= row.items()]
    if len(found) != 1:
        raise AssertionError(f"expected one row with {dict(fields)}, found {len(found)} in {json.dumps(rows, indent=1)}")
