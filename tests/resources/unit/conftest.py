# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def ready_file(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes the ready file of a lab whose vCenter and node do not exist."""

    def write(number: str) -> Path:
        folder = tmp_path / "labs" / number
        (folder / "logs").mkdir(parents=True)
        file = folder / "ready.json"
        file.write_text(
            json.dumps(
                {
                    "kubeconfig": f"/labs/{number}/kubeconfig",
                    "govc": {"GOVC_URL": "https://127.0.0.1:1/sdk", "GOVC_PASSWORD": "secret"},
                    "node": f"node-{number}",
                    "vch": f"vch-{number}",
                    "pids": {"etcd": 1},
                    "logs": str(folder / "logs"),
                    "binaries": {"wolfpack": "/bin/true", "govc": "/bin/true", "kubectl": "/bin/true"},
                }
            )
        )
        return file

    return write


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that writes a shell script and makes it executable."""

    def write(name: str, script: str) -> Path:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{script}")
        file.chmod(0o755)
        return file

    return write
