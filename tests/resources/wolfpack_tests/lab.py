# SPDX-License-Identifier: Apache-2.0
"""The lab that this robot process tests in: a control plane, a vCenter, a VCH and a virtual node.

The runner starts as many labs as there are workers, each in a folder of its own with a ready file. A robot process leases
one of them by locking the file beside it. The kernel drops that lock when the process ends, however it ends, so no lab is
ever lost to a worker that crashed and none is used by two workers at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from wolfpack_tests.waiting import NotYetError, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

READY = "ready.json"
LEASE = "lease"


@dataclass(frozen=True)
class Lab:
    """What a lab's ready file says."""

    kubeconfig: str
    node: str
    vch: str
    logs: Path
    govc: Mapping[str, str]
    binaries: Mapping[str, str]
    registry: Mapping[str, str]

    @classmethod
    def read(cls, ready_file: Path) -> Lab:
        """Read a ready file. A value that is missing is an error which names it and the file."""
        values: dict[str, Any] = json.loads(ready_file.read_text())
        try:
            return cls(
                kubeconfig=values["kubeconfig"],
                node=values["node"],
                vch=values["vch"],
                logs=Path(values["logs"]),
                govc=dict(values["govc"]),
                binaries=dict(values["binaries"]),
                registry=dict(values.get("registry") or {}),
            )
        except KeyError as missing:
            raise ValueError(f"{ready_file} has no value for {missing}; it has {', '.join(values)}") from None

    def env(self, **overrides: str) -> dict[str, str]:
        """Return an environment for this lab's commands: no setting of another vCenter or cluster gets through.

        An override that is empty removes the variable.
        """
        env = {key: value for key, value in os.environ.items() if not key.startswith(("GOVC_", "KUBE"))}
        # govc remembers sessions in files, by default below the home folder, which labs must not share.
        env["GOVMOMI_HOME"] = str(self.logs / "govmomi")
        env |= self.govc
        env["KUBECONFIG"] = self.kubeconfig
        env |= overrides
        return {key: value for key, value in env.items() if value}

    def log_tail(self, lines: int = 25) -> str:
        """Return the end of those logs of the lab that tell about pods and VMs: the node's and the vCenter stand-in's."""
        logs = [self.logs / f"{part}.log" for part in ("node", "vcsim")]
        return "\n".join(f"last lines of {log}:\n{tail(log, lines)}" for log in logs if log.exists())


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a text file."""
    return "\n".join(path.read_text(errors="backslashreplace").splitlines()[-lines:])


class Lease:
    """One lab for this process alone, until it is released or the process ends."""

    def __init__(self, lab: Lab, lock: IO[str]) -> None:
        self.lab = lab
        self._lock = lock

    @classmethod
    def acquire(cls, labs: Path, timeout: float = 60) -> Lease:
        """Lease a lab from the folder of labs, waiting for one that is free. It fails at once if there is none at all."""

        def free() -> Lease:
            ready = sorted(labs.glob(f"*/{READY}"))
            if not ready:
                raise AssertionError(f"there is no lab in {labs}: start the tests with `make robot`")
            for file in ready:
                lock = _lock(file.with_name(LEASE))
                if lock:
                    return cls(Lab.read(file), lock)
            raise NotYetError(f"{len(ready)} labs, each in use")

        return wait_until(f"a lab of {labs} is free", free, timeout=timeout)

    def release(self) -> None:
        """Let another process have the lab."""
        self._lock.close()


def _lock(path: Path) -> IO[str] | None:
    """Lock a file, which is made when missing. Returns None if another process has the lock."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
