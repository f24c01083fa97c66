# SPDX-License-Identifier: Apache-2.0
"""What makes pods and takes them away again: Kubernetes' controllers, its budgets and its evictions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword, library

from wolfpack_tests.clients import Clients, clients, json_values, library_of_test
from wolfpack_tests.command import CommandFailedError
from wolfpack_tests.pods import Pod, Pods, pod_named, pod_spec, tolerations
from wolfpack_tests.program import logs
from wolfpack_tests.waiting import TIMEOUT, NotYetError, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
"""What the API server says of an eviction that a budget does not allow."""


@library(scope="SUITE", converters={Pod: pod_named})
class Controllers:
    """Keywords about controllers in the current namespace.

    The pods of a controller are like those of `Apply Pod`, and their label app is the controller's name.
    """

    @property
    def _clients(self) -> Clients:
        return clients()

    @property
    def _namespace(self) -> str:
        return library_of_test(Pods).namespace

    @keyword
    def apply_replica_set(self, name: str, replicas: int) -> None:
        """Apply a ReplicaSet."""
        self._apply("apps/v1", "ReplicaSet", name, {"replicas": replicas, **self._pods_of(name)})

    @keyword
    def apply_stateful_set(self, name: str, replicas: int) -> None:
        """Apply a StatefulSet, whose pods come one after the other."""
        self._apply("apps/v1", "StatefulSet", name, {"replicas": replicas, "serviceName": name, **self._pods_of(name)})

    @keyword
    def apply_daemon_set(self, name: str, *, tolerates: str) -> None:
        """Apply a DaemonSet for the lab's node, with the tolerations of its pods, given as for `Apply Pod`."""
        spec = self._pods_of(name)
        spec["template"]["spec"]["tolerations"] = tolerations(tolerates)
        self._apply("apps/v1", "DaemonSet", name, spec)

    @keyword
    def apply_job(
        self, name: str, *, pods: int = 1, backoff_limit: int = 0, restart_policy: str = "Never", **annotations: str
    ) -> None:
        """Apply a Job of so many pods at once, all of which have to succeed. Other names are annotations of its pods."""
        counts = {"completions": pods, "parallelism": pods, "backoffLimit": backoff_limit}
        self._apply("batch/v1", "Job", name, {**counts, "template": self._template(name, restart_policy, annotations)})

    @keyword
    def apply_cron_job(self, name: str, **annotations: str) -> None:
        """Apply a CronJob that is due on New Year's Day, and suspended even then."""
        job = {"template": self._template(name, "Never", annotations)}
        self._apply("batch/v1", "CronJob", name, {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job}})

    @keyword
    def run_cron_job_now(self, name: str, job: str) -> None:
        """Make a Job as the CronJob would."""
        self._clients.kubectl("create", "job", job, f"--from=cronjob/{name}", "-n", self._namespace)

    @keyword
    def apply_disruption_budget(self, name: str, *, min_available: int) -> None:
        """Apply a PodDisruptionBudget for the pods whose label app is its name, and wait until it has been looked at."""
        spec = {"minAvailable": min_available, "selector": {"matchLabels": {"app": name}}}
        self._apply("policy/v1", "PodDisruptionBudget", name, spec)
        self.wait_until_controller_field_is(f"poddisruptionbudget/{name}", ".status.observedGeneration", "1")

    @keyword
    def delete_controller(self, controller: str) -> None:
        """Delete a controller, given as kind/name, and leave it to Kubernetes that its pods go too."""
        self._clients.kubectl("delete", controller, "-n", self._namespace)

    @keyword
    def wait_until_controller_field_is(self, controller: str, path: str, expected: str) -> None:
        """Wait until a field of a controller, given as kind/name, has a value. The path is like that of `Pod Field`."""
        condition = f"jsonpath={{{path}}}={expected}"
        try:
            self._clients.kubectl(
                "wait", f"--for={condition}", controller, "-n", self._namespace, f"--timeout={TIMEOUT - 5:g}s"
            )
        except CommandFailedError as error:
            pods = self._clients.kubectl("describe", controller, "pods", "-n", self._namespace, expect_rc=None)
            raise CommandFailedError(f"{error}\n\n{pods}\n\n{logs()}") from None

    @keyword
    def controller_field_should_be(self, controller: str, path: str, expected: str) -> None:
        """Compare a field of a controller, given as for `Wait Until Controller Field Is`."""
        seen = self._clients.kubectl("get", controller, "-n", self._namespace, "-o", f"jsonpath={{{path}}}").stdout
        if seen != expected:
            raise AssertionError(f"{path} of {controller} is {seen!r}, expected {expected!r}")

    @keyword
    def ready_pods_of(self, name: str, count: int) -> list[Pod]:
        """Return a controller's pods that are ready, by name, waiting until they are so many."""

        def look() -> list[Pod]:
            pods = self._list(name)["items"]
            ready = [pod["metadata"] for pod in pods if is_ready(pod)]
            if len(ready) != count:
                raise NotYetError(f"{len(ready)} of {len(pods)} pods")
            return sorted((Pod(pod["namespace"], pod["name"], pod["uid"]) for pod in ready), key=str)

        return wait_until(f"{count} pods of {name} are ready", look, evidence=logs)

    @keyword
    def restart_deployment(self, name: str) -> str:
        """Have each pod of a Deployment replaced. Returns from when on, for `Fewest Ready Pods`."""
        version: str = self._list(name)["metadata"]["resourceVersion"]
        self._clients.kubectl("rollout", "restart", f"deployment/{name}", "-n", self._namespace)
        return version

    @keyword
    def wait_until_deployment_is_rolled_out(self, name: str) -> None:
        """Wait until the pods of a Deployment are what they shall be, and all are ready."""
        self._clients.kubectl(
            "rollout", "status", f"deployment/{name}", "-n", self._namespace, f"--timeout={TIMEOUT - 5:g}s"
        )

    @keyword
    def fewest_ready_pods(self, name: str, count: int, since: str) -> int:
        """Return how many pods of a controller were ready at the least, since a time at which so many were.

        The API server tells each change that there was. It is asked until the last one is that so many pods are ready.
        """
        query = f"watch=1&timeoutSeconds=1&resourceVersion={since}&labelSelector=app%3D{name}"

        def look() -> int:
            output = self._clients.kubectl("get", "--raw", f"/api/v1/namespaces/{self._namespace}/pods?{query}").stdout
            history = ready_over_time(count, json_values(output))
            if history[-1] != count:
                raise NotYetError(f"so many pods ready, in turn: {history}")
            return min(history)

        return wait_until(f"the changes of the pods of {name} end with {count} that are ready", look)

    @keyword
    def evict_pod(self, pod: Pod) -> None:
        """Evict a pod through the API."""
        self._evict(pod, 0)

    @keyword
    def eviction_should_be_refused(self, pod: Pod) -> None:
        """Try to evict a pod that its PodDisruptionBudget protects."""
        result = self._evict(pod, 1)
        if REFUSED not in result:
            raise AssertionError(f"expected {REFUSED!r}\n{result}")

    def _evict(self, pod: Pod, expect_rc: int) -> str:
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
        }
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
        return str(
            self._clients.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction), expect_rc=expect_rc)
        )

    def _apply(self, api: str, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        metadata = {"name": name, "namespace": self._namespace}
        manifest = {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}
        self._clients.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def _pods_of(self, name: str) -> dict[str, Any]:
        """Return what a controller that keeps pods says of them."""
        return {"selector": {"matchLabels": {"app": name}}, "template": self._template(name, "Always", {})}

    def _template(self, name: str, restart_policy: str, annotations: Mapping[str, str]) -> dict[str, Any]:
        spec = pod_spec(self._clients.lab.node, restart_policy=restart_policy)
        return {"metadata": {"labels": {"app": name}, "annotations": annotations}, "spec": spec}

    def _list(self, name: str) -> Any:  # noqa: ANN401 - as free as JSON is
        """Return the list of a controller's pods."""
        path = f"/api/v1/namespaces/{self._namespace}/pods?labelSelector=app%3D{name}"
        return json.loads(self._clients.kubectl("get", "--raw", path).stdout)


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod is ready and nobody has said that it shall go."""
    conditions = pod["status"].get("conditions", [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def ready_over_time(count: int, changes: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return how many pods were ready after each change of a watch, starting with the count before the first.

    A pod that was there before is first heard of when it changes: until then it counts as ready, as all of them were.
    """
    others = count  # of those that were there, the ones not heard of yet
    pods: dict[str, bool] = {}
    history = [count]
    for change in changes:
        pod = change["object"]
        if change["type"] == "ERROR":
            raise AssertionError(f"the API server does not tell what changed: {pod.get('message')}")
        uid = pod["metadata"]["uid"]
        if uid not in pods and change["type"] != "ADDED":
            others -= 1
        pods[uid] = change["type"] != "DELETED" and is_ready(pod)
        history.append(others + sum(pods.values()))
    return history
