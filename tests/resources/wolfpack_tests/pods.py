# SPDX-License-Identifier: Apache-2.0
"""Pods, as someone with kubectl sees them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

from wolfpack_tests.clients import Clients, clients, library_of_test
from wolfpack_tests.command import CommandFailedError
from wolfpack_tests.program import logs
from wolfpack_tests.waiting import TIMEOUT, NotYetError, wait_until

IMAGE = "registry.k8s.io/pause:3.10"
"""What test pods run. Simulated guests run any image by its name alone."""

PROVIDER_TAINT = "virtual-kubelet.io/provider=wolfpack:NoSchedule"
"""The taint of each virtual node, unless its admin leaves it out."""

CONTROLLERS = "cronjobs,jobs,deployments,statefulsets,daemonsets,replicasets"
"""What makes pods, and would make them again."""


@dataclass(frozen=True)
class Pod:
    """A pod that a test made. Its UID tells it from others of its name, before and after."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        """Return namespace and name, as kubectl users write them."""
        return f"{self.namespace}/{self.name}"


def pod_named(value: str) -> Pod:
    """Return the pod of that name in the current namespace: what keywords make of a name where they take a pod."""
    if BuiltIn().dry_run_active:  # which converts arguments, but has applied nothing
        return Pod("", value, "")
    return library_of_test(Pods).pod_named(value)


@library(scope="SUITE", converters={Pod: pod_named})
class Pods:
    """Keywords about pods.

    Pods live in the current namespace, which `Enter New Namespace` makes and `Leave Namespaces` removes, so that no test
    sees another's pods. Where a keyword takes a pod, it takes what `Apply Pod` returned or, for a pod
    of the current namespace, its name.
    """

    def __init__(self) -> None:
        self._namespaces: list[str] = []
        self._pods: dict[tuple[str, str], Pod] = {}

    @property
    def _clients(self) -> Clients:
        return clients()

    @keyword
    def enter_new_namespace(self) -> str:
        """Make a namespace in which pods are from now on. Returns its name."""
        name = f"test-{uuid.uuid4().hex[:10]}"
        self._clients.kubectl("create", "namespace", name)
        self._namespaces.append(name)
        # The API server refuses pods in a namespace that has no service account yet.
        self._clients.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")
        return name

    @keyword
    def remove_pods(self) -> None:
        """Delete all pods of the namespaces that were entered, and what makes them. Those that do not go are an error."""
        stuck = []
        for name in self._namespaces:
            result = self._clients.kubectl(
                "delete", f"{CONTROLLERS},pods", "--all", "-n", name, "--timeout=45s", expect_rc=None
            )
            if result.rc != 0:
                stuck.append(str(result))
                self._clients.kubectl("delete", "pods", "--all", "-n", name, "--grace-period=0", "--force")
        if stuck:
            raise AssertionError("\n\n".join(stuck))

    @keyword
    def leave_namespaces(self) -> None:
        """Remove the namespaces that were entered. It is quick if their pods are gone."""
        names, self._namespaces = self._namespaces, []
        for name in names:
            self._clients.kubectl("delete", "namespace", name, "--wait=false")

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that this suite or test is in, oldest first."""
        return tuple(self._namespaces)

    @property
    def namespace(self) -> str:
        """The current namespace."""
        if not self._namespaces:
            raise AssertionError("the test is in no namespace: it has to `Enter New Namespace` first")
        return self._namespaces[-1]

    def pod_named(self, name: str) -> Pod:
        """Return a pod that was applied in the current namespace."""
        try:
            return self._pods[self.namespace, name]
        except KeyError:
            raise AssertionError(f"the test has applied no pod {name!r} in namespace {self.namespace}") from None

    @keyword
    def apply_pod(  # noqa: PLR0913 - one argument for each field that some test sets
        self,
        name: str,
        *,
        node: str = "",
        cpu: str = "",
        memory: str = "",
        restart_policy: str = "Always",
        grace: int = 5,
        ports: str = "",
        labels: str = "",
        finalizer: str = "",
        tolerates: str = "",
        priority_class: str = "",
        init_containers: str = "",
        sidecars: str = "",
        **annotations: str,
    ) -> Pod:
        """Apply a pod of one container with kubectl. Returns it at once, most likely before it runs.

        | cpu, memory     | request and limit, as Kubernetes quantities |
        | grace           | termination grace period in seconds |
        | node            | virtual node, by default the lab's |
        | ports           | ports of its container, as name:number, with commas between them |
        | labels          | its labels, as key=value, with commas between them |
        | finalizer       | what keeps its object in the API until `Release Pod` |
        | tolerates       | taints that it tolerates besides the node's own, as key=value:Effect, with commas between them |
        | priority_class  | name of its PriorityClass |
        | init_containers | names of containers that run before, with commas between them |
        | sidecars        | names of containers that run from before to after |
        | any other name  | an annotation, such as sim.wolfpack/exit-code=3 |
        """
        metadata = {"name": name, "namespace": self.namespace, "annotations": annotations, "labels": pairs(labels)}
        spec = self._pod_spec(node=node, cpu=cpu, memory=memory, restart_policy=restart_policy, grace=grace)
        spec["containers"][0]["ports"] = container_ports(ports)
        spec["initContainers"] = containers(sidecars, restartPolicy="Always") + containers(init_containers)
        spec["tolerations"] += tolerations(tolerates)
        if finalizer:
            metadata["finalizers"] = [finalizer]
        if priority_class:
            spec["priorityClassName"] = priority_class
        manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        applied = self._clients.kubectl_json("apply", "-f", "-", stdin=json.dumps(manifest))
        pod = Pod(self.namespace, name, applied["metadata"]["uid"])
        self._pods[pod.namespace, pod.name] = pod
        return pod

    def _pod_spec(self, *, node: str, cpu: str, memory: str, restart_policy: str, grace: int) -> dict[str, Any]:
        return pod_spec(node or self._clients.lab.node, cpu=cpu, memory=memory, restart_policy=restart_policy, grace=grace)

    @keyword
    def apply_deployment(self, name: str, replicas: int) -> None:
        """Apply a deployment of pods like those of `Apply Pod`, whose label app is its name."""
        labels = {"app": name}
        manifest = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod_spec(self._clients.lab.node)},
            },
        }
        self._clients.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    @keyword
    def scale_deployment(self, name: str, replicas: int) -> None:
        """Scale a deployment and wait until exactly that many of its pods are ready."""
        self._clients.kubectl("scale", f"deployment/{name}", f"--replicas={replicas}", "-n", self.namespace)
        self._clients.kubectl("rollout", "status", f"deployment/{name}", "-n", self.namespace, f"--timeout={TIMEOUT - 5:g}s")

    @keyword
    def wait_until_pod_is(self, pod: Pod, phase: str) -> None:
        """Wait for a phase, such as Running. Running includes that the pod is ready."""
        self._wait_for(pod, f"jsonpath={{.status.phase}}={phase}")
        if phase == "Running":
            self._wait_for(pod, "condition=Ready")

    @keyword
    def wait_until_pod_is_not_ready(self, pod: Pod, reason: str) -> None:
        """Wait until the pod's condition Ready is False for a reason such as VMSuspended."""
        self._wait_for(pod, "condition=Ready=False")
        self.pod_field_should_be(pod, '.status.conditions[?(@.type=="Ready")].reason', reason)

    @keyword
    def wait_until_pod_says(self, pod: Pod, *words: str) -> None:
        """Wait until the pod's status or one of its events has all of these words in one message."""

        def look() -> None:
            messages = self._messages(pod)
            if not any(all(word in message for word in words) for message in messages):
                raise NotYetError(f"the messages {messages}")

        wait_until(f"pod {pod} says {' … '.join(words)}", look, evidence=lambda: self.describe(pod))

    def _messages(self, pod: Pod) -> list[str]:
        """Return what a user sees about a pod: the messages of its status, its conditions and its events."""
        status = self._clients.kubectl_json("get", "pod", pod.name, "-n", pod.namespace)["status"]
        events = self._clients.kubectl_json(
            "get", "events", "-n", pod.namespace, "--field-selector", f"involvedObject.uid={pod.uid}"
        )
        sources = [status, *status.get("conditions", []), *events["items"]]
        return [source["message"] for source in sources if source.get("message")]

    @keyword
    def pod_field(self, pod: Pod, path: str) -> str:
        """Return what ``kubectl get -o jsonpath`` prints for a path without braces, such as .status.podIP."""
        return self._clients.kubectl("get", "pod", pod.name, "-n", pod.namespace, "-o", f"jsonpath={{{path}}}").stdout

    @keyword
    def pod_field_should_be(self, pod: Pod, path: str, expected: str) -> None:
        """Compare a field of a pod, given as for `Pod Field`."""
        seen = self.pod_field(pod, path)
        if seen != expected:
            raise AssertionError(f"{path} of pod {pod} is {seen!r}, expected {expected!r}\n{self.describe(pod)}")

    @keyword
    def wait_until_pod_field_is(self, pod: Pod, path: str, expected: str) -> None:
        """Wait until a field of a pod, given as for `Pod Field`, has a value."""
        self._wait_for(pod, f"jsonpath={{{path}}}={expected}")

    @keyword
    def label_pod(self, pod: Pod, label: str) -> None:
        """Set a label, given as key and value with an equals sign between them."""
        self._clients.kubectl("label", "pod", pod.name, "-n", pod.namespace, label)

    @keyword
    def delete_pod(self, pod: Pod) -> None:
        """Delete a pod and wait until the API server has it no more.

        It is not for pods that are made again under their names: kubectl would wait for the end of the next one, if that is
        there before it looks.
        """
        self._clients.kubectl("delete", "pod", pod.name, "-n", pod.namespace, f"--timeout={TIMEOUT - 5:g}s")

    @keyword
    def start_deleting_pod(self, pod: Pod) -> None:
        """Ask for a pod's deletion and wait for nothing."""
        self._clients.kubectl("delete", "pod", pod.name, "-n", pod.namespace, "--wait=false")

    @keyword
    def release_pod(self, pod: Pod) -> None:
        """Take away the pod's finalizers, if it is still there: it goes now, if it was deleted."""
        result = self._clients.kubectl(
            "patch", "pod", pod.name, "-n", pod.namespace, "-p", '{"metadata": {"finalizers": null}}', expect_rc=None
        )
        if result.rc != 0 and "NotFound" not in result.stderr:
            raise AssertionError(str(result))

    @keyword
    def wait_until_pod_is_gone(self, pod: Pod) -> None:
        """Wait until the API server has the pod no more."""
        self._wait_for(pod, "delete")

    def describe(self, pod: Pod) -> str:
        """Return what kubectl describes of a pod, for messages."""
        result = self._clients.kubectl("describe", "pod", pod.name, "-n", pod.namespace, expect_rc=None)
        return str(result)

    def _wait_for(self, pod: Pod, condition: str) -> None:
        """Let kubectl wait, which watches rather than polls, and say what became of the pod if it waits in vain."""
        try:
            self._clients.kubectl(
                "wait", f"--for={condition}", f"pod/{pod.name}", "-n", pod.namespace, f"--timeout={TIMEOUT - 5:g}s"
            )
        except CommandFailedError as error:
            raise CommandFailedError(f"{error}\n\n{self.describe(pod)}\n\n{logs()}") from None


def container_ports(ports: str) -> list[dict[str, Any]]:
    """Return the ports of a container, given as name:number with commas between them."""
    pairs = [port.split(":") for port in ports.split(",") if port]
    return [{"name": name, "containerPort": int(number)} for name, number in pairs]


def containers(names: str, **fields: str) -> list[dict[str, Any]]:
    """Return containers by their names, with commas between them, each with these fields."""
    return [{"name": name, "image": IMAGE, **fields} for name in names.split(",") if name]


def pairs(text: str) -> dict[str, str]:
    """Return what is given as key=value with commas between them."""
    return dict(pair.split("=", 1) for pair in text.split(",") if pair)


def tolerations(taints: str) -> list[dict[str, str]]:
    """Return what tolerates taints that are given as key=value:Effect with commas between them."""
    tolerated = []
    for taint in filter(None, taints.split(",")):
        left, effect = taint.rsplit(":", 1)
        key, value = left.split("=", 1)
        tolerated.append({"key": key, "operator": "Equal", "value": value, "effect": effect})
    return tolerated


def pod_spec(
    node: str,
    *,
    cpu: str = "",
    memory: str = "",
    restart_policy: str = "Always",
    grace: int = 5,
) -> dict[str, Any]:
    """Return the spec of a pod of one container for a virtual node.

    The node is chosen by its name, as DaemonSets do, so that the scheduler still checks whether the pod fits. ``cpu`` and
    ``memory`` are both request and limit.
    """
    resources = {name: amount for name, amount in (("cpu", cpu), ("memory", memory)) if amount}
    on_node = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [on_node]}}},
        "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": IMAGE, "resources": {"requests": resources, "limits": resources}}],
        "restartPolicy": restart_policy,
        "terminationGracePeriodSeconds": grace,
        "tolerations": tolerations(PROVIDER_TAINT),
    }
