# SPDX-License-Identifier: Apache-2.0
"""What kubectl and others get from a node's kubelet endpoint: logs, commands, connections, statistics."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import ssl
import struct
import subprocess
import termios
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from robot.api.deco import keyword, library

from wolfpack_tests.clients import Clients, clients, library_of_test
from wolfpack_tests.command import TIMEOUT, Result
from wolfpack_tests.pods import Pod, Pods, pod_named

if TYPE_CHECKING:
    from collections.abc import Iterator


@library(scope="SUITE", converters={Pod: pod_named})
class Kubelet:
    """Keywords about what the node's kubelet endpoint serves. Where a keyword takes a pod, it takes its name too."""

    def __init__(self) -> None:
        self._readers: list[str] = []

    @property
    def _clients(self) -> Clients:
        return clients()

    @keyword
    def log_of_pod(self, pod: Pod, *options: str) -> str:
        """Return what ``kubectl logs`` prints, with options such as --tail=2."""
        return self._clients.kubectl("logs", pod.name, "-n", pod.namespace, *options).stdout

    @keyword
    def log_of_pod_fails(self, pod: Pod, message: str, *options: str) -> None:
        """Expect ``kubectl logs`` to fail with a message."""
        result = self._clients.kubectl("logs", pod.name, "-n", pod.namespace, *options, expect_rc=1)
        if message not in result.stderr:
            raise AssertionError(f"expected the message {message!r}\n{result}")

    @keyword
    def follow_log_of_pod(self, pod: Pod, *, lines: int = 0) -> list[str]:
        """Follow a log until there were so many lines, or, if that is 0, until it ends. Returns them."""
        return self._read_lines(lines, "logs", pod.name, "-n", pod.namespace, "--follow")

    @keyword
    def attach_to_pod(self, pod: Pod, *, lines: int) -> list[str]:
        """Attach to the pod until it has written so many lines. Returns them."""
        return self._read_lines(lines, "attach", pod.name, "-n", pod.namespace, "--quiet")

    @keyword
    def run_in_pod(
        self, pod: Pod, *command: str, container: str = "main", stdin: str | None = None, expect_rc: int = 0
    ) -> Result:
        """Run a command in a pod's container. Returns its ``stdout``, ``stderr`` and ``rc``."""
        options = ["-c", container] + ([] if stdin is None else ["-i"])
        return self._clients.kubectl(
            "exec", pod.name, "-n", pod.namespace, *options, "--", *command, stdin=stdin or "", expect_rc=expect_rc
        )

    @keyword
    def run_in_pod_with_terminal(self, pod: Pod, rows: int, columns: int, *command: str) -> str:
        """Run a command in a pod from a terminal of that size. Returns what appears there."""
        master, slave = os.openpty()
        try:
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            argv = ("exec", pod.name, "-n", pod.namespace, "-it", "--", *command)
            with self._kubectl(*argv, stdin=slave, stdout=slave, stderr=slave) as process:
                rc = process.wait(TIMEOUT)
            os.close(slave)
            slave = -1
            output = b""
            with suppress(OSError):  # what a terminal says that nobody has open any more
                while chunk := os.read(master, 4096):
                    output += chunk
        finally:
            os.close(master)
            if slave >= 0:
                os.close(slave)
        text = output.decode(errors="backslashreplace")
        if rc != 0:
            raise AssertionError(f"kubectl {' '.join(argv)} ended with exit code {rc}\n{text}")
        return text

    @keyword
    def send_to_port_of_pod(self, pod: Pod, port: int, text: str) -> str:
        """Forward a local port to the pod's, send a text there and return as much of what comes back."""
        argv = ("port-forward", f"pod/{pod.name}", "-n", pod.namespace, "--address", "127.0.0.1", f":{port}")
        with self._kubectl(*argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            said = output_of(process).readline().decode()
            found = re.search(r"127\.0\.0\.1:(\d+) ->", said)
            if found is None:
                raise AssertionError(f"kubectl {' '.join(argv)} says {said!r}, expected a port that it forwards")
            with socket.create_connection(("127.0.0.1", int(found[1])), TIMEOUT) as connection:
                connection.settimeout(TIMEOUT)
                connection.sendall(text.encode())
                answer = b""
                while len(answer) < len(text.encode()) and (chunk := connection.recv(4096)):
                    answer += chunk
        return answer.decode()

    @keyword
    def endpoint_answers(self, path: str, status: int, *, token: str = "") -> None:
        """Ask the endpoint of the lab's node itself, with a bearer token if there is one, and expect an HTTP status."""
        node = self._clients.kubectl_json("get", "node", self._clients.lab.node)["status"]
        address = next(a["address"] for a in node["addresses"] if a["type"] == "InternalIP")
        port = node["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        request = urllib.request.Request(f"https://{address}:{port}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is the client that is in question
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as response:  # noqa: S310
                seen, body = response.status, ""
        except urllib.error.HTTPError as error:
            seen, body = error.code, error.read().decode(errors="backslashreplace")
        if seen != status:
            raise AssertionError(f"GET {path} answers {seen}, expected {status}\n{body}")

    @keyword
    def token_that_may_get(self, resource: str) -> str:
        """Return a token of a new service account that may get one resource of nodes, such as nodes/stats."""
        name = f"reader-{uuid.uuid4().hex[:10]}"
        self._readers.append(name)
        namespace = library_of_test(Pods).namespace
        self._clients.kubectl("create", "serviceaccount", name, "-n", namespace)
        self._clients.kubectl("create", "clusterrole", name, "--verb=get", f"--resource={resource}")
        self._clients.kubectl(
            "create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={namespace}:{name}"
        )
        return self._clients.kubectl("create", "token", name, "-n", namespace).stdout.strip()

    @keyword
    def remove_readers(self) -> None:
        """Take away the roles of the tokens. Their service accounts go with the namespace."""
        readers, self._readers = self._readers, []
        for name in readers:
            self._clients.kubectl("delete", f"clusterrolebinding/{name}", f"clusterrole/{name}", "--ignore-not-found")

    def _read_lines(self, lines: int, *argv: str) -> list[str]:
        """Return the first lines that kubectl prints, as they appear, or all if lines is 0."""
        read = []
        with self._kubectl(*argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            for line in output_of(process):
                read.append(line.decode().rstrip("\n"))
                if len(read) == lines:
                    return read
            rc = process.wait(TIMEOUT)
        if lines or rc != 0:
            raise AssertionError(f"kubectl {' '.join(argv)} ended with exit code {rc} and these lines: {read}")
        return read

    @contextmanager
    def _kubectl(
        self, *argv: str, stdin: int = subprocess.DEVNULL, stdout: int, stderr: int
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run kubectl beside the test, which ends with the block at the latest."""
        lab = self._clients.lab
        process = subprocess.Popen(
            [lab.binaries["kubectl"], *argv], env=dict(lab.env()), stdin=stdin, stdout=stdout, stderr=stderr
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def output_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """Return the pipe with what a process prints."""
    if process.stdout is None:
        raise ValueError("the process has no pipe")
    return process.stdout
